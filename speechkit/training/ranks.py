"""Several processes that train one model together (torchrun, DistributedDataParallel)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch

from speechkit.base.errors import UserError
from speechkit.workdir import Output


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
            if here.rank:
                _follow(output)
            else:
                _lead(output, stack)
            yield output
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _lead(output: Output, stack: ExitStack) -> None:
    try:
        stack.enter_context(output)
    except UserError as error:
        _broadcast(f"{error.problem}\t{error.remedy}")
        raise
    _broadcast("up to date" if output.up_to_date else "")


def _follow(output: Output) -> None:
    said = _broadcast("")
    if "\t" in said:
        problem, _, remedy = said.partition("\t")
        raise UserError(problem, remedy)
    output.up_to_date = said == "up to date"


def _broadcast(text: str) -> str:
    box = [text]
    torch.distributed.broadcast_object_list(box, src=0)
    return str(box[0])


def mean_of_ranks(value: torch.Tensor, *more: float) -> list[float]:
    """Means over the processes that train together, so that all keep the same log."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [float(value), *more]
    total = torch.stack([value.detach(), *(torch.full_like(value.detach(), x) for x in more)])
    torch.distributed.all_reduce(total)
    found: list[float] = (total / torch.distributed.get_world_size()).tolist()
    return found
