"""Several seeds of a small model trained in one, every parameter with a leading dimension S.

Worked example: a linear layer of 3 inputs and 2 outputs, seeds 7 and 8. Its weight is
``[2, 2, 3]``, a batch of 4 items of each seed ``[2, 4, 3]``, and one ``bmm`` gives the outputs
``[2, 4, 2]``. The losses are two numbers. The gradient of their sum is, in the first slice of the
weight, that of the loss of seed 7 alone: the loss of seed 8 does not depend on that slice. Adam
works number by number, so that its step is that of each seed too.

Seeds never touch each other: each has its own order of items, its own slice of every
parameter and of Adam's averages, and its own loss. What a seed becomes is the same alone or
in any company, but for rounding; in the same company it is the same to the byte (see
:mod:`speechkit.training.stacked_runs`).
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import count
from typing import Any, Protocol

import torch

from speechkit.base.errors import UserError
from speechkit.base.random_draws import rng
from speechkit.training.curves import Tell
from speechkit.training.loop import steps

State = dict[str, Any]
"""Of one seed: epoch, rows, weights, Adam's averages, and the best epoch so far."""


class Schedule(Protocol):
    """What a configuration says of the training."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


class SeedGroup(ABC):
    """Seeds that are trained in one.

    Args:
        config: how.
        net: the S models in one; its ``dropout`` draws from ``generators`` of each.
        items: that each seed learns from in an epoch.
        seeds: which.
        device: where.
        betas: of Adam.
        decoupled: weight decay as AdamW has it, instead of L2.
    """

    streams = (0x50, 0x51)  # of draws: order, dropout

    def __init__(
        self,
        config: Schedule,
        net: Any,
        items: int,
        seeds: Sequence[int],
        device: torch.device,
        betas: tuple[float, float] = (0.9, 0.999),
        decoupled: bool = False,
    ) -> None:
        self.schedule, self.items = config, items
        self.seeds, self.device, self.epoch = list(seeds), device, 0
        self.net = net.to(device)
        self.flat = flatten(self.net)
        kind: Any = torch.optim.AdamW if decoupled else torch.optim.Adam
        self.adam = kind(
            [self.flat],
            lr=config.learning_rate,
            betas=betas,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.rows: list[list[dict[str, float]]] = [[] for _ in seeds]
        self.tells: list[Tell] = []  # of each seed: what is called with its rows
        self.best: list[State] = [{"epoch": 0, "value": -math.inf, "weights": {}} for _ in seeds]

    @abstractmethod
    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0 over all epochs."""

    @abstractmethod
    def _loss(self, chosen: torch.Tensor) -> torch.Tensor:
        """Loss of each seed ``[S]`` on its items ``[S, B]``."""

    @abstractmethod
    def _measure(self, losses: torch.Tensor) -> None:
        """Add a row to the log of each seed, and :meth:`keep_best`."""

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-self.items // self.schedule.batch_size)

    @property
    def finished(self) -> bool:
        return self.epoch >= self.schedule.epochs

    def advance(self, epochs: int, stop: threading.Event) -> int:
        """Train so many epochs more, or until ``stop`` is set; returns how many it were."""
        before = self.epoch
        while not self.finished and self.epoch < before + epochs and not stop.is_set():
            losses = self._train()
            self.epoch += 1
            self._measure(losses)
        return self.epoch - before

    def _order(self) -> torch.Tensor:
        """The items of an epoch, in the order of each seed, int64 ``[S, items]``."""
        draws = [rng(seed, self.streams[0], self.epoch) for seed in self.seeds]
        return torch.stack([torch.from_numpy(draw.permutation(self.items)) for draw in draws])

    def _train(self) -> torch.Tensor:
        """One epoch; mean loss of each seed ``[S]``."""
        net, size = self.net.train(), self.schedule.batch_size
        order = self._order().to(self.device)
        net.dropout.generators = [
            torch.Generator(self.device).manual_seed(
                int(rng(seed, self.streams[1], self.epoch).integers(2**62))
            )
            for seed in self.seeds
        ]
        total = torch.zeros(len(self.seeds), device=self.device)
        number = count(self.epoch * self.steps)

        def set_rate() -> None:
            self.adam.param_groups[0]["lr"] = self.rate(next(number))

        batches = order.split(size, dim=1)
        for losses in steps(batches, self._loss, self.adam, before=set_rate, keep_gradients=True):
            total += losses
        net.dropout.generators = ()
        if not torch.isfinite(total).all():
            raise UserError(
                f"The loss is not finite in epoch {self.epoch + 1}.", "Lower `learning_rate`."
            )
        return total / self.steps

    def keep_best(self, place: int, value: float | None) -> None:
        """Keep the weights of a seed if this epoch is better than all before."""
        if value is not None and value > self.best[place]["value"]:
            self.best[place] = {
                "epoch": self.epoch,
                "value": value,
                "weights": self.weights(place),
            }

    def chosen(self, place: int) -> tuple[int, dict[str, torch.Tensor]]:
        """Epoch, from 1, and weights that a seed ends with: the best, or the last."""
        best = self.best[place]
        if best["epoch"]:
            return best["epoch"], best["weights"]
        return self.epoch, self.weights(place)

    def weights(self, place: int) -> dict[str, torch.Tensor]:
        """Parameters of one seed now, on the CPU."""
        return {n: p.detach()[place].cpu().clone() for n, p in self.net.named_parameters()}

    def states(self) -> list[State]:
        """What each seed needs to go on."""
        averages = self.adam.state[self.flat] if self.epoch else {}
        parts = {key: self._parts(averages[key]) for key in ("exp_avg", "exp_avg_sq") if self.epoch}
        return [
            {
                "epoch": self.epoch,
                "rows": self.rows[place],
                "best": self.best[place],
                "weights": self.weights(place),
                **{
                    key: {name: part[place].cpu().clone() for name, part in of.items()}
                    for key, of in parts.items()
                },
            }
            for place in range(len(self.seeds))
        ]

    def load(self, states: Sequence[State]) -> None:
        """Go on from the states of the seeds (all of one epoch)."""
        self.epoch = states[0]["epoch"]
        self.rows = [list(state["rows"]) for state in states]
        self.best = [state["best"] for state in states]
        if not self.epoch:
            return
        averages = {key: torch.zeros_like(self.flat.data) for key in ("exp_avg", "exp_avg_sq")}
        with torch.no_grad():
            for key, flat in {"weights": self.flat.data, **averages}.items():
                for name, part in self._parts(flat).items():
                    part.copy_(torch.stack([state[key][name] for state in states]))
        step = torch.tensor(float(self.epoch * self.steps), device=self.device)
        self.adam.state[self.flat] = {"step": step, **averages}

    def _parts(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """Views of a flat tensor in the shapes of the parameters, by their names."""
        named = dict(self.net.named_parameters())
        pieces = flat.split([p.numel() for p in named.values()])
        return {
            name: piece.view(p.shape)
            for (name, p), piece in zip(named.items(), pieces, strict=True)
        }


def flatten(net: torch.nn.Module) -> torch.nn.Parameter:
    """Make all parameters and their gradients views of one parameter, and return it.

    An optimizer then does one thing instead of one for each of fifty small tensors.
    """
    parameters = list(net.parameters())
    flat = torch.nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    flat.grad = torch.zeros_like(flat)
    sizes = [p.numel() for p in parameters]
    parts = zip(parameters, flat.data.split(sizes), flat.grad.split(sizes), strict=True)
    for parameter, value, gradient in parts:
        parameter.data = value.view(parameter.shape)
        parameter.grad = gradient.view(parameter.shape)
    return flat
