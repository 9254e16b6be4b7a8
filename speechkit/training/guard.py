"""What goes wrong in a step: gradients that would spoil a model, and memory that runs out."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any

import torch

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.training.config import FitConfig

MAX_BAD_BATCHES = 20
SPIKE = 50.0  # times the usual gradient norm; clipping would still follow its direction
_HISTORY = 100


class Guard:
    """Looks at the gradient before each step; a bad one changes nothing and is counted.

    A good one is clipped, so that its norm is taken once.

    The optimizer skips parameters without a gradient, so that neither weights nor moments
    change. Gradients are those of all processes together, so that all decide alike.
    """

    def __init__(self) -> None:
        self.norms: list[float] = []
        self.skipped, self.in_a_row = 0, 0

    def __call__(
        self, parameters: Iterable[torch.nn.Parameter], step: int, clip: float = math.inf
    ) -> None:
        """Drop the gradients if they are bad, else clip them.

        Args:
            parameters: with the gradients of all processes together.
            step: number of the step, for the message.
            clip: largest L2 norm.

        Raises:
            UserError: too many batches in a row were not finite.
        """
        parameters = list(parameters)
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            return
        norms = torch._foreach_norm(gradients)
        norm = float(torch.linalg.vector_norm(torch.stack([n.float() for n in norms])))
        problem = self._problem(norm)
        if not problem:
            self.norms = [*self.norms[1 - _HISTORY :], norm]
            self.in_a_row = 0
            if norm > clip:  # as torch.nn.utils.clip_grad_norm_
                torch._foreach_mul_(gradients, clip / (norm + 1e-6))
            return
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        logger.warning(f"step {step}: {problem}; this batch changes nothing.")
        for parameter in parameters:
            parameter.grad = None
        if self.in_a_row >= MAX_BAD_BATCHES:
            raise UserError(
                f"{self.in_a_row} batches in a row are not finite or far beyond the usual: "
                "training has diverged.",
                "Lower `learning_rate`, or use `precision` 32.",
            )

    def _problem(self, norm: float) -> str:
        if norm != norm or norm == float("inf"):
            return "the loss is not finite"
        usual = statistics.median(self.norms) if len(self.norms) >= _HISTORY // 2 else norm
        if norm > SPIKE * usual > 0:
            return f"a spike: the gradient's norm is {norm:.3g}, usually {usual:.3g}"
        return ""

    def take_skipped(self) -> int:
        """Batches skipped since the last call."""
        skipped, self.skipped = self.skipped, 0
        return skipped

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return dict(vars(self))

    def load(self, state: dict[str, Any]) -> None:
        """From the checkpoint."""
        vars(self).update(state)


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
