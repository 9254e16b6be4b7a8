"""Likelihoods of a sequence with each label replaced or left out, from shared tables.

One forward and one backward table of the sequence serve all positions: a path of a sequence
with label q at position i enters q after the prefix, stays, and leaves into the suffix, so

    L(i, q) = sum over t of A(t) x(t),   A(t) = y_q(t) (A(t - 1) + e(t - 1)),

where ``e`` collects the forward and ``x`` the backward probabilities beside position i. Of the
sequence K AE T with position 1 (AE), blanks being ~::

    canonical     ~ K ~ AE ~ T ~      one path through K's and T's tables for all q:
    replaced      ~ K ~ q  ~ T ~      forward up to "~ K ~", q, backward from "~ T ~"
    left out      ~ K ~ T ~           forward up to "~ K ~", backward from "T ~"

Beside q = K or q = T a blank must stand in ``ctc``: such q have tables of their own.

The recursion runs over time for all positions and labels at once, on probabilities divided by
those of the frame's best label; long recordings, and texts so unlikely that products would
underflow, take logarithms.

``ctc``: blanks may stand between any two labels and must stand between equal ones, exactly
as in CTC (Graves et al., 2006). ``hmm`` (own design): one state a label; the blank may stand
between any two and never must.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from speechkit.base.errors import UserError

# Products of probabilities underflow at 1e-308. Divided by the best label of its frame, a path
# weighs at most 1, so what is lost weighs less than 1e-308 times the number of paths.
_MOST_PATHS, _LEAST = 1e190, 1e-110
_CHUNK = 2**21  # doubles at a time


@dataclass(frozen=True)
class SequenceScores:
    """Log-likelihoods around a canonical sequence of P labels over L alternatives.

    Args:
        total: log-likelihood of the canonical sequence.
        deletions: of the sequence without position i ``[P]``.
        substitutions: of the sequence with position i replaced by label q ``[P, L]``.
        occupancy: expected number of frames in the canonical label ``[P]``.
    """

    total: float
    deletions: np.ndarray
    substitutions: np.ndarray
    occupancy: np.ndarray


def sequence_scores(
    emissions: np.ndarray, sequence: np.ndarray, topology: str = "ctc"
) -> SequenceScores:
    """Scores of every substitution and deletion of a sequence.

    Args:
        emissions: log probabilities ``[T, 1 + L]``; column 0 is the blank.
        sequence: labels 1..L ``[P]``.
        topology: ``ctc`` or ``hmm`` (see above).

    Raises:
        UserError: the recording has too few frames for the sequence.
    """
    strict = topology == "ctc"
    if _paths(len(emissions), len(sequence)) < _MOST_PATHS:
        top = emissions.max(axis=1, keepdims=True)
        scores = _scores(_LINEAR, np.exp(emissions - top), sequence, strict)
        least = min(scores.total, scores.substitutions.min(), scores.deletions.min())
        if least > _LEAST:
            scale = float(top.sum())
            return SequenceScores(
                float(np.log(scores.total)) + scale,
                np.log(scores.deletions) + scale,
                np.log(scores.substitutions) + scale,
                scores.occupancy,
            )
    scores = _scores(_LOG, emissions, sequence, strict)
    if not np.isfinite(scores.total):
        raise UserError(
            f"{len(emissions)} frames are too few for {len(sequence)} phones.",
            "Check that the text belongs to the recording.",
        )
    occupancy = np.exp(scores.occupancy)
    return SequenceScores(scores.total, scores.deletions, scores.substitutions, occupancy)


def _paths(frames: int, count: int) -> float:
    """An upper bound of the number of paths: ascending walks through 2 P + 1 states."""
    states = 2 * count
    log = math.lgamma(frames + states + 1) - math.lgamma(frames + 1) - math.lgamma(states + 1)
    return math.exp(min(log, 700.0))


def _log_sum(values: np.ndarray) -> np.ndarray:
    top = np.maximum(values.max(axis=0), -1e300)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(values - top).sum(axis=0)) + top


def _inside_linear(scores: np.ndarray, enter: np.ndarray) -> np.ndarray:
    """``A(t) = y(t) (A(t - 1) + e(t - 1))`` over the first axis of ``[T, P, K]``."""
    inside = np.empty(enter.shape)
    now = np.zeros(enter.shape[1:])
    for score, new, out in zip(scores, enter, inside, strict=True):
        now = np.add(now, new, out=out)
        now *= score
    return inside


def _inside_log(scores: np.ndarray, enter: np.ndarray) -> np.ndarray:
    """The same of logarithms, without a loop."""
    import torch

    sums = np.cumsum(scores, axis=0)
    started = torch.from_numpy(enter - (sums - scores))
    return torch.logcumsumexp(started, dim=0).numpy() + sums


@dataclass(frozen=True)
class _Arithmetic:
    """Sums and products of probabilities, or of their logarithms."""

    plus: np.ufunc
    times: np.ufunc
    divide: np.ufunc
    zero: float
    one: float
    total: Callable[[np.ndarray], np.ndarray]  # over the first axis
    inside: Callable[[np.ndarray, np.ndarray], np.ndarray]


_LINEAR = _Arithmetic(
    np.add, np.multiply, np.divide, 0.0, 1.0, lambda v: v.sum(axis=0), _inside_linear
)
_LOG = _Arithmetic(np.logaddexp, np.add, np.subtract, -np.inf, 0.0, _log_sum, _inside_log)


def _scores(
    how: _Arithmetic, emissions: np.ndarray, sequence: np.ndarray, strict: bool
) -> SequenceScores:
    """All scores in an arithmetic; ``strict``: equal labels need a blank between them."""
    forward, backward = _tables(how, emissions, sequence, strict)
    total = how.plus(forward[-1, -1], forward[-1, -2])
    # Ways into position i, through the blank before it or from the label before; ways out.
    before = np.pad(forward[:-1, 1:-2:2], ((0, 0), (1, 0)), constant_values=how.zero)
    after = np.pad(backward[1:, 3::2], ((0, 0), (0, 1)), constant_values=how.zero)
    blank_in, blank_out = forward[:-1, 0:-1:2], backward[1:, 2::2]
    into = (blank_in, how.plus(blank_in, before))
    out = (blank_out, how.plus(blank_out, after))
    step = max(1, _CHUNK // (len(emissions) * emissions.shape[1]))
    parts = [
        _substitutions(how, emissions, sequence, into, out, slice(i, i + step), strict)
        for i in range(0, len(sequence), step)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):  # of sequences that are impossible
        both = how.divide(how.times(forward[1:, 1::2], backward[:-1, 1::2]), total)
        # States hold their own frame in both tables, which counts it twice.
        shares = how.divide(both, emissions[:, sequence])
    occupancy = how.total(np.where(np.isnan(shares), how.zero, shares))
    deletions = _deletions(how, forward, backward, sequence, into, strict)
    return SequenceScores(float(total), deletions, np.concatenate(parts), occupancy)


def _tables(
    how: _Arithmetic, emissions: np.ndarray, sequence: np.ndarray, strict: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Forward and backward probabilities ``[T + 1, 2 P + 1]``.

    Even states are blanks. Row t + 1 of the first is frame t, row t of the second too; the
    extra rows hold the start (in the first blank) and the end (in the last).
    """
    states = np.zeros(2 * len(sequence) + 1, dtype=np.int64)
    states[1::2] = sequence
    skip = np.full(len(states), how.zero)
    skip[3::2] = how.one
    if strict:
        skip[3::2][sequence[1:] == sequence[:-1]] = how.zero
    # The backward table is a forward table of the mirror image: both run in one loop.
    skips = np.stack([skip, np.concatenate([skip[:1], skip[:1], skip[:1:-1]])])
    scores = np.stack([emissions[:, states], emissions[::-1, states[::-1]]], axis=1)
    table = np.full((len(emissions) + 1, 2, len(states) + 2), how.zero)  # two columns in front
    table[0, :, 2] = how.one
    for last, following, score in zip(table[:-1], table[1:], scores, strict=True):
        new = following[:, 2:]
        how.plus(last[:, 2:], last[:, 1:-1], out=new)
        how.plus(new, how.times(last[:, :-2], skips), out=new)
        how.times(new, score, out=new)
    return table[:, 0, 2:], table[::-1, 1, :1:-1]


