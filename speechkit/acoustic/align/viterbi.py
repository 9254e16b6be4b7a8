"""The best path through an alignment graph: one vectorised step a frame.

For states s with predecessors p (among them s itself), costs a and emissions b,

    delta[t, s] = b[t, s] + max over p of (delta[t - 1, p] + a[p, s])

is one gather and one maximum over a padded table of predecessors [K, S]. A text of two phones
A B of one state each, with silences that may be passed over, has four states (0 and 3 silent)::

    state          0 sil  1 A   2 B   3 sil
    before[0]      0      1     2     3       the state itself
    before[1]      -      0     1     2       (- is 4: none, whose delta is minus infinity)
    starts 0, 1; ends 2, 3

All delta are kept, and no backpointers: the way back computes the maximum again, of one state a
frame. Of a recording with too many frames for that, the delta before each block of frames are
kept. With blocks of 2, frames 0 1 | 2 3 | 4 give delta[1] and delta[3]; the way back then fills
the blocks 2 3 and 0 1 once more, each from the delta before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speechkit.acoustic.align.graph import Graph

BLOCK = 1 << 24  # values of delta kept at a time (128 MB)
FLOOR = -1e9  # for probabilities of zero: improbable, not impossible


@dataclass(frozen=True)
class Table:
    """The states of a graph, flat.

    Args:
        columns: ``[S]``, column of ``state_scores`` of each state.
        node: ``[S]``, number of its node.
        before: ``[K, S]``, predecessors, the state itself first; S stands for none.
        costs: ``[K, S]``, of the step from each, or None if all are zero.
        starts, ends: states that a path may begin with, and end with.
    """

    columns: np.ndarray
    node: np.ndarray
    before: np.ndarray
    costs: np.ndarray | None
    starts: np.ndarray
    ends: np.ndarray


def flatten(graph: Graph) -> Table:
    """The table of a graph."""
    sizes = [len(node.states) for node in graph.nodes]
    first = np.cumsum([0, *sizes])
    total = int(first[-1])
    width = 2 + max((len(node.before) - 1 for node in graph.nodes), default=0)
    before = np.full((max(width, 2), total), total)
    costs = np.zeros((max(width, 2), total))
    before[0] = np.arange(total)
    for number, node in enumerate(graph.nodes):
        for j, (stay, move) in enumerate(node.costs):
            state = first[number] + j
            costs[0, state] = stay
            if j + 1 < len(node.states):
                before[1, state + 1], costs[1, state + 1] = state, move
        for k, other in enumerate(node.before, 1):
            before[k, first[number]] = first[other + 1] - 1
            costs[k, first[number]] = graph.nodes[other].costs[-1][1]
    return Table(
        columns=np.array([s for node in graph.nodes for s in node.states]),
        node=np.repeat(np.arange(len(sizes)), sizes),
        before=before,
        costs=costs if costs.any() else None,
        starts=first[graph.starts],
        ends=first[np.array(graph.ends) + 1] - 1,
    )


def best_path(table: Table, scores: np.ndarray) -> np.ndarray | None:
    """The likeliest path; of equal ones that which was first in its later states.

    Args:
        scores: ``[T, C]`` log-likelihoods of the columns.

    Returns:
        The state (0 to S - 1) of each frame ``[T]``; None if no path is as short as T frames.
    """
    frames, states = len(scores), len(table.columns)
    rows = max(1, min(frames, BLOCK // (states + 1)))
    delta = np.full((rows, states + 1), -np.inf)
    previous = np.full(states + 1, -np.inf)
    kept = []  # the values before each block
    for begin in range(0, frames, rows):
        kept.append(previous)
        size = _forward(table, scores[begin : begin + rows], previous, delta, begin == 0)
        previous = delta[size - 1].copy()
    score = previous[table.ends]
    if score.max() == -np.inf:
        return None
    path = np.empty(frames, np.int64)
    state = int(table.ends[score.argmax()])
    for number in reversed(range(len(kept))):
        begin = number * rows
        if number < len(kept) - 1:  # the last block is still there
            size = _forward(table, scores[begin : begin + rows], kept[number], delta, begin == 0)
        for t in reversed(range(size)):
            path[begin + t] = state
            if begin + t:
                state = _back(table, delta[t - 1] if t else kept[number], state)
    return path


def _forward(
    table: Table, scores: np.ndarray, previous: np.ndarray, delta: np.ndarray, first: bool
) -> int:
    """Fill rows of delta for a block of frames; return how many."""
    emissions = np.maximum(scores[:, table.columns].astype(np.float64), FLOOR)
    before, costs, states = table.before, table.costs, len(table.columns)
    candidates = np.empty(before.shape)
    for t, emission in enumerate(emissions):
        row = delta[t, :states]
        if first and t == 0:
            row[:] = -np.inf
            row[table.starts] = emission[table.starts]
        else:
            np.take(previous, before, out=candidates, mode="clip")
            if costs is not None:
                candidates += costs
            np.maximum.reduce(candidates, axis=0, out=row)
            row += emission
        previous = delta[t]
    return len(emissions)


def _back(table: Table, previous: np.ndarray, state: int) -> int:
    """The predecessor on the best path to ``state``; the state itself where they are equal."""
    candidates = previous[table.before[:, state]]
    if table.costs is not None:
        candidates = candidates + table.costs[:, state]
    return int(table.before[candidates.argmax(), state])
