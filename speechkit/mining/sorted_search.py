"""Hard sets of one number per utterance: windows in sorted order, no distance matrix.

With the others of a pivot sorted by value, the m nearest form one window around the pivot. A
pivot of 150 Hz and the others 120, 140, 149, 152, 170: with m = 2 the window is 149, 152. It
starts at the first k whose value is no farther away than that at k + m: 120 (30 away) is
farther than 149 (1), 140 (10) is farther than 152 (2), but 149 (1) is nearer than 170 (20), so
k = 2. Where several distances are equal at the edge of the window, it is widened to hold them
all, and the utterance order decides. Every step is a binary search over all pivots at once, so
the cost is O(N log N), whatever the number of speakers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from speechkit.mining.distance import HardSets, Rule, threshold_between

PIVOTS_AT_ONCE = 1 << 17


class Others:
    """For every speaker, all valid utterances of the other speakers in a common order.

    The k-th other of speaker s is the k-th entry of ``order`` (within the group of s) that
    is not an utterance of s. Storing that list for every speaker would take S x N entries;
    here it is found by one binary search, with O(N) memory.

    Six entries ``a b a a b c``: the own positions P of a are 0, 2, 3, and its others, by
    number, are 0: b (position 1), 1: b (4), 2: c (5). The t-th own entry has P_t - t others
    before it: 0, 1, 1. So the k-th other lies at k + #{t : P_t - t <= k}: number 0 at
    0 + 1 = 1, number 1 at 1 + 3 = 4. The numbers P_t - t of all speakers stand in one sorted
    array, each with its speaker in front, so that many lookups are one ``searchsorted``.

    Args:
        order: ``[n]`` rows (utterance numbers), grouped by group.
        speakers: ``[N]`` speaker number of each row.
        groups: ``[N]`` group of each row; only rows of one group are others of each other.
            All utterances of a speaker are in one group.
    """

    def __init__(self, order: np.ndarray, speakers: np.ndarray, groups: np.ndarray) -> None:
        self.order = order.astype(np.int64, copy=False)
        count = len(order)
        speaker = speakers[self.order].astype(np.int64)
        speaker_count = int(speakers.max()) + 1 if len(speakers) else 0
        group = groups[self.order]
        first = np.flatnonzero(np.r_[True, group[1:] != group[:-1]]) if count else np.zeros(0, int)
        size = np.diff(np.r_[first, count])
        which = np.repeat(np.arange(len(first)), size)
        own = np.bincount(speaker, minlength=speaker_count)
        self._start = np.r_[0, np.cumsum(own)]
        by_speaker = np.argsort(speaker, kind="stable")
        self._base = np.zeros(speaker_count, np.int64)
        self._total = np.zeros(speaker_count, np.int64)
        self._base[speaker] = first[which]
        self._total[speaker] = size[which] - own[speaker]
        sorted_speaker = speaker[by_speaker]
        rank = np.arange(count) - self._start[sorted_speaker]
        before = by_speaker - self._base[sorted_speaker] - rank
        self._stride = count + 1
        self._keys = sorted_speaker * self._stride + before
        self._before = np.zeros(len(speakers), np.int64)
        self._before[self.order[by_speaker]] = before

    def total(self, speaker: np.ndarray) -> np.ndarray:
        """How many others each speaker has (0 for a speaker without valid utterances)."""
        return self._total[speaker]

    def before(self, rows: np.ndarray) -> np.ndarray:
        """How many others come before each (valid) row in the order."""
        return self._before[rows]

    def rows(self, speaker: np.ndarray, number: np.ndarray) -> np.ndarray:
        """The ``number``-th other (from 0) of each speaker."""
        found = np.searchsorted(self._keys, speaker * self._stride + number, side="right")
        found -= self._start[speaker]
        found += self._base[speaker]
        found += number
        return self.order[found]


def spread(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For runs of the given lengths: the run of every element, and its place in the run."""
    run = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return run, np.arange(len(run)) - starts[run]


def slices_by_sum(counts: np.ndarray, limit: int) -> list[tuple[int, int]]:
    """Consecutive slices whose counts add up to at most ``limit`` (one element at least)."""
    total = np.cumsum(counts)
    found, start = [], 0
    while start < len(counts):
        before = int(total[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(total, before + limit, side="right")))
        found.append((start, stop))
        start = stop
    return found


