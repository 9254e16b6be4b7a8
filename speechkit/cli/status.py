"""``speechkit status``: what a working directory holds, as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from speechkit.cli.flags import command
from speechkit.cli.options import Dir
from speechkit.cli.output import NO_WIDTH, print_json

if TYPE_CHECKING:
    from rich.text import Text

    from speechkit.workdir.status import Status

app = typer.Typer()
_COLOURS = {"up to date": "green", "stale": "yellow", "running": "cyan", "half done": "magenta"}


@command(app, "status")
def status(directory: Dir, as_json: bool) -> None:
    """Show what is there: sets, stages, models, evaluations and reports, each with its state.

    Up to date; stale, with what changed; running, by whom; half done, and how far. Only
    manifests are read, and dates and sizes of what they name; nothing is computed or changed.
    """
    from rich.console import Console
    from rich.tree import Tree

    from speechkit.workdir.status import KINDS, by_model
    from speechkit.workdir.status import status as look

    found = look(directory)
    if as_json:
        print_json([vars(one) for one in found])
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = NO_WIDTH
    tree = Tree(str(directory.root.resolve()))
    for kind in KINDS:
        if those := [one for one in found if one.kind == kind]:
            branch = tree.add(f"[bold]{kind}[/bold]")
            for name, parts in by_model(those):
                whole = not parts[0][0]
                place = branch if whole else branch.add(name)
                for what, one in parts:
                    place.add(_line(name if whole else what, one))
    if not found:
        tree.add("nothing yet: make a set with `speechkit prepare`, or all with `speechkit run`")
    console.print(tree)


def _line(name: str, one: Status) -> Text:
    """As ``gop/train  stale: data/train/text``."""
    from rich.text import Text

    text = Text.assemble(name, "  ", (one.state, _COLOURS.get(one.state, "dim")))
    return text.append(f": {one.details}" if one.details else "")
