"""Utterances of a set as tensors, and batches of them for several models at once.

Nothing is padded: the phones of a batch lie one after another, and so do its words. Where models
that are computed together have fewer of them than others, filling follows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from speechkit.scoring.data import ScoringSet
from speechkit.scoring.groups import Groups
from speechkit.training.packing import Layout, make_layout


@dataclass(frozen=True)
class ScoringBatch:
    """B utterances for each of S models.

    Args:
        features: of the phones ``[S, N, D]``; zeros in filling.
        phones: ids from 1 ``[S, N]``; 0 in filling.
        labels: from 0 to 1, NaN where there is none: ``[S, B]``.
        of_words: the phones in words, for models that know words.
        of_utterances: the words in utterances, for the same.
        layout: the phones in utterances, for a BLSTM.
    """

    features: Tensor
    phones: Tensor
    labels: Tensor
    of_words: Groups | None = None
    of_utterances: Groups | None = None
    layout: Layout | None = None

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
        data: the set.
        recurrent: batches for a BLSTM, which reads an utterance as one sequence.
        device: where batches are.
    """

    def __init__(
        self, data: ScoringSet, recurrent: bool = False, device: torch.device | str = "cpu"
    ) -> None:
        self.data, self.recurrent = data, recurrent

        def put(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        # One more row, for filling.
        self.features = put(np.pad(data.features, ((0, 1), (0, 0))))
        self.phones = put(np.pad(data.phone_ids, (0, 1)))
        self.labels = put(data.labels)
        self.start, self.length = put(data.first[:-1]), put(np.diff(data.first))
        # Words that have phones; the last, without any, is filling.
        starts = np.flatnonzero(np.diff(data.words, prepend=-1))
        lengths = np.diff(np.append(starts, len(data.words)))
        self.word_length = put(np.append(lengths, 0))
        first_word = np.searchsorted(starts, data.first)
        self.first_word, self.words = put(first_word[:-1]), put(np.diff(first_word))

    def __len__(self) -> int:
        return len(self.start)

    @property
    def device(self) -> torch.device:
        """Where batches are."""
        return self.start.device

    def batch(self, utterances: Tensor, features: bool = True) -> ScoringBatch:
        """The utterances at int64 ``[S, B]``; without ``features`` they have no columns."""
        lengths = self.length[utterances]
        rows = _places(self.start[utterances], lengths, len(self.phones) - 1)
        groups: dict[str, Any]
        if self.recurrent:
            layout = make_layout(lengths)  # it always has one phone of filling
            rows = functional.pad(rows, (0, 1), value=len(self.phones) - 1)
            groups = {"layout": layout}
        else:
            words = self.words[utterances]
            places = _places(self.first_word[utterances], words, len(self.word_length) - 1)
            of_words = Groups(self.word_length[places], rows.shape[1])
            groups = {"of_words": of_words, "of_utterances": Groups(words)}
        columns = self.features if features else self.features[:, :0]
        taken = columns.index_select(0, rows.flatten()).view(*rows.shape, -1)
        return ScoringBatch(taken, self.phones[rows], self.labels[utterances], **groups)


def _places(first: Tensor, lengths: Tensor, filling: int) -> Tensor:
    """The numbers from ``first`` on, ``lengths`` of them, of each of ``[S, B]``: ``[S, N]``."""
    groups = Groups(lengths)
    moved = (first.flatten() - groups.starts)[groups.group]
    places = first.new_full((groups.models * groups.tokens,), filling)
    places[groups.token] = torch.arange(len(moved), device=first.device) + moved
    return places.view(groups.models, -1)
