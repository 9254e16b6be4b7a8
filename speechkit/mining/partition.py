"""Part the columns of a block into hard and not hard, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from speechkit.mining.distance import NO_LIMIT, Distance, threshold_between
from speechkit.mining.matrix import Block


@dataclass
class BlockFound:
    """What one block found, pivots in the order of ``rows``.

    Args:
        rows: ``[R]`` the pivots.
        m: ``[R]`` sizes of the hard sets (of the sample, with candidates).
        threshold: ``[R]``.
        nearest: ``[R]`` rows.
        tie: ``[R]`` see :class:`speechkit.mining.distance.Rule`.
        partners: hard rows of all pivots, ascending within each; None unless asked for.
    """

    rows: np.ndarray
    m: np.ndarray
    threshold: np.ndarray
    nearest: np.ndarray
    tie: np.ndarray
    partners: np.ndarray | None = None


@dataclass
class Edges:
    """Bounds of the keys of each pivot, ``[R]`` each.

    Args:
        nearest: up to here a column may be the nearest one.
        low: below, columns are surely hard.
        high: above, columns are surely not hard.
    """

    nearest: np.ndarray
    low: np.ndarray
    high: np.ndarray


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

    @classmethod
    def of(cls, block: Block, edges: Edges) -> Near:
        row, column, key = block.up_to(edges.high)
        return cls(row, column, key < edges.low[row], key <= edges.nearest[row])

    @property
    def undecided(self) -> int:
        """Number of entries that need their exact distance."""
        return int(np.count_nonzero(~self.sure) + np.count_nonzero(self.first))


def bounds_of_runs(sequence: np.ndarray) -> np.ndarray:
    """Bounds of the runs of equal elements, with both ends."""
    return np.flatnonzero(np.r_[True, sequence[1:] != sequence[:-1], True])


def find_edges(block: Block, m: np.ndarray) -> Edges:
    """Where the m-th smallest key of each row lies, with the margin of the block's rounding."""
    least, inner, outer = (np.full(len(m), -np.inf) for _ in range(3))
    for a, b in pairwise(bounds_of_runs(m)):
        if m[a]:
            rows = slice(int(a), int(b))
            least[rows], inner[rows], outer[rows] = block.smallest(rows, int(m[a]))
    outer = np.where(np.isinf(outer), inner, outer)
    return Edges(least + block.margin, inner - block.margin, outer + block.margin)


def part(
    near: Near,
    rows: np.ndarray,
    columns: np.ndarray,
    m: np.ndarray,
    distance: Distance,
    keep: bool,
) -> BlockFound:
    """Part each row of a block after its m-th nearest column.

    Args:
        near: entries of the block of ``rows`` against ``columns``.
        rows: ``[R]`` pivots.
        columns: ``[C]`` candidates.
        m: ``[R]`` sizes of the hard sets.
        distance: decides what the keys leave open.
        keep: also return the pairs.
    """
    count = len(rows)
    sure = np.bincount(near.row[near.sure], minlength=count)
    row, column = near.row[~near.sure], near.column[~near.sure]
    row, partner, dist = _sorted_exactly(row, columns[column], rows, distance)
    rank = np.arange(len(row)) - np.searchsorted(row, np.arange(count))[row]
    inside = rank < (m - sure)[row]
    last, first, tie = _edges(row, partner, dist, rank, m - sure, count)
    found = BlockFound(rows, m, threshold_between(last, first), np.full(count, -1), tie)

    first_row, first_column = near.row[near.first], near.column[near.first]
    first_row, nearest, _ = _sorted_exactly(first_row, columns[first_column], rows, distance)
    head = np.r_[True, first_row[1:] != first_row[:-1]] if len(first_row) else np.zeros(0, bool)
    found.nearest[first_row[head]] = nearest[head]
    if keep:
        surely = (near.row[near.sure], columns[near.column[near.sure]])
        found.partners = _merge(surely, (row[inside], partner[inside]), int(columns.max()) + 1)
    return found


def _sorted_exactly(
    row: np.ndarray, partner: np.ndarray, rows: np.ndarray, distance: Distance
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs sorted by (row of the block, exact distance, partner)."""
    dist = distance.exact(rows[row], partner)
    order = np.lexsort((partner, dist, row))
    return row[order], partner[order], dist[order]


def _edges(
    row: np.ndarray,
    partner: np.ndarray,
    dist: np.ndarray,
    rank: np.ndarray,
    wanted: np.ndarray,
    count: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Last distance inside, first outside, and the last partner inside where they are equal."""
    last, first = np.full(count, np.nan), np.full(count, np.inf)
    tie = np.full(count, NO_LIMIT)
    at_last, at_first = rank == wanted[row] - 1, rank == wanted[row]
    last[row[at_last]] = dist[at_last]
    first[row[at_first]] = dist[at_first]
    edge = np.zeros(count, np.int64)
    edge[row[at_last]] = partner[at_last]
    parted = last == first
    tie[parted] = edge[parted]
    return last, first, tie


def _merge(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], stride: int
) -> np.ndarray:
    """Partners of both, sorted by (row, partner)."""
    key = np.concatenate([a[0] * stride + a[1], b[0] * stride + b[1]])
    key.sort()
    return key % stride


def joined(parts: list[BlockFound]) -> BlockFound:
    """Consecutive results as one."""
    if len(parts) == 1:
        return parts[0]
    partners = [p.partners for p in parts if p.partners is not None]
    return BlockFound(
        rows=np.concatenate([p.rows for p in parts]),
        m=np.concatenate([p.m for p in parts]),
        threshold=np.concatenate([p.threshold for p in parts]),
        nearest=np.concatenate([p.nearest for p in parts]),
        tie=np.concatenate([p.tie for p in parts]),
        partners=np.concatenate(partners) if partners else None,
    )
