"""Scores of substitutions and deletions without an alignment, from shared tables.

For the canonical phone at position i the likelihood of the whole sequence is compared with
that of the sequence in which the phone is replaced by each other phone, or left out
("CTC-based GOP", Cao et al., Interspeech 2024). One forward and one backward table of the
canonical sequence serve all positions: a path of a substituted sequence enters phone q after
the canonical prefix, stays, and leaves into the canonical suffix, so that

    L(i, q) = sum over t of A(t) x(t),   A(t) = y_q(t) (A(t - 1) + e(t - 1)),

where ``e`` collects the forward and ``x`` the backward probabilities beside position i. The
recursion runs over time for all positions and phones at once, divided by its value for the
best phone of every frame (an upper bound), so that it stays in 0..1 without logarithms;
what underflows there is computed again with them.

``ctc``: blanks may stand between any two labels and must stand between equal ones, exactly
as in CTC (Graves et al., 2006). ``hmm`` (own design): one state a phone; silence and noise
may stand between any two phones and never must. A frame posterior then counts with the power
:data:`HMM_SCALE`, because neighbouring frames say nearly the same: at full weight one path
would outweigh all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speechkit.acoustic.phones import ARPABET, KALDI_ID, kaldi_name
from speechkit.errors import UserError
from speechkit.pronunciation.gop import as_array, canonical_ids, label_ids

RATIO_CAP = 100.0
"""Largest difference of log-likelihoods that a feature holds: surer than sure says no more."""

_SAFE = 1e-250  # below it double precision loses paths, and logarithms are needed
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
    count = len(sequence)
    forward, backward, total = _tables(emissions, sequence, topology == "ctc")
    if not np.isfinite(total):
        raise UserError(
            f"{len(emissions)} frames are too few for {count} phones.",
            "Check that the text belongs to the recording.",
        )
    before, label_before = forward[:-1, 0:-1:2], _shifted(forward[:-1, 1::2], 1)
    after, label_after = backward[1:, 2::2], _shifted(backward[1:, 1::2], -1)
    strict, free = topology == "ctc", np.logaddexp(before, label_before)
    leave = np.logaddexp(after, label_after)
    substitutions = _bulk(emissions, free, leave)
    if strict:
        _mend_repeats(substitutions, emissions, sequence, (before, free), (after, leave))
    # States hold their own frame in both tables, which counts it twice.
    own = emissions[:, sequence]
    occupancy = np.exp(forward[1:, 1::2] + backward[:-1, 1::2] - own - total).sum(0)
    deletions = _deletions(forward, backward, sequence, (before, free), strict)
    return SequenceScores(total, deletions, substitutions, occupancy)


def _tables(
    emissions: np.ndarray, sequence: np.ndarray, strict: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    """Forward and backward log probabilities ``[T + 1, 2 P + 1]``, and the total.

    Even states are blanks. Row t + 1 of the first is frame t, row t of the second too; the
    extra rows hold the start (in the first blank) and the end (in the last).
    """
    frames, count = len(emissions), len(sequence)
    states = np.zeros(2 * count + 1, dtype=np.int64)
    states[1::2] = sequence
    skip = np.full(len(states), -np.inf)
    skip[3::2] = np.where(sequence[1:] == sequence[:-1], -np.inf, 0.0) if strict else 0.0
    # The backward table is a forward table of the mirror image: both run in one loop.
    skips = np.stack([skip, np.concatenate([skip[:1], skip[:1], skip[:1:-1]])])
    scores = np.stack([emissions[:, states], emissions[::-1, states[::-1]]], axis=1)
    table = np.full((frames + 1, 2, len(states) + 2), -np.inf)  # two columns for what lies before
    table[0, :, 2] = 0.0
    for t in range(frames):
        last, new = table[t], table[t + 1, :, 2:]
        np.logaddexp(last[:, 2:], last[:, 1:-1], out=new)
        np.logaddexp(new, last[:, :-2] + skips, out=new)
        new += scores[t]
    forward, backward = table[:, 0, 2:], table[::-1, 1, :1:-1]
    return forward, backward, float(np.logaddexp(forward[-1, -1], forward[-1, -2]))


def _shifted(values: np.ndarray, by: int) -> np.ndarray:
    """Columns moved by one to the right (1) or left (-1), impossible where nothing comes."""
    moved = np.full_like(values, -np.inf)
    if by > 0:
        moved[:, 1:] = values[:, :-1]
    else:
        moved[:, :-1] = values[:, 1:]
    return moved


def _accumulated(emissions: np.ndarray, enter: np.ndarray) -> np.ndarray:
    """``A(t) = y(t) (A(t - 1) + e(t - 1))`` in logs ``[T, P]`` of both ``[T, P]``."""
    import torch

    sums = np.cumsum(emissions, axis=0)
    started = torch.from_numpy(enter - (sums - emissions))
    return torch.logcumsumexp(started, dim=0).numpy() + sums


def _log_sum(values: np.ndarray) -> np.ndarray:
    top = np.maximum(values.max(axis=0), -1e300)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(values - top).sum(axis=0)) + top


def _bulk(emissions: np.ndarray, enter: np.ndarray, leave: np.ndarray) -> np.ndarray:
    """Log-likelihoods ``[P, L]`` with any label at each position, equal neighbours ignored.

    Args:
        emissions: ``[T, 1 + L]``.
        enter: log probability of being ready to enter position i at frame t ``[T, P]``.
        leave: log probability of the rest after leaving it behind frame t ``[T, P]``.
    """
    best = emissions[:, 1:].max(axis=1, keepdims=True)
    bound = _accumulated(np.broadcast_to(best, enter.shape), enter)
    whole = _log_sum(bound + leave)
    relative = np.exp(emissions[:, 1:] - best)
    with np.errstate(invalid="ignore"):
        fresh = np.exp(enter + best - bound)  # share of those that enter now
    fresh = np.where(np.isfinite(bound), fresh, 0.0)[:, :, None]
    kept, weight = 1.0 - fresh, np.exp(bound + leave - whole)
    inside = np.zeros((len(emissions), enter.shape[1], relative.shape[1]))
    now = np.zeros(inside.shape[1:])
    for t in range(len(emissions)):
        now = np.multiply(now, kept[t], out=inside[t])
        now += fresh[t]
        now *= relative[t]
    found = np.einsum("tpq,tp->pq", inside, weight)
    logs = np.log(np.maximum(found, _SAFE)) + whole[:, None]
    places, labels = np.nonzero(found < _SAFE)  # of a text that the audio does not match at all
    step = max(1, _CHUNK // len(emissions))
    for first in range(0, len(places), step):
        at, label = places[first : first + step], labels[first : first + step]
        paths = _accumulated(emissions[:, label + 1], enter[:, at]) + leave[:, at]
        logs[at, label] = _log_sum(paths)
    return logs


def _mend_repeats(
    substitutions: np.ndarray,
    emissions: np.ndarray,
    sequence: np.ndarray,
    enter: tuple[np.ndarray, np.ndarray],
    leave: tuple[np.ndarray, np.ndarray],
) -> None:
    """Substitutions by a neighbour's label: between equal labels a blank must stand.

    ``enter`` and ``leave`` are each (through the blank only, either way).
    """
    places = np.arange(len(sequence))
    previous, following = np.roll(sequence, 1), np.roll(sequence, -1)
    previous[0], following[-1] = 0, 0
    for labels in (previous, following):
        at = places[labels > 0]
        if not len(at):
            continue
        label = labels[at]
        into = np.where(label == previous[at], enter[0][:, at], enter[1][:, at])
        out = np.where(label == following[at], leave[0][:, at], leave[1][:, at])
        substitutions[at, label - 1] = _log_sum(_accumulated(emissions[:, label], into) + out)


def _deletions(
    forward: np.ndarray, backward: np.ndarray, sequence: np.ndarray, enter: tuple, strict: bool
) -> np.ndarray:
    """Log-likelihoods ``[P]`` of the sequence without each of its labels."""
    found = np.empty(len(sequence))
    found[-1] = np.logaddexp(*forward[-1, -3:-5:-1]) if len(sequence) > 1 else forward[-1, 0]
    equal = np.zeros(len(sequence) - 1, dtype=bool)
    if strict:
        equal[1:] = sequence[:-2] == sequence[2:]
    ready = np.where(equal, enter[0][:, :-1], enter[1][:, :-1])
    found[:-1] = _log_sum(ready + backward[:-1, 3::2])
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
        fits better than the canonical phone ``[P, 40]``; -inf for the phone itself and for
        what the model lacks.
    """
    scores, has = alternatives(log_posteriors, phones, labels, blank)
    substitutions = np.where(has, scores.substitutions, -np.inf)
    advantage = np.concatenate([scores.deletions[:, None], substitutions], axis=1) - scores.total
    own = canonical_ids(phones, labels) - _FIRST + 1
    advantage[np.arange(len(phones)), own] = -np.inf
    if blank is None:  # each frame counted with that power only
        advantage /= HMM_SCALE
    return [missing, *ARPABET], advantage
