"""Batches of samples of like length, in an order that a resumed run continues."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from speechkit.base.random_draws import rng

_ORDER = 0x1B  # stream of draws for the order of an epoch
POOL = 50  # batches that are sorted together: enough for little padding, few enough to mix


class LengthBatches:
    """A batch sampler over all epochs of a run; a sample is ``(epoch, batch, index)``.

    Every epoch is a permutation drawn from (seed, epoch). With ``buckets`` it is cut into
    pools, each pool is sorted by length and cut into batches, and the batches of the epoch are
    shuffled. Every sample comes once an epoch; the last batch may be smaller.

    Args:
        lengths: of the samples.
        batch_size: samples per batch.
        epochs: number of epochs.
        seed: the run's seed.
        buckets: batches of like length; False leaves the permutation as it is.
        start: batches that were already trained on, over all epochs.
        rank: this process among those that train together; each takes every ``world``-th
            sample of a batch.
        world: number of processes.
    """

    def __init__(
        self,
        lengths: Sequence[float],
        batch_size: int,
        epochs: int,
        seed: int,
        buckets: bool = True,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size, self.epochs, self.seed = batch_size, epochs, seed
        self.buckets, self.start = buckets, start
        self.rank, self.world = rank, world
        # Every process needs a sample of every batch.
        self.usable = len(lengths) if world == 1 else len(lengths) // batch_size * batch_size
        self.per_epoch = -(-self.usable // batch_size)

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
        draw = rng(self.seed, _ORDER, epoch)
        order = draw.permutation(len(self.lengths))[: self.usable]
        if self.buckets:
            pool = POOL * self.batch_size
            pools = [order[i : i + pool] for i in range(0, len(order), pool)]
            order = np.concatenate([p[np.argsort(self.lengths[p], kind="stable")] for p in pools])
        size = self.batch_size
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        return [batches[i] for i in draw.permutation(len(batches))] if self.buckets else batches
