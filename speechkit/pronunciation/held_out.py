"""Statuses of the words of a training set by models that have not met its speakers.

A model that was trained on a speaker is surer of their words than of a stranger's, so thresholds
of P(said) are set by four further models, each trained without a quarter of the speakers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from speechkit.base.random_draws import rng
from speechkit.phone_features.scored_set import ScoredSet
from speechkit.pronunciation.data import Windows
from speechkit.pronunciation.models import SetScorer
from speechkit.training import stacked_runs
from speechkit.training.stacked import SeedGroup

FOLDS = 4
_SPEAKERS = 0x53  # stream of draws


@dataclass
class HeldOut:
    """The models, one for each fold of speakers.

    Args:
        found: the training set, whose words were all said.
        learned: the same and its changed texts.
        windows: makes the windows of a set.
        group: makes what trains a seed on windows, of which so many are the training set.
    """

    found: ScoredSet
    learned: ScoredSet
    windows: Callable[[ScoredSet], Windows]
    group: Callable[[Windows, int, int], SeedGroup]

    def __post_init__(self) -> None:
        names = sorted(set(self.found.speakers))
        order = rng(0, _SPEAKERS).permutation(len(names)).tolist()
        self.count = min(FOLDS, len(names))
        self._fold = {names[which]: place % self.count for place, which in enumerate(order)}
        kept = [self._part(self.found, k, held=False) for k in range(self.count)]
        self.groups = [
            self.group(self._part(self.learned, k, held=False), len(own), k)
            for k, own in enumerate(kept)
        ]

    def _part(self, data: ScoredSet, fold: int, held: bool) -> Windows:
        numbers = [u for u, who in enumerate(data.speakers) if (self._fold[who] == fold) == held]
        return self.windows(data.part(numbers))

    def resumed(
        self, file: Callable[[str], Path], device: torch.device
    ) -> list[tuple[SeedGroup, Path]]:
        """The models, gone on to where an earlier run was, and where their states are saved."""
        pairs = []
        for fold, group in enumerate(self.groups):
            path = file(f"heldout{fold}.pt")
            company = stacked_runs.arrange([fold], {fold: path}, 1, device)[0]
            pairs.append((company.load(group), path))
        return pairs

    def statuses(self) -> np.ndarray:
        """Probabilities ``[W, 3]`` of the training set's words."""
        of_utterance: dict[str, np.ndarray] = {}
        for fold, group in enumerate(self.groups):
            windows = self._part(self.found, fold, held=True)
            found = SetScorer(windows, 1).score(group.net.eval())[1]
            assert found is not None
            parts = np.split(found[0], windows.data.first_word[1:-1])
            of_utterance |= dict(zip(windows.data.utterances, parts, strict=True))
        return np.concatenate([of_utterance[name] for name in self.found.utterances])
