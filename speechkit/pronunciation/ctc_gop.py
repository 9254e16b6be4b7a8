"""Scores of substitutions and deletions without an alignment, from shared tables.

For the canonical phone at position i the likelihood of the whole sequence is compared with
that of the sequence in which the phone is replaced by each other phone, or left out
("CTC-based GOP", Cao et al., Interspeech 2024). One forward and one backward table of the
canonical sequence serve all positions: a path of a substituted sequence enters phone q after
the canonical prefix, stays, and leaves into the canonical suffix, so that

    L(i, q) = sum over t of A(t) x(t),   A(t) = y_q(t) (A(t - 1) + e(t - 1)),

where ``e`` collects the forward and ``x`` the backward probabilities beside position i. The
recursion runs over time for all positions and phones at once, on probabilities divided by
those of the frame's best phone; long recordings, and texts so unlikely that products would
underflow, take logarithms.

``ctc``: blanks may stand between any two labels and must stand between equal ones, exactly
as in CTC (Graves et al., 2006). ``hmm`` (own design): one state a phone; silence and noise
may stand between any two phones and never must. A frame posterior then counts with the power
:data:`HMM_SCALE`, because neighbouring frames say nearly the same: at full weight one path
would outweigh all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from speechkit.acoustic.phones import ARPABET, KALDI_ID, kaldi_name
from speechkit.errors import UserError
from speechkit.pronunciation.gop import as_array, canonical_ids, label_ids

RATIO_CAP = 100.0
"""Largest difference of log-likelihoods that a feature holds: surer than sure says no more."""

# Products of probabilities underflow at 1e-308. Divided by the best label of its frame, what is
# lost weighs less than 1e-308 a path, and 400 frames have fewer than 3^400 = 1e190 paths.
_SHORT = 400
_SAFE_TOTAL, _SAFE = 1e-100, 1e-110
_CHUNK = 2**21  # doubles at a time

HMM_SCALE = 0.15
"""Power of the frame posteriors of a model without blank (chosen on training speakers)."""

COLUMNS = ("own", "deletion", *(f"sub_{p}" for p in ARPABET), "log_occupancy")
"""The 42 columns."""

_FIRST = KALDI_ID[ARPABET[0]]


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


def phone_emissions(
    log_posteriors: object, labels: Sequence[str], blank: int | None = None
) -> np.ndarray:
    """Log probabilities ``[T, 40]``: column 0 no phone (blank, silence, noise), then ARPAbet.

    Labels of one phone are summed in probability.
    """
    ids = label_ids(labels, blank)
    columns = np.where(ids < _FIRST, 0, ids - _FIRST + 1)
    probabilities = np.exp(as_array(log_posteriors))
    sums = np.zeros((len(probabilities), 1 + len(ARPABET)))
    for column in np.unique(columns):
        sums[:, column] = probabilities[:, columns == column].sum(1)
    return np.log(np.maximum(sums, np.finfo(float).tiny))


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
    if len(emissions) <= _SHORT:
        top = emissions.max(axis=1, keepdims=True)
        scores = _scores(_LINEAR, np.exp(emissions - top), sequence, strict)
        values = np.concatenate([scores.substitutions.ravel(), scores.deletions])
        if scores.total > _SAFE_TOTAL and values.min() > _SAFE:
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
    blank_in, label_in = forward[:-1, 0:-1:2], _shifted(forward[:-1, 1::2], 1, how.zero)
    blank_out, label_out = backward[1:, 2::2], _shifted(backward[1:, 1::2], -1, how.zero)
    into = (blank_in, how.plus(blank_in, label_in))
    out = (blank_out, how.plus(blank_out, label_out))
    step = max(1, _CHUNK // (len(emissions) * emissions.shape[1]))
    parts = [
        _substitutions(how, emissions, sequence, into, out, slice(i, i + step), strict)
        for i in range(0, len(sequence), step)
    ]
    # States hold their own frame in both tables, which counts it twice.
    own = how.times(how.times(forward[1:, 1::2], backward[:-1, 1::2]), how.divide(how.one, total))
    with np.errstate(invalid="ignore"):
        shares = how.divide(own, emissions[:, sequence])
    occupancy = how.total(np.where(own == how.zero, how.zero, shares))
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


def _shifted(values: np.ndarray, by: int, zero: float) -> np.ndarray:
    """Columns moved by one to the right (1) or left (-1), impossible where nothing comes."""
    moved = np.full_like(values, zero)
    if by > 0:
        moved[:, 1:] = values[:, :-1]
    else:
        moved[:, :-1] = values[:, 1:]
    return moved


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
    neighbours = np.stack([previous, following], axis=1)[part] if strict else np.zeros((0, 0))
    count, labels = len(sequence[part]), emissions.shape[1] - 1
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


def alternatives(
    log_posteriors: object,
    phones: Sequence[str],
    labels: Sequence[str],
    blank: int | None = None,
    model: str = "",
) -> tuple[SequenceScores, np.ndarray]:
    """Scores of canonical phones, and which of ARPAbet the model has (``[39]``, bool).

    Args:
        log_posteriors: ``[T, C]``.
        phones: canonical, with or without stress.
        labels: the C labels.
        blank: column of the blank; None takes the ``hmm`` topology and its scale.
        model: its name, for messages.
    """
    sequence = canonical_ids(phones, labels, model) - _FIRST + 1
    emissions = phone_emissions(log_posteriors, labels, blank)
    if blank is None:
        emissions *= HMM_SCALE
    scores = sequence_scores(emissions, sequence, "hmm" if blank is None else "ctc")
    names = {kaldi_name(label) for label in labels}
    return scores, np.array([phone in names for phone in ARPABET])


def ctc_features(
    log_posteriors: object,
    phones: Sequence[str],
    labels: Sequence[str],
    blank: int | None = None,
    model: str = "",
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features ``[P, 42]``, and for each phone log posterior and GOP ``[P]``.

    The columns (:data:`COLUMNS`): log-likelihood of the canonical sequence per frame; its
    advantage over the sequence without this phone; over the one with this phone replaced by
    each of the 39 (0 for itself and for phones that the model lacks); log(0.1 + expected
    frames in the phone). Without a blank (``hmm``) the advantages are divided by the expected
    frames (at least one).

    The log posterior is that of the canonical phone among all these alternatives, the GOP
    its advantage over the best of them and itself, so at most 0; neither is divided.

    Raises:
        UserError: a phone that the model lacks, or too few frames.
    """
    scores, has = alternatives(log_posteriors, phones, labels, blank, model)
    substitutions = np.where(has, scores.substitutions, -np.inf)
    others = np.concatenate([scores.deletions[:, None], substitutions], axis=1)
    advantage = np.minimum(scores.total - others, RATIO_CAP)
    sequence = canonical_ids(phones, labels) - _FIRST + 1
    advantage[np.arange(len(phones)), sequence] = 0.0  # itself, without the last digit's error
    own = np.full((len(phones), 1), scores.total / len(as_array(log_posteriors)))
    posterior = -_log_sum(-advantage.T)
    frames = scores.occupancy[:, None]
    columns = advantage / np.maximum(frames, 1.0) if blank is None else advantage
    lacking = np.concatenate([[False], ~has])
    parts = [own, np.where(lacking, 0.0, columns), np.log(0.1 + frames)]
    features = np.concatenate(parts, axis=1)
    return features, posterior, np.minimum(advantage.min(axis=1), 0.0)


