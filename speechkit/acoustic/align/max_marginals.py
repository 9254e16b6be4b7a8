"""Max-marginals: the score of the best path through each state of a graph with gaps.

For every state s and frame t, the best path through s at t scores

    forward[t, s] + backward[t, s] - emission[t, s]

where both count the emission. Both recursions are those of :mod:`~.viterbi`; the backward one is
the forward one of the mirror image (arcs turned round, frames from the last to the first), so
that both run in one loop over the frames.

A path may jump over any number of words. Between the words lie *junctions* 0 .. M - 1, in which
no frame is spent. With x[k] the score of the best path that has come to junction k, a path at
junction j has jumped over j - k words at ``skip`` nats each::

    jumped[j] = max over k <= j of (x[k] - skip (j - k))
              = running maximum of (x[k] + skip k) - skip j

so that all jumps of a frame are one running maximum. Some paths may not jump (they come from an
insertion, or lead into one), and some must, see :class:`Trellis`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

BLOCK = 1 << 22  # values of each direction kept at a time (32 MB)
EDGE = -1  # as a source: the start; as a target: the end

Arc = tuple[int, int, float]
Entries = list[list[tuple[int, float]]]
"""For each state or junction the places that lead to it, and what it costs to come from there."""


@dataclass(frozen=True)
class Trellis:
    """States, arcs and junctions.

    Args:
        columns: ``[S]``, column of the scores of each state.
        arcs: (state, state, cost); :data:`EDGE` is the start or the end.
        leave: (state, junction, cost) from which paths may jump on.
        hop: the same, from which paths must jump on at least once.
        join: the same, from which paths may not jump.
        begin: (junction, state, cost) to which paths may have jumped.
        insert: the same, to which paths may not have jumped.
        junctions: M.
        skip: what each jump over a word costs, in nats.
    """

    columns: np.ndarray
    arcs: Sequence[Arc]
    leave: Sequence[Arc]
    hop: Sequence[Arc]
    join: Sequence[Arc]
    begin: Sequence[Arc]
    insert: Sequence[Arc]
    junctions: int
    skip: float


@dataclass(frozen=True)
class Marginals:
    """Of T frames.

    Args:
        states: best score of the paths through each state ``[S]``; -inf where there is none.
        jumps: of the paths that jump over each word ``[M - 1]``.
        path: state of each frame on the best path ``[T]``.
    """

    states: np.ndarray
    jumps: np.ndarray
    path: np.ndarray


def max_marginals(trellis: Trellis, scores: np.ndarray, block: int = BLOCK) -> Marginals:
    """Best scores through everything, in memory that does not grow with the recording.

    Args:
        scores: ``[T, C]`` of the columns, finite.
        block: values kept at a time.
    """
    both = _Both(trellis)
    edges = _edges(len(scores), max(1, block // both.width))
    kept = both.boundaries(scores, edges)
    frames, states = len(scores), len(trellis.columns)
    path = np.empty(frames, np.int64)
    best = np.full(states, -np.inf)
    jumps = np.full(trellis.junctions - 1, -np.inf)
    hops = np.array([(state, word) for state, word, _ in trellis.hop], np.int64).reshape(-1, 2)
    hop_costs = np.array([cost + trellis.skip * word for _, word, cost in trellis.hop])
    for number, (a, b) in enumerate(pairwise(edges)):
        # Blocks lie symmetrically: what comes before the n-th from the end is kept as number n.
        start = np.stack([kept[number][0], kept[len(edges) - 2 - number][1]])
        rows, emissions = both.run(start, scores[a:b], scores[a:b])
        forward, backward = rows[:, 0], rows[::-1, 1]
        through = forward[1:, :states] + backward[:-1, :states] - emissions[:, 0]
        path[a:b] = through.argmax(1)
        np.maximum(best, through.max(0), out=best)
        first, last = both.jumped
        ends = backward[:, first:last][:, ::-1]
        over = forward[:, first : last - 1] + ends[:, 1:]
        np.maximum(jumps, over.max(0), out=jumps)
        hopped = forward[:, hops[:, 0]] + ends[:, hops[:, 1] + 1] + hop_costs
        np.maximum.at(jumps, hops[:, 1], hopped.max(0))
    return Marginals(best, jumps - trellis.skip * (trellis.junctions - 1), path)


def _edges(frames: int, rows: int) -> list[int]:
    """Frames at which blocks begin, and the end; the same from either end."""
    if frames <= rows:
        return [0, frames]
    half = range(0, (frames + 1) // 2, max(1, rows // 2))
    return sorted({*half, *(frames - edge for edge in half)})


class _Both:
    """The tables of both directions, side by side.

    The values of one direction are those of its S states, then of its M junctions before, during
    and after jumps, then that of the edge, and minus infinity, which padding refers to.
    """

    def __init__(self, trellis: Trellis) -> None:
        self.states, self.count = len(trellis.columns), trellis.junctions
        self.edge = self.states + 3 * self.count
        self.width = self.edge + 2
        self.jumped = (self.states + self.count, self.states + 2 * self.count)
        self.columns = trellis.columns
        sides = [self._side(trellis.skip, side) for side in _sides(trellis)]
        tables = [_stack([side[n] for side in sides], self.edge + 1, self.width) for n in range(3)]
        (self.before, self.costs), early, late = tables
        self.early = len(early[0])  # then comes a row for what the jumps give
        room = np.full((1, 2, self.count), self.edge + 1), np.zeros((1, 2, self.count))
        self.into, self.into_costs = map(np.concatenate, zip(early, room, late, strict=True))

    def _side(self, skip: float, side: tuple[Sequence[Arc], ...]) -> tuple[Entries, ...]:
        """Predecessors of states, and of junctions before and after jumps, of one direction.

        Scores of junction j are kept ``skip * j`` higher than they are.
        """
        arcs, enter, late, after, early = side
        sizes = (self.states, self.count, self.count)
        tables: tuple[Entries, ...] = tuple([[] for _ in range(size)] for size in sizes)
        into, before, joined = tables
        for source, target, cost in arcs:
            if target != EDGE:
                into[target].append((self.edge if source == EDGE else source, cost))
        for offset, some in ((2 * self.count, after), (0, early)):
            for junction, target, cost in some:
                if target != EDGE:
                    into[target].append((self.states + offset + junction, cost - skip * junction))
        for table, some in ((before, enter), (joined, late)):
            for source, junction, cost in some:
                place = self.edge if source == EDGE else source
                table[junction].append((place, cost + skip * junction))
        return tables

    def _start(self) -> np.ndarray:
        """Values before the first frame of both directions."""
        values = np.full((2, self.width), -np.inf)
        values[:, self.edge] = 0.0
        found = values.take(self.into) + self.into_costs
        first, last = self.jumped
        entered = values[:, self.states : first]
        np.maximum.reduce(found[: self.early], axis=0, out=entered)
        found[self.early] = np.maximum.accumulate(entered, axis=1, out=values[:, first:last])
        np.maximum.reduce(found[self.early :], axis=0, out=values[:, last : self.edge])
        return values

    def run(
        self, start: np.ndarray, ahead: np.ndarray, back: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values ``[R + 1, 2, width]`` before, and after each of R frames, and emissions.

        Args:
            start: values before them ``[2, width]``.
            ahead: scores ``[R, C]`` for the forward direction.
            back: the same of the backward one, in order of time.
        """
        rows = np.empty((len(ahead) + 1, 2, self.width))
        rows[1:, :, self.edge :] = -np.inf
        rows[0] = start
        emissions = np.stack([ahead[:, self.columns], back[::-1, self.columns]], axis=1)
        candidates = np.empty(self.before.shape)
        found = np.empty(self.into.shape)
        early, late = found[: self.early], found[self.early :]
        first, last = self.jumped
        parts = np.split(rows[1:], [self.states, first, last, self.edge], axis=2)[:4]
        largest, running = np.maximum.reduce, np.maximum.accumulate
        for before, after, emission, now, entered, jumped, begun in zip(
            rows[:-1], rows[1:], emissions, *parts, strict=True
        ):
            before.take(self.before, out=candidates, mode="clip")
            candidates += self.costs
            largest(candidates, axis=0, out=now)
            now += emission
            after.take(self.into, out=found, mode="clip")
            found += self.into_costs
            largest(early, axis=0, out=entered)
            late[0] = running(entered, axis=1, out=jumped)
            largest(late, axis=0, out=begun)
        return rows, emissions

    def boundaries(self, scores: np.ndarray, edges: Sequence[int]) -> list[np.ndarray]:
        """Values before each block, of both directions."""
        kept = [self._start()]
        for a, b in pairwise(edges[:-1]):
            back = scores[len(scores) - b : len(scores) - a]
            kept.append(self.run(kept[-1], scores[a:b], back)[0][-1].copy())
        return kept


