"""The fit loop of the large models: Lightning steps, our state.

Lightning runs the steps (devices, precision, gradient clipping). What a resumed run needs
is ours, in one file that ``torch.load(weights_only=True)`` reads: weights, optimizer,
the step, the log so far, and the best weights. With batches drawn by
:class:`~speechkit.training.batches.ResumableBatches` a run that was killed continues the
same curve, also in the middle of an epoch.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch

from speechkit.base import signals
from speechkit.base.errors import UserError, is_out_of_memory
from speechkit.base.log import logger, progress
from speechkit.training.loader import Checked
from speechkit.training.ranks import ranks
from speechkit.training.state import FitConfig, Restore, State, Trainable
from speechkit.training.tracking import EventFile


@dataclass
class Fitted:
    """What a finished run leaves.

    Args:
        rows: measures of each epoch.
        best_epoch: the selected epoch, from 1.
        weights: its weights.
        best: the same for each measure of ``FitConfig.keep``.
        seconds: of training, at each row.
    """

    rows: list[dict[str, float]]
    best_epoch: int
    weights: dict[str, torch.Tensor]
    best: dict[str, tuple[int, dict[str, torch.Tensor]]]
    seconds: list[float]


def fit(
    model: Trainable,
    loader: Callable[[int], Iterable[Any]],
    config: FitConfig,
    *,
    per_epoch: int,
    device: torch.device,
    checkpoint: Path,
    tensorboard: Path,
    label: str,
    tell: Callable[[int, dict[str, float]], None] = lambda count, row: None,
) -> Fitted:
    """Train ``model`` and return its best epoch.

    Args:
        model: what to train.
        loader: step -> batches from that step on, over all epochs.
        config: how.
        per_epoch: batches per epoch (or between evaluations).
        device: where.
        checkpoint: file of the state; training goes on from it if it is there.
        tensorboard: folder of the event files.
        label: what the progress line says.
        tell: called with each row and its epoch or step, in the first process.

    Raises:
        UserError: the loss is not finite for too long, or memory ran out.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; the state was saved.
    """
    _quiet()
    writer: EventFile | None = None

    here = ranks()

    def write_row(count: int, row: dict[str, float]) -> None:
        if here.rank:
            return
        if not config.plain:  # many short runs of those would fill the screen
            shown = ", ".join(f"{name} {value:.4g}" for name, value in row.items())
            logger.info(f"{label}: {config.unit} {count}: {shown}")
        if writer is not None:
            writer.add_row(row, count)
        tell(count, row)

    state = State(config, per_epoch, checkpoint, write_row)
    restored = state.load(model)
    unit = "step" if config.accumulate == 1 else "batch"
    with progress(label, state.total, unit, before=state.step) as state.advance:
        if not here.rank:
            writer = EventFile(tensorboard, state.counted + 1)
            model.writer = writer
        if state.step < state.total and not state.stopped_early:
            run = run_plain if config.plain else _run
            run(model, loader(state.step), state, restored, config, device)
        if writer is not None:
            writer.close()
            model.writer = None
    kept = {name: (best["epoch"], best["weights"]) for name, best in state.best.items()}
    if not all(weights for _, weights in kept.values()):
        raise UserError("Validation never gave a finite loss.", "Lower `learning_rate`.")
    epoch, weights = kept[config.monitor]
    return Fitted(state.rows, epoch, weights, kept, state.seconds)


def _run(
    model: Trainable,
    batches: Iterable[Any],
    state: State,
    restored: dict[str, Any] | None,
    config: FitConfig,
    device: torch.device,
) -> None:
    trainer = lightning.Trainer(
        max_epochs=1,  # the loader itself goes over all epochs
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=ranks().local_world,
        num_nodes=ranks().nodes,
        strategy=_strategy(device, config.find_unused),
        precision=config.precision,  # type: ignore[arg-type]
        gradient_clip_val=None if config.guarded else config.clip,  # else the guard clips
        accumulate_grad_batches=config.accumulate,
        callbacks=[state, Restore(restored)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )

    model.train()  # Lightning leaves a module that was loaded in eval mode as it is
    with _interruptible(state, config, batches):
        trainer.fit(model, train_dataloaders=batches)


@contextmanager
def _interruptible(state: State, config: FitConfig, batches: Iterable[Any]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end after the batch, and what goes wrong in a step has a name."""

    def interrupt() -> None:
        if state.interrupted:
            raise KeyboardInterrupt
        state.interrupted = True
        logger.info("Interrupted: saving after this batch (again: at once).")

    try:
        with signals.answered(interrupt):
            yield
    except SystemExit as error:  # Lightning's answer to a second Ctrl-C
        raise KeyboardInterrupt from error
    except (RuntimeError, MemoryError) as error:
        if isinstance(batches, Checked) and (died := batches.died()) is not None:
            raise died from error
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(config, state.kept) from error
    if state.interrupted:
        raise KeyboardInterrupt


