"""Collect the sections of a working directory and write one self-contained HTML page."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import speechkit
from speechkit.base.errors import UserError
from speechkit.base.files import atomic_write, make_dirs
from speechkit.base.log import logger, progress
from speechkit.report import emotion, overview, predictions, pronunciation, scoring, separation
from speechkit.report.elements import Section
from speechkit.report.reader import DAMAGED
from speechkit.workdir import WorkDir

Maker = Callable[[WorkDir], Section | Iterator[Section] | None]
TEMPLATE = Path(__file__).with_name("template.html")


def collect(workdir: WorkDir, papers: bool = False) -> list[Section]:
    """All sections that the working directory has something for.

    Args:
        papers: show the rows of the papers whatever corpus a set is of.

    Raises:
        UserError: there is nothing to report.
    """
    makers: dict[str, Maker] = {
        "sets": overview.sets,
        "pitch": overview.pitch,
        "networks": overview.networks,
        "vectors": overview.vectors,
        "hard pairs": overview.hard_pairs,
        "separation": partial(separation.sections, papers=papers),
        "pronunciation": partial(pronunciation.sections, papers=papers),
        "predictions": predictions.sections,
        "scoring": partial(scoring.sections, papers=papers),
        "emotion": emotion.sections,
        "stages": overview.stages,
    }
    present: list[Section] = []
    with progress("report", len(makers), "part") as advance:
        for name, make in makers.items():
            present += _guarded(name, make, workdir)
            advance(1)
    if not present:
        raise UserError(
            f"{workdir.root} has neither sets in data/ nor outputs in exp/.",
            "Name the working directory with -C DIR, or begin with `speechkit prepare`.",
        )
    return present


def _guarded(name: str, make: Maker, workdir: WorkDir) -> list[Section]:
    """The sections of a maker, up to one whose inputs are damaged, with a warning."""
    found: list[Section] = []
    try:
        made = make(workdir)
        for section in [made] if isinstance(made, Section) else made or ():
            found.append(section)
    except DAMAGED as error:
        logger.warning(f"report: no section '{name}': {error}")
    return found


def render(found: list[Section], title: str) -> str:
    """The page as HTML; every value is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return template.render(sections=found, title=title, version=speechkit.__version__, written=now)


def write(workdir: WorkDir, title: str = "", papers: bool = False) -> Path:
    """Write ``report/index.html`` and return its path; for ``papers`` see :func:`collect`."""
    html = render(collect(workdir, papers), title or f"speechkit: {workdir.root.resolve().name}")
    path = make_dirs(workdir.root / "report") / "index.html"
    with atomic_write(path) as file:
        file.write(html)
    return path