def _sides(trellis: Trellis) -> Iterator[tuple[Sequence[Arc], ...]]:
    """Arcs, ways into junctions (early, late) and ways out (late, early) of both directions."""
    arcs, last = trellis.arcs, trellis.junctions - 1
    # A path that must jump has jumped once when it comes to the junction after the word.
    hops = [(state, word + 1, cost - trellis.skip) for state, word, cost in trellis.hop]
    leave = [*trellis.leave, *hops]
    yield arcs, leave, trellis.join, trellis.begin, trellis.insert
    out = [
        [(state, last - j, cost) for j, state, cost in some]
        for some in (trellis.begin, trellis.insert)
    ]
    into = [[(last - j, state, cost) for state, j, cost in some] for some in (leave, trellis.join)]
    yield [(b, a, cost) for a, b, cost in arcs], *out, *into


def _stack(sides: Sequence[Entries], none: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Padded tables ``[K, 2, n]`` of places in the flat values of both directions, and costs."""
    most = max(1, max(len(found) for side in sides for found in side))
    shape = (most, len(sides), len(sides[0]))
    places, costs = np.empty(shape, np.int64), np.zeros(shape)
    for s, side in enumerate(sides):
        places[:, s] = none + s * width
        for n, found in enumerate(side):
            for k, (place, cost) in enumerate(found):
                places[k, s, n] = place + s * width
                costs[k, s, n] = cost
    return places, costs
