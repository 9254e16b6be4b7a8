"""Calibration: whether a model that says 70 % is right in 70 of 100 clips.

C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On Calibration of Modern Neural Networks", ICML
2017: the expected calibration error (their eq. 3) and temperature scaling (their eq. 9).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from speechkit.base.log import counted, logger
from speechkit.stats.bootstrap import interval
from speechkit.stats.score_metrics import over_seeds

BINS = 15  # of the confidence, equally wide
LOWEST, HIGHEST = 0.1, 10.0  # temperatures; where all clips are right, or all wrong, a limit
_LEAST = 1e-12  # probability whose logarithm is taken


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities ``[N, C]`` of the logits divided by a temperature.

    softmax(z / T) is p^(1/T), scaled to sum to one: of p = (.8, .2) and T = 2 it is (.67, .33). The
    most probable class stays; above 1 a model is less sure, below 1 surer.
    """
    return softmax(np.log(np.maximum(probabilities, _LEAST, dtype=np.float64)) / temperature)


def softmax(values: np.ndarray) -> np.ndarray:
    """Over the last dimension. (SciPy's takes longer to import than a prediction.)"""
    shifted = np.exp(values - values.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def surprise(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean negative logarithm of the probability of the true class, of ``[N, C]`` and ``[N]``."""
    true = probabilities[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(true, _LEAST, dtype=np.float64)).mean())


def choose_temperature(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The temperature of least surprise (:func:`surprise`) on validation clips.

    Args:
        probabilities: of the model, ``[N, C]``.
        targets: true classes ``[N]``.
    """
    from scipy.optimize import minimize_scalar  # not for prediction

    def cost(logarithm: float) -> float:
        return surprise(temper(probabilities, float(np.exp(logarithm))), targets)

    limits = (np.log(LOWEST), np.log(HIGHEST))
    found = float(np.exp(minimize_scalar(cost, bounds=limits, method="bounded").x))
    return round(found, 4)


def _bins(probabilities: np.ndarray, targets: np.ndarray, bins: int) -> tuple[np.ndarray, Any]:
    """Of each clip: how much more often than it says it is right, and its bin, ``[N]`` each."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == targets
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return right - confidence, place


def calibration_error(probabilities: np.ndarray, targets: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error (ECE), from 0 to 1.

    The mean over bins of the confidence, weighted by their clips, of the distance between the share
    that is right and the mean confidence. Ten clips at .9 of which 7 are right: .2.

    Args:
        probabilities: ``[N, C]``; the largest of a row is its confidence.
        targets: true classes ``[N]``.
        bins: M; bin m holds confidences in ((m - 1) / M, m / M].
    """
    gap, place = _bins(probabilities, targets, bins)
    return float(np.abs(np.bincount(place, gap, bins)).sum() / len(targets))


def calibration_errors(
    probabilities: np.ndarray, targets: np.ndarray, members: np.ndarray, drawn: np.ndarray
) -> np.ndarray:
    """The same under draws of speakers, ``[B]``.

    Args:
        members: speaker of each clip, as a position ``[N]``.
        drawn: how often each speaker was drawn, ``[B, speakers]``.
    """
    gap, place = _bins(probabilities, targets, BINS)
    speakers = drawn.shape[1]
    sums = np.bincount(members * BINS + place, gap, speakers * BINS).reshape(speakers, BINS)
    clips = drawn @ np.bincount(members, minlength=speakers)
    return np.abs(drawn @ sums).sum(1) / np.maximum(clips, 1)


def summary(
    probabilities: np.ndarray,
    targets: np.ndarray,
    members: np.ndarray,
    seeds: np.ndarray,
    drawn: np.ndarray | None,
) -> dict[str, Any]:
    """ECE over seeds, all folds of a seed taken together, as of ``summary.json``.

    A fold has too few clips for its bins. The interval is that of a bootstrap over speakers, each
    draw for all seeds; None of ``drawn`` for none.
    """
    kinds = np.unique(seeds)
    parts = [(probabilities[seeds == s], targets[seeds == s], members[seeds == s]) for s in kinds]
    found = over_seeds(np.array([calibration_error(*part[:2]) for part in parts]))
    found |= {"std_seeds": found["std"], "seeds": found["n"]}
    if drawn is not None:
        draws = np.stack([calibration_errors(*part, drawn) for part in parts], axis=1)
        found["low"], found["high"] = interval(draws)
    return found


def of_validation(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float | int]:
    """The temperature of a trained model as its card holds it, from its validation clips.

    It is logged with the accuracy that the clips have.
    """
    temperature = choose_temperature(probabilities, targets)
    accuracy = (probabilities.argmax(1) == targets).mean()
    logger.info(
        f"Temperature {temperature:g}, chosen on {counted(len(targets), 'validation clip')} "
        f"(accuracy {accuracy:.2f}, mean confidence {probabilities.max(1).mean():.2f})."
    )
    return {"temperature": temperature, "clips": len(targets)}
