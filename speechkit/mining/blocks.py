"""Hard sets by blocks of the distance matrix: exact for any distance, memory O(N).

A float32 block gives, for each pivot, the m-th and (m+1)-th smallest key. Keys further
than twice the tolerance below or above these two are surely inside or outside; the few
between are computed again in float64, sorted by (distance, utterance), and parted there.
The result is that of sorting all float64 distances, on every device and block size.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from speechkit.mining.distance import NO_LIMIT, Cosine, Difference
from speechkit.mining.matrix import Arranged, Block, Columns
from speechkit.mining.partition import BlockFound, Near, bounds_of_runs, find_edges, joined, part

BLOCK_BYTES = 32 << 20
MOST_ROWS = 2048
UNDECIDED_FEW, UNDECIDED_MANY = 1 << 16, 1 << 21  # pairs of a block


class BlockMiner:
    """Find the hard sets of all valid utterances, block by block.

    Args:
        distance: between rows.
        speakers: ``[N]`` speaker numbers.
        groups: ``[N]`` only rows of one group are candidates of each other.
        m: ``[N]`` sizes of the hard sets; 0 leaves a pivot out.
        valid: ``[N]`` rows that may be partners.
        device: see :class:`speechkit.mining.matrix.Arranged`.
        candidates: draw this many candidates for each block of pivots instead of taking
            all (those of the pivot's speaker drop out, so a few more are drawn).
        pm: the proportion, needed with ``candidates``.
        seed: of the draws.
    """

    def __init__(
        self,
        distance: Difference | Cosine,
        speakers: np.ndarray,
        groups: np.ndarray,
        m: np.ndarray,
        valid: np.ndarray,
        device: str = "numpy",
        candidates: int = 0,
        pm: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.distance, self.m, self.on_cpu = distance, m, device == "numpy"
        self.candidates, self.pm, self.seed = candidates, pm, seed
        rows = np.flatnonzero(valid)
        own = np.bincount(speakers[rows], minlength=int(speakers.max(initial=0)) + 1)
        speaker = speakers[rows]
        # Speakers of one size stand together: their pivots share m, and one partition call.
        order = np.lexsort((rows, speaker, own[speaker], groups[rows]))
        self.order = rows[order]
        speaker = speaker[order]
        self._runs = bounds_of_runs(speaker)
        self._groups = bounds_of_runs(groups[self.order])
        self._own = own[speaker]
        self.arranged = Arranged(distance, self.order, device)

    def tasks(self) -> list[tuple[int, int, int, int]]:
        """Blocks (start, stop, first candidate, last candidate + 1), as positions."""
        found = []
        for low, high in pairwise(self._groups):
            columns = high - low
            if self.candidates:
                columns = min(columns, self.candidates + int(self._own[low:high].max()))
            fit = int(BLOCK_BYTES // (self.arranged.itemsize * columns))
            step = max(1, min(MOST_ROWS, fit))
            for start in range(low, high, step):
                found.append((start, min(start + step, high), int(low), int(high)))
        return found

    def run(self, task: tuple[int, int, int, int], keep: bool = False) -> BlockFound:
        """Mine the pivots of one task; ``keep`` also returns the pairs."""
        columns, m = self._columns(task)
        found = joined(self._mine(task, task[0], task[1], columns, m, keep, False))
        if self.candidates:
            found.tie[:] = NO_LIMIT  # a sampled threshold parts nothing
        return found

    def _mine(
        self,
        task: tuple[int, int, int, int],
        start: int,
        stop: int,
        columns: Columns,
        m: np.ndarray,
        keep: bool,
        precise: bool,
    ) -> list[BlockFound]:
        """Mine the positions [start, stop) of a task.

        Where vectors are so close to each other that float32 leaves very many pairs
        undecided, the block is made again in float64; where that does not help either
        (equal vectors), the block is halved, which bounds the memory.
        """
        mine_m = m[start - task[0] : stop - task[0]]
        block = self.arranged.block(start, stop, columns, precise)
        for a, b in self._inside(start, stop):
            self._forbid_own(block, (start, stop, task[2], task[3]), columns, a, b)
        edges = find_edges(block, mine_m)
        # Counted before they are gathered: equal vectors could make it the whole block.
        surplus = block.count_up_to(edges.high) - int(mine_m.sum())
        near = Near.of(block, edges) if surplus <= UNDECIDED_MANY or stop - start == 1 else None
        undecided = surplus if near is None else near.undecided
        if undecided > max(UNDECIDED_FEW, block.size // 64) and not precise:
            return self._mine(task, start, stop, columns, m, keep, True)
        if near is None or (undecided > UNDECIDED_MANY and stop - start > 1):
            middle = (start + stop) // 2
            halves = ((start, middle), (middle, stop))
            return [f for a, b in halves for f in self._mine(task, a, b, columns, m, keep, True)]
        rows = self.order[start:stop]
        return [part(near, rows, self.order[columns], mine_m, self.distance, keep)]

    def _columns(self, task: tuple[int, int, int, int]) -> tuple[Columns, np.ndarray]:
        """Candidates of a block, and the m of its pivots among them."""
        start, stop, low, high = task
        m = self.m[self.order[start:stop]]
        if not self.candidates:
            return slice(low, high), m
        own = self._own[start:stop]
        drawn = min(high - low, self.candidates + int(own.max()))
        rng = np.random.default_rng([self.seed, start])
        columns = low + rng.choice(high - low, drawn, replace=False)
        take = np.minimum(self.candidates, high - low - own)
        return columns, np.where(m > 0, np.maximum(1, np.rint(self.pm * take)), 0).astype(int)

    def _forbid_own(
        self, block: Block, task: tuple[int, int, int, int], columns: Columns, a: int, b: int
    ) -> None:
        """Rule out the utterances of the speaker whose run is [a, b)."""
        start, stop, low, _ = task
        rows = slice(max(a, start) - start, min(b, stop) - start)
        if isinstance(columns, slice):
            block.forbid(rows, slice(a - low, b - low))
            return
        own = (columns >= a) & (columns < b)
        surplus = np.cumsum(~own) > self.candidates
        block.forbid(rows, np.flatnonzero(own | surplus))

    def _inside(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Runs of one speaker that overlap [start, stop)."""
        first = int(np.searchsorted(self._runs, start, side="right")) - 1
        while first < len(self._runs) - 1 and self._runs[first] < stop:
            yield int(self._runs[first]), int(self._runs[first + 1])
            first += 1
