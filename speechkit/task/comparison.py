"""Experiments against a baseline on the same items: the stage ``compare TASK`` of every task.

A task says what the differences of two evaluations are (:class:`Comparison`); this module finds
the evaluations, and writes ``exp/compare/<task>/<set>/{differences.tsv,summary.json}``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.base.tables import write_json, write_tsv
from speechkit.task.config import ComparisonConfig
from speechkit.task.evaluation import SUMMARY, read_summary
from speechkit.workdir import Output, WorkDir, check_name

TABLE = "differences.tsv"


@dataclass(frozen=True)
class Comparison:
    """What a task says of its comparisons.

    Args:
        task: its name: ``exp/<task>`` holds the experiments.
        tables: files of an evaluation that are read, where it has them.
        numbers: columns of ``differences.tsv`` after experiment and measure.
        interval: what the intervals are, in words.
        found_by: file that every evaluation has.
        measures: key of the measures in what ``summary.json`` says of an experiment; empty where
            it says nothing else.
    """

    task: str
    tables: tuple[str, ...]
    numbers: tuple[str, ...]
    interval: str
    found_by: str = SUMMARY
    measures: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of ``differences.tsv``."""
        return ("experiment", "measure", *self.numbers)

    def rows(self, experiments: Mapping[str, Mapping[str, Any]]) -> list[list[Any]]:
        """Rows of ``differences.tsv`` from the experiments of ``summary.json``."""
        return [
            [name, measure, *(values[column] for column in self.numbers)]
            for name, one in experiments.items()
            for measure, values in (one[self.measures] if self.measures else one).items()
        ]

    def answer(self, folder: Path) -> Answer:
        """The differences to the baseline, a row each."""
        found = read_summary(folder)
        title = f"Differences to {found['baseline']} on {found['set']}"
        return answers.output(folder, found, title, self.columns, self.rows(found["experiments"]))


def evaluated(
    work: WorkDir, comparison: Comparison, set_name: str, names: Sequence[str] = ()
) -> dict[str, Path]:
    """Experiment -> folder of its evaluation on a set.

    Args:
        work: the working directory.
        comparison: of the task.
        set_name: the set.
        names: of the experiments; none: all that were evaluated on it, sorted.

    Raises:
        UserError: one of them was not evaluated on the set.
    """
    check_name("set", set_name)
    task, base = comparison.task, work.exp(comparison.task)
    there = {p.parents[2].name for p in base.glob(f"*/eval/{set_name}/{comparison.found_by}")}
    for name in names:
        if name not in there:
            raise UserError(
                f"The experiment '{name}' was not evaluated on '{set_name}'. "
                f"Evaluated: {', '.join(sorted(there)) or 'none'}.",
                f"Run: speechkit evaluate {task} --name {name} --set {set_name}",
            )
    return {name: base / name / "eval" / set_name for name in names or sorted(there)}


def find_evaluations(
    work: WorkDir, comparison: Comparison, config: ComparisonConfig
) -> dict[str, Path]:
    """Experiment -> folder of its evaluation, the baseline's first.

    Raises:
        UserError: one of them was not evaluated on the set, or only the baseline was.
    """
    named = config.names or tuple(evaluated(work, comparison, config.set))
    names = list(dict.fromkeys((config.baseline, *named)))
    folders = evaluated(work, comparison, config.set, names)
    if len(names) == 1:
        raise UserError(
            f"Only '{config.baseline}' was evaluated on '{config.set}'.",
            "Evaluate another experiment on it.",
        )
    return folders


def compare(
    work: WorkDir,
    comparison: Comparison,
    config: ComparisonConfig,
    differences: Callable[[Mapping[str, Path], str], dict[str, Any]],
    out_name: str = "",
    force: bool = False,
) -> Path:
    """Write ``exp/compare/<task>/<set>/`` and return it.

    Args:
        work: the working directory.
        comparison: of the task.
        config: what is compared.
        differences: folders by experiment, and a name -> what ``summary.json`` says of it.
        out_name: suffix of the folder.
        force: replace one made with other parameters.

    Raises:
        UserError: see :func:`find_evaluations`; whatever ``differences`` refuses.
    """
    folders = find_evaluations(work, comparison, config)
    names = [name for name in folders if name != config.baseline]
    return write(
        work,
        comparison,
        {**asdict(config), "names": names},
        list(folders.values()),
        lambda: {name: differences(folders, name) for name in names},
        out_name,
        force,
    )


def write(
    work: WorkDir,
    comparison: Comparison,
    params: Mapping[str, Any],
    folders: Sequence[Path],
    differences: Callable[[], dict[str, Any]],
    out_name: str = "",
    force: bool = False,
) -> Path:
    """Write ``exp/compare/<task>/<set>/`` and return it.

    Args:
        work: the working directory.
        comparison: of the task.
        params: all that determines the result; ``set``, ``baseline`` and ``samples`` are there.
        folders: the evaluations that are read.
        differences: what ``summary.json`` says of each experiment, by name.
        out_name: suffix of the folder.
        force: replace one made with other parameters.
    """
    every = [folder / table for folder in folders for table in comparison.tables]
    with Output(
        work.exp("compare", comparison.task, params["set"], name=out_name),
        f"compare {comparison.task}",
        params,
        [path for path in every if path.is_file()],
        force=force,
        beside="write beside it with `out_name`",
    ) as out:
        if not out.up_to_date:
            found = differences()
            write_tsv(out.path / TABLE, comparison.columns, comparison.rows(found), ".4f")
            summary = {
                "set": params["set"],
                "baseline": params["baseline"],
                "bootstrap_samples": params["samples"],
                "interval": comparison.interval,
                "experiments": found,
            }
            write_json(out.path / SUMMARY, summary, ascii_only=False)
            out.counts.update(experiments=len(found), samples=params["samples"])
    return out.final
