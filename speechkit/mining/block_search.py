"""Hard sets by blocks of the distance matrix: exact for any distance, memory O(N).

A float32 block gives, for each pivot, the m-th and (m+1)-th smallest key. Keys further than
the margin below or above these two are surely inside or outside; the few between are computed
again in float64, sorted by (distance, utterance), and divided there. The result is that of
sorting all float64 distances, on every device and block size.

A pivot with m = 3, keys 0.10, 0.20, 0.31, 0.32, 0.40 and a margin of 0.02: the m-th key is
0.31 and the next 0.32. Below 0.31 - 0.02 lie 0.10 and 0.20, surely inside; above 0.32 + 0.02
lies 0.40, surely outside. The exact distances of the other two say which of them is third.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from speechkit.mining.distance import NO_LIMIT, Distance, threshold_between
from speechkit.mining.inputs import MiningProblem
from speechkit.mining.matrix import Arranged, Block, Columns

BLOCK_BYTES = 32 << 20
LEAST_ROWS, MOST_ROWS = 32, 2048  # fewer read all vectors for next to nothing
UNDECIDED_FEW, UNDECIDED_MANY = 1 << 16, 1 << 21  # pairs of a block
FOUND = np.dtype([("row", "i8"), ("threshold", "f8"), ("nearest", "i8"), ("tie", "i8")])


class Task(NamedTuple):
    """Pivots of a block, and their candidates, as positions in the miner's order."""

    start: int
    stop: int
    low: int
    high: int


@dataclass
class BlockResult:
    """What one block found.

    Args:
        table: ``[R]`` of ``FOUND``: the pivots, and what :class:`HardSets` holds of each.
        m: ``[R]`` sizes of the hard sets (of the sample, with candidates).
        partners: hard rows of all pivots, ascending within each; empty unless asked for.
    """

    table: np.ndarray
    m: np.ndarray
    partners: np.ndarray