class _Plain:
    """What :class:`State` needs of a trainer."""

    is_global_zero = True

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizers, self.should_stop = [optimizer], False
        self.precision_plugin = self

    def state_dict(self) -> dict[str, Any]:
        """Of the precision: none."""
        return {}


def run_plain(
    model: Trainable,
    batches: Iterable[Any],
    state: State,
    restored: dict[str, Any] | None,
    config: FitConfig,
    device: torch.device,
) -> None:
    """The same steps as Lightning's, without it (see ``FitConfig.plain``)."""
    model.to(device).train()
    optimizer = model.configure_optimizers()
    if restored is not None:
        optimizer.load_state_dict(restored["optimizer"])
    trainer: Any = _Plain(optimizer)
    state.on_train_start(trainer, model)
    with _interruptible(state, config, batches):
        for index, batch in enumerate(batches):
            state.on_train_batch_start(trainer, model, batch, index)
            loss = model.loss(batch) / config.accumulate
            loss.backward()
            if (index + 1) % config.accumulate == 0 or state.step + 1 == state.total:
                state.on_before_optimizer_step(trainer, model, optimizer)
                optimizer.step()
                optimizer.zero_grad()
            outputs = {"loss": loss.detach()}
            state.on_train_batch_end(trainer, model, outputs, batch, index)
            model.on_train_batch_end(outputs, batch, index)
            if trainer.should_stop:
                break


def _strategy(device: torch.device, find_unused: bool) -> Any:
    if ranks().world == 1:
        return "auto"
    from lightning.pytorch.strategies import DDPStrategy

    backend = "nccl" if device.type == "cuda" else "gloo"
    return DDPStrategy(process_group_backend=backend, find_unused_parameters=find_unused)


def out_of_memory(config: FitConfig, kept: str = "") -> UserError:
    """The error for a batch that does not fit.

    Args:
        config: of the training.
        kept: how far the saved state is; empty if there is none.
    """
    size = config.batch_size
    problem = f"Memory ran out in a step with batches of {size or 'this size'}."
    other = "shorter segments or `precision` bf16"
    if size < 2:
        return UserError(problem, f"Take a smaller model, or try {other}.")
    smaller = next(n for n in range(size // 2, 0, -1) if size % n == 0)
    flags = f"`batch_size` {smaller}"
    if config.unit == "step":  # what counts is how many clips a step of the optimizer has
        flags += f" `accumulate` {config.accumulate * size // smaller}"
    if not kept:
        return UserError(problem, f"Try {flags}, or {other}.")
    return UserError(
        f"{problem} What was learnt until {kept} is kept.",
        f"Go on from there with smaller batches: {flags} `continue`. With {other} it is another "
        "run, for which a `name` of its own is needed; `force` would discard what was learnt.",
    )


def _quiet() -> None:
    """Only warnings that the user can act on."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
