"""Several seeds of a small model trained in one: the loop of ``train pronunciation``.

Seeds never touch each other: each has its own order of utterances, its own slice of every
parameter and of Adam's averages, and its own loss. What a seed becomes is the same alone or
in any company, but for rounding.
"""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import torch

from speechkit.errors import UserError
from speechkit.files import atomic_write
from speechkit.pronunciation.batches import Windows
from speechkit.pronunciation.inference import SetScorer
from speechkit.pronunciation.losses import MultiAspectMSE
from speechkit.pronunciation.metrics import mean_pcc, measure
from speechkit.pronunciation.models import build
from speechkit.pronunciation.settings import TrainConfig
from speechkit.training.seeds import rng

_ORDER, _DROPOUT = 0x50, 0x51  # streams of draws
_BLOCK = 5  # epochs between checkpoints
_TOGETHER = 2  # seeds that fit the cache of a core

State = dict[str, Any]
"""Of one seed: epoch, rows, weights, Adam's averages, and the best epoch so far."""


class Group:
    """Seeds that are trained in one.

    Args:
        config: how.
        windows: the training set.
        criterion: the loss.
        measured: ``track`` and ``select`` -> sets that are measured after every epoch.
        seeds: which.
        device: where.
    """

    def __init__(
        self,
        config: TrainConfig,
        windows: Windows,
        criterion: MultiAspectMSE,
        measured: Mapping[str, Windows],
        seeds: Sequence[int],
        device: torch.device,
    ) -> None:
        self.config, self.windows, self.criterion = config, windows, criterion
        self.seeds, self.device, self.epoch = list(seeds), device, 0
        self.net = build(windows.config, seeds).to(device)
        self.flat = flatten(self.net)
        self.adam = torch.optim.Adam(
            [self.flat],
            lr=config.learning_rate,
            betas=(config.beta1, config.beta2),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.scorers = {name: SetScorer(each, len(seeds)) for name, each in measured.items()}
        self.rows: list[list[dict[str, float]]] = [[] for _ in seeds]
        self.best: list[State] = [{"epoch": 0, "value": -math.inf, "weights": {}} for _ in seeds]

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return -(-len(self.windows) // self.config.batch_size)

    @property
    def finished(self) -> bool:
        return self.epoch >= self.config.epochs

    def advance(self, epochs: int, stop: threading.Event) -> int:
        """Train so many epochs more, or until ``stop`` is set; returns how many it were."""
        before = self.epoch
        while not self.finished and self.epoch < before + epochs and not stop.is_set():
            losses = self._train()
            self.epoch += 1
            self._measure(losses)
        return self.epoch - before

    def _train(self) -> torch.Tensor:
        """One epoch; mean loss of each seed ``[S]``."""
        net, config, size = self.net.train(), self.config, self.config.batch_size
        draws = [rng(seed, _ORDER, self.epoch) for seed in self.seeds]
        orders = [torch.from_numpy(draw.permutation(len(self.windows))) for draw in draws]
        order = torch.stack(orders).to(self.device)
        net.dropout.generators = [
            torch.Generator(self.device).manual_seed(
                int(rng(seed, _DROPOUT, self.epoch).integers(2**62))
            )
            for seed in self.seeds
        ]
        total = torch.zeros(len(self.seeds), device=self.device)
        for step, chosen in enumerate(order.split(size, dim=1)):
            rate = config.rate(self.epoch, self.epoch * self.steps + step)
            self.adam.param_groups[0]["lr"] = rate
            loss = self._loss(chosen)
            self.adam.zero_grad(set_to_none=False)  # the gradients are views of one
            loss.sum().backward()
            self.adam.step()
            total += loss.detach()
        net.dropout.generators = ()
        if not torch.isfinite(total).all():
            raise UserError(
                f"The loss is not finite in epoch {self.epoch + 1}.", "Lower --learning-rate."
            )
        return total / self.steps

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
        return self.criterion.reduce(names, torch.cat(terms, dim=-1))

    def _measure(self, losses: torch.Tensor) -> None:
        """Add a row to the log of each seed, and keep the weights of the best epoch."""
        self.net.eval()
        rate = self.adam.param_groups[0]["lr"]
        rows = [{"learning_rate": rate, "train_loss": loss} for loss in losses.tolist()]
        for name, scorer in self.scorers.items():
            found = measure(scorer(self.net), scorer.windows.found.labels)
            found["mean_pcc"] = mean_pcc(found)
            for place, row in enumerate(rows):
                row.update({f"{name}_{key}": float(v[place]) for key, v in found.items()})
        for place, row in enumerate(rows):
            self.rows[place].append(row)
            value = row.get("select_mean_pcc")
            if value is not None and value > self.best[place]["value"]:
                self.best[place] = {
                    "epoch": self.epoch,
                    "value": value,
                    "weights": self.weights(place),
                }

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


def arrange(states: Mapping[int, State | None], workers: int, device: torch.device) -> list:
    """Seeds in groups: on CUDA all in one, on the CPU few enough for the cache of a core.

    Args:
        states: seed -> what an earlier run left of it.
        workers: threads.
        device: where.

    Returns:
        Lists of seeds; those of a list are at the same epoch.
    """
    seeds = sorted(states)
    count = (
        1 if device.type == "cuda" else max(min(len(seeds), workers), -(-len(seeds) // _TOGETHER))
    )
    size = -(-len(seeds) // count)
    groups = [seeds[first : first + size] for first in range(0, len(seeds), size)]
    found: list[list[int]] = []
    for group in groups:  # a run that was killed may have saved only some of a group
        by_epoch: dict[int, list[int]] = {}
        for seed in group:
            by_epoch.setdefault((states[seed] or {"epoch": 0})["epoch"], []).append(seed)
        found += by_epoch.values()
    return found


def run(
    groups: Sequence[Group],
    files: Mapping[int, Path],
    workers: int,
    advance: Callable[[int], None],
) -> None:
    """Train groups to the end in threads, a few epochs at a time, those furthest behind first.

    Args:
        groups: what to train.
        files: seed -> where its state is saved.
        workers: threads; on the CPU each computes with one.
        advance: told of every finished epoch of a seed.
    """
    stop = threading.Event()
    threads = torch.get_num_threads()
    waiting = [group for group in groups if not group.finished]
    running: dict[Future, Group] = {}
    try:
        with ThreadPoolExecutor(workers, initializer=_single) as pool:
            try:
                while waiting or running:
                    waiting.sort(key=lambda group: group.epoch, reverse=True)
                    while waiting and len(running) < workers:
                        group = waiting.pop()
                        running[pool.submit(group.advance, _BLOCK, stop)] = group
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        group = running.pop(future)
                        advance(future.result() * len(group.seeds))
                        save(group, files)
                        if not group.finished:
                            waiting.append(group)
            except BaseException:
                stop.set()
                raise
    finally:
        torch.set_num_threads(threads)


def _single() -> None:
    torch.set_num_threads(1)


def save(group: Group, files: Mapping[int, Path]) -> None:
    """Write the state of each seed."""
    for seed, state in zip(group.seeds, group.states(), strict=True):
        packed = io.BytesIO()
        torch.save(state, packed)
        with atomic_write(files[seed], "wb") as file:
            file.write(packed.getbuffer())


def restore(file: Path) -> State | None:
    """The state that an earlier run saved, if there is one."""
    return torch.load(file, map_location="cpu", weights_only=True) if file.exists() else None