def _substitutions(
    how: _Arithmetic,
    emissions: np.ndarray,
    sequence: np.ndarray,
    into: tuple[np.ndarray, np.ndarray],
    out: tuple[np.ndarray, np.ndarray],
    part: slice,
    strict: bool,
) -> np.ndarray:
    """Probabilities ``[P, L]`` with each label at each of the positions of ``part``.

    ``into`` and ``out`` are the ways in and out, each (through the blank only, either way).
    The neighbours' labels have columns of their own: beside them a blank must stand.
    """
    previous, following = np.roll(sequence, 1), np.roll(sequence, -1)
    previous[0], following[-1] = 0, 0
    neighbours = np.stack([previous, following], axis=1)[part]
    count, labels = len(sequence[part]), emissions.shape[1] - 1
    if not strict:  # all labels are entered and left alike
        enter, leave = into[1][:, part, None], out[1][:, part, None]
        inside = how.inside(*np.broadcast_arrays(emissions[:, None, 1:], enter))
        return how.total(how.times(inside, leave, out=inside))
    width = labels + neighbours.shape[1]
    shape = (len(emissions), count, width)
    scores, enter, leave = np.empty(shape), np.empty(shape), np.empty(shape)
    scores[:, :, :labels] = emissions[:, None, 1:]
    enter[:], leave[:] = into[1][:, part, None], out[1][:, part, None]
    for column in range(neighbours.shape[1]):
        label = neighbours[:, column]
        at = labels + column
        scores[:, :, at] = emissions[:, label]
        enter[:, :, at] = np.where(label == previous[part], into[0][:, part], into[1][:, part])
        leave[:, :, at] = np.where(label == following[part], out[0][:, part], out[1][:, part])
    inside = how.inside(scores, enter)
    found = how.total(how.times(inside, leave, out=inside))
    for column in range(neighbours.shape[1]):
        label = neighbours[:, column]
        rows = np.flatnonzero(label)
        found[rows, label[rows] - 1] = found[rows, labels + column]
    return found[:, :labels]


def _deletions(
    how: _Arithmetic,
    forward: np.ndarray,
    backward: np.ndarray,
    sequence: np.ndarray,
    into: tuple[np.ndarray, np.ndarray],
    strict: bool,
) -> np.ndarray:
    """Probabilities ``[P]`` of the sequence without each of its labels."""
    found = np.empty(len(sequence))
    found[-1] = forward[-1, 0]
    if len(sequence) > 1:
        found[-1] = how.plus(forward[-1, -3], forward[-1, -4])
    equal = np.zeros(len(sequence) - 1, dtype=bool)
    if strict:
        equal[1:] = sequence[:-2] == sequence[2:]
    ready = np.where(equal, into[0][:, :-1], into[1][:, :-1])
    found[:-1] = how.total(how.times(ready, backward[:-1, 3::2]))
    return found
