"""Texts longer than a model's limit in windows that are cut between words."""

from __future__ import annotations

from collections.abc import Sequence


def cut(words: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """First phone and end of each window of a text; as few as possible, of about one length.

    Args:
        words: index of the word of each phone, ascending.
        limit: most phones of a window; a word with more is cut inside.
    """
    if len(words) <= limit:
        return [(0, len(words))]
    fewest = _greedy(words, limit)
    smallest = -(-len(words) // len(fewest))
    for size in range(smallest, limit):
        if len(found := _greedy(words, size)) == len(fewest):
            return found
    return fewest


def _greedy(words: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Windows that are each as long as they can be."""
    found, start, total = [], 0, len(words)
    while start < total:
        end = min(start + limit, total)
        between = end
        while end < total and between > start and words[between] == words[between - 1]:
            between -= 1
        end = between if between > start else end
        found.append((start, end))
        start = end
    return found
