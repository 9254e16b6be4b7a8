"""``speechkit export`` and ``speechkit import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.cli import options


def export_model(
    name: Annotated[str, typer.Argument(help="TASK/NAME, NAME, or a folder of exp/.")],
    file: Annotated[
        Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
        typer.Argument(help="The file to write.", show_default="NAME.zip"),
    ] = None,
    fold: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--fold", min=0, help="Only this fold.", show_default="all"),
    ] = None,
    seed: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option("--seed", min=0, help="Only this seed.", show_default="all"),
    ] = None,
    push_to_hub: Annotated[
        str, typer.Option("--push-to-hub", help="Also push it to OWNER/NAME on Hugging Face.")
    ] = "",
    private: Annotated[
        bool, typer.Option("--private", help="Make that repository private.")
    ] = False,
    licence: Annotated[
        str, typer.Option("--licence", help="For the model card, e.g. cc-by-4.0.")
    ] = "",
    directory: options.Dir = Path("."),
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Write a trained model into one file: weights, configuration and card.

    Of any task; every seed and fold, or one. Nothing about machines or training speakers is in
    it. `speechkit import` takes it in again.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.sharing.exchange import export
    from speechkit.workdir import WorkDir

    done = export(
        WorkDir(directory),
        name,
        file,
        fold=fold,
        seed=seed,
        licence=licence,
        repository=push_to_hub,
        private=private,
        force=force,
    )
    size = done.file.stat().st_size
    if as_json:
        print_json(
            {
                "file": str(done.file),
                "bytes": size,
                "task": done.contents.task,
                "name": done.contents.name,
                "models": list(done.contents.models),
                "url": done.url,
            }
        )
        return
    rows = [
        ("file", str(done.file)),
        ("size (MB)", f"{size / 1e6:.1f}"),
        ("model", f"{done.contents.task}/{done.contents.name}"),
        ("seeds and folds", str(len(done.contents.models))),
        *([("pushed", done.url)] if done.url else []),
    ]
    print_table("Exported", ("", ""), rows)


def import_model(
    file: Annotated[str, typer.Argument(help="A file that export wrote, or hf:OWNER/NAME.")],
    name: Annotated[
        str, typer.Option("--name", help="To give it.", show_default="the one it has")
    ] = "",
    directory: options.Dir = Path("."),
    force: Annotated[
        bool, typer.Option("--force", help="Replace a model that has the name.")
    ] = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Put a model that somebody exported into exp/, ready for predict and evaluate.

    Runs nothing of the file: only weights (safetensors), configuration and text, each checked.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.sharing.exchange import import_model as take_in
    from speechkit.workdir import WorkDir

    folder, contents = take_in(WorkDir(directory), file, name=name, force=force)
    told = {
        "folder": str(folder),
        "task": contents.task,
        "name": folder.name,
        "models": list(contents.models),
    }
    if as_json:
        print_json(told)
        return
    rows = [(key, ", ".join(v) if isinstance(v, list) else str(v)) for key, v in told.items()]
    print_table("Imported", ("", ""), rows)
