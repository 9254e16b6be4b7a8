"""Names that a shell completes: sets, models and experiments of the working directory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import typer

Completer = Callable[[typer.Context, str], list[str]]


def completer(names: Iterable[str]) -> Completer | None:
    """What completes the values of a flag, by its names; None where nothing is known of it."""
    found = (_COMPLETERS.get(name) for name in names)
    return next((one for one in found if one is not None), None)


def _sets(ctx: typer.Context, incomplete: str) -> list[str]:
    data = _root(ctx) / "data"
    return _listed((p.name for p in _folders(data) if (p / "wav.scp").is_file()), incomplete)


def _outputs(stage: str = "", *more: str) -> Completer:
    """Of the names in ``exp/STAGE/``; without it of the task of the command."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        found = _folders(_root(ctx) / "exp" / (stage or str(ctx.info_name)))
        return _listed([*more, *(p.name for p in found)], incomplete)

    return complete


_COMPLETERS: dict[str, Completer] = {
    **dict.fromkeys(("--set", "--valid-set", "--train", "--track", "--pretrain-set"), _sets),
    **dict.fromkeys(("--model", "--name", "--baseline"), _outputs()),
    "--am": _outputs("acoustic", "sphinx"),
    "--hard": _outputs("hard"),
}


def _root(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("directory") or ".")


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError:
        return []


def _listed(names: Iterable[str], incomplete: str) -> list[str]:
    """Those that go on; of a list with commas its last name is completed."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]
