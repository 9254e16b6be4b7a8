"""What the report reads of ``exp/pronunciation``: trained seeds and evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.pronunciation import model_folder, paper
from speechkit.pronunciation.config import LOSSES
from speechkit.report import runs
from speechkit.report.reader import read_log
from speechkit.report.runs import Runs
from speechkit.task.evaluation import SUMMARY, read_summary
from speechkit.task.scores import read_table
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_manifest

MODELS = ("lstm", "gopt")
MOST = 8  # arms of a figure
_COMPARED = ("model", "loss", "beta", "gop", "track")  # what the arms may differ in


@dataclass
class Seed:
    """One trained seed.

    Args:
        number: the seed.
        card: ``config.yaml``.
        log: columns of ``log.tsv``; empty where there is none.
        manifest: of the training.
    """

    number: int
    card: dict[str, Any]
    log: dict[str, list[float]]
    manifest: dict[str, Any]


@dataclass
class Evaluation:
    """One folder ``eval/<set>``.

    Args:
        folder: where it is.
        set: that was scored.
        summary: measure -> mean, std, n, and of correlations low and high.
    """

    folder: Path
    set: str
    summary: dict[str, dict[str, Any]]

    def value(self, measure: str) -> tuple[float, float | None] | None:
        """Mean and standard deviation over the seeds; None where it was not measured."""
        found = self.summary.get(measure)
        if found is None or found.get("mean") is None:
            return None
        return found["mean"], found.get("std")

    @property
    def variant(self) -> str:
        """What follows the name of the set in that of the folder."""
        return self.folder.name.removeprefix(self.set).removeprefix("-")

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


@dataclass
class Experiment(Runs):
    """All seeds and evaluations of one name.

    Args:
        name: folder of ``exp/pronunciation``.
        seeds: trained ones.
        evaluations: finished ones.
    """

    seeds: list[Seed] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)

    @property
    def features(self) -> str:
        """Suffixes of the folders of features, side by side: ``sphinx + tdnn``."""
        return " + ".join(str(part) or "default" for part in self.setting("gop", ()))

    @property
    def loss(self) -> str:
        """With its beta, where it has one."""
        loss = str(self.setting("loss"))
        return f"{loss}, β {self.setting('beta'):g}" if loss in ("sb-num", "sb-label") else loss

    def otherwise(self, other: Experiment) -> list[str]:
        """Settings that are not those of another experiment, beside model, loss and features."""
        own, theirs = ((one.card.get("training") or {}) for one in (self, other))
        names = [name for name in own if name not in _COMPARED and own[name] != theirs.get(name)]
        return [f"{name.replace('_', ' ')} {_say(own[name])}" for name in names]

    def tracked(self, aspect: str) -> np.ndarray | None:
        """PCC of the tracked set ``[seeds, epochs]``, as far as all seeds have it."""
        column = f"track_{aspect}_pcc"
        logs = [seed.log[column] for seed in self.seeds if column in seed.log]
        if not logs or len(logs) < len(self.seeds):
            return None
        length = min(len(log) for log in logs)
        return np.array([log[:length] for log in logs])


def _say(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "/".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def collect(workdir: WorkDir) -> list[Experiment]:
    """All experiments: the LSTM, then GOPT by loss and beta, then those with other settings.

    Damaged parts are left out.
    """
    found = list(runs.collect(workdir, "pronunciation", Experiment, _seed, _evaluation, SUMMARY))
    main = reference(found)
    return sorted(found, key=lambda one: (bool(main and one.otherwise(main)), _place(one)))


def _place(one: Experiment) -> tuple[Any, ...]:
    model, loss = one.setting("model"), one.setting("loss")
    return (
        MODELS.index(model) if model in MODELS else len(MODELS),
        LOSSES.index(loss) if loss in LOSSES else len(LOSSES),
        len(one.name) if loss == "mse" else 0,
        one.setting("beta", 0.0) if loss == "sb-num" else 0.0,
        one.name,
    )


def _seed(folder: Path) -> Seed:
    log = folder / model_folder.LOG
    return Seed(
        int(folder.name[4:]),
        model_folder.read_card(folder),
        read_log(log) if log.is_file() else {},
        read_manifest(folder) or {},
    )


def _evaluation(folder: Path) -> Evaluation:
    params = (read_manifest(folder) or {}).get("params", {})
    summary = read_summary(folder)
    if not all(isinstance(value, dict) for value in summary.values()):
        raise ValueError(f"{SUMMARY} has another form")
    return Evaluation(folder, str(params.get("set", folder.name)), summary)


def reference(found: Sequence[Experiment]) -> Experiment | None:
    """One of the experiments whose features and settings are the commonest.

    Among those with a score-balanced loss, if there are any: the arms that the paper compares
    have one kind of features and one manner of training.
    """
    trained = [one for one in found if one.seeds]
    balanced = [one for one in trained if str(one.setting("loss")).startswith("sb")]
    every = balanced or trained

    def alike(one: Experiment) -> int:
        return sum(one.features == two.features and not one.otherwise(two) for two in every)

    return max(every, key=alike) if every else None


def alike(found: Sequence[Experiment]) -> list[Experiment]:
    """Those with the features and settings of :func:`reference`: they differ in model and loss."""
    main = reference(found)
    if main is None:
        return []
    return [one for one in found if one.features == main.features and not one.otherwise(main)]


def arms(found: Sequence[Experiment]) -> list[Experiment]:
    """One experiment for each model and loss, with beta 0.9: those of Tables 1 and 2."""
    chosen: dict[tuple[Any, ...], Experiment] = {}
    for one in alike(found):
        if one.setting("loss") in ("mse", "sb-rank") or one.setting("beta") == paper.BETA:
            chosen.setdefault((one.setting("model"), one.setting("loss")), one)
    return list(chosen.values())[:MOST]
