"""Collect the sections of a working directory and write one self-contained HTML page."""

from __future__ import annotations

import datetime
from pathlib import Path

import speechkit
from speechkit.base.errors import UserError
from speechkit.base.files import atomic_write, make_dirs
from speechkit.base.log import progress
from speechkit.report import emotion, pronunciation, scoring, sections, separation
from speechkit.report.model import Section
from speechkit.workdir import WorkDir

TEMPLATE = Path(__file__).with_name("template.html")


def collect(workdir: WorkDir) -> list[Section]:
    """All sections that the working directory has something for.

    Raises:
        UserError: there is nothing to report.
    """
    makers = (
        sections.sets,
        sections.pitch,
        sections.networks,
        sections.vectors,
        sections.hard_pairs,
        separation.sections,
        pronunciation.sections,
        scoring.sections,
        emotion.sections,
        sections.stages,
    )
    present: list[Section] = []
    with progress("report", len(makers), "part") as advance:
        for maker in makers:
            present += sections.guarded(maker, workdir)
            advance(1)
    if not present:
        raise UserError(
            f"{workdir.root} has neither sets in data/ nor outputs in exp/.",
            "Name the working directory with -C DIR, or begin with `speechkit prepare`.",
        )
    return present


def render(found: list[Section], title: str) -> str:
    """The page as HTML; every value is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return template.render(sections=found, title=title, version=speechkit.__version__, written=now)


def write(workdir: WorkDir, title: str = "") -> Path:
    """Write ``report/index.html`` and return its path."""
    html = render(collect(workdir), title or f"speechkit: {workdir.root.resolve().name}")
    path = make_dirs(workdir.root / "report") / "index.html"
    with atomic_write(path) as file:
        file.write(html)
    return path
