"""Experiments against a baseline on the same items: what every ``compare TASK`` has in common.

A task names its folders, and says what the differences of two evaluations are; this module
finds the evaluations, and writes ``exp/compare/<task>/<set>/{differences.tsv,summary.json}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import schema
from speechkit.base.errors import UserError
from speechkit.base.tables import write_json, write_tsv
from speechkit.workdir import Output, WorkDir, check_name

TABLE, SUMMARY = "differences.tsv", "summary.json"
FEW_SPEAKERS = 10  # with fewer, an interval over speakers is rough


@dataclass(frozen=True)
class Settings:
    """What determines a comparison.

    Args:
        set: of the evaluations, with their suffix: a folder ``eval/<set>``.
        baseline: experiment that the others are compared to.
        names: experiments; empty for all that were evaluated on the set.
        measures: names as in ``summary.json`` of an evaluation.
        samples: bootstrap samples.
        seed: of their draws.

    Raises:
        UserError: a value that is not accepted.
    """

    set: str
    baseline: str
    names: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    samples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 100:
            raise UserError(
                f"--samples {self.samples} is too few for a 95 % interval.", "Give 100 or more."
            )
        self.check_measures()
        if self.names == (self.baseline,):
            raise UserError(f"--name {self.baseline} is the baseline itself.", "Name another.")

    def check_measures(self) -> None:
        """Raise UserError for measures that the task does not have."""


@dataclass(frozen=True)
class Task:
    """What differs between the tasks.

    Args:
        name: of the task: ``exp/<name>`` holds its experiments.
        found_by: file that every evaluation has.
        numbers: columns of ``differences.tsv`` after experiment and measure.
        interval: what the intervals are, in words.
    """

    name: str
    found_by: str
    numbers: tuple[str, ...]
    interval: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Of ``differences.tsv``."""
        return ("experiment", "measure", *self.numbers)

    def rows(self, measures: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[list[Any]]:
        """Rows of ``differences.tsv`` from experiment -> measure -> number."""
        return [
            [name, measure, *(values[column] for column in self.numbers)]
            for name, one in measures.items()
            for measure, values in one.items()
        ]


def find(work: WorkDir, task: Task, settings: Settings) -> tuple[list[str], dict[str, Path]]:
    """Names to be compared, and the folders of their evaluations, the baseline's first.

    Raises:
        UserError: one of them was not evaluated on the set, or only the baseline was.
    """
    check_name("set", settings.set)
    base = work.exp(task.name)
    there = {p.parents[2].name for p in base.glob(f"*/eval/{settings.set}/{task.found_by}")}
    names = list(settings.names) or sorted(there - {settings.baseline})
    names = [name for name in dict.fromkeys(names) if name != settings.baseline]
    for name in (settings.baseline, *names):
        if name not in there:
            raise UserError(
                f"The experiment '{name}' was not evaluated on '{settings.set}'. "
                f"Evaluated: {', '.join(sorted(there)) or 'none'}.",
                f"Run: speechkit evaluate {task.name} --name {name} --set {settings.set}",
            )
    if not names:
        raise UserError(
            f"Only '{settings.baseline}' was evaluated on '{settings.set}'.",
            "Evaluate another experiment on it.",
        )
    every = (settings.baseline, *names)
    return names, {name: base / name / "eval" / settings.set for name in every}


def run(
    work: WorkDir,
    task: Task,
    settings: Settings,
    tables: Sequence[str],
    differences: Callable[[dict[str, Path], str], dict[str, Any]],
    measures_of: Callable[[dict[str, Any]], dict[str, Any]] = dict,
    out_name: str = "",
    force: bool = False,
) -> Path:
    """Write ``exp/compare/<task>/<set>/`` and return it.

    Args:
        work: the working directory.
        task: the task.
        settings: what is compared.
        tables: files of an evaluation that are read, where it has them.
        differences: folders by experiment and a name -> what ``summary.json`` says of it.
        measures_of: takes from that the numbers of each measure.
        out_name: suffix of the folder.
        force: replace one made with other parameters.

    Raises:
        UserError: see :func:`find`; whatever ``differences`` refuses.
    """
    names, folders = find(work, task, settings)
    every = [folders[name] / table for name in folders for table in tables]
    with Output(
        work.exp("compare", task.name, settings.set, name=out_name),
        f"compare {task.name}",
        {**asdict(settings), "names": names},
        [path for path in every if path.is_file()],
        force=force,
        beside="write beside it with --out-name",
    ) as out:
        if not out.up_to_date:
            found = {name: differences(folders, name) for name in names}
            _write(out.path, task, settings, found, measures_of)
            out.counts.update(experiments=len(found), samples=settings.samples)
    return out.final


def entry(
    value: np.ndarray | None,
    baseline: np.ndarray | None,
    each: np.ndarray,
    interval: tuple[float | None, float | None],
) -> dict[str, Any]:
    """The numbers of one measure.

    Args:
        value: of the experiment, by seed ``[K]``; None where only the difference has a meaning.
        baseline: of the baseline ``[K]``.
        each: the difference ``[K]``.
        interval: its 95 % interval over speakers; the seeds are fixed.
    """
    return {
        "baseline": None if baseline is None else rounded(baseline.mean()),
        "value": None if value is None else rounded(value.mean()),
        "estimate": rounded(each.mean()),
        "low": rounded(interval[0]),
        "high": rounded(interval[1]),
        "seed_std": rounded(each.std(ddof=1)) if len(each) > 1 else None,
        "per_seed": [rounded(one) for one in each],
        "seeds": len(each),
    }


def rounded(value: float | None) -> float | None:
    """To 12 digits, as summing in another order leaves 1e-16; None where undefined."""
    return None if value is None or np.isnan(value) else round(float(value), 12) + 0.0


def _write(
    folder: Path,
    task: Task,
    settings: Settings,
    found: dict[str, dict[str, Any]],
    measures_of: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    rows = task.rows({name: measures_of(one) for name, one in found.items()})
    write_tsv(folder / TABLE, task.columns, rows, ".4f")
    summary = {
        "set": settings.set,
        "baseline": settings.baseline,
        "bootstrap_samples": settings.samples,
        "interval": task.interval,
        "experiments": found,
    }
    write_json(folder / SUMMARY, summary, ascii_only=False)


def read_comparison(folder: Path) -> dict[str, Any]:
    """``summary.json`` of a comparison."""
    return schema.read_json(folder / SUMMARY, schema.Object)
