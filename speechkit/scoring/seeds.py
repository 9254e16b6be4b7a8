"""Seeds of a scorer: their state between stages, and several trained in one by the MSE (Eq. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from speechkit.base.errors import UserError
from speechkit.base.log import counted
from speechkit.base.random_draws import rng
from speechkit.scoring.batches import Batches
from speechkit.scoring.data import ScoringSet
from speechkit.scoring.models import Scorer, ScorerConfig, build, score
from speechkit.stats.score_metrics import mse, pcc
from speechkit.training.config import learning_rate
from speechkit.training.normaliser import Normaliser, fit
from speechkit.training.stacked import Schedule, SeedGroup
from speechkit.training.weights import put, stack

SELECT, TRACK = "select", "track"
TOGETHER = 16  # seeds of a group on the CPU: one takes little of the cache
_LABELLED = 0x60  # stream of the draw of labelled utterances

Weights = dict[str, torch.Tensor]


@dataclass
class Seed:
    """One seed between its stages.

    Args:
        number: the seed.
        weights: of its scorer, with the statistics of its inputs.
        acoustic: folder that holds ``acoustic/``, once a stage has updated the acoustic model.
        rows: the log so far.
        epoch: that the last stage ended with, from 1.
        last: what was measured in that epoch.
        pool: utterances that the last stage learned from, int64 ``[n]``.
    """

    number: int
    weights: Weights
    acoustic: Path | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    epoch: int = 0
    last: Mapping[str, float] = field(default_factory=dict)
    pool: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def finish(
        self, stage: str, rows: Sequence[Mapping[str, float]], epoch: int, weights: Weights
    ) -> None:
        """Take what a stage made of it."""
        self.rows += [{"stage": stage, "epoch": n, **row} for n, row in enumerate(rows, 1)]
        self.epoch, self.last = epoch, rows[epoch - 1]
        self.weights = {**self.weights, **weights}


def statistics(features: np.ndarray) -> Normaliser:
    """Mean and deviation of each column of ``[N, D]``."""
    return fit(features, np.zeros(0, np.int64), "column", 1)


def begin(config: ScorerConfig, number: int, inputs: Normaliser) -> Seed:
    """A seed with random weights.

    Args:
        config: shape of the scorer.
        number: the seed.
        inputs: statistics of the phones that the first stage learns from.
    """
    net = build(config, [number])
    net.mean.copy_(torch.from_numpy(inputs.mean))
    net.std.copy_(torch.from_numpy(inputs.std))
    return Seed(number, {name: value[0].clone() for name, value in net.state_dict().items()})


def stacked(config: ScorerConfig, seeds: Sequence[Seed]) -> Scorer:
    """The scorers of seeds in one."""
    net = build(config, [seed.number for seed in seeds])
    put(net, stack([seed.weights for seed in seeds], "The start"), "The start")
    return net


def draw_pool(found: ScoringSet, labelled: int, seed: int) -> np.ndarray:
    """The utterances that a seed learns from, int64 ``[n]``, in the order of the set.

    Args:
        found: the set.
        labelled: how many; 0: all.
        seed: the seed.

    Raises:
        UserError: there are not so many.
    """
    count = len(found.utterances)
    if labelled > count:
        raise UserError(
            f"`labelled` {labelled}: '{found.name}' has {counted(count, 'utterance')} with "
            f"features and a score of {found.target}.",
            f"Give {count} at most; 0 takes all.",
        )
    if not labelled:
        return np.arange(count)
    return np.sort(rng(seed, _LABELLED).permutation(count)[:labelled])


class Group(SeedGroup):
    """Seeds that are trained in one, with the mean squared error (Eq. 3).

    Args:
        plan: how: a warm-up, then half a cosine.
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
        plan: Schedule,
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

    def rate(self, step: int) -> float:
        total = self.steps * self.schedule.epochs
        return learning_rate(step, total, self.schedule.learning_rate)

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
            found, given = score(self.net, batches), batches.data.labels
            for row, one in zip(rows, found, strict=True):
                row[f"{name}_pcc"] = float(pcc(one, given))
                row[f"{name}_mse"] = float(mse(one, given))
        for place, row in enumerate(rows):
            self.rows[place].append(row)
            chosen = row.get(f"{SELECT}_pcc")
            # Where scores do not vary there is no correlation, and any other epoch is better.
            self.keep_best(place, -2.0 if chosen is not None and np.isnan(chosen) else chosen)
