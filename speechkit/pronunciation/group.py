"""Seeds of a scorer of pronunciation that are trained in one, and what a step of theirs is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from speechkit.base.random_draws import rng
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.pronunciation.data import Windows
from speechkit.pronunciation.loss import MultiAspectMSE, status_loss
from speechkit.pronunciation.models import SetScorer, build
from speechkit.stats.score_metrics import mean_pcc, measure
from speechkit.training.stacked import SeedGroup

_CHANGED = 0x52  # stream of draws


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
        super().__init__(config, net, said or len(windows), seeds, device, betas)
        self.config, self.windows, self.criterion = config, windows, criterion
        self.scorers = {name: SetScorer(each, len(seeds)) for name, each in measured.items()}

    def _order(self) -> torch.Tensor:
        """The windows of an epoch; in the place of some, drawn at random, changed texts."""
        order, changed = super()._order(), len(self.windows) - self.items
        count = min(round(self.config.negatives * self.items), changed)
        for seed, row in zip(self.seeds, order, strict=True):
            draw = rng(seed, _CHANGED, self.epoch)
            places = torch.from_numpy(draw.permutation(self.items)[:count])
            row[places] = torch.from_numpy(self.items + draw.permutation(changed)[:count])
        return order

    def _loss(self, chosen: torch.Tensor) -> torch.Tensor:
        """Loss of each seed ``[S]`` on its windows ``[S, B]``."""
        shape, batch = self.windows.config, self.windows.batch(chosen)
        found = self.net(batch.features, batch.phones, batch.layout)
        terms = [
            self.criterion.terms(names, predicted, labels, keep=1)
            for names, predicted, labels in (
                (shape.token_aspects, found.tokens, batch.tokens),
                (shape.utterance_aspects, found.utterances, batch.utterances),
            )
            if names
        ]
        names = (*shape.token_aspects, *shape.utterance_aspects)
        total = self.criterion.reduce(names, torch.cat(terms, dim=-1))
        return (
            total if found.statuses is None else total + status_loss(found.statuses, batch.statuses)
        )

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