def sorted_others(
    values: np.ndarray, speakers: np.ndarray, groups: np.ndarray, valid: np.ndarray
) -> Others:
    """The others of every speaker by value, equal values in utterance order."""
    rows = np.flatnonzero(valid)
    return Others(rows[np.lexsort((rows, values[rows], groups[rows]))], speakers, groups)


class _Pivots:
    """Some pivots and the values of their others, by number in sorted order."""

    def __init__(self, rows: np.ndarray, values: np.ndarray, speakers: np.ndarray, others: Others):
        self.rows, self.values, self.others = rows, values, others
        self.value = values[rows]
        self.speaker = speakers[rows].astype(np.int64)
        self.before = others.before(rows)
        self.total = others.total(self.speaker)

    def only(self, mask: np.ndarray) -> _Pivots:
        part = object.__new__(_Pivots)
        part.values, part.others = self.values, self.others
        for name in ("rows", "value", "speaker", "before", "total"):
            setattr(part, name, getattr(self, name)[mask])
        return part

    def row(self, number: np.ndarray) -> np.ndarray:
        return self.others.rows(self.speaker, np.clip(number, 0, self.total - 1))

    def distance(self, number: np.ndarray) -> np.ndarray:
        """Distance to other ``number``; infinite where there is no such other."""
        there = (number >= 0) & (number < self.total)
        return np.where(there, np.abs(self.value - self.values[self.row(number)]), np.inf)

    def first(self, low: np.ndarray, high: np.ndarray, true: Callable) -> np.ndarray:
        """Smallest number in [low, high) for which ``true(number)``, else high (monotone)."""
        low, high = low.copy(), high.copy()
        while (active := low < high).any():
            middle = (low + high) // 2
            right = active & ~true(middle)
            low[right] = middle[right] + 1
            shrink = active & ~right
            high[shrink] = middle[shrink]
        return low

    def span(self, limit: np.ndarray, equal: bool) -> tuple[np.ndarray, np.ndarray]:
        """Window [a, b) of the others with distance < limit (<= limit if ``equal``)."""
        compare = np.less_equal if equal else np.less
        zero = np.zeros_like(self.before)
        a = self.first(zero, self.before, lambda k: compare(self.distance(k), limit))
        b = self.first(self.before, self.total, lambda k: ~compare(self.distance(k), limit))
        return a, b

    def kth_at(self, limit: np.ndarray, k: np.ndarray) -> np.ndarray:
        """Row of the k-th (from 0, in utterance order) among the others at exactly ``limit``."""
        a1, b1 = self.span(limit, True)
        a0, b0 = self.span(limit, False)
        return _kth_of_two(self, (a1, a0 - a1), (b0, b1 - b0), k)


def _kth_of_two(
    pivots: _Pivots,
    left: tuple[np.ndarray, np.ndarray],
    right: tuple[np.ndarray, np.ndarray],
    k: np.ndarray,
) -> np.ndarray:
    """k-th smallest row in the union of two windows (start, length).

    Equal values stand in row order, so that both windows are sorted by row and a binary
    search for the number taken from the left one suffices. Windows of several values that
    rounding made equally distant are not sorted: those pivots are done one by one.
    """
    (a, na), (b, nb) = left, right
    take = k + 1
    # The answer takes i rows from the left: the smallest i whose next row is not needed.
    i = pivots.first(
        np.maximum(0, take - nb),
        np.minimum(take, na),
        lambda i: pivots.row(a + i) > pivots.row(b + take - i - 1),
    )
    from_left = np.where(i > 0, pivots.row(a + i - 1), -1)
    from_right = np.where(take - i > 0, pivots.row(b + take - i - 1), -1)
    found = np.maximum(from_left, from_right)

    def mixed(start: np.ndarray, length: np.ndarray) -> np.ndarray:
        ends = pivots.values[pivots.row(start)] != pivots.values[pivots.row(start + length - 1)]
        return (length > 1) & ends

    for p in np.flatnonzero(mixed(a, na) | mixed(b, nb)):
        numbers = np.r_[a[p] : a[p] + na[p], b[p] : b[p] + nb[p]]
        rows = pivots.others.rows(np.full(len(numbers), pivots.speaker[p]), numbers)
        found[p] = np.partition(rows, k[p])[k[p]]
    return found


