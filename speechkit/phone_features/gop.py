"""Goodness of pronunciation (GOP) of aligned phones, as Kaldi's ``compute-gop`` defines it.

For a segment of frames and every pure phone k (Hu et al., Speech Communication 2015):

    LPP(k) = mean over the frames of log P(k | frame)
    LPR(k) = LPP(canonical) - LPP(k)
    GOP    = LPP(canonical) - max over k of LPP(k)

A row of features is the 42 LPP and the 42 LPR of :data:`~speechkit.labels.phones.KALDI_PHONES`
in the order of their ids. Every canonical phone has its own row, also beside its equal.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.acoustic.interface import summed_columns
from speechkit.base.errors import ConfigError, UserError
from speechkit.labels.phones import KALDI_ID, KALDI_PHONES, kaldi_name, pure

if TYPE_CHECKING:
    from speechkit.acoustic.align.alignment import Alignment
    from speechkit.acoustic.interface import AcousticModel, Evidence

LOG_FLOOR = -100.0
"""Least log posterior of a frame: a phone that underflows must not decide a mean alone."""

COLUMNS = (*(f"lpp_{p}" for p in KALDI_PHONES), *(f"lpr_{p}" for p in KALDI_PHONES))
"""The 84 columns."""

STP_COLUMN = "stp_gop"
TRANSITION_FLOOR = 1e-4  # as in Sphinx: a transition that training never saw is not impossible
_TIE = 0.02  # of a frame: times between two frames round up, whatever their last digit is


def label_ids(labels: Sequence[str], blank: int | None = None) -> np.ndarray:
    """Kaldi's id of each label's pure phone ``[C]``; 0 (``<eps>``) for the blank of a CTC model.

    Args:
        blank: column of the blank, if the model has one.
    """
    ids = np.array([KALDI_ID[kaldi_name(label)] for label in labels], dtype=np.int64)
    if blank is not None:
        ids[blank] = 0
    return ids


def phone_log_posteriors(
    log_posteriors: Any, labels: Sequence[str], blank: int | None = None
) -> np.ndarray:
    """Log posteriors of Kaldi's pure phones ``[T, 42]``, float64.

    The labels of one phone are summed in probability. The blank of a CTC model is no phone:
    it is left out and the rest divided by its sum. A phone without a label has the constant
    :data:`LOG_FLOOR`, in every row, so that its column says nothing.

    Args:
        log_posteriors: ``[T, C]``, array or tensor.
        blank: see :func:`label_ids`.
    """
    sums = summed_columns(
        np.exp(as_array(log_posteriors)), label_ids(labels, blank), len(KALDI_PHONES)
    )
    if blank is not None:
        sums[:, 0] = 0
        sums /= np.maximum(sums.sum(1, keepdims=True), np.finfo(float).tiny)
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(sums), LOG_FLOOR)


def as_array(values: Any) -> np.ndarray:
    """A tensor on any device, or an array, as float64."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float64)


