"""The state of a run: steps, measures, the best weights, and what a resumed run needs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from speechkit.base.random_draws import rng
from speechkit.training.batches import place_after
from speechkit.training.config import FitConfig, halvings, learning_rate, linear_rate
from speechkit.training.devices import mean_of_ranks, ranks
from speechkit.training.guard import Guard
from speechkit.training.tracking import EventFile
from speechkit.training.weights import read_checkpoint, write_checkpoint

_STEP = 0x57  # stream of draws inside the model (dropout), by step
_KEPT = ("rows", "best", "loss_sum", "loss_count", "seconds")  # saved as they are


class Held:
    """A batch on the device of its model. (What Fabric knows, it would take apart and copy.)"""

    def __init__(self, batch: Any) -> None:
        self.batch = batch


class Trainable(torch.nn.Module):
    """A model to fit: subclasses define ``loss`` and ``measure``.

    Attributes:
        writer: TensorBoard's, while ``fit`` runs (in the first process only).
    """

    writer: EventFile | None = None

    def loss(self, batch: Any) -> torch.Tensor:
        """Training loss of a batch (a scalar)."""
        raise TypeError(f"{type(self).__name__} does not define loss()")

    def forward(self, held: Held) -> torch.Tensor:
        """The loss, for who wraps the model."""
        return self.loss(held.batch)

    def measure(self) -> dict[str, float]:
        """Validation measures by name; called in eval mode without gradients."""
        raise TypeError(f"{type(self).__name__} does not define measure()")

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return next(self.parameters()).device

    def new_optimizer(self) -> torch.optim.Optimizer:
        """For the parameters that are trained; its learning rate is set at every step."""
        return torch.optim.Adam(self.trained_parameters(), lr=1e-3)

    def trained_parameters(self) -> Iterable[torch.nn.Parameter]:
        """Parameters of the optimizer."""
        return (p for p in self.parameters() if p.requires_grad)


class State:
    """Steps, validation, the log, the best weights, saving and restoring."""

    def __init__(
        self,
        config: FitConfig,
        per_epoch: int,
        file: Path,
        write_row: Callable[[int, dict[str, float]], None],
    ) -> None:
        self.config, self.per_epoch, self.file = config, per_epoch, file
        self.write_row = write_row
        self.advance: Callable[[int], None] = lambda steps: None
        self.total = config.batches or config.epochs * per_epoch
        self.step, self.loss_sum, self.loss_count = 0, 0.0, 0
        self.guard = Guard()
        self.rows: list[dict[str, float]] = []
        self.seconds: list[float] = []
        self.spent, self.started = 0.0, time.monotonic()
        self.best: dict[str, dict[str, Any]] = {
            name: {"value": math.inf, "epoch": 0, "weights": {}}
            for name in (config.monitor, *config.keep)
        }
        self.saved = time.monotonic()
        self.precision: Any = None  # what scales losses, where something does
        self.interrupted = False
        self.kept = ""  # how far the state in the file is

    @property
    def epoch(self) -> int:
        """Epochs that were measured."""
        return len(self.rows)

    @property
    def counted(self) -> int:
        """The epoch or the step of the optimizer, as rows are counted."""
        steps = -(-self.step // self.config.accumulate)
        return self.epoch if self.config.unit == "epoch" else steps

    def _words(self) -> str:
        """How far the training is."""
        if self.config.unit == "epoch" and self.epoch:
            return f"epoch {self.epoch} of {self.config.epochs}"
        steps = [-(-count // self.config.accumulate) for count in (self.step, self.total)]
        return f"step {steps[0]} of {steps[1]}"

    @property
    def stopped_early(self) -> bool:
        waited = self.epoch - self.best[self.config.monitor]["epoch"]
        return 0 < self.config.patience <= waited

    def load(self, model: Trainable) -> dict[str, Any] | None:
        """Restore all but the optimizer; returns what the optimizer still needs."""
        if not self.file.exists():
            return None
        state = read_checkpoint(self.file)
        model.load_state_dict(state["model"])
        for name in (*_KEPT, "spent"):
            setattr(self, name, state[name])
        self.step = self._step(state)
        self.guard.load(state["guard"])
        self.kept = self._words()
        return state

    def _step(self, state: dict[str, Any]) -> int:
        """The step that is as far as the saved one, where batches had another size before."""
        step, whole = state["step"], self.epoch * self.per_epoch
        if "per_epoch" not in state:  # of an older version: the size shows if it does not fit
            done = step == self.total and self.epoch == -(-self.total // self.per_epoch)
            return step if done or whole <= step < whole + self.per_epoch else whole
        if step == state["total"]:
            return self.total
        before, accumulate = state["per_epoch"], self.config.accumulate
        return place_after(step, self.epoch, before, self.per_epoch, accumulate)

    def save(self) -> None:
        """Write the state; in the first process only."""
        self.saved, self.kept = time.monotonic(), self._words()
        if ranks().rank:
            return
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": self.precision.state_dict() if self.precision is not None else {},
            "step": self.step,
            "per_epoch": self.per_epoch,
            "total": self.total,
            "guard": self.guard.state(),
            "spent": self.now(),
            **{name: getattr(self, name) for name in _KEPT},
        }
        write_checkpoint(self.file, state, self.kept)

    def now(self) -> float:
        """Seconds of training so far, over all runs."""
        return self.spent + time.monotonic() - self.started

    def begin(self, model: Trainable, optimizer: torch.optim.Optimizer) -> None:
        """Steps follow, of this model by this optimizer."""
        self.model, self.optimizer = model, optimizer
        self.started = time.monotonic()

    def before_batch(self) -> None:
        """Learning rate and draws of the next batch."""
        rate = self.learning_rate()
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("rate_scale", 1.0)
        seed_draws(int(rng(self.config.seed, _STEP, self.step).integers(2**31)), self.model.device)

    def completes_step(self) -> bool:
        """Whether the optimizer makes a step after the next batch."""
        done = self.step + 1
        return done % self.config.accumulate == 0 or done == self.total

    def guard_gradients(self) -> None:
        """Clip the gradients of a step, or drop them."""
        self.guard(self.model.parameters(), self.step + 1, self.config.clip)

    def after_batch(self, loss: torch.Tensor) -> bool:
        """Count a batch, measure and save where it is time; whether the training ends here."""
        between_steps = self.completes_step()
        self.step += 1
        # A stop that one of the ranks got is for all of them, at the same batch.
        mean, stopped = mean_of_ranks(loss, self.interrupted)
        if math.isfinite(mean):
            self.loss_sum, self.loss_count = self.loss_sum + mean, self.loss_count + 1
        self.advance(1)
        ended = False
        if self.step % self.per_epoch == 0 or self.step == self.total:
            self._end_epoch()
            self.save()
            ended = self.stopped_early or self.step == self.total
        elif not between_steps:  # gradients wait for further batches
            return False
        elif time.monotonic() - self.saved > 60 * self.config.checkpoint_minutes:
            self.save()
        if stopped:
            self.interrupted = True
            self.save()
        return ended or bool(stopped)

    def learning_rate(self) -> float:
        """The rate of the present step."""
        if self.config.schedule in ("cosine", "linear"):
            step = self.step // self.config.accumulate
            total = -(-self.total // self.config.accumulate)
            rate = learning_rate if self.config.schedule == "cosine" else linear_rate
            return rate(step, total, self.config.learning_rate, self.config.warmup)
        values = [_value(row, self.config.monitor) for row in self.rows]
        return self.config.learning_rate * 0.5 ** halvings(values, self.config.halve_after)

    def _end_epoch(self) -> None:
        model = self.model.eval()
        with torch.no_grad():
            measures = model.measure()
        model.train()
        row = {"train_loss": self.loss_sum / max(self.loss_count, 1), **measures}
        row["skipped_batches"] = self.guard.take_skipped()
        self.loss_sum, self.loss_count = 0.0, 0
        self.rows.append(row)
        self.seconds.append(self.now())
        weights: dict[str, torch.Tensor] = {}
        for name, best in self.best.items():
            if _value(row, name) < best["value"]:
                weights = weights or {
                    k: v.detach().cpu().clone() for k, v in model.state_dict().items()
                }
                best.update(value=_value(row, name), epoch=self.epoch, weights=weights)
        self.write_row(self.counted, row)


def _value(row: dict[str, float], name: str) -> float:
    """A measure of which lower is better."""
    return -row[name[1:]] if name.startswith("-") else row[name]


def seed_draws(seed: int, device: torch.device) -> None:
    """Seed what draws on the CPU and on the device of the training.

    As ``torch.manual_seed``, which on a CPU keeps the whole stack of every call for the day
    that CUDA is used: half a millisecond, and memory.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