def find_windows(
    values: np.ndarray,
    speakers: np.ndarray,
    others: Others,
    m: np.ndarray,
    advance: Callable[[int], None] = lambda n: None,
) -> tuple[HardSets, np.ndarray]:
    """Exact hard sets of all pivots with ``m > 0``.

    Args:
        values: ``[N]`` float64.
        speakers: ``[N]`` speaker numbers.
        others: from :func:`sorted_others`.
        m: ``[N]`` sizes of the hard sets.
        advance: progress, called with numbers of finished pivots.

    Returns:
        What was found, and ``[N, 2]`` int32 windows [a, b) of numbers of others at or
        below the threshold (longer than m where the threshold parts equal distances).
    """
    found = HardSets.empty(m)
    windows = np.zeros((len(m), 2), np.int32)
    pivots = np.flatnonzero(m)
    pivots = pivots[np.lexsort((values[pivots], speakers[pivots]))]  # near queries in a row
    for start in range(0, len(pivots), PIVOTS_AT_ONCE):
        rows = pivots[start : start + PIVOTS_AT_ONCE]
        _find(_Pivots(rows, values, speakers, others), m[rows], found, windows)
        advance(len(rows))
    return found, windows


def _find(pivots: _Pivots, m: np.ndarray, found: HardSets, windows: np.ndarray) -> None:
    rows, before = pivots.rows, pivots.before
    low, high = np.maximum(0, before - m), np.minimum(before, pivots.total - m)
    # The window starts where its left neighbour would be no nearer than its last element.
    a = pivots.first(low, high, lambda k: pivots.distance(k) <= pivots.distance(k + m))
    last = np.maximum(pivots.distance(a), pivots.distance(a + m - 1))
    outside = np.minimum(pivots.distance(a - 1), pivots.distance(a + m))
    found.threshold[rows] = threshold_between(last, outside)
    windows[rows] = np.stack([a, a + m], axis=1)

    parted = outside == last
    if parted.any():
        some, limit = pivots.only(parted), last[parted]
        a0, b0 = some.span(limit, False)
        found.tie[some.rows] = some.kth_at(limit, m[parted] - (b0 - a0) - 1)
        windows[some.rows] = np.stack(some.span(limit, True), axis=1)
    found.nearest[rows] = _nearest(pivots)


def _nearest(pivots: _Pivots) -> np.ndarray:
    """The nearest other, the first in utterance order among equally near ones."""
    before = pivots.before
    left, right = pivots.distance(before - 1), pivots.distance(before)
    nearest = pivots.row(np.where(left < right, before - 1, before))
    least = np.minimum(left, right)
    several = (left == right) | (pivots.distance(before - 2) == least)
    several |= pivots.distance(before + 1) == least
    if several.any():
        some = pivots.only(several)
        nearest[several] = some.kth_at(least[several], np.zeros(len(some.rows), np.int64))
    return nearest


def windows_within(
    values: np.ndarray, speakers: np.ndarray, others: Others, threshold: np.ndarray
) -> np.ndarray:
    """``[N, 2]`` int32 windows of the others at or below given thresholds (NaN: empty)."""
    windows = np.zeros((len(threshold), 2), np.int32)
    wanted = np.flatnonzero(~np.isnan(threshold))
    for start in range(0, len(wanted), PIVOTS_AT_ONCE):
        rows = wanted[start : start + PIVOTS_AT_ONCE]
        pivots = _Pivots(rows, values, speakers, others)
        windows[rows] = np.stack(pivots.span(threshold[rows], True), axis=1)
    return windows


def expand(
    rows: np.ndarray, windows: np.ndarray, speakers: np.ndarray, others: Others, rule: Rule
) -> np.ndarray:
    """The partners of some pivots, ascending in each."""
    start, stop = windows[rows].astype(np.int64).T
    which, place = spread(stop - start)
    partner = others.rows(speakers[rows].astype(np.int64)[which], start[which] + place)
    inside = rule.exact(rows[which], partner)
    key = which[inside] * len(speakers) + partner[inside]
    key.sort()
    return key % len(speakers)
