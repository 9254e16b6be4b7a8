"""What the report reads of ``exp/emotion``: trained folds and seeds, and evaluations."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechkit.emotion import evaluate, model_folder, results, tables
from speechkit.report.reader import read_log, read_rows, readable
from speechkit.task.evaluation import SUMMARY, Summary, read_summary
from speechkit.workdir import WorkDir


@dataclass
class Trained:
    """One trained fold and seed.

    Args:
        fold: its number.
        seed: its seed.
        card: ``config.yaml``.
        log: columns of ``log.tsv``.
        summary: ``summary.json``.
    """

    fold: int
    seed: int
    card: dict[str, Any]
    log: dict[str, list[float]]
    summary: dict[str, Any]


@dataclass
class Evaluation:
    """One folder ``eval/folds`` or ``eval/<set>``.

    Args:
        folder: where it is.
        about: what was measured.
        summary: measure -> mean, std, n ...
    """

    folder: Path
    about: dict[str, Any]
    summary: Summary

    @property
    def own_folds(self) -> bool:
        """Whether it is of the test parts of the model's own split."""
        return "kind" in self.about

    @property
    def title(self) -> str:
        return tables.title(self.about)

    def predictions(self) -> results.Predictions:
        """One row per clip, fold and seed."""
        return results.read_predictions(self.folder)

    def worst(self) -> list[dict[str, str]]:
        """The clips most confidently wrong."""
        return read_rows(self.folder / tables.WORST)

    @property
    def figure(self) -> Path:
        return self.folder / evaluate.FIGURE


@dataclass
class Experiment:
    """All of one name.

    Args:
        name: folder of ``exp/emotion``.
        trained: its folds and seeds.
        evaluations: finished ones, that of its own folds first.
    """

    name: str
    trained: list[Trained] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)


def collect(workdir: WorkDir) -> list[Experiment]:
    """All experiments by name; damaged parts are left out."""
    base = workdir.exp("emotion")
    names = sorted({p.name for p in base.glob("[!.]*") if p.is_dir()}) if base.is_dir() else []
    found = []
    for name in names:
        one = Experiment(name)
        for path in sorted((base / name).glob(f"fold*/seed*/{model_folder.CONFIG}")):
            one.trained += readable(_trained, path.parent)
        for path in sorted((base / name / "eval").glob(f"[!.]*/{SUMMARY}")):
            one.evaluations += readable(_evaluation, path.parent)
        one.evaluations.sort(key=lambda e: (not e.own_folds, e.folder.name))
        if one.trained or one.evaluations:
            found.append(one)
    return found


def _trained(folder: Path) -> Trained:
    log = folder / model_folder.LOG
    return Trained(
        int(folder.parent.name.removeprefix("fold")),
        int(folder.name.removeprefix("seed")),
        model_folder.read_card(folder),
        read_log(log) if log.is_file() else {},
        model_folder.read_summary(folder),
    )


def _evaluation(folder: Path) -> Evaluation:
    found = Evaluation(folder, results.read_about(folder), read_summary(folder))
    tables.cost_row(found.about, found.summary)  # raises where something is missing
    return found
