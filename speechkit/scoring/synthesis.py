"""The stage ``synthesize-scores``: scores of a GOP regressor for a set that nobody scored.

They are what the scorer is pre-trained on (Lin and Wang, Interspeech 2021, sections 2.3 and 3.1;
their regressor is "a simple GOP-based scoring model"; here it is the gradient-boosted trees of
their Table 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.base.random_draws import rng
from speechkit.base.tables import write_json, write_skipped
from speechkit.base.text import some
from speechkit.labels.score_files import read_scores, score_files, write_scores
from speechkit.labels.scores import LEVELS, Scores, default_scales
from speechkit.scoring import trees
from speechkit.scoring.data import Inputs, ScoringSet, input_files, load
from speechkit.scoring.inference_config import SynthesisConfig
from speechkit.stats.score_metrics import mse, pcc
from speechkit.task.evaluation import SUMMARY, read_summary
from speechkit.workdir import Output, WorkDir

COMMAND = "synthesize-scores"
COLUMNS = (
    *("target", "utterances", "mean", "std", "cross_validated_pcc"),
    *("trained_on", "human_mean", "human_std", "agreement_pcc"),
)
BINS = 10  # of the scale, in histograms
DIGITS = 6  # of scores: far below what they are worth
_FOLDS = 7  # stream of the draw of folds


def synthesize(work: WorkDir, config: SynthesisConfig, name: str = "", force: bool = False) -> Path:
    """Write ``exp/synthetic/<set>[-name]/`` and return it.

    It holds ``utterance_scores.tsv`` and ``score_scales.json`` as a set does, and
    ``summary.json``. Scores that the set has itself are not read for training, only to say how
    far the synthetic ones agree with them.

    Raises:
        UserError: the sets share speakers, ``train`` lacks the scores, the features are of
            different acoustic models.
    """
    read = Inputs("gop", config.gop)
    inputs = [*input_files(work, config.set, read), *input_files(work, config.train, read)]
    with Output(
        work.exp("synthetic", config.set, name=name),
        COMMAND,
        asdict(config),
        dict.fromkeys(inputs),
        force,
    ) as out:
        if not out.up_to_date:
            found = _Synthesis(work, config)
            found.write(out.path)
            out.counts.update(utterances=len(found.blank.utterances), targets=len(found.targets))
    return out.final


class _Synthesis:
    """A set without scores, and the regressor of each target."""

    def __init__(self, work: WorkDir, config: SynthesisConfig) -> None:
        self.work, self.settings = work, config
        self.targets = config.targets or _targets(work, config.train)
        self.inputs = Inputs("gop", config.gop)
        self.blank = load(work, config.set, self.inputs, self.targets[0], need_scores=False)
        self.columns = trees.features_of(self.blank)
        folder = work.data(config.set)
        self.own = read_scores(folder).utterances if score_files(folder) else {}
        self.shared = 0

    def write(self, folder: Path) -> None:
        made = Scores(utterances={name: {} for name in self.blank.utterances})
        made.scales = default_scales()
        told = {}
        for target in self.targets:
            scored = load(self.work, self.settings.train, self.inputs, target)
            self._check(scored)
            model = trees.fit(scored, self.settings.seed, self.settings.trees)
            values = _rescale(model.evaluate(self.columns).clip(0, 1), scored.scale)
            for name, value in zip(self.blank.utterances, values, strict=True):
                made.utterances[name][target] = round(float(value), DIGITS)
            made.scales["utterance"][target] = scored.scale
            told[target] = self._tell(scored, target, values)
        write_scores(folder, made)
        write_skipped(folder, self.blank.skipped)
        summary = {
            "set": self.settings.set,
            "train": self.settings.train,
            "utterances": len(self.blank.utterances),
            "skipped": len(self.blank.skipped),
            "shared_speakers": self.shared,
            "regressor": {**asdict(self.settings.trees), "seed": self.settings.seed},
            "features": self.blank.fingerprints[0],
            "targets": told,
        }
        write_json(folder / SUMMARY, summary)

    def _check(self, scored: ScoringSet) -> None:
        """Raise UserError where the regressor must not be used for the set."""
        if self.blank.fingerprints != scored.fingerprints:
            raise UserError(
                f"The features of '{self.settings.set}' and '{self.settings.train}' are of "
                "different acoustic models or config.",
                "Extract both with the same options of `speechkit extract-gop`.",
            )
        shared = sorted(set(self.blank.speakers) & set(scored.speakers))
        if shared and not self.settings.allow_shared:
            raise UserError(
                f"'{self.settings.set}' and '{self.settings.train}' share "
                f"{counted(len(shared), 'speaker')} ({some(shared)}): what people gave them would "
                "leak into the synthetic scores.",
                "Divide the speakers with `speechkit split`, or pass `allow_shared`.",
            )
        self.shared = len(shared)

    def _tell(self, scored: ScoringSet, target: str, values: np.ndarray) -> dict[str, Any]:
        """What ``summary.json`` says of a target."""
        given = ~np.isnan(scored.labels)
        human = _rescale(scored.labels[given], scored.scale)
        if np.ptp(human) == 0:
            logger.warning(
                f"'{target}' is {human[0]:g} in {counted(len(human), 'utterance')} of "
                f"'{scored.name}', in all that have it: nothing is learned from it."
            )
        return {
            "scale": list(scored.scale),
            "trained_on": int(given.sum()),
            "cross_validation": cross_validate(scored, self.settings),
            "scores": distribution(values, scored.scale),
            "human_scores": distribution(human, scored.scale),
            "agreement": self._agreement(target, values, scored.scale),
        }

    def _agreement(
        self, target: str, values: np.ndarray, scale: tuple[float, float]
    ) -> dict[str, Any] | None:
        """With the scores that the set has, where it has any: not used for training."""
        given = np.array(
            [self.own.get(n, {}).get(target, np.nan) for n in self.blank.utterances], np.float64
        )
        count = int((~np.isnan(given)).sum())
        return {"pcc": _number(pcc(values, given)), "utterances": count} if count > 1 else None


def cross_validate(scored: ScoringSet, config: SynthesisConfig) -> dict[str, Any]:
    """PCC and MSE (of scores in 0..1) of the regressor on speakers that it was not trained on.

    The speakers are dealt to folds at random; what each fold's regressor says is put together.
    """
    names, places = np.unique(scored.speakers, return_inverse=True)
    folds = min(config.folds, len(names))
    told = {"pcc": None, "mse": None, "folds": folds, "speakers": len(names)}
    if folds < 2:
        logger.warning(f"'{scored.name}' has one speaker: no cross-validation.")
        return told
    fold = rng(config.seed, _FOLDS).permutation(len(names))[places] % folds
    columns, given = trees.features_of(scored), ~np.isnan(scored.labels)
    predicted = np.full(len(fold), np.nan)
    for k in range(folds):
        inside = fold != k
        if (inside & given).sum() < 2:
            return told
        model = trees.fit_columns(columns[inside], scored.labels[inside], config.seed, config.trees)
        predicted[~inside] = model.evaluate(columns[~inside]).clip(0, 1)
    value, error = pcc(predicted, scored.labels), mse(predicted, scored.labels)
    return {**told, "pcc": _number(value), "mse": _number(error)}


def distribution(values: np.ndarray, scale: tuple[float, float]) -> dict[str, Any]:
    """How scores are spread (compare Fig. 4): moments, quartiles, counts in ten equal bins."""
    quartiles = np.percentile(values, [0, 25, 50, 75, 100])
    counts, edges = np.histogram(values, BINS, range=scale)
    return {
        "mean": _number(values.mean()),
        "std": _number(values.std()),
        "quartiles": [_number(value) for value in quartiles],
        "edges": [_number(edge) for edge in edges],
        "counts": counts.tolist(),
    }


def answer(folder: Path) -> Answer:
    """The synthetic scores of a set, a row for each target."""
    summary = read_summary(folder)
    rows = [
        [
            target,
            summary["utterances"],
            one["scores"]["mean"],
            one["scores"]["std"],
            one["cross_validation"]["pcc"],
            one["trained_on"],
            one["human_scores"]["mean"],
            one["human_scores"]["std"],
            (one["agreement"] or {}).get("pcc"),
        ]
        for target, one in summary["targets"].items()
    ]
    return answers.output(folder, summary, f"Synthetic scores in {folder}", COLUMNS, rows)


def _targets(work: WorkDir, train: str) -> tuple[str, ...]:
    """Scores of utterances that a set has."""
    found = read_scores(work.data(train))
    names: Sequence[str] = [n for n in LEVELS["utterance"] if len(found.values(f"utterance_{n}"))]
    if not names:
        raise UserError(
            f"The set '{train}' has no scores of utterances, which the regressor is trained on.",
            "Name a scored set with `train`.",
        )
    return tuple(names)


def _rescale(values: np.ndarray, scale: tuple[float, float]) -> np.ndarray:
    """From 0..1 to the scale, float64."""
    low, high = scale
    return low + values.astype(np.float64) * (high - low)


def _number(value: Any) -> float | None:
    """Rounded; None where undefined."""
    return round(float(value), DIGITS) if np.isfinite(value) else None
