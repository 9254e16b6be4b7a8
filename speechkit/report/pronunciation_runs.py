"""What the report reads of ``exp/pronunciation``: how models were trained, which are alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from speechkit.labels.miscues import TABLE
from speechkit.pronunciation import model_folder, paper
from speechkit.pronunciation.config import LOSSES
from speechkit.pronunciation.paper import MEASURES
from speechkit.report import experiments
from speechkit.report.elements import Cell, spread
from speechkit.report.experiments import Evaluation
from speechkit.report.reader import contents
from speechkit.task.paper import PublishedRow
from speechkit.workdir import WorkDir

MODELS = ("lstm", "gopt")
MOST = 8  # arms of a figure
_HEADS = ("MSE", "PCC", "Acc", "Stress", "Total", "Acc", "Comp", "Fluency", "Prosody", "Total")
_LEVELS = {"phone": "phone accuracy", "word": "word (PCC)", "utterance": "utterance (PCC)"}
_COMPARED = ("model", "loss", "beta", "gop", "track")  # what the arms may differ in


@dataclass
class Experiment(experiments.Experiment[Evaluation]):
    """All seeds and evaluations of one name; ``miscues``: those with changed texts."""

    miscues: list[Evaluation] = field(default_factory=list)

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
        own, names = self.card["training"], self.differing(other, _COMPARED)
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


Found = Sequence[tuple[Experiment, Evaluation]]


@dataclass(frozen=True)
class Columns:
    """The columns of Table 1, or those of them that a corpus has scores for."""

    measures: tuple[str, ...] = MEASURES

    @classmethod
    def of(cls, found: Found) -> Columns:
        """What was measured in any evaluation."""
        there = [m for m in MEASURES if any(m in e.summary for _, e in found)]
        return cls(tuple(there) or MEASURES)

    @property
    def heads(self) -> list[str]:
        """Titles, as short as the paper's."""
        return [_HEADS[MEASURES.index(measure)] for measure in self.measures]

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Of the header above."""
        return [(_LEVELS[level], count) for level, count in by_level(self.measures)]

    def cells(self, evaluation: Evaluation) -> list[Cell]:
        """Mean and standard deviation of each."""
        return [spread(evaluation.value(measure), 3) for measure in self.measures]


def by_level(names: Sequence[str]) -> list[tuple[str, int]]:
    """How many of some aspects or measures are of each level, in their order."""
    return list(Counter(name.partition("_")[0] for name in names).items())


def collect(workdir: WorkDir) -> list[Experiment]:
    """All experiments: the LSTM, then GOPT by loss and beta, then those with other settings.

    Damaged parts are left out.
    """
    found = list(experiments.collect(workdir, "pronunciation", Experiment, model_folder.read_card))
    for one in found:
        every = one.evaluations
        one.miscues = [e for e in every if (e.folder / TABLE).is_file()]
        one.evaluations = [e for e in every if e not in one.miscues]
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


def differences_to_paper(
    workdir: WorkDir, one: Experiment, evaluation: Evaluation, row: PublishedRow
) -> list[str]:
    """What was otherwise than in the paper; empty if the numbers can be compared."""
    if not one.seeds:
        return ["how it was trained is not known"]
    methods = {str(part.get("method", "imported")) for part in one.card.get("features", ())}
    imported = "imported, of a model that is not recorded"
    facts = {
        "features": imported if "imported" in methods else one.features,
        "trained on": contents(workdir, str(one.setting("set_name"))),
        "tested on": contents(workdir, evaluation.set),
        "seeds": len(one.seeds),
    }
    return row.differences(one.card.get("training") or {}, facts)
