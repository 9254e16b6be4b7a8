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


def _models(ctx: typer.Context, incomplete: str) -> list[str]:
    """Of the task of the command."""
    return _listed((p.name for p in _folders(_root(ctx) / "exp" / str(ctx.info_name))), incomplete)


def _acoustic(ctx: typer.Context, incomplete: str) -> list[str]:
    found = (p.name for p in _folders(_root(ctx) / "exp" / "acoustic"))
    return _listed(["sphinx", *found], incomplete)


def _hard(ctx: typer.Context, incomplete: str) -> list[str]:
    return _listed((p.name for p in _folders(_root(ctx) / "exp" / "hard")), incomplete)


_COMPLETERS: dict[str, Completer] = {
    **dict.fromkeys(("--set", "--valid-set", "--train", "--track", "--pretrain-set"), _sets),
    **dict.fromkeys(("--model", "--name", "--baseline"), _models),
    "--am": _acoustic,
    "--hard": _hard,
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
