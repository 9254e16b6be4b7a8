"""Seeds of a scorer of pronunciation that are trained in one, and what a step of theirs is.

Statuses of the words of a training set are those of models that have not met its speakers: a model
that was trained on a speaker is surer of their words than of a stranger's, so thresholds of P(said)
are set by four further models, each trained without a quarter of the speakers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from speechkit.base.random_draws import rng
from speechkit.phone_features.scored_set import ScoredSet
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.pronunciation.data import Windows
from speechkit.pronunciation.loss import MultiAspectMSE, status_loss
from speechkit.pronunciation.models import Predictions, SetScorer, build
from speechkit.stats.score_metrics import mean_pcc, measure
from speechkit.training import stacked_runs
from speechkit.training.stacked import SeedGroup

_CHANGED = 0x52  # stream of draws
FOLDS = 4
_SPEAKERS = 0x53  # stream of draws


class Group(SeedGroup):
    """Seeds that are trained in one.

    Args:
        config: how.
        windows: the training set, then the texts that were not said as they stand.
        criterion: the loss.
        measured: ``track`` and ``select`` -> sets that are measured after every epoch.
        seeds: which.
        device: where.
        said: how many of the windows are the training set; default: all.
    """

    def __init__(
        self,
        config: PronunciationConfig,
        windows: Windows,
        criterion: MultiAspectMSE,
        measured: Mapping[str, Windows],
        seeds: Sequence[int],
        device: torch.device,
        said: int | None = None,
    ) -> None:
        net, betas = build(windows.config, seeds), (config.beta1, config.beta2)
        self.said = said or len(windows)
        self.changed = min(round(config.negatives * self.said), len(windows) - self.said)
        super().__init__(config, net, self.said + self.changed, seeds, device, betas)
        self.config, self.windows, self.criterion = config, windows, criterion
        self.scorers = {name: SetScorer(each, len(seeds)) for name, each in measured.items()}

    def rate(self, step: int) -> float:
        return self.config.rate(self.epoch, step)

    def _order(self) -> torch.Tensor:
        """The windows of an epoch: all that were said, and some of the others, drawn anew."""
        order, others = super()._order(), len(self.windows) - self.said
        for seed, row in zip(self.seeds, order, strict=True):
            drawn = rng(seed, _CHANGED, self.epoch).permutation(others)[: self.changed]
            row[row >= self.said] = self.said + torch.from_numpy(drawn)
        return order

    def _loss(self, chosen: torch.Tensor) -> torch.Tensor:
        """Loss of each seed ``[S]`` on its windows ``[S, B]``."""
        batch = self.windows.batch(chosen)
        found = self.net(batch.features, batch.phones, batch.layout)
        if found.aside is None or found.statuses is None:
            return self._of_scores(found, batch.tokens, batch.utterances)
        # What scores learns from texts that were said alone.
        changed = (chosen >= self.said).gather(1, batch.layout.sequences)
        tokens = batch.tokens.masked_fill(changed[..., None], torch.nan)
        loss = self._of_scores(found, tokens, batch.utterances)
        loss = loss + self._of_scores(found.aside, batch.tokens, batch.utterances)
        return loss + status_loss(found.statuses, batch.statuses)

    def _of_scores(
        self, found: Predictions, tokens: torch.Tensor, utterances: torch.Tensor
    ) -> torch.Tensor:
        shape = self.windows.config
        terms = [
            self.criterion.terms(names, predicted, labels, keep=1)
            for names, predicted, labels in (
                (shape.token_aspects, found.tokens, tokens),
                (shape.utterance_aspects, found.utterances, utterances),
            )
            if names
        ]
        names = (*shape.token_aspects, *shape.utterance_aspects)
        return self.criterion.reduce(names, torch.cat(terms, dim=-1))

    def _measure(self, losses: torch.Tensor) -> None:
        """Add a row to the log of each seed, and keep the weights of the best epoch."""
        self.net.eval()
        rate = self.adam.param_groups[0]["lr"]
        rows = [{"learning_rate": rate, "train_loss": loss} for loss in losses.tolist()]
        for name, scorer in self.scorers.items():
            found = measure(scorer(self.net), scorer.windows.data.labels)
            found["mean_pcc"] = mean_pcc(found)
            for place, row in enumerate(rows):
                row.update({f"{name}_{key}": float(v[place]) for key, v in found.items()})
        for place, row in enumerate(rows):
            self.rows[place].append(row)
            self.keep_best(place, row.get("select_mean_pcc"))


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
