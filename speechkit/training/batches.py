"""Batches in an order that a resumed run continues."""

from __future__ import annotations

from collections.abc import Iterator

from speechkit.base.random_draws import rng

_ORDER = 0x0D  # stream of draws for the order of an epoch


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
        self.batch_size = min(batch_size, samples)
        self.per_epoch = samples // self.batch_size

    def __len__(self) -> int:
        return self.epochs * self.per_epoch - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int, int]]]:
        first, skip = divmod(self.start, self.per_epoch)
        for epoch in range(first, self.epochs):
            order = rng(self.seed, _ORDER, epoch).permutation(self.samples)
            for batch in range(skip if epoch == first else 0, self.per_epoch):
                members = order[batch * self.batch_size : (batch + 1) * self.batch_size]
                yield [(epoch, batch, int(index)) for index in members[self.rank :: self.world]]


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
