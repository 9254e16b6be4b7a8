"""What the report reads of ``exp/<task>``: the part that tasks with seeds share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from speechkit.report.cells import difference
from speechkit.report.model import Table
from speechkit.report.reader import readable
from speechkit.task.trained import seeds_in
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_json, read_manifest

One = TypeVar("One", bound=Any)


@dataclass
class Runs:
    """All seeds and evaluations of one name.

    Args:
        name: folder of ``exp/<task>``.
        seeds: trained ones, each with its ``card``.
        evaluations: finished ones, each with its ``set`` and ``variant``.
    """

    name: str
    seeds: list[Any] = field(default_factory=list)
    evaluations: list[Any] = field(default_factory=list)

    @property
    def card(self) -> dict[str, Any]:
        """``config.yaml`` of the first seed; empty without a model."""
        return self.seeds[0].card if self.seeds else {}

    def setting(self, name: str, default: Any = "") -> Any:
        """A flag of the training."""
        return (self.card.get("training") or {}).get(name, default)

    def on(self, set_name: str) -> Any:
        """The evaluation on a set, the plain one before variants; None without any."""
        found = sorted((e for e in self.evaluations if e.set == set_name), key=lambda e: e.variant)
        return found[0] if found else None


def collect(
    workdir: WorkDir,
    task: str,
    make: Callable[[str], One],
    seed: Callable[[Path], Any],
    evaluation: Callable[[Path], Any],
    summary: str,
) -> Iterator[One]:
    """All experiments of a task that have a seed or an evaluation; damaged parts are left out.

    Args:
        workdir: the working directory.
        task: the task.
        make: an experiment of its name, with the lists ``seeds`` and ``evaluations``.
        seed: reads a folder of a seed.
        evaluation: reads a folder of an evaluation.
        summary: file that every evaluation has.
    """
    base = workdir.exp(task)
    for folder in sorted(p for p in base.glob("[!.]*") if p.is_dir()):
        one = make(folder.name)
        for _, path in seeds_in(folder):
            one.seeds += readable(seed, path)
        for path in sorted((folder / "eval").glob(f"[!.]*/{summary}")):
            one.evaluations += readable(evaluation, path.parent)
        if one.seeds or one.evaluations:
            yield one


def comparisons(workdir: WorkDir, task: str, name: str) -> list[dict[str, Any]]:
    """``summary.json`` of every ``compare TASK`` on a set."""
    found = []
    for path in sorted(workdir.exp("compare", task).glob("[!.]*/summary.json")):
        summary = read_json(path)
        params = (read_manifest(path.parent) or {}).get("params", {})
        if isinstance(summary, dict) and params.get("set") == name:
            found.append(summary)
    return found


def differences(
    summary: dict[str, Any],
    order: Sequence[str],
    measures: Sequence[str],
    heads: Sequence[str],
    digits: Callable[[str], tuple[int, int]],
    paired: str,
    groups: list[tuple[str, int]] | None = None,
) -> Table:
    """A table of the differences to a baseline.

    Args:
        summary: one of :func:`comparisons`.
        order: of the experiments.
        measures: columns.
        heads: of the columns.
        digits: of a difference, and of what stands around it.
        paired: by what the differences are paired, in words.
        groups: of columns, after the first.
    """
    there = summary["experiments"]
    names = [*(name for name in order if name in there), *(n for n in there if n not in order)]

    def cell(name: str, measure: str) -> Any:
        inner, around = digits(measure)
        better_low = measure.endswith("_mse")
        return difference(there[name].get(measure), better_low, digits=inner, around=around)

    return Table(
        ["experiment", *heads],
        [[name, *(cell(name, measure) for measure in measures)] for name in names],
        f"Paired by {paired} and seed. In brackets the 95 % interval of a bootstrap over speakers "
        "(training is not resampled); ±: standard deviation of the difference over seeds. ▲ better,"
        " ▼ worse than the baseline: the interval excludes 0, which one in twenty does by chance.",
        groups=[("", 1), *groups] if groups else [],
        dense=True,
        title=f"Differences to '{summary['baseline']}'",
    )
