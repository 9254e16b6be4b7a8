"""Which phones a recording has, without knowing its text: loops of all labels of a model.

**With a bigram** (:class:`PhoneLoop`). A loop of all labels of the training alignment: each passes
left to right through its three states, and after the last of one any label may begin. Staying and
moving on inside a label costs nothing, as in alignment; the step from label a to label b is worth

    lm_scale * log P(b | a) - insertion_penalty

with P a bigram of the labels (silences and noises among them) of the training alignment.
The table of a loop of two labels a b (states 0 1 2 and 3 4 5) has these predecessors; ``-`` is
none, and row 0 is staying::

    state     0  1  2  3  4  5
    row 0     0  1  2  3  4  5
    row 1     2  0  1  2  3  4     from the end of a, or inside a label
    row 2     5  -  -  5  -  -     from the end of b

Labels that never occur there are left out: dividing what a network says of their states by
priors of nearly nothing would make them likely.

**Without one** (:func:`free_path`). Any label may follow any, and entering one costs ``penalty``
nats, whatever came before it, so that the best way into all labels is the same: one maximum a
frame, instead of one for each pair of labels. With two labels a b of two states each, and a penalty
of 1::

    frame       0      1      2      3      4
    path        a.0    a.1    a.1    b.0    b.1
    score       e - 1  e      e      e - 1  e       (e: what the model gives the state)

The score of a frame is what its state and the step into it add, so that those of all frames sum
to the score of the path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speechkit.acoustic.align import viterbi
from speechkit.acoustic.align.viterbi import FLOOR
from speechkit.acoustic.interface import AcousticModel
from speechkit.acoustic.tdnn.config import INSERTION_PENALTY, LM_SCALE
from speechkit.labels.phones import NOISE, SILENCE, kaldi_name

STATES = 3  # of a label
# Chosen on training speakers of speechocean762 that the decoding network had not seen.
_ERRORS = ("substitutions", "deletions", "insertions")
_SMOOTH = 10.0  # pairs by the share of the second label alone, for each first one


def label_starts(states: np.ndarray) -> np.ndarray:
    """Frames at which a label begins, in plain states ``[T]`` (-1: not known)."""
    before = np.concatenate([[-1], states[:-1]])
    return np.flatnonzero((states >= 0) & (states % STATES == 0) & (states != before))


def bigram_counts(states: np.ndarray, labels: int) -> np.ndarray:
    """How often label b follows label a ``[labels, labels]``, in plain states ``[T]``.

    Args:
        states: of utterances one after another, with a -1 between any two; what a -1 parts
            is no pair.
    """
    states = np.asarray(states, np.int64)
    starts = label_starts(states)
    gaps = np.cumsum(states < 0)[starts]
    joined = gaps[1:] == gaps[:-1]
    pairs = labels * (states[starts[:-1]] // STATES) + states[starts[1:]] // STATES
    return np.bincount(pairs[joined], minlength=labels**2).reshape(labels, labels)


def log_bigram(counts: np.ndarray) -> np.ndarray:
    """log P(b | a) from counts ``[L, L]``, each row mixed with the share of b alone.

    Labels without any count are impossible (minus infinity), of no counts at all none is.
    """
    seen = (counts.sum(0) + counts.sum(1) > 0) | (counts.sum() == 0)
    alone = np.where(seen, counts.sum(0) + 1, 0) / (counts.sum() + seen.sum())
    mixed = (counts + _SMOOTH * alone) / (counts.sum(1, keepdims=True) + _SMOOTH)
    with np.errstate(divide="ignore"):
        return np.log(mixed)


class PhoneLoop:
    """The decoder.

    Args:
        bigram: log P(b | a) ``[L, L]``; labels that are minus infinity do not take part.
        lm_scale: weight of the bigram.
        insertion_penalty: of each label, in nats.
    """

    def __init__(
        self,
        labels: Sequence[str],
        bigram: np.ndarray,
        lm_scale: float = LM_SCALE,
        insertion_penalty: float = INSERTION_PENALTY,
    ) -> None:
        used = np.flatnonzero(np.isfinite(bigram).any(0))
        self.names = [kaldi_name(labels[number]) for number in used.tolist()]
        steps = lm_scale * bigram[np.ix_(used, used)] - insertion_penalty
        self._table = _loop(steps, used)

    def decode(self, scores: np.ndarray) -> list[str]:
        """The likeliest phones (pure, without silences and noises) of state scores ``[T, S]``.

        Fewer frames than a label has states hold none.
        """
        path = viterbi.best_path(self._table, scores)
        if path is None:
            return []
        said = [self.names[state // STATES] for state in path[label_starts(path)]]
        return [name for name in said if name not in (SILENCE, NOISE)]


def _loop(steps: np.ndarray, used: np.ndarray) -> viterbi.Table:
    """The states of the labels ``used``, of which any may follow any at ``steps`` [from, to]."""
    labels = len(steps)
    states = labels * STATES
    first = STATES * np.arange(labels)
    last = first + STATES - 1
    before = np.full((labels + 1, states), states)
    costs = np.zeros((labels + 1, states))
    before[0] = np.arange(states)
    for inner in range(1, STATES):
        before[1, first + inner] = first + inner - 1
    before[1:, first] = last[:, None]
    costs[1:, first] = steps
    columns = (STATES * used[:, None] + np.arange(STATES)).ravel()
    node = np.repeat(np.arange(labels), STATES)
    return viterbi.Table(columns, node, before, costs, first, last)


class PhoneErrors(Counter[str]):
    """Errors of decoded phones, and the phones of the references, summed over utterances."""

    def add(self, reference: Sequence[str], decoded: Sequence[str]) -> None:
        """Count the fewest errors that turn one sequence into the other."""
        self.update(dict(zip(_ERRORS, edits(reference, decoded), strict=True)))
        self["phones"] += len(reference)

    def measures(self) -> dict[str, float]:
        """Errors as shares of the phones that there are (NaN without any)."""
        phones = self["phones"] or float("nan")
        rate = {"phone_error_rate": sum(self[name] for name in _ERRORS) / phones}
        return rate | {f"phone_{name}": self[name] / phones for name in _ERRORS}


def edits(reference: Sequence[str], other: Sequence[str]) -> tuple[int, int, int]:
    """Substitutions, deletions and insertions of the shortest way from one to the other.

    Of ways that are equally short, that with the most substitutions.
    """
    # A cell is (errors, deletions + insertions, deletions): compared in this order.
    row = [(n, n, 0) for n in range(len(other) + 1)]
    for known in reference:
        diagonal, row[0] = row[0], (row[0][0] + 1, row[0][1] + 1, row[0][2] + 1)
        for n, said in enumerate(other, 1):
            above, left = row[n], row[n - 1]
            wrong = known != said
            best = min(
                (diagonal[0] + wrong, diagonal[1], diagonal[2]),
                (above[0] + 1, above[1] + 1, above[2] + 1),
                (left[0] + 1, left[1] + 1, left[2]),
            )
            diagonal, row[n] = above, best
    errors, moved, deleted = row[-1]
    return errors - moved, deleted, moved - deleted


@dataclass(frozen=True)
class FreePath:
    """The best sequence of labels of T frames.

    Args:
        phones: pure phone of each label that is passed, silences and noises among them.
        starts: first frame of each ``[N]``.
        scores: log-likelihood that each frame adds ``[T]``.
        speech: whether a frame lies in a phone, not in silence, noise or a blank ``[T]``.
        quiet: score of the best silence in each frame ``[T]``.
    """

    phones: tuple[str, ...]
    starts: np.ndarray
    scores: np.ndarray
    speech: np.ndarray
    quiet: np.ndarray

    def heard(self, begin: int, end: int) -> tuple[str, ...]:
        """The phones that begin in some frames, else the one that lasts into them.

        Silences and noises are left out.
        """
        first, last = np.searchsorted(self.starts, (begin, end))
        there = np.searchsorted(self.starts, begin, side="right")
        found = [p for p in self.phones[first:last] if p not in (SILENCE, NOISE)]
        lasting = [p for p in self.phones[there - 1 : there] if p not in (SILENCE, NOISE)]
        return tuple(found or lasting)


def free_path(model: AcousticModel, scores: np.ndarray, penalty: float) -> FreePath:
    """The best free path.

    Args:
        model: its labels and topology are used.
        scores: log-likelihoods of states ``[T, S]`` (``ctc``: log posteriors).
        penalty: of every label, in nats; a blank has none.
    """
    labels = [label for number, label in enumerate(model.labels) if number != model.blank]
    if model.topology == "ctc":
        states = [(number,) for number in range(len(model.labels)) if number != model.blank]
        costs = [((0.0, 0.0),)] * len(states)
    else:
        states, costs = map(list, zip(*map(model.phone_without_context, labels), strict=True))
    names = [kaldi_name(label) for label in labels]
    enter = np.full(len(labels), -penalty)
    if model.blank is not None:
        names, states = [*names, SILENCE], [*states, (model.blank,)]
        costs, enter = [*costs, ((0.0, 0.0),)], np.append(enter, 0.0)
    columns = np.array(states)
    emissions = np.maximum(scores[:, columns.ravel()].astype(np.float64), FLOOR)
    emissions = emissions.reshape(len(scores), *columns.shape)
    rates = np.array(costs)
    path, starts, along = _best(emissions, rates[..., 0], rates[..., 1], enter)
    passed = [names[label] for label in path[starts].tolist()]
    silent = np.array([name in (SILENCE, NOISE) for name in names])
    quiet = emissions[:, [name == SILENCE for name in names]]
    return FreePath(
        tuple(passed),
        starts,
        along,
        ~silent[path],
        quiet.max((1, 2)) if quiet.size else np.full(len(scores), FLOOR),
    )


def _best(
    emissions: np.ndarray, stay: np.ndarray, move: np.ndarray, enter: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label of each frame ``[T]``, frames at which labels start, and what each frame adds.

    A label that the recording breaks off need not be passed to its end.

    Args:
        emissions: ``[T, L, K]`` of the K states of L labels.
        stay: log probability of staying in each state ``[L, K]``.
        move: of moving on from it ``[L, K]``.
        enter: log probability of beginning each label ``[L]``.
    """
    frames, labels, count = emissions.shape
    moved = np.empty((frames, labels, count), bool)  # whether a frame came from another state
    moved[0] = True
    before = np.zeros(frames, np.int64)  # the label that ended, where one begins
    step = np.full((labels, count), -np.inf)
    step[:, 0] = enter
    now = step + emissions[0]
    free = not (stay.any() or move.any())
    left = now if free else np.empty_like(now)
    first, inner, ends, ahead = step[:, 0], step[:, 1:], left[:, -1], left[:, :-1]
    for t in range(1, frames):
        if not free:
            np.add(now, move, out=left)
            now += stay
        inner[:] = ahead
        before[t] = last = ends.argmax()
        np.add(enter, ends[last], out=first)
        np.greater(step, now, out=moved[t])
        np.maximum(step, now, out=now)
        now += emissions[t]
    return _way_back(emissions, now, moved, before, (stay, move, enter))


def _way_back(
    emissions: np.ndarray,
    last: np.ndarray,
    moved: np.ndarray,
    before: np.ndarray,
    costs: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    stay, move, enter = costs
    frames, _, count = emissions.shape
    label, state = divmod(int(last.argmax()), count)
    path, states = [0] * frames, [0] * frames
    for t in reversed(range(frames)):
        path[t], states[t] = label, state
        if moved[t, label, state]:
            if state:
                state -= 1
            else:
                label, state = int(before[t]), count - 1
    track, at = np.array(path), np.array(states)
    changes = moved[np.arange(frames), track, at]
    begins = changes & (at == 0)
    begins[0] = True
    along = emissions[np.arange(frames), track, at].copy()
    along[1:] += np.where(changes[1:], move[track[:-1], at[:-1]], stay[track[:-1], at[:-1]])
    along[begins] += enter[track[begins]]
    return track, np.flatnonzero(begins), along
