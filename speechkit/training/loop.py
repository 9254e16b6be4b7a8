"""The training loop, and the only one: whatever learns by gradients takes its steps here.

- :func:`fit` trains a model to the end. Its state is saved, so that a run that was killed
  continues the same curve, also in the middle of an epoch.
- :func:`steps` are the steps alone, for small models that keep their own books: the seeds of
  :mod:`speechkit.training.stacked`, the MLP of emotion.
- :func:`minimise` goes to the minimum of a convex objective.

Where there is a GPU, more than one process, or a precision other than 32 bits, Lightning's Fabric
moves batches, averages gradients and scales losses. Otherwise the same loop runs without it: its
import takes seconds, and its bookkeeping longer than a step of a small model.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from speechkit.base import signals
from speechkit.base.errors import UserError, is_out_of_memory
from speechkit.base.log import logger, progress
from speechkit.base.tables import show
from speechkit.training.batches import Checked
from speechkit.training.config import FLOAT32, FitConfig
from speechkit.training.curves import listener
from speechkit.training.devices import ranks
from speechkit.training.guard import out_of_memory
from speechkit.training.state import Held, State, Trainable
from speechkit.training.tracking import EventFile

Batch = TypeVar("Batch")


def steps(
    batches: Iterable[Batch],
    loss: Callable[[Batch], Tensor],
    optimizer: Any,
    *,
    before: Callable[[], None] = lambda: None,
    check: Callable[[], None] = lambda: None,
    complete: Callable[[], bool] = lambda: True,
    accumulate: int = 1,
    machine: OnFabric | None = None,
    keep_gradients: bool = False,
) -> Iterator[Tensor]:
    """Learn from one batch after another; yields the loss of each.

    Args:
        batches: in order.
        loss: of a batch: one number, or one for each of the seeds ``[S]`` that are trained in one.
            They share no parameter, so that the gradient of their sum is that of each.
        optimizer: of the parameters.
        before: called before each batch: sets the learning rate, seeds the draws.
        check: called when the gradients of a step are there: clips them, or drops them.
        complete: whether the present batch is the last of a step.
        accumulate: batches whose mean gradient makes a step.
        machine: where it is not a CPU, one process and 32 bits.
        keep_gradients: set gradients to zero in place: they are views of one tensor.
    """
    for batch in batches:
        before()
        last = complete()
        with nullcontext() if machine is None else machine.gradients_shared(last):
            found = loss(batch)
            total = found.sum() / accumulate
            if machine is None:
                total.backward()
            else:
                machine.fabric.backward(total)
        if last:
            check()
            optimizer.step()
            optimizer.zero_grad(set_to_none=not keep_gradients)
        yield found.detach()


def minimise(objective: Callable[[], Tensor], parameters: Sequence[Tensor], iterations: int) -> int:
    """Change parameters to the minimum of a convex function (L-BFGS); returns the iterations.

    Args:
        objective: of the parameters as they are.
        parameters: leaves that require gradients.
        iterations: most.
    """
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=iterations,
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        found = objective()
        found.backward()
        return found

    optimizer.step(closure)
    return int(optimizer.state[parameters[0]].get("n_iter", 0))


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
    weights: dict[str, Tensor]
    best: dict[str, tuple[int, dict[str, Tensor]]]
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
) -> Fitted:
    """Train ``model`` and return its best epoch.

    Args:
        model: what to train.
        loader: step -> batches from that step on, over all epochs.
        config: how.
        per_epoch: batches per epoch (or between evaluations).
        device: where.
        checkpoint: file of the state; training goes on from it if it is there.
        tensorboard: folder of the event files, in that of the model.
        label: what the progress line says.

    Raises:
        UserError: the loss is not finite for too long, or memory ran out.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; the state was saved.
    """
    writer: EventFile | None = None
    first, tell = not ranks().rank, listener(tensorboard)

    def write_row(count: int, row: dict[str, float]) -> None:
        if not first:
            return
        if not config.quiet:
            shown = ", ".join(f"{name} {show(value)}" for name, value in row.items())
            logger.info(f"{label}: {config.unit} {count}: {shown}")
        if writer is not None:
            writer.add_row(row, count)
        tell(count, row)

    state = State(config, per_epoch, checkpoint, write_row)
    restored = state.load(model)
    unit = "step" if config.accumulate == 1 else "batch"
    with progress(label, state.total, unit, before=state.step) as state.advance:
        if first:
            writer = model.writer = EventFile(tensorboard, state.counted + 1)
        if state.step < state.total and not state.stopped_early:
            _train(model, loader(state.step), state, restored, device)
        if writer is not None:
            writer.close()
            model.writer = None
    kept = {name: (best["epoch"], best["weights"]) for name, best in state.best.items()}
    if not all(weights for _, weights in kept.values()):
        raise UserError("Validation never gave a finite loss.", "Lower `learning_rate`.")
    epoch, weights = kept[config.monitor]
    return Fitted(state.rows, epoch, weights, kept, state.seconds)


def _train(
    model: Trainable,
    batches: Iterable[Any],
    state: State,
    restored: dict[str, Any] | None,
    device: torch.device,
) -> None:
    """Steps from where the state is to the end."""
    config, machine = state.config, None
    model.to(device).train()
    optimizer: Any = model.new_optimizer()
    if restored is not None:
        optimizer.load_state_dict(restored["optimizer"])
    state.begin(model, optimizer)
    loss, check = model.loss, state.guard_gradients
    if device.type != "cpu" or ranks().world > 1 or config.precision != FLOAT32:
        machine = OnFabric(model, optimizer, config, device)
        state.precision, optimizer, loss = machine.precision, machine.optimizer, machine.loss
        if restored is not None:
            state.precision.load_state_dict(restored["precision"])
        if not config.guarded:
            check = machine.clip
    with _interruptible(state, batches):
        made = steps(
            batches,
            loss,
            optimizer,
            before=state.before_batch,
            check=check,
            complete=state.completes_step,
            accumulate=config.accumulate,
            machine=machine,
        )
        for one in made:
            if state.after_batch(one):
                break


class OnFabric:
    """A model and its optimizer as Lightning's Fabric sets them up.

    Args:
        model: on the device.
        optimizer: of its parameters.
        config: how to train.
        device: where.
    """

    def __init__(
        self,
        model: Trainable,
        optimizer: torch.optim.Optimizer,
        config: FitConfig,
        device: torch.device,
    ) -> None:
        from lightning.fabric import Fabric
        from lightning.fabric.strategies import DDPStrategy

        _quiet()
        here, cuda = ranks(), device.type == "cuda"
        strategy: Any = "auto"
        if here.world > 1:
            strategy = DDPStrategy(
                process_group_backend="nccl" if cuda else "gloo",
                find_unused_parameters=config.find_unused,
            )
        self.fabric = Fabric(
            accelerator="gpu" if cuda else "cpu",
            devices=here.local_world,
            num_nodes=here.nodes,
            strategy=strategy,
            precision=config.precision,  # type: ignore[arg-type]
        )
        self.fabric.launch()
        self.precision, self._clip = self.fabric.strategy.precision, config.clip
        self.model, self.optimizer = self.fabric.setup(model, optimizer)

    def loss(self, batch: Any) -> Tensor:
        """Of a batch from anywhere."""
        found: Tensor = self.model(Held(self.fabric.to_device(batch)))
        return found

    def gradients_shared(self, last: bool) -> Any:
        """Inside, processes share their gradients only for the last batch of a step."""
        return self.fabric.no_backward_sync(self.model, enabled=not last)

    def clip(self) -> None:
        """Clip gradients that are scaled; the loss scaler leaves out steps that are not finite."""
        self.fabric.clip_gradients(
            self.model, self.optimizer, max_norm=self._clip, error_if_nonfinite=False
        )


@contextmanager
def _interruptible(state: State, batches: Iterable[Any]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end after the batch, and what goes wrong in a step has a name."""

    def interrupt() -> None:
        if state.interrupted:
            raise KeyboardInterrupt
        state.interrupted = True
        logger.info("Interrupted: saving after this batch (again: at once).")

    try:
        with signals.answered(interrupt):
            yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(batches, Checked) and (died := batches.died()) is not None:
            raise died from error
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(state.config, state.kept) from error
    if state.interrupted:
        raise KeyboardInterrupt


def _quiet() -> None:
    """Only warnings that the user can act on."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