class BlockMiner:
    """Find the hard sets of all valid utterances, block by block.

    Args:
        problem: what is mined. With ``candidates`` so many are drawn for each block of pivots
            (those of the pivot's speaker drop out, so a few more are drawn).
        m: ``[N]`` sizes of the hard sets; 0 leaves a pivot out.
        device: see :class:`speechkit.mining.matrix.Arranged`.
        unit: see there.
    """

    def __init__(
        self,
        problem: MiningProblem,
        m: np.ndarray,
        device: str = "numpy",
        unit: np.ndarray | None = None,
    ) -> None:
        self.problem, self.m, self.on_cpu = problem, m, device == "numpy"
        self.candidates = problem.candidates
        speakers, groups = problem.population.speakers, problem.groups
        rows = np.flatnonzero(problem.valid)
        own = np.bincount(speakers[rows], minlength=int(speakers.max(initial=0)) + 1)
        speaker = speakers[rows]
        # Speakers of one size stand together: their pivots share m, and one partition call.
        self.order = rows[np.lexsort((rows, speaker, own[speaker], groups[rows]))]
        speaker = speakers[self.order]
        self._runs = bounds_of_runs(speaker)
        self._groups = bounds_of_runs(groups[self.order])
        self._own = own[speaker]
        self.arranged = Arranged(problem.distance, self.order, device, unit)

    def tasks(self) -> list[Task]:
        """The blocks, of bounded size."""
        found = []
        for low, high in pairwise(self._groups.tolist()):
            columns = high - low
            if self.candidates:
                columns = min(columns, self.candidates + int(self._own[low:high].max()))
            most = BLOCK_BYTES // (self.arranged.itemsize * columns)
            step = min(MOST_ROWS, max(LEAST_ROWS, most))
            for start in range(low, high, step):
                found.append(Task(start, min(start + step, high), low, high))
        return found

    def run(self, task: Task, keep: bool = False) -> BlockResult:
        """Mine the pivots of one task; ``keep`` also returns the pairs."""
        columns, m = self._columns(task)
        parts = self._mine(task, columns, m, keep, False)
        found = BlockResult(
            np.concatenate([part.table for part in parts]),
            m,
            np.concatenate([part.partners for part in parts]),
        )
        if self.candidates:
            found.table["tie"] = NO_LIMIT  # a sampled threshold parts nothing
        return found

    def _mine(
        self, task: Task, columns: Columns, m: np.ndarray, keep: bool, precise: bool
    ) -> list[BlockResult]:
        """Mine a task, or the half of one.

        Where vectors are so close to each other that float32 leaves very many pairs
        undecided, the block is made again in float64; where that does not help either
        (equal vectors), the block is halved, which bounds the memory.
        """
        start, stop = task.start, task.stop
        block = self.arranged.block(start, stop, columns, precise)
        self._forbid_own(block, task, columns)
        nearest, low, high = _bounds(block, m)
        # Counted before they are gathered: equal vectors could make it the whole block.
        surplus = block.count_up_to(high) - int(m.sum())
        near = None
        if surplus <= UNDECIDED_MANY or stop - start == 1:
            row, column, key = block.up_to(high)
            near = Near(row, column, key < low[row], key <= nearest[row])
        undecided = surplus if near is None else near.undecided
        if undecided > max(UNDECIDED_FEW, block.size // 64) and not precise:
            return self._mine(task, columns, m, keep, True)
        if near is None or (undecided > UNDECIDED_MANY and stop - start > 1):
            middle = (start + stop) // 2
            first = self._mine(task._replace(stop=middle), columns, m[: middle - start], keep, True)
            last = self._mine(task._replace(start=middle), columns, m[middle - start :], keep, True)
            return first + last
        rows, others = self.order[start:stop], self.order[columns]
        return [divide(near, rows, others, m, self.problem.distance, keep)]

    def _columns(self, task: Task) -> tuple[Columns, np.ndarray]:
        """Candidates of a block, and the m of its pivots among them."""
        start, stop, low, high = task
        m = self.m[self.order[start:stop]]
        if not self.candidates:
            return slice(low, high), m
        own = self._own[start:stop]
        drawn = min(high - low, self.candidates + int(own.max()))
        rng = np.random.default_rng([self.problem.seed, start])
        columns = low + rng.choice(high - low, drawn, replace=False)
        take = np.minimum(self.candidates, high - low - own)
        m = np.where(m > 0, np.maximum(1, np.rint(self.problem.pm * take)), 0)
        return columns, m.astype(int)

    def _forbid_own(self, block: Block, task: Task, columns: Columns) -> None:
        """Rule out, for the pivots of each speaker, the speaker's own utterances."""
        for a, b in self._runs_of(task):
            rows = slice(max(a, task.start) - task.start, min(b, task.stop) - task.start)
            if isinstance(columns, slice):
                block.forbid(rows, slice(a - task.low, b - task.low))
                continue
            own = (columns >= a) & (columns < b)
            surplus = np.cumsum(~own) > self.candidates
            block.forbid(rows, np.flatnonzero(own | surplus))

    def _runs_of(self, task: Task) -> Iterator[tuple[int, int]]:
        """Runs of one speaker that overlap the pivots of a task."""
        first = int(np.searchsorted(self._runs, task.start, side="right")) - 1
        last = int(np.searchsorted(self._runs, task.stop, side="left"))
        return pairwise(self._runs[first : last + 1].tolist())


@dataclass
class Near:
    """The entries of a block that may be hard, ``[E]`` each, by row and column.

    Args:
        row: of the block.
        column: of the block.
        sure: surely hard.
        first: may be the nearest of its row.
    """

    row: np.ndarray
    column: np.ndarray
    sure: np.ndarray
    first: np.ndarray

    @property
    def undecided(self) -> int:
        """Number of entries that need their exact distance."""
        return int(np.count_nonzero(~self.sure) + np.count_nonzero(self.first))


def bounds_of_runs(sequence: np.ndarray) -> np.ndarray:
    """Bounds of the runs of equal elements, with both ends."""
    return np.flatnonzero(np.r_[True, sequence[1:] != sequence[:-1], True])


def _bounds(block: Block, m: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three bounds of the keys of each pivot ``[R]``, with the margin of the block's rounding.

    Up to the first a column may be the nearest one; below the second columns are surely hard,
    above the third surely not.
    """
    nearest, low, high = (np.full(len(m), -np.inf) for _ in range(3))
    for a, b in pairwise(bounds_of_runs(m).tolist()):
        if m[a]:
            rows = slice(a, b)
            nearest[rows], low[rows], high[rows] = block.smallest(rows, int(m[a]))
    high = np.where(np.isinf(high), low, high)
    return nearest + block.margin, low - block.margin, high + block.margin


def divide(
    near: Near,
    rows: np.ndarray,
    columns: np.ndarray,
    m: np.ndarray,
    distance: Distance,
    keep: bool,
) -> BlockResult:
    """Divide each row of a block after its m-th nearest column, exactly.

    Args:
        near: entries of the block of ``rows`` against ``columns``.
        rows: ``[R]`` pivots.
        columns: ``[C]`` candidates.
        m: ``[R]`` sizes of the hard sets.
        distance: decides what the keys leave open.
        keep: also return the pairs.
    """
    count = len(rows)
    table = np.empty(count, FOUND)
    table["row"], table["nearest"] = rows, -1
    sure = np.bincount(near.row[near.sure], minlength=count)
    row, column = near.row[~near.sure], near.column[~near.sure]
    row, partner, exact = _sorted_exactly(row, columns[column], rows, distance)
    rank = np.arange(len(row)) - np.searchsorted(row, np.arange(count))[row]
    wanted = (m - sure)[row]
    table["threshold"], table["tie"] = _thresholds(row, partner, exact, rank - wanted, count)

    first_row, first_column = near.row[near.first], near.column[near.first]
    first_row, nearest, _ = _sorted_exactly(first_row, columns[first_column], rows, distance)
    head = np.r_[True, first_row[1:] != first_row[:-1]] if len(first_row) else np.zeros(0, bool)
    table["nearest"][first_row[head]] = nearest[head]
    partners = np.zeros(0, np.int64)
    if keep:
        inside, stride = rank < wanted, int(columns.max()) + 1
        surely = near.row[near.sure] * stride + columns[near.column[near.sure]]
        key = np.concatenate([surely, row[inside] * stride + partner[inside]])
        key.sort()
        partners = key % stride
    return BlockResult(table, m, partners)


def _sorted_exactly(
    row: np.ndarray, partner: np.ndarray, rows: np.ndarray, distance: Distance
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs sorted by (row of the block, exact distance, partner)."""
    exact = distance.exact(rows[row], partner)
    order = np.lexsort((partner, exact, row))
    return row[order], partner[order], exact[order]


def _thresholds(
    row: np.ndarray, partner: np.ndarray, exact: np.ndarray, past: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds, and the last partner inside where one parts equal distances.

    ``past`` counts the places of each pair after its row's m-th: -1 is the last one inside.
    """
    last, first = np.full(count, np.nan), np.full(count, np.inf)
    edge, at_last = np.zeros(count, np.int64), past == -1
    last[row[at_last]], edge[row[at_last]] = exact[at_last], partner[at_last]
    first[row[past == 0]] = exact[past == 0]
    return threshold_between(last, first), np.where(last == first, edge, NO_LIMIT)
