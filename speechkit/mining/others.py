"""The utterances of other speakers, numbered: count them, look one up by its number."""

from __future__ import annotations

import numpy as np


class Others:
    """For every speaker, all valid utterances of the other speakers in a common order.

    The k-th other of speaker s is the k-th entry of ``order`` (within the group of s) that
    is not an utterance of s. Storing that list for every speaker would take S x N entries;
    here it is found by one binary search, with O(N) memory.

    Let P_0 < P_1 < ... be the positions of the own utterances of s. The entry P_t has
    P_t - t others before it, so the k-th other lies at position k + #{t : P_t - t <= k}.
    The numbers P_t - t of all speakers stand in one sorted array, each with its speaker in
    front, so that many lookups are one ``searchsorted``.

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


def hard_counts(total: np.ndarray, valid: np.ndarray, pm: float) -> np.ndarray:
    """Sizes of the hard sets: ``max(1, round(pm x total))``, 0 without a valid candidate."""
    wanted = np.maximum(1, np.rint(pm * total)).astype(np.int64)
    return np.where(valid & (total > 0), wanted, 0)


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