def segment_means(frames: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Mean of the rows start to end (not included) of ``[T, K]`` for each segment: ``[P, K]``."""
    if not (np.all(starts >= 0) and np.all(starts < ends) and np.all(ends <= len(frames))):
        raise ValueError("segments must hold at least one frame and lie inside the frames")
    sums = _running_sums(frames)
    return (sums[ends] - sums[starts]) / (ends - starts)[:, None]


def _running_sums(values: np.ndarray) -> np.ndarray:
    """0, then the sum of the first, the first two ... along the first axis.

    The sum from start to end is a difference of two: of 3 1 4 1 they are 0 3 4 8 9, and 1 + 4 is
    8 - 3.
    """
    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])


def segment_features(
    phone_logs: np.ndarray, starts: np.ndarray, ends: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    """LPP and LPR ``[P, 84]`` of segments.

    Args:
        phone_logs: ``[T, 42]`` of :func:`phone_log_posteriors`.
        starts, ends: first frame of each segment, and the frame after its last ``[P]``.
        ids: Kaldi's id of each canonical phone ``[P]``.
    """
    lpp = segment_means(phone_logs, starts, ends)
    own = np.take_along_axis(lpp, ids[:, None], axis=1)
    # Cumulative sums cost the last digits; a constant column stays constant.
    absent = np.all(phone_logs == LOG_FLOOR, axis=0)
    lpp[:, absent] = LOG_FLOOR
    return np.concatenate([lpp, np.where(absent, 0.0, own - lpp)], axis=1)


def canonical_ids(phones: Sequence[str], labels: Sequence[str], model: str = "") -> np.ndarray:
    """Kaldi's ids of canonical phones (with or without stress) ``[P]``.

    Args:
        labels: of the acoustic model, which must have each of them.
        model: its name, for the message.

    Raises:
        UserError: a phone is not ARPAbet, or the model has no label for it.
    """
    known = {kaldi_name(label) for label in labels}
    missing = sorted({pure(p) for p in phones} - known)
    if missing:
        raise UserError(
            f"The acoustic model {model} has no phone {', '.join(missing)}.".replace("  ", " "),
            f"It has: {' '.join(sorted(known, key=lambda p: KALDI_ID[p]))}.",
        )
    return np.array([KALDI_ID[pure(p)] for p in phones], dtype=np.int64)


def scalar_gop(features: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """LPP(canonical) and GOP, each ``[P]``, of rows ``[P, 84]`` with the canonical ids."""
    lpp = features[:, : len(KALDI_PHONES)]
    own = np.take_along_axis(lpp, ids[:, None], axis=1)[:, 0]
    return own, own - lpp.max(axis=1)


def segment_block(
    model: AcousticModel,
    evidence: Evidence,
    phones: Sequence[str],
    starts: np.ndarray,
    ends: np.ndarray,
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The 84 features ``[P, 84]`` of phones, and their log posterior and GOP, each ``[P]``.

    Args:
        model: that gave the evidence.
        phones: the P canonical phones.
        starts, ends: first frame of each, and the frame after its last.

    Raises:
        UserError: the model lacks a phone.
    """
    ids = canonical_ids(phones, model.labels, model.name)
    frames = phone_log_posteriors(evidence.log_posteriors, model.labels, model.blank)
    block = segment_features(frames, starts, ends, ids)
    return block, scalar_gop(block, ids)


def frames_of(alignment: Alignment) -> tuple[np.ndarray, np.ndarray]:
    """First frames of the segments ``[P]``, and the frames after their last ``[P]``."""
    segments = alignment.segments
    starts = np.array([s.start_frame for s in segments], dtype=np.int64)
    return starts, np.array([s.end_frame for s in segments], dtype=np.int64)


def converted(alignment: Alignment, factor: float, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """The same in the frames of another model: at least one frame each, inside 0..frames.

    Args:
        alignment: in frames of one model.
        factor: its frame shift divided by that of the other.
        frames: that the other has.
    """
    starts, ends = frames_of(alignment)
    first = np.clip(np.round(starts * factor).astype(np.int64), 0, frames - 1)
    return first, np.clip(np.round(ends * factor).astype(np.int64), first + 1, frames)


def frames_at(
    starts: np.ndarray, ends: np.ndarray, shift: float, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of phones by their times: at least one frame each, inside 0..frames.

    Args:
        starts, ends: in seconds ``[P]``.
        shift: of the frames, in seconds.
    """
    first, last = (np.floor(t / shift + 0.5 + _TIE).astype(np.int64) for t in (starts, ends))
    first = np.clip(first, 0, frames - 1)
    return first, np.clip(last, first + 1, frames)


def stp_gop(
    state_logs: Any,
    transitions: np.ndarray,
    states: np.ndarray | Sequence[int],
    starts: np.ndarray,
    ends: np.ndarray,
) -> np.ndarray:
    """GOP with the transition probabilities of the HMM ("STP-GOP"), float64 ``[P]``.

    Sudhakara, Ramanathi, Yarra and Ghosh, Interspeech 2019. Of a phone that is aligned to the N
    frames o_1 ... o_N along the states s_1 ... s_N::

        STP-GOP = 1/N [ sum over t = 1..N   of log P(s_t | o_t)
                      + sum over t = 1..N-1 of log P(s_t+1 | s_t)
                      + (N - 1) log S ]

    P(s | o) is the posterior of a senone, here of a plain state ``3 * label + state`` of the
    S = 3 C of a model with C labels; P(s_t+1 | s_t) the probability of staying in the state or
    of leaving it for the next. The last term stands for senones that are equally likely
    beforehand, 1/S each. How the phone is entered and left does not count. The formula is that
    of the program which the authors published (there the frames of a phone are put in the
    order of their transitions first, an order of Kaldi's numbering; here they stay as they
    are). Higher is better, and it may exceed 0.

    Args:
        state_logs: log P(state | frame) ``[T, S]``, array or tensor.
        transitions: P(stay) and P(leave) of each state ``[S, 2]``.
        states: the state of each frame ``[T]``.
        starts, ends: first frame of each phone, and the frame after its last ``[P]``.
    """
    logs = as_array(state_logs)
    path = np.asarray(states, dtype=np.int64)
    emitted = np.maximum(logs[np.arange(len(path)), path], LOG_FLOOR)
    steps = np.log(np.maximum(transitions, TRANSITION_FLOOR))
    moves = steps[path[:-1], (path[1:] != path[:-1]).astype(np.int64)]
    emission, transition = _running_sums(emitted), _running_sums(moves)
    counts = ends - starts
    sums = emission[ends] - emission[starts] + transition[ends - 1] - transition[starts]
    return (sums + (counts - 1) * math.log(logs.shape[1])) / counts


def transitions_of(model: Any) -> np.ndarray:
    """Transition probabilities ``[S, 2]`` of an acoustic model.

    Raises:
        UserError: it has none.
    """
    probabilities = model.transition_probabilities() if model.topology == "hmm" else None
    if probabilities is None:
        why = "has no states" if model.topology == "ctc" else "does not know them"
        raise ConfigError(
            "stp",
            f"needs transition probabilities, and the acoustic model {model.name} {why}.",
            "Take `am` sphinx, or train the model again with `speechkit train acoustic`.",
        )
    return np.asarray(probabilities, dtype=np.float64)
