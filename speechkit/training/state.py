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

from speechkit.errors import UserError
from speechkit.files import atomic_write
from speechkit.log import logger
from speechkit.training.seeds import rng

_STEP = 0x57  # stream of draws inside the model (dropout), by step
MAX_BAD_BATCHES = 20


@dataclass(frozen=True)
class FitConfig:
    """How long and how to train.

    Args:
        epochs: most epochs.
        learning_rate: peak of the schedule: warm-up over the first twentieth of all
            steps, then half a cosine down to a hundredth.
        clip: largest L2 norm of the gradient.
        patience: epochs without a better ``monitor`` before training stops; 0 for never.
        monitor: the validation measure that selects the model; lower is better.
        precision: Lightning's name, e.g. ``32-true``.
        checkpoint_minutes: the state is saved at every epoch and this often.
        seed: the run's seed.
    """

    epochs: int
    learning_rate: float
    clip: float
    patience: int
    monitor: str
    precision: str
    checkpoint_minutes: float
    seed: int


class Trainable(lightning.LightningModule):
    """A model to fit: subclasses define ``loss`` and ``measure``."""

    def loss(self, batch: Any) -> torch.Tensor:
        """Training loss of a batch (a scalar)."""
        raise TypeError(f"{type(self).__name__} does not define loss()")

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor | None:
        """Lightning's hook; a loss that is not finite changes nothing (None skips the step)."""
        loss = self.loss(batch)
        return loss if torch.isfinite(loss) else None

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
        advance: Callable[[int], None],
    ) -> None:
        self.config, self.per_epoch, self.file = config, per_epoch, file
        self.write_row, self.advance = write_row, advance
        self.total = config.epochs * per_epoch
        self.step, self.loss_sum, self.loss_count, self.bad = 0, 0.0, 0, 0
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, Any] = {"value": math.inf, "epoch": 0, "weights": {}}
        self.saved = time.monotonic()
        self.interrupted = False

    @property
    def epoch(self) -> int:
        return self.step // self.per_epoch

    @property
    def stopped_early(self) -> bool:
        waited = self.epoch - self.best["epoch"]
        return 0 < self.config.patience <= waited

    def load(self, model: Trainable) -> dict[str, Any] | None:
        """Restore all but the optimizer; returns what the optimizer still needs."""
        if not self.file.exists():
            return None
        state = torch.load(self.file, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        self.step, self.rows, self.best = state["step"], state["rows"], state["best"]
        self.loss_sum, self.loss_count = state["loss_sum"], state["loss_count"]
        self.bad = state["bad"]
        return state

    def save(self, trainer: lightning.Trainer, model: Trainable) -> None:
        state = {
            "model": model.state_dict(),
            "optimizer": trainer.optimizers[0].state_dict(),
            "precision": trainer.precision_plugin.state_dict(),
            "step": self.step,
            "rows": self.rows,
            "best": self.best,
            "loss_sum": self.loss_sum,
            "loss_count": self.loss_count,
            "bad": self.bad,
        }
        packed = io.BytesIO()  # torch.save would hide that a disk is full
        torch.save(state, packed)
        with atomic_write(self.file, "wb") as file:
            file.write(packed.getbuffer())
        self.saved = time.monotonic()

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        rate = learning_rate(self.step, self.total, self.config.learning_rate)
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = rate
        torch.manual_seed(int(rng(self.config.seed, _STEP, self.step).integers(2**31)))

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.step += 1
        loss = (outputs or {}).get("loss")
        self._count(None if loss is None else float(loss))
        self.advance(1)
        if self.step % self.per_epoch == 0:
            self._end_epoch(pl_module)
            self.save(trainer, pl_module)
            if self.stopped_early:
                trainer.should_stop = True
        elif time.monotonic() - self.saved > 60 * self.config.checkpoint_minutes:
            self.save(trainer, pl_module)
        if self.interrupted:
            self.save(trainer, pl_module)
            trainer.should_stop = True

    def _count(self, loss: float | None) -> None:
        if loss is not None:
            self.loss_sum, self.loss_count, self.bad = self.loss_sum + loss, self.loss_count + 1, 0
            return
        self.bad += 1
        logger.warning(f"step {self.step}: the loss is not finite; this batch changes nothing.")
        if self.bad >= MAX_BAD_BATCHES:
            raise UserError(
                f"The loss of {self.bad} batches in a row is not finite: training has diverged.",
                "Lower --learning-rate, or use --precision 32.",
            )

    def _end_epoch(self, model: Trainable) -> None:
        model.eval()
        with torch.no_grad():
            measures = model.measure()
        model.train()
        row = {"train_loss": self.loss_sum / max(self.loss_count, 1), **measures}
        self.loss_sum, self.loss_count = 0.0, 0
        self.rows.append(row)
        if row[self.config.monitor] < self.best["value"]:
            weights = {k: v.detach().cpu().clone() for k, v in model.state_dict().items()}
            self.best = {
                "value": row[self.config.monitor],
                "epoch": self.epoch,
                "weights": weights,
            }
        self.write_row(self.epoch, row)


def learning_rate(step: int, total: int, peak: float) -> float:
    """Linear warm-up over the first 5 % of ``total`` steps, then a cosine to 1 % of ``peak``."""
    warm = max(1, total // 20)
    if step < warm:
        return peak * (step + 1) / warm
    done = (step - warm) / max(1, total - warm)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


class Restore(lightning.Callback):
    """Give optimizer and loss scaler their state back once they exist."""

    def __init__(self, restored: dict[str, Any] | None) -> None:
        self.restored = restored

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        if self.restored is not None:
            trainer.optimizers[0].load_state_dict(self.restored["optimizer"])
            trainer.precision_plugin.load_state_dict(self.restored["precision"])
