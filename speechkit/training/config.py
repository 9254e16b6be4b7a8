"""Configuration of a training, and the learning rate schedule: a rate from the step alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from speechkit.base.errors import ConfigError

FLOAT32 = "32-true"  # the precision that needs no help


@dataclass(frozen=True)
class CurvesConfig:
    """Where the curves of a training are shown, beside its log.

    Machine:
        curves: Folder of TensorBoard files that also get the curves.
        wandb: W&B project, or ENTITY/PROJECT (extra [tracking]).
        mlflow: MLflow server or sqlite:///FILE (extra [tracking]).
    """

    curves: str = ""
    wandb: str = ""
    mlflow: str = ""


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
        quiet: no line of the log for each row: many short runs would fill the screen.
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
    quiet: bool = False

    @classmethod
    def of(cls, config: Any, **more: Any) -> FitConfig:
        """What a task's configuration has under the same names, and ``more``."""
        own = {one.name for one in fields(cls)} - set(more)
        return cls(**{name: getattr(config, name) for name in own if hasattr(config, name)}, **more)

    @property
    def guarded(self) -> bool:
        """Whether gradients are examined; with ``16-mixed`` its loss scaler skips steps itself."""
        return self.precision != "16-mixed"


def learning_rate(step: int, total: int, peak: float, warmup: float = 0.05) -> float:
    """Linear warm-up over the first ``warmup`` of all steps, then a cosine to 1 % of ``peak``."""
    warm = max(1, int(total * warmup + 1e-9))
    if step < warm:
        return peak * (step + 1) / warm
    done = (step - warm) / max(1, total - warm)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def linear_rate(step: int, total: int, peak: float, warmup: float = 0.0) -> float:
    """Linear warm-up over the first ``warmup`` of all steps, then a line to 0."""
    warm = int(total * warmup + 1e-9)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * max(0, total - step) / max(1, total - warm)


def halvings(values: Sequence[float], patience: int) -> int:
    """How often the rate was halved after epochs with these losses."""
    best, waited, count = math.inf, 0, 0
    for value in values:
        waited = 0 if value < best else waited + 1
        best = min(best, value)
        if waited >= patience > 0:
            waited, count = 0, count + 1
    return count


def require_minutes(minutes: float) -> None:
    """The time between two checkpoints is one.

    Raises:
        ConfigError: it is not.
    """
    if not 0 <= minutes < math.inf:
        raise ConfigError("checkpoint_minutes", f"{minutes} is not a time from 0 up.")
