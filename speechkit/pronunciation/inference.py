"""Scores of a whole set by several models at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speechkit.pronunciation.data import Windows
from speechkit.pronunciation.models import Scorer
from speechkit.training.packing import Layout

CHUNK = 64  # windows computed at once: what stays in the cache


@dataclass(frozen=True)
class _Chunk:
    windows: Tensor
    rows: Tensor
    layout: Layout


class SetScorer:
    """Predicts all scores of a set; made once for as many times as it is asked.

    Windows are computed in the order of their lengths, so that little is padding.

    Args:
        windows: of the set.
        models: S.
    """

    def __init__(self, windows: Windows, models: int) -> None:
        self.windows = windows
        order = torch.argsort(windows.length, stable=True)
        self.chunks = []
        for chosen in order.split(CHUNK):
            wide = chosen.expand(models, -1)
            layout = windows.config.layout(windows.length[wide])
            self.chunks.append(_Chunk(chosen, windows.rows(wide, layout)[0], layout))
        found = windows.found
        places, self._starts = np.unique(found.words, return_index=True)
        self._words, self._counts = places, np.diff(np.append(self._starts, len(found.words)))

    def __call__(self, net: Scorer) -> dict[str, np.ndarray]:
        """Aspect -> predictions from 0 to 2 in the order of the set's labels, ``[S, n]``.

        Those of a word are the mean of its phones', those of an utterance in several windows
        the mean of the windows' by their numbers of phones.
        """
        windows, config = self.windows, self.windows.config
        models, device = net.models, windows.features.device
        rows = len(windows.phones)  # the last is that of filling
        tokens = torch.empty(models, rows, len(config.token_aspects), device=device)
        ends = torch.empty(models, len(windows), len(config.utterance_aspects), device=device)
        with torch.inference_mode():
            for chunk in self.chunks:
                features = windows.features[chunk.rows].expand(models, -1, -1)
                phones = windows.phones[chunk.rows].expand(models, -1)
                scores = net(features, phones, chunk.layout)
                tokens[:, chunk.rows] = scores.tokens
                ends[:, chunk.windows] = scores.utterances
        return {
            **self._levels(tokens[:, :-1].cpu().numpy()),
            **self._utterances(ends.double().cpu().numpy()),
        }

    def _levels(self, tokens: np.ndarray) -> dict[str, np.ndarray]:
        named = {}
        for k, aspect in enumerate(self.windows.config.token_aspects):
            values = tokens[..., k].astype(np.float64)
            if aspect.startswith("word_"):
                means = np.full((len(values), len(self.windows.found.texts)), np.nan)
                sums = np.add.reduceat(values, self._starts, axis=1)
                means[:, self._words] = sums / self._counts
                values = means
            named[aspect] = values
        return named

    def _utterances(self, ends: np.ndarray) -> dict[str, np.ndarray]:
        length = self.windows.length.cpu().numpy().astype(np.float64)
        utterance = self.windows.utterance.cpu().numpy()
        starts = np.flatnonzero(np.diff(utterance, prepend=-1))
        total = np.add.reduceat(length, starts)
        return {
            aspect: np.add.reduceat(ends[..., k] * length, starts, axis=1) / total
            for k, aspect in enumerate(self.windows.config.utterance_aspects)
        }
