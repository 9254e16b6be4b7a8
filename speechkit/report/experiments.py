"""Experiments as the report reads them: trained seeds and evaluations of one name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from speechkit.base import schema
from speechkit.base.log import logger
from speechkit.report.reader import params_of, read_log, undamaged
from speechkit.task.evaluation import SUMMARY, read_summary
from speechkit.task.scores import read_table
from speechkit.task.trained import folds_in, seeds_in
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_json, read_manifest


@dataclass
class Seed:
    """One trained seed, of one fold where there are folds.

    Args:
        card: ``config.yaml``.
        log: columns of ``log.tsv``; empty where there is none.
    """

    number: int
    card: dict[str, Any]
    log: dict[str, list[float]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    fold: int = 0

    @property
    def training(self) -> dict[str, Any]:
        """Its configuration; empty for a model that was not trained here."""
        return dict(self.card.get("training") or {})


@dataclass
class Evaluation:
    """One folder ``eval/<set>[-<variant>]``.

    Args:
        summary: measure -> mean, std, n and more.
    """

    folder: Path
    set: str
    summary: dict[str, dict[str, Any]]

    @property
    def variant(self) -> str:
        """What follows the name of the set in that of the folder."""
        return self.folder.name.removeprefix(self.set).removeprefix("-")

    def value(self, measure: str) -> tuple[float, float | None] | None:
        """Mean and standard deviation over the seeds; None where it was not measured."""
        found = self.summary.get(measure)
        if found is None or found.get("mean") is None:
            return None
        return found["mean"], found.get("std")

    def count(self, measure: str) -> int | None:
        """A measure that is a number of things."""
        found = self.value(measure)
        return int(found[0]) if found else None

    def scores(self, aspect: str) -> tuple[np.ndarray, np.ndarray]:
        """Labels ``[n]`` and the predictions of all seeds ``[seeds, n]``, where labels are.

        Raises:
            DataError: the table of the level is not there or broken.
            KeyError: the aspect was not predicted.
        """
        table = read_table(self.folder, aspect.partition("_")[0])
        table = table[table[aspect].notna()]
        seeds = [name for name in table.columns if name.startswith(f"{aspect}_seed")]
        return table[aspect].to_numpy(float), table[seeds].to_numpy(float).T


Evaluated = TypeVar("Evaluated", bound=Evaluation)


@dataclass
class Experiment(Generic[Evaluated]):
    """All seeds and evaluations of one name.

    Args:
        name: folder of ``exp/<task>``.
    """

    name: str
    seeds: list[Seed] = field(default_factory=list)
    evaluations: list[Evaluated] = field(default_factory=list)

    @property
    def card(self) -> dict[str, Any]:
        """``config.yaml`` of the first seed; empty without a model."""
        return self.seeds[0].card if self.seeds else {}

    @property
    def network(self) -> dict[str, Any]:
        """Hyperparameters of the first seed; empty without a model."""
        return dict(self.card.get("network") or {})

    def setting(self, name: str, default: Any = "") -> Any:
        """A field of the configuration of the training."""
        return (self.card.get("training") or {}).get(name, default)

    def differing(self, other: Experiment[Any], free: Collection[str]) -> list[str]:
        """Settings of the training, beside the free ones, that are not those of another."""
        own, theirs = ((one.card.get("training") or {}) for one in (self, other))
        return [name for name in own if name not in free and own[name] != theirs.get(name)]

    @property
    def lengths(self) -> list[int]:
        """Epochs of each seed."""
        return [len(seed.log.get("epoch", ())) for seed in self.seeds]

    @property
    def seconds(self) -> list[float]:
        """Length of the training of each seed, where it is known."""
        return [seed.manifest["seconds"] for seed in self.seeds if "seconds" in seed.manifest]

    def all_on(self, set_name: str) -> list[Evaluated]:
        """Evaluations on a set: the model's own choice first, then variants."""
        found = [e for e in self.evaluations if e.set == set_name]
        return sorted(found, key=lambda e: e.variant)

    def on(self, set_name: str) -> Evaluated | None:
        """The first of them; None without any."""
        return next(iter(self.all_on(set_name)), None)


One = TypeVar("One", bound=Experiment[Any])


def collect(
    workdir: WorkDir,
    task: str,
    make: Callable[[str], One],
    read_card: Callable[[Path], dict[str, Any]],
    evaluation: Callable[[Path], Any] | None = None,
) -> Iterator[One]:
    """All experiments of a task that have a seed or an evaluation; damaged parts are left out.

    Args:
        make: an experiment of its name.
        read_card: reads ``config.yaml`` of a seed.
        evaluation: reads a folder of an evaluation; by default an :class:`Evaluation`.
    """
    base = workdir.exp(task)
    for folder in sorted(p for p in base.glob("[!.]*") if p.is_dir()):
        one = make(folder.name)
        places = [(0, number, path) for number, path in seeds_in(folder)] or folds_in(folder)
        for fold, number, path in places:
            one.seeds += undamaged(str(path), partial(_seed, read_card, number, fold, path))
        for path in sorted((folder / "eval").glob(f"[!.]*/{SUMMARY}")):
            read = partial(evaluation or read_evaluation, path.parent)
            one.evaluations += undamaged(str(path.parent), read)
        if one.seeds or one.evaluations:
            yield one


def _seed(read_card: Callable[[Path], dict[str, Any]], number: int, fold: int, path: Path) -> Seed:
    log, summary = read_log(path / "log.tsv"), schema.as_object(read_json(path / SUMMARY))
    return Seed(number, read_card(path), log, summary, read_manifest(path) or {}, fold)


def read_evaluation(folder: Path) -> Evaluation:
    """An evaluation, with its set as the manifest has it."""
    summary = read_summary(folder)
    if not all(isinstance(value, dict) for value in summary.values()):
        raise ValueError(f"{SUMMARY} has another form")
    return Evaluation(folder, str(params_of(folder).get("set", folder.name)), summary)


def comparisons(workdir: WorkDir, task: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Folder and ``summary.json`` of every ``compare TASK``."""
    for path in sorted(workdir.exp("compare", task).glob(f"[!.]*/{SUMMARY}")):
        summary = read_json(path)
        if isinstance(summary, dict) and {"experiments", "baseline"} <= set(summary):
            yield path.parent, summary
        else:
            logger.warning(f"report: {path} is left out: it is no comparison.")
