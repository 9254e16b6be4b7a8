"""Batches in an order that a resumed run continues, and the processes that read their audio.

Worked example: 5 samples in batches of 2, over 2 epochs. The order of an epoch is drawn from (seed,
epoch) alone, say 3 0 4 1 2 and 1 4 0 2 3. :class:`ResumableBatches` gives 3 0, 4 1, 1 4, 0 2
and leaves 2 and 3 out; :class:`LengthBatches` gives them too, as small last batches. A run that had
made 3 batches of the first kind starts at 0 2, and needs no state but the number 3.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.queues import Queue
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base import audio, signals
from speechkit.base.errors import UserError
from speechkit.base.parallel import cpu_count
from speechkit.base.random_draws import rng
from speechkit.kaldi import data

if TYPE_CHECKING:
    import torch
    from torch.utils.data import DataLoader, Dataset

_ORDER, _ORDER_BY_LENGTH = 0x0D, 0x1B  # streams of draws for the order of an epoch
POOL = 50  # batches that are sorted together: enough for little padding, few enough to mix


class ResumableBatches:
    """A batch sampler over all epochs of a run; a sample is ``(epoch, batch, index)``.

    The dataset thus knows what every random draw is for, and holds no state. Each epoch
    is a permutation drawn from (seed, epoch); its incomplete last batch is left out.

    Args:
        samples: number of samples in the dataset.
        batch_size: samples per batch (at most ``samples``).
        epochs: number of epochs.
        seed: the run's seed.
        start: batches that were already trained on, over all epochs.
        rank: this process among those that train together; each takes every ``world``-th
            sample of a batch.
        world: number of processes.
    """

    def __init__(
        self,
        samples: int,
        batch_size: int,
        epochs: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.rank, self.world = rank, world
        self.samples, self.seed, self.epochs, self.start = samples, seed, epochs, start
        self.batch_size = max(1, min(batch_size, samples))
        self.per_epoch = samples // self.batch_size

    def __len__(self) -> int:
        return self.epochs * self.per_epoch - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int, int]]]:
        first, skip = divmod(self.start, self.per_epoch)
        for epoch in range(first, self.epochs):
            batches = self._epoch(epoch)
            for number in range(skip if epoch == first else 0, self.per_epoch):
                mine = batches[number][self.rank :: self.world]
                yield [(epoch, number, int(index)) for index in mine]

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        """Samples of each batch of an epoch."""
        return self._cut(rng(self.seed, _ORDER, epoch).permutation(self.samples))

    def _cut(self, order: np.ndarray) -> list[np.ndarray]:
        size = self.batch_size
        return [order[i : i + size] for i in range(0, len(order), size)]


class LengthBatches(ResumableBatches):
    """The same of samples of like length; every sample comes once an epoch.

    With ``buckets`` the permutation of an epoch is cut into pools, each pool is sorted by length
    and cut into batches, and the batches of the epoch are shuffled. The last batch may be smaller;
    with several processes it is left out, since each needs a sample of every batch.

    Args:
        lengths: of the samples.
        batch_size: samples per batch.
        epochs, seed: as above.
        buckets: batches of like length; False leaves the permutation as it is.
        place: ``start``, ``rank`` and ``world`` as above.
    """

    def __init__(
        self,
        lengths: Sequence[float],
        batch_size: int,
        epochs: int,
        seed: int,
        buckets: bool = True,
        **place: int,
    ) -> None:
        super().__init__(len(lengths), batch_size, epochs, seed, **place)
        self.lengths, self.buckets, self.batch_size = np.asarray(lengths), buckets, batch_size
        self.usable = self.samples if self.world == 1 else self.samples // batch_size * batch_size
        self.per_epoch = -(-self.usable // batch_size)

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        draw = rng(self.seed, _ORDER_BY_LENGTH, epoch)
        order = draw.permutation(self.samples)[: self.usable]
        if not self.buckets:
            return self._cut(order)
        pool = POOL * self.batch_size
        pools = [order[i : i + pool] for i in range(0, len(order), pool)]
        batches = self._cut(
            np.concatenate([p[np.argsort(self.lengths[p], kind="stable")] for p in pools])
        )
        return [batches[i] for i in draw.permutation(len(batches))]


def place_after(step: int, epochs: int, before: int, now: int, accumulate: int = 1) -> int:
    """The step at which a run goes on after the size of its batches has changed.

    The order of an epoch does not depend on the size. At the end of an epoch the place is exact;
    inside one it is the same share of the steps, rounded down, so that a few samples may come
    twice or be left out.

    Args:
        step: steps that were made, over all epochs.
        epochs: that were finished.
        before: steps of an epoch until now.
        now: steps of an epoch from now on.
        accumulate: batches of a step of the optimizer.
    """
    if before == now:
        return step
    begun = min((step - epochs * before) * now // before, now - 1)
    return epochs * now + begun // accumulate * accumulate


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
        jobs: worker processes, at most one a CPU; 0 reads in this process.
        device: where batches go.
    """
    from torch.utils.data import DataLoader

    return Checked(
        DataLoader(
            dataset,
            batch_sampler=batches,
            collate_fn=collate,
            num_workers=min(jobs, cpu_count()),  # more are slower, and torch says so
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
