"""Reading audio for training: durations, and problems found in workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.queues import Queue
from typing import TYPE_CHECKING, Any

from speechkit.base import audio, signals
from speechkit.base.errors import UserError
from speechkit.kaldi import data

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader, Dataset


class Checked:
    """Batches of a loader; a problem found in a worker is raised here, in the main process.

    (An exception of a worker would reach the user as a traceback inside a message.)
    """

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader
        self._workers: list[Any] = []

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        with signals.kept_back():
            batches = iter(self.loader)  # starts the workers
        self._workers = getattr(batches, "_workers", [])
        for batch in batches:
            if isinstance(batch, str):
                raise broken(batch)
            yield batch

    def died(self) -> UserError | None:
        """The error for a worker that ended before its time, if one did."""
        if not any(worker.exitcode for worker in self._workers):
            return None
        return UserError(
            "A process that reads audio died, or could not hand over what it read (memory, "
            "shared memory in /dev/shm, or a limit as of ulimit?).",
            "Run the same command again with fewer of them (-j 1), or with more memory.",
        )


def checked_loader(
    dataset: Dataset,
    batches: Iterable[Any],
    collate: Callable[[Sequence[Any]], Any],
    jobs: int,
    device: torch.device,
) -> Checked:
    """Batches that worker processes read, which leave stop signals to this process.

    Args:
        dataset: item -> example, or the problem with it.
        batches: lists of items.
        collate: of the examples of a batch; a problem among them takes its place.
        jobs: worker processes; 0 reads in this process.
        device: where batches go.
    """
    from torch.utils.data import DataLoader

    return Checked(
        DataLoader(
            dataset,
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=jobs,
            prefetch_factor=4 if jobs else None,
            pin_memory=device.type == "cuda",
            worker_init_fn=_start_worker,
        )
    )


def _start_worker(number: int) -> None:
    """In a new worker: leave stops to the parent, and end where a batch cannot be handed over.

    (Too little shared memory, a limit on files: Python would drop the batch, and the parent would
    wait for it for ever.)
    """
    signals.leave_to_parent()
    Queue._on_queue_feeder_error = lambda self, error, batch: os._exit(1)  # type: ignore[attr-defined]


def broken(problem: str) -> UserError:
    """The error for an utterance that training cannot read."""
    return UserError(
        problem,
        "Mend it, or drop what cannot be read with `speechkit validate --decode --fix`.",
    )


def durations(utterances: Sequence[data.Utterance]) -> list[float]:
    """Seconds of each utterance, from headers."""
    of: dict[str | audio.Pipe, float] = {}
    seconds = []
    for u in utterances:
        if u.end is None and u.wav not in of:
            try:
                of[u.wav] = audio.info(u.wav).seconds
            except UserError as error:
                raise broken(f"{u.id}: {error.problem}") from error
        seconds.append((of[u.wav] if u.end is None else u.end) - u.start)
    return seconds
