"""Where a training computes: the device and its precision, and several processes (torchrun)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from speechkit.base.errors import ConfigError, UserError, require_choice
from speechkit.workdir import Output

PRECISIONS = ("auto", "32", "bf16", "16")


def resolve_device(device: str) -> torch.device:
    """``auto`` is CUDA where there is one.

    Raises:
        UserError: an unknown name, or cuda without a CUDA device.
    """
    require_choice("device", device, ("auto", "cpu", "cuda"))
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "device",
            "cuda was asked for, but PyTorch finds no CUDA device.",
            "Use `device` cpu, or see `speechkit doctor`.",
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def resolve_precision(precision: str, device: torch.device) -> str:
    """Lightning's name for a ``precision``: auto is bf16 on CUDA and 32 on CPU.

    Raises:
        UserError: an unknown name, or 16 (which needs loss scaling) on the CPU.
    """
    require_choice("precision", precision, PRECISIONS)
    if precision == "auto":
        return "bf16-mixed" if device.type == "cuda" else "32-true"
    if precision == "16" and device.type == "cpu":
        raise ConfigError("precision", "16 works on CUDA only.", "Use 32 or bf16 on the CPU.")
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[precision]


def keep_memory(device: torch.device) -> None:
    """Let the C library keep freed memory instead of giving it back after every step.

    On the CPU large tensors would otherwise be mapped, zeroed and unmapped again and again,
    which takes a good part of a step. Works with glibc; elsewhere it does nothing.
    """
    if device.type != "cpu":
        return
    import ctypes

    trim_threshold, mmap_threshold = -1, -3  # names of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(mmap_threshold, 32 * 2**20)
    mallopt(trim_threshold, 2**31 - 1)


@dataclass(frozen=True)
class Ranks:
    """Where this process stands, as torchrun says.

    Args:
        rank: number of this process, from 0.
        world: processes in all.
        local_world: processes on this machine.
        local_rank: number of this process on its machine, and of its GPU.
    """

    rank: int = 0
    world: int = 1
    local_world: int = 1
    local_rank: int = 0

    @property
    def nodes(self) -> int:
        """Machines."""
        return self.world // self.local_world


def ranks() -> Ranks:
    """From the environment that torchrun sets; a single process without it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or "RANK" not in os.environ:
        return Ranks()
    rank = int(os.environ["RANK"])
    local_world = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    return Ranks(rank, world, local_world, int(os.environ.get("LOCAL_RANK", rank % local_world)))


@contextmanager
def shared_output(output: Output, device: torch.device) -> Iterator[Output]:
    """Enter ``output`` in the first process alone; the others see the same folder.

    Args:
        output: the stage's output, the same in all processes.
        device: where the processes compute.

    Raises:
        UserError: the output cannot be written (each process says so).
    """
    here = ranks()
    if here.world == 1:
        with output:
            yield output
        return
    if device.type == "cuda":  # from here on "cuda" is the GPU of this process
        torch.cuda.set_device(here.local_rank)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        with ExitStack() as stack:
            said: list[Any] = [False]  # by the first process: whether it is up to date, or an error
            if not here.rank:
                try:
                    stack.enter_context(output)
                    said = [output.up_to_date]
                except UserError as error:
                    said = [error]
            torch.distributed.broadcast_object_list(said, src=0)
            if isinstance(said[0], UserError):
                raise said[0]
            output.up_to_date = said[0]
            yield output
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def mean_of_ranks(value: torch.Tensor, *more: float) -> list[float]:
    """Means over the processes that train together, so that all keep the same log."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [float(value), *more]
    total = torch.stack([value.detach(), *(torch.full_like(value.detach(), x) for x in more)])
    torch.distributed.all_reduce(total)
    found: list[float] = (total / torch.distributed.get_world_size()).tolist()
    return found
