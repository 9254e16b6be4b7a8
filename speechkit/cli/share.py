"""``speechkit report``, ``export``, ``import`` and ``doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.base.config import Flag, OneOf
from speechkit.cli import output
from speechkit.cli.flags import command
from speechkit.cli.options import MISSING, OUTPUT, Dir, Option
from speechkit.cli.output import Answer

FORMATS = ("zip", "hf", "asteroid")
ExportForce = Annotated[bool, Option(False, "--force", panel=OUTPUT, help="Replace the file.")]
ImportForce = Annotated[
    bool, Option(False, "--force", panel=OUTPUT, help="Replace a model that has the name.")
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "report")(report)
    command(app, "export")(export_model)
    command(app, "import")(import_model)
    command(app, "doctor")(doctor)


@dataclass(frozen=True)
class ExportFlags:
    """What is exported, and where to.

    Data:
        fold: Only this fold.
        seed: Only this seed.
        licence: Licence in the model card, e.g. cc-by-4.0.
    Output:
        push_to_hub: Also push it to OWNER/NAME on Hugging Face.
        private: Make that repository private.
        format: What is written: zip, or the folder of one model for another library: hf
            (transformers; emotion) or asteroid (separation).
    """

    fold: Annotated[int | None, Flag(shown="all", least=0)] = None
    seed: Annotated[int | None, Flag(shown="all", least=0)] = None
    push_to_hub: str = ""
    private: Annotated[bool, Flag("private")] = False
    licence: str = ""
    format: Annotated[str, OneOf(*FORMATS)] = FORMATS[0]


def export_model(
    name: Annotated[str, Option(MISSING, help="TASK/NAME, NAME, or a folder of exp/.")],
    file: Annotated[
        Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
        Option(None, help="The file or folder to write.", show_default="NAME.zip, NAME"),
    ],
    flags: ExportFlags,
    directory: Dir,
    force: ExportForce,
) -> Answer:
    """Write a trained model into one file: weights, configuration and card.

    Of any task; every seed and fold, or one. Nothing about machines or training speakers is in
    it. `speechkit import` takes it in again.
    """
    if flags.format != FORMATS[0]:
        return _export_folder(name, file, flags, directory, force)
    from speechkit.sharing.exchange import export

    done = export(
        directory,
        name,
        file,
        fold=flags.fold,
        seed=flags.seed,
        licence=flags.licence,
        repository=flags.push_to_hub,
        private=flags.private,
        force=force,
    )
    size, made = done.file.stat().st_size, done.contents
    told = {"task": made.task, "name": made.name, "models": list(made.models)}
    shown = {
        "file": done.file,
        "size (MB)": f"{size / 1e6:.1f}",
        "model": f"{made.task}/{made.name}",
        "seeds and folds": len(made.models),
    }
    answer = output.pairs("Exported", {**shown, "pushed": done.url} if done.url else shown)
    return answer._replace(data={"file": str(done.file), "bytes": size, **told, "url": done.url})


def _export_folder(
    name: str, folder: Path | None, flags: ExportFlags, directory: Dir, force: bool
) -> Answer:
    """Of `export --format`."""
    from speechkit.base.errors import ConfigError, require_choice
    from speechkit.sharing.formats import export_folder

    require_choice("format", flags.format, FORMATS)
    if flags.push_to_hub:
        raise ConfigError(
            "push_to_hub",
            f"does not go with `format` {flags.format}.",
            "Write the folder, and upload it: hf upload OWNER/NAME FOLDER.",
        )
    which = {"fold": flags.fold, "seed": flags.seed}
    done = export_folder(
        directory, name, flags.format, folder, **which, licence=flags.licence, force=force
    )
    shown = {"folder": str(done.folder), "model": done.model, "for": done.library}
    return output.pairs("Exported", shown)


def import_model(
    file: Annotated[str, Option(MISSING, help="A file that export wrote, or hf:OWNER/NAME.")],
    name: Annotated[
        str,
        Option(
            "",
            "--name",
            panel=OUTPUT,
            help="Name to give it.",
            show_default="the one it has",
        ),
    ],
    directory: Dir,
    force: ImportForce,
) -> Answer:
    """Put a model that somebody exported into exp/, ready for predict and evaluate.

    Runs nothing of the file: only weights (safetensors), configuration and text, each checked.
    """
    from speechkit.sharing.exchange import import_model as take_in

    folder, made = take_in(directory, file, name=name, force=force)
    told = {"folder": str(folder), "task": made.task, "name": folder.name}
    return output.pairs("Imported", {**told, "models": list(made.models)})


def report(
    directory: Dir,
    title: Annotated[
        str, Option("", "--title", panel=OUTPUT, help="Heading (default: the folder's name).")
    ],
    papers: Annotated[
        bool,
        Option(
            False, "--papers", panel=OUTPUT, help="Show the papers' rows whatever the corpus is."
        ),
    ],
) -> None:
    """Put tables, figures and players of all stages on one self-contained HTML page.

    Writes report/index.html in the working directory and prints its path.
    """
    from speechkit.report import page

    print(page.write(directory, title, papers))


def doctor(directory: Dir) -> Answer:
    """Check this machine: versions, devices, audio, the working directory, optional extras.

    Says what is missing and the command that mends it. Exit code 2 if something required
    is missing or broken.
    """
    from speechkit.base.installation import COLUMNS, examine, healthy

    checks = examine(directory.root)
    answer = output.rows("Doctor", COLUMNS, [check.row for check in checks])
    return answer._replace(code=0 if healthy(checks) else 2)
