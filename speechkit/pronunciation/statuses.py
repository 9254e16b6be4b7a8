"""What became of each word of a text, and the scores that follow from it.

A model that learned from miscues (:mod:`speechkit.labels.miscues`) gives for each word the
probabilities that it was said, or that something else, or nothing, was said in its place. What is
given out then follows the scores of the network and the corpus's own rules. A word that the
network scores 8 of 10, in total 8, with P(said) .0625, in a corpus whose totals are .8 accuracy
and .2 stress::

    accuracy  8 * 4 * .0625 = 2     from P(said) .25 on it stays as it is
    total     8 - .8 * (8 - 2) = 3.2

Beyond a threshold of P(said), which next to no right word of the training speakers passes, its
accuracy is 0. Of the utterance, completeness is the share of the words that were said; accuracy
falls as those of its words do, and the total by the corpus's rule. Phones stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np

from speechkit.labels.miscues import SAID, STATUSES  # said is the first
from speechkit.phone_features.scored_set import SCALE, PhoneSet, ScoredSet

RIGHT, BAD = 1.4, (0.2, 1.0)  # of 2: right words have 7 of 10 or more, badly said ones 1 to 5
_ZERO = 0.002  # share of right words whose accuracy is 0
_UNSAID, _BAD_UNSAID = 0.01, 0.12  # shares of right and badly said words that are called unsaid
_KEPT = 0.25  # P(said) from which a word keeps its accuracy
_EDGE = 1e-3  # what rounding may take from a score
OTHER_TEXT = 0.5  # mean P(said) of the words below which a text is called another one's
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Calibration(msgspec.Struct, frozen=True):
    """What the training speakers taught, each scored by a model that had not met them.

    Args:
        prior: what is added to the log odds of P(said), so that it is .5 where a word is called
            unsaid.
        zero: P(said) below which a word's accuracy is 0.
        word: how much a word's total falls with its accuracy.
        utterance: how much an utterance's total falls with its accuracy.
        completeness: how much it falls with its completeness.
    """

    prior: Annotated[float, msgspec.Meta(ge=-50, le=50)]
    zero: Probability
    word: float = 1.0
    utterance: float = 1.0
    completeness: float = 0.0


def far_more(heard: int, phones: int) -> bool:
    """Whether far more phones are heard than a text has, as where it was read twice."""
    return heard >= max(1.5 * phones, phones + 4)  # of two phones one noise is half as much again


@dataclass(frozen=True)
class Predicted:
    """What S models say of a set.

    Args:
        raw: aspect -> scores of the networks from 0 to 2 ``[S, n]``.
        statuses: probability of each of ``STATUSES`` of each word ``[S, W, 3]``, with the prior of
            the calibration where there is one; None of models that did not learn them.
        scores: aspect -> scores to be given out ``[S, n]``.
    """

    raw: dict[str, np.ndarray]
    statuses: np.ndarray | None
    scores: dict[str, np.ndarray]


def with_prior(statuses: np.ndarray, prior: float) -> np.ndarray:
    """Probabilities ``[..., 3]`` with so much added to the log odds of P(said)."""
    weighted = statuses * np.array([math.exp(prior), 1.0, 1.0])
    return weighted / weighted.sum(axis=-1, keepdims=True)


def follow(
    raw: Mapping[str, np.ndarray],
    statuses: np.ndarray,
    data: PhoneSet,
    calibration: Calibration,
) -> dict[str, np.ndarray]:
    """The scores that follow from the networks' and the statuses; see the module.

    Args:
        raw: aspect -> ``[S, n]``.
        statuses: ``[S, W, 3]``.
        data: whose words they are.
        calibration: of the models.
    """
    found = {aspect: values.copy() for aspect, values in raw.items()}
    said = statuses[..., STATUSES.index(SAID)]
    kept = np.where(said < calibration.zero, 0.0, np.minimum(said / _KEPT, 1.0))
    if "word_accuracy" in found:
        found["word_accuracy"] *= kept
        if "word_total" in found:
            fall = raw["word_accuracy"] - found["word_accuracy"]
            found["word_total"] = np.maximum(found["word_total"] - calibration.word * fall, 0)
    lost = 1 - mean_said(kept, data)
    if "utterance_accuracy" in found:
        found["utterance_accuracy"] *= 1 - lost
    if "utterance_completeness" in found:
        found["utterance_completeness"] = SCALE * mean_said(np.where(said >= 0.5, 1.0, said), data)
    if "utterance_total" in found:
        accuracy = raw.get("utterance_accuracy", np.zeros_like(lost))
        fall = calibration.utterance * accuracy + calibration.completeness * SCALE
        found["utterance_total"] = np.maximum(found["utterance_total"] - fall * lost, 0)
    return found


def mean_said(said: np.ndarray, data: PhoneSet) -> np.ndarray:
    """Mean of a value of the words of each utterance: ``[..., W]`` -> ``[..., U]``."""
    return np.add.reduceat(said, data.first_word[:-1], axis=-1) / np.diff(data.first_word)


def together(statuses: np.ndarray) -> np.ndarray:
    """Probabilities ``[W, 3]`` of S models ``[S, W, 3]`` together: their geometric mean."""
    logs = np.log(np.maximum(statuses, 1e-300)).mean(axis=0)
    shares = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def called(probabilities: np.ndarray) -> np.ndarray:
    """What words are called, by their probabilities ``[W, 3]``: numbers in ``STATUSES``."""
    said = probabilities[:, 0] >= 0.5
    return np.where(said, 0, 1 + probabilities[:, 1:].argmax(1))


def calibrate(data: ScoredSet, statuses: np.ndarray) -> Calibration:
    """The thresholds and rules of a training set.

    Args:
        data: with its scores; every word was said.
        statuses: ``[W, 3]``, of models that had not met the speakers.
    """
    accuracy, said = data.labels["word_accuracy"], statuses[:, STATUSES.index(SAID)]
    right = accuracy >= RIGHT if np.any(accuracy >= RIGHT) else np.ones(len(said), bool)
    bad = (accuracy >= BAD[0] - _EDGE) & (accuracy <= BAD[1] + _EDGE)
    unsaid = np.quantile(said[right], _UNSAID)
    if bad.any():
        unsaid = min(unsaid, np.quantile(said[bad], _BAD_UNSAID))
    unsaid = float(np.clip(unsaid, _EDGE, 1 - 1e-9))
    prior = math.log((1 - unsaid) / unsaid)
    said = with_prior(statuses, prior)[:, STATUSES.index(SAID)]
    ends = data.labels
    utterance, completeness = _slopes(
        ends["utterance_total"], ends["utterance_accuracy"], ends["utterance_completeness"]
    )
    return Calibration(
        prior,
        float(np.quantile(said[right], _ZERO)),
        _slopes(ends["word_total"], accuracy, ends["word_stress"])[0],
        utterance,
        completeness,
    )


def _slopes(total: np.ndarray, *parts: np.ndarray) -> list[float]:
    """How a total depends on its parts (least squares, from 0 to 1 each); 0 where not known."""
    known = [k for k, part in enumerate(parts) if not np.isnan(part).all()]
    table = np.stack([total, *(parts[k] for k in known), np.ones(len(total))], axis=1)
    table = table[~np.isnan(table).any(axis=1)].astype(np.float64)
    slopes = np.zeros(len(parts))
    if len(table) > len(parts) + 1:
        found = np.linalg.lstsq(table[:, 1:], table[:, 0], rcond=None)[0]
        slopes[known] = np.clip(found[:-1], 0, 1)
    return slopes.tolist()
