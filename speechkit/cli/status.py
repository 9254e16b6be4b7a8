"""``speechkit status``: what a working directory holds, as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from speechkit.base.log import counted
from speechkit.cli.flags import command
from speechkit.cli.options import Dir
from speechkit.cli.output import NO_WIDTH, print_json

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from speechkit.workdir.status import Status

app = typer.Typer()
_COLOURS = {"up to date": "green", "stale": "yellow", "running": "cyan", "half done": "magenta"}
_MOST = 3  # reasons shown of one output


@command(app, "status")
def status(directory: Dir, as_json: bool) -> None:
    """Show what is there: sets, stages, models, evaluations and reports, each with its state.

    Up to date; stale, with what changed; running, by whom; half done, and how far. Only
    manifests are read, and dates and sizes of what they name; nothing is computed or changed.
    """
    from rich.console import Console
    from rich.tree import Tree

    from speechkit.workdir.status import KINDS
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
            _grow(tree.add(f"[bold]{kind}[/bold]"), those)
    if not found:
        tree.add("nothing yet: make a set with `speechkit prepare`, or all with `speechkit run`")
    console.print(tree)


def _grow(tree: Tree, those: list[Status]) -> None:
    """A branch for each; seeds and folds of one model stand together while they agree."""
    models: dict[str, list[Status]] = {}
    for one in those:
        models.setdefault(_name(one), []).append(one)
    for name, parts in models.items():
        if len(parts) == 1 and parts[0].path.endswith(name):
            tree.add(_line(name, parts[0]))
            continue
        branch = tree.add(name)
        alike: dict[str, list[Status]] = {}
        for one in parts:
            alike.setdefault(_line("", one).plain, []).append(one)
        for same in alike.values():
            inner = [one.path.split(f"/{name}/", 1)[-1] for one in same]
            what = "seeds" if not any("/" in part for part in inner) else "seeds and folds"
            branch.add(_line(f"{len(same)} {what}" if inner[1:] else inner[0], same[0]))


def _name(one: Status) -> str:
    """``train``, ``gop/train``, ``emotion/mine`` and ``emotion/mine/eval/folds``."""
    top, *rest = one.path.split("/")
    if one.kind == "models":
        return "/".join(rest[:2])
    return "/".join(rest) if top == "exp" else one.path.removeprefix("data/")


def _line(name: str, one: Status) -> Text:
    """As ``gop/train  stale: data/train/text``."""
    from rich.text import Text

    more = [word for word in (one.done, *one.why[:_MOST]) if word]
    if len(one.why) > _MOST:
        more.append(f"{len(one.why) - _MOST} more")
    what = "mixture" if "mixtures" in one.counts else "utterance"  # of both: those they are of
    count = one.counts.get(f"{what}s")
    if not more and isinstance(count, int):
        more = [counted(count, what)]
    text = Text.assemble(name, "  ", (one.state, _COLOURS.get(one.state, "dim")))
    return text.append(f": {', '.join(more)}" if more else "")
