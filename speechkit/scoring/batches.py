"""Utterances of a set as tensors, and batches of them for several models at once.

Nothing is padded where features are read: the phones of a batch lie one after the other
(*packed*, see :mod:`speechkit.pronunciation.packing`). Attention over the phones of a word sees
them as rows of a grid, a row for each word; attention over words has a row for each utterance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from speechkit.pronunciation.packing import Layout, make_layout
from speechkit.scoring.data import ScoringSet


@dataclass(frozen=True)
class ScoringBatch:
    """B utterances for each of S models, packed.

    Args:
        features: of the phones ``[S, N, D]``; zeros in filling.
        phones: ids from 1 ``[S, N]``; 0 in filling.
        used: phones that are not filling ``[S]``.
        phone_layout: of the phones in words (in utterances, for a BLSTM). Models with fewer
            words than others have words of a phone of filling at the end.
        word_layout: of the words in utterances; None for a BLSTM.
        labels: from 0 to 1, NaN where there is none: ``[S, B]``.
    """

    features: Tensor
    phones: Tensor
    used: Tensor
    phone_layout: Layout
    word_layout: Layout | None
    labels: Tensor

    def with_features(self, features: Tensor) -> ScoringBatch:
        """The same with other features, for S = 1.

        Args:
            features: of the phones of the B utterances in order, ``[P, D]``, with or without
                gradient.
        """
        more = self.phones.shape[1] - len(features)
        return replace(self, features=functional.pad(features, (0, 0, 0, more))[None])


class Batches:
    """A set in memory.

    Args:
        found: the set.
        recurrent: batches for a BLSTM, which reads an utterance as one sequence.
        device: where batches are.
    """

    def __init__(
        self, found: ScoringSet, recurrent: bool = False, device: torch.device | str = "cpu"
    ) -> None:
        self.found, self.recurrent = found, recurrent

        def put(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        # One more row, for filling.
        self.features = put(np.pad(found.features, ((0, 1), (0, 0))))
        self.phones = put(np.pad(found.phone_ids, (0, 1)))
        self.labels = put(found.labels)
        self.start, self.length = put(found.first[:-1]), put(np.diff(found.first))
        # Words that have phones; the last stands for a word of filling.
        starts = np.flatnonzero(np.diff(found.words, prepend=-1))
        lengths = np.diff(np.append(starts, len(found.words)))
        self.word_start = put(np.append(starts, len(found.words)))
        self.word_length = put(np.append(lengths, 1))
        first_word = np.searchsorted(starts, found.first)
        self.first_word, self.words = put(first_word[:-1]), put(np.diff(first_word))

    def __len__(self) -> int:
        return len(self.start)

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self.start.device

    def batch(self, utterances: Tensor, features: bool = True) -> ScoringBatch:
        """The utterances at int64 ``[S, B]``; without ``features`` they have no columns."""
        if self.recurrent:
            layout, of_words = make_layout(self.length[utterances]), None
            starts, used = self.start[utterances], layout.lengths.sum(1)
        else:
            of_words = make_layout(self.words[utterances])
            places = self.first_word[utterances].gather(1, of_words.sequences) + of_words.columns
            places = places.masked_fill(~of_words.filled, len(self.word_start) - 1)
            layout = make_layout(self.word_length[places])
            starts = self.word_start[places]
            used = self.length[utterances].sum(1)
        rows = starts.gather(1, layout.sequences) + layout.columns
        rows = rows.masked_fill(~layout.filled, len(self.phones) - 1)
        columns = self.features if features else self.features[:, :0]
        return ScoringBatch(
            columns.index_select(0, rows.flatten()).view(*rows.shape, -1),
            self.phones[rows],
            used,
            layout,
            of_words,
            self.labels[utterances],
        )