def rivals(
    log_posteriors: object,
    phones: Sequence[str],
    labels: Sequence[str],
    blank: int | None = None,
    missing: str = "-",
) -> tuple[list[str], np.ndarray]:
    """What else could stand in place of each canonical phone, and how much better it would fit.

    Args:
        log_posteriors: ``[T, C]``.
        phones: the P canonical phones, with or without stress.
        labels: the C labels.
        blank: column of the blank, if the model has one.
        missing: name of the deletion.

    Returns:
        Names of the 40 alternatives (the deletion, then ARPAbet), and by how many nats each
        fits better than the canonical phone ``[P, 40]``; -inf for the phone itself, for what
        the model lacks, and (without a blank) for its neighbours: a neighbour in its place
        is that neighbour drawn out, which is the deletion.
    """
    scores, has = alternatives(log_posteriors, phones, labels, blank)
    substitutions = np.where(has, scores.substitutions, -np.inf)
    advantage = np.concatenate([scores.deletions[:, None], substitutions], axis=1) - scores.total
    own = canonical_ids(phones, labels) - _FIRST + 1
    advantage[np.arange(len(phones)), own] = -np.inf
    if blank is None:
        advantage /= HMM_SCALE  # each frame counted with that power only
        places = np.arange(len(phones) - 1)
        advantage[places, own[1:]] = advantage[places + 1, own[:-1]] = -np.inf
    return [missing, *ARPABET], advantage
