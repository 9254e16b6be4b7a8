"""Windows of texts as tensors, and batches of them for several models at once.

A text longer than a model's limit goes in windows that are cut between words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speechkit.phone_features.scored_set import ScoredSet
from speechkit.pronunciation.config import ModelConfig
from speechkit.training.normaliser import Normaliser
from speechkit.training.packing import Layout


@dataclass(frozen=True)
class Batch:
    """B windows for each of S models, packed.

    Args:
        layout: of the phones.
        features: ``[S, N, D]``.
        phones: ids ``[S, N]``.
        tokens: labels of the phones, NaN in filling, ``[S, N, token aspects]``.
        utterances: labels of the windows' utterances ``[S, B, utterance aspects]``.
        statuses: of the phones' words, as in ``ScoredSet``; -1 in filling, ``[S, N]``.
    """

    layout: Layout
    features: Tensor
    phones: Tensor
    tokens: Tensor
    utterances: Tensor
    statuses: Tensor


class Windows:
    """The windows of a set in memory.

    Args:
        data: the set.
        normaliser: of the features.
        config: of the model: aspects and longest window.
        device: where batches are.

    Attributes:
        start, length, utterance: of each window ``[M]``: first row, rows, and whose it is.
    """

    def __init__(
        self, data: ScoredSet, normaliser: Normaliser, config: ModelConfig, device: str = "cpu"
    ) -> None:
        self.data, self.config = data, config
        ids = data.phone_ids
        features = normaliser(data.features, ids)
        if limit := config.feature_limit:
            features = features.clip(-limit, limit)
        tokens = [data.of_phones(a) for a in config.token_aspects]
        utterances = [data.labels[a] for a in config.utterance_aspects]
        # One more row, for filling.
        self.features = torch.from_numpy(np.pad(features, ((0, 1), (0, 0)))).to(device)
        self.phones = torch.from_numpy(np.pad(ids, (0, 1))).to(device)
        labels = _columns(tokens, len(ids))
        self.tokens = torch.from_numpy(np.pad(labels, ((0, 1), (0, 0)), constant_values=np.nan)).to(
            device
        )
        statuses = np.pad(data.statuses[data.words], (0, 1), constant_values=-1)
        self.statuses = torch.from_numpy(statuses).to(device)
        self.labels = torch.from_numpy(_columns(utterances, len(data.utterances))).to(device)
        spans = [
            (first + start, end - start, u)
            for u, (first, last) in enumerate(zip(data.first[:-1], data.first[1:], strict=True))
            for start, end in cut(data.words[first:last].tolist(), config.max_phones)
        ]
        table = torch.tensor(spans, dtype=torch.int64, device=device)
        self.start, self.length, self.utterance = table.unbind(1)

    def __len__(self) -> int:
        return len(self.start)

    def batch(self, windows: Tensor) -> Batch:
        """The windows at ``[S, B]``."""
        layout = self.config.layout(self.length[windows])
        rows = self.rows(windows, layout)
        shape = rows.shape
        flat = rows.flatten()
        return Batch(
            layout,
            self.features.index_select(0, flat).view(*shape, -1),
            self.phones[rows],
            self.tokens.index_select(0, flat).view(*shape, -1),
            self.labels[self.utterance[windows]],
            self.statuses[rows],
        )

    def rows(self, windows: Tensor, layout: Layout) -> Tensor:
        """Row of each packed phone ``[S, N]``; that after the last in filling."""
        rows = self.start[windows].gather(1, layout.sequences) + layout.columns
        return rows.masked_fill(~layout.filled, len(self.phones) - 1)


def _columns(values: list[np.ndarray], rows: int) -> np.ndarray:
    return np.stack(values, axis=1) if values else np.zeros((rows, 0), np.float32)


def cut(words: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """First phone and end of each window of a text; as few as possible, of about one length.

    Seven phones in the words ``0 0 0 1 1 2 2`` with a limit of 5: two windows are needed, 4 phones
    each would do, but a cut after the fourth would divide word 1. So ``[(0, 3), (3, 7)]``.

    Args:
        words: index of the word of each phone, ascending.
        limit: most phones of a window; a word with more is cut inside.
    """
    if len(words) <= limit:
        return [(0, len(words))]
    fewest = _greedy(words, limit)
    smallest = -(-len(words) // len(fewest))
    for size in range(smallest, limit):
        if len(spans := _greedy(words, size)) == len(fewest):
            return spans
    return fewest


def _greedy(words: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Windows that are each as long as they can be."""
    spans, start, total = [], 0, len(words)
    while start < total:
        end = min(start + limit, total)
        between = end
        while end < total and between > start and words[between] == words[between - 1]:
            between -= 1
        end = between if between > start else end
        spans.append((start, end))
        start = end
    return spans
