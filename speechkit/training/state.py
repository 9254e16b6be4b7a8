"""The state of a run: steps, measures, the best weights, and what a resumed run needs."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch

from speechkit.base import signals
from speechkit.base.files import atomic_write
from speechkit.base.random_draws import rng
from speechkit.training.batches import place_after
from speechkit.training.guard import Guard
from speechkit.training.ranks import mean_of_ranks
from speechkit.training.schedules import halvings, learning_rate, linear_rate
from speechkit.training.tracking import EventFile
from speechkit.training.weights import read_checkpoint
from speechkit.workdir.unfinished import note_finished, of_network

_STEP = 0x57  # stream of draws inside the model (dropout), by step


@dataclass(frozen=True)
class FitConfig:
    """How long and how to train.

    Args:
        epochs: most epochs.
        learning_rate: peak of the schedule. A group of parameters with a ``rate_scale`` has
            this times its scale.
        clip: largest L2 norm of the gradient.
        patience: epochs without a better ``monitor`` before training stops; 0 for never.
        monitor: the validation measure that selects the model; lower is better, or with a
            ``-`` before its name, higher.
        precision: Lightning's name, e.g. ``32-true``.
        checkpoint_minutes: the state is saved at every epoch and this often.
        seed: the run's seed.
        schedule: ``cosine`` (warm-up over the first twentieth of all steps, then half a
            cosine down to a hundredth), ``linear`` (after the warm-up down to 0) or ``plateau``
            (halved whenever ``monitor`` was not better for ``halve_after`` epochs).
        halve_after: epochs.
        warmup: share of the steps in which the rate rises (``cosine`` and ``linear``).
        keep: further measures whose best weights are kept; lower is better.
        batch_size: for the message when memory runs out.
        accumulate: batches whose gradients make one step of the optimizer.
        batches: in all; 0 for ``epochs`` times those of an epoch.
        unit: what rows are counted in: ``epoch``, or ``step`` (of the optimizer) where an
            "epoch" of this loop is a number of steps between evaluations.
        find_unused: with several processes, some parameters may have no gradient in a step.
        plain: a loop of our own in place of Lightning's, for models whose steps take less time
            than its bookkeeping (one process, 32 bits, batches that are on the device already).
    """

    epochs: int
    learning_rate: float
    clip: float
    patience: int
    monitor: str
    precision: str
    checkpoint_minutes: float
    seed: int
    schedule: str = "cosine"
    halve_after: int = 3
    keep: tuple[str, ...] = ()
    batch_size: int = 0
    warmup: float = 0.05
    accumulate: int = 1
    batches: int = 0
    unit: str = "epoch"
    find_unused: bool = False
    plain: bool = False

    @property
    def guarded(self) -> bool:
        """Whether gradients are examined; with ``16-mixed`` its loss scaler skips steps itself."""
        return self.precision != "16-mixed"


class Trainable(lightning.LightningModule):
    """A model to fit: subclasses define ``loss`` and ``measure``.

    Attributes:
        writer: TensorBoard's, while ``fit`` runs (in the first process only).
    """

    writer: EventFile | None = None

    def loss(self, batch: Any) -> torch.Tensor:
        """Training loss of a batch (a scalar)."""
        raise TypeError(f"{type(self).__name__} does not define loss()")

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """Lightning's hook."""
        return self.loss(batch)

    def measure(self) -> dict[str, float]:
        """Validation measures by name; called in eval mode without gradients."""
        raise TypeError(f"{type(self).__name__} does not define measure()")

    def parameters_to_train(self) -> Iterable[torch.nn.Parameter]:
        """Parameters of the optimizer."""
        return (p for p in self.parameters() if p.requires_grad)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters_to_train(), lr=1e-3)


class State(lightning.Callback):
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
    def between_steps(self) -> bool:
        """Whether no gradient is waiting for further batches."""
        return self.step % self.config.accumulate == 0 or self.step == self.total

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
        self.rows, self.best = state["rows"], state["best"]
        self.step = self._step(state)
        self.loss_sum, self.loss_count = state["loss_sum"], state["loss_count"]
        self.guard.load(state["guard"])
        self.seconds, self.spent = state["seconds"], state["spent"]
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

    def save(self, trainer: lightning.Trainer, model: Trainable) -> None:
        self.saved, self.kept = time.monotonic(), self._words()
        if not trainer.is_global_zero:
            return
        state = {
            "model": model.state_dict(),
            "optimizer": trainer.optimizers[0].state_dict(),
            "precision": trainer.precision_plugin.state_dict(),
            "step": self.step,
            "per_epoch": self.per_epoch,
            "total": self.total,
            "rows": self.rows,
            "best": self.best,
            "loss_sum": self.loss_sum,
            "loss_count": self.loss_count,
            "guard": self.guard.state(),
            "seconds": self.seconds,
            "spent": self.now(),
        }
        packed = io.BytesIO()  # torch.save would hide that a disk is full
        torch.save(state, packed)
        with atomic_write(self.file, "wb") as file:
            file.write(packed.getbuffer())
        note_finished(self.file, of_network(self.file, self.kept))

    def now(self) -> float:
        """Seconds of training so far, over all runs."""
        return self.spent + time.monotonic() - self.started

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        self.started = time.monotonic()
        signals.listen()  # Lightning has just put a handler of its own in front

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        rate = self.learning_rate()
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = rate * group.get("rate_scale", 1.0)
        seed_draws(int(rng(self.config.seed, _STEP, self.step).integers(2**31)), pl_module.device)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.step += 1
        # A stop that one of the ranks got is for all of them, at the same batch.
        loss, stopped = mean_of_ranks(outputs["loss"], self.interrupted)
        loss *= self.config.accumulate
        if math.isfinite(loss):
            self.loss_sum, self.loss_count = self.loss_sum + loss, self.loss_count + 1
        self.advance(1)
        if self.step % self.per_epoch == 0 or self.step == self.total:
            self._end_epoch(pl_module)
            self.save(trainer, pl_module)
            if self.stopped_early or self.step == self.total:
                trainer.should_stop = True
        elif not self.between_steps:
            return
        elif time.monotonic() - self.saved > 60 * self.config.checkpoint_minutes:
            self.save(trainer, pl_module)
        if stopped:
            self.interrupted = True
            self.save(trainer, pl_module)
            trainer.should_stop = True

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: Any, optimizer: torch.optim.Optimizer
    ) -> None:
        if self.config.guarded:
            self.guard(pl_module.parameters(), self.step + 1, self.config.clip)

    def learning_rate(self) -> float:
        """The rate of the present step."""
        if self.config.schedule in ("cosine", "linear"):
            step = self.step // self.config.accumulate
            total = -(-self.total // self.config.accumulate)
            rate = learning_rate if self.config.schedule == "cosine" else linear_rate
            return rate(step, total, self.config.learning_rate, self.config.warmup)
        values = [_value(row, self.config.monitor) for row in self.rows]
        return self.config.learning_rate * 0.5 ** halvings(values, self.config.halve_after)

    def _end_epoch(self, model: Trainable) -> None:
        model.eval()
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


class Restore(lightning.Callback):
    """Give optimizer and loss scaler their state back once they exist."""

    def __init__(self, restored: dict[str, Any] | None) -> None:
        self.restored = restored

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        if self.restored is not None:
            trainer.optimizers[0].load_state_dict(self.restored["optimizer"])
            trainer.precision_plugin.load_state_dict(self.restored["precision"])
