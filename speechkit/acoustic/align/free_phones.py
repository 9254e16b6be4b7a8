"""The free path: which phones fit a recording best when its text is not known.

A loop of all labels of an acoustic model, in which any label may follow any. Entering a label
costs ``penalty`` nats, whatever came before it, so that the best way into all labels is the
same: one maximum a frame, instead of one for each pair of labels as in
:class:`~speechkit.acoustic.align.phone_loop.PhoneLoop` with its bigram. With two labels a b of
two states each, and a penalty of 1::

    frame       0      1      2      3      4
    path        a.0    a.1    a.1    b.0    b.1
    score       e - 1  e      e      e - 1  e       (e: what the model gives the state)

The score of a frame is what its state and the step into it add, so that those of all frames sum
to the score of the path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speechkit.acoustic.align.viterbi import FLOOR
from speechkit.acoustic.interface import AcousticModel
from speechkit.labels.phones import NOISE, SILENCE, kaldi_name


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
