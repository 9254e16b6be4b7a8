"""Seeds of a scorer trained in one on features that stay as they are: the frozen stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speechkit.scoring.batches import Batches
from speechkit.scoring.models import Scorer, score
from speechkit.stats.score_metrics import mse, pcc
from speechkit.training.config import learning_rate
from speechkit.training.stacked import SeedGroup

SELECT, TRACK = "select", "track"
TOGETHER = 16  # seeds of a group on the CPU: one takes little of the cache


@dataclass(frozen=True)
class Plan:
    """How a stage with a frozen acoustic model is trained.

    Args:
        epochs: over the utterances.
        batch_size: utterances of a step.
        learning_rate: the peak.
        weight_decay: of AdamW.
        steps: of all epochs.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    steps: int

    def rate(self, epoch: int, step: int) -> float:
        """Learning rate of a step (counted over all epochs): warm-up, then half a cosine."""
        return learning_rate(step, self.steps, self.learning_rate)


class Group(SeedGroup):
    """Seeds that are trained in one, with the mean squared error (Eq. 3).

    Args:
        plan: how.
        net: the S models.
        batches: the training set.
        pools: utterances that each seed learns from, int64 ``[S, n]``.
        measured: ``track`` and ``select`` -> sets that are measured after every epoch.
        seeds: which.
        device: where.
        streams: of the draws of order and dropout: others in each stage.
    """

    def __init__(
        self,
        plan: Plan,
        net: Scorer,
        batches: Batches,
        pools: Tensor,
        measured: Mapping[str, Batches],
        seeds: Sequence[int],
        device: torch.device,
        streams: tuple[int, int],
    ) -> None:
        super().__init__(plan, net, pools.shape[1], seeds, device, decoupled=True)
        self.batches, self.pools, self.measured = batches, pools, dict(measured)
        self.streams = streams
        self._seen: list[tuple[Tensor, Tensor]] = []

    def _order(self) -> Tensor:
        return self.pools.gather(1, super()._order())

    def _loss(self, chosen: Tensor) -> Tensor:
        batch = self.batches.batch(chosen)
        scores = self.net(batch)
        self._seen.append((scores.detach(), batch.labels))
        return (scores - batch.labels).square().mean(1)

    def _measure(self, losses: Tensor) -> None:
        """``train_pcc`` is of the scores in the course of the epoch, with dropout."""
        rate = self.adam.param_groups[0]["lr"]
        scores, labels = (
            torch.cat(part, 1).cpu().numpy() for part in zip(*self._seen, strict=True)
        )
        self._seen = []
        rows = [
            {
                "learning_rate": rate,
                "train_mse": float(mse(one, given)),
                "train_pcc": float(pcc(one, given)),
            }
            for one, given in zip(scores, labels, strict=True)
        ]
        for name, batches in self.measured.items():
            found, given = score(self.net, batches), batches.found.labels
            for row, one in zip(rows, found, strict=True):
                row[f"{name}_pcc"] = float(pcc(one, given))
                row[f"{name}_mse"] = float(mse(one, given))
        for place, row in enumerate(rows):
            self.rows[place].append(row)
            chosen = row.get(f"{SELECT}_pcc")
            # Where scores do not vary there is no correlation, and any other epoch is better.
            self.keep_best(place, -2.0 if chosen is not None and np.isnan(chosen) else chosen)
