"""Batches of random chunks for the acoustic network, from features that lie in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.tdnn.config import ChunkConfig
from speechkit.acoustic.tdnn.data import Stream
from speechkit.base.errors import UserError
from speechkit.base.random_draws import rng
from speechkit.labels.phones import ARPABET, kaldi_name
from speechkit.training.batches import ResumableBatches

_CHUNK, _SET = 0xAC, 0xA5  # streams of random draws
PRIOR_FLOOR = 1e-4  # a state hardly seen must not gain from its small prior
_SMOOTH = 10.0  # transitions of the mean state that each has besides its own


class Chunks:
    """Random chunks of the streams, without one fold of speakers.

    In an epoch chunk i lies near the i-th part of the data, at a random speed and shift, and
    has a few masks; all of that is drawn from (seed, epoch, i). A chunk may hold the end of
    one utterance and the beginning of the next.

    Args:
        streams: the data at each speed.
        without: the fold to leave out; None takes all.
        config: of the chunks.
        reach: frames that the network sees to each side.
        seed: of the draws.
        weight: how many chunks an epoch has, relative to the size of the data.

    Raises:
        UserError: nothing is left to train on.
    """

    def __init__(
        self,
        streams: Sequence[Stream],
        without: int | None,
        config: ChunkConfig,
        reach: int,
        seed: int,
        weight: float = 1.0,
    ) -> None:
        self.streams, self.config, self.reach, self.seed = streams, config, reach, seed
        holes = [s.blocks.get(-1 if without is None else without, (0, 0)) for s in streams]
        self._holes = [(first, last - first) for first, last in holes]
        self._sizes = [
            len(s.targets) - hole for s, (_, hole) in zip(streams, self._holes, strict=True)
        ]
        if not min(self._sizes):
            raise UserError(f"Without fold {without} nothing is left to train on.")
        self.frames = min(config.frames, min(self._sizes) - 2 * reach)
        self.count = max(1, round(weight * float(np.mean(self._sizes)) / self.frames))

    def __len__(self) -> int:
        """Chunks of an epoch."""
        return self.count

    def chunk(self, epoch: int, index: int) -> tuple[Tensor, Tensor]:
        """One chunk: features ``[frames + 2 reach, M]``, targets ``[frames]``."""
        draws = rng(self.seed, _CHUNK, epoch, index)
        number = int(draws.integers(len(self.streams)))
        width = self.frames + 2 * self.reach
        place = (index + draws.uniform(0, 1)) / self.count
        start = int(place * (self._sizes[number] - width + 1))
        features, targets = self._cut(number, start, start + width)
        features = features.float()
        self._mask(features, draws)
        return features, targets[self.reach : width - self.reach].long()

    def _cut(self, number: int, start: int, end: int) -> tuple[Tensor, Tensor]:
        """A part of the stream as if the fold that is left out were not in it.

        Without the fold 2 3 the frames 0 1 2 3 4 5 are 0 1 4 5, and the part from 1 to 3 is 1 4.
        """
        stream, (hole, size) = self.streams[number], self._holes[number]
        before, after = slice(start, min(end, hole)), slice(max(start, hole) + size, end + size)
        if end <= hole:
            return stream.features[before], stream.targets[before]
        if start >= hole:
            return stream.features[after], stream.targets[after]
        return (
            torch.cat([stream.features[before], stream.features[after]]),
            torch.cat([stream.targets[before], stream.targets[after]]),
        )

    def _mask(self, features: Tensor, draws: np.random.Generator) -> None:
        """Set bands of filters and stretches of frames to zero, which is their mean."""
        config = self.config
        for axis, masks, most in (
            (1, config.freq_masks, config.freq_width),
            (0, config.time_masks, config.time_width),
        ):
            size = features.shape[axis]
            for _ in range(masks):
                width = int(draws.integers(min(most, size // 2) + 1))
                first = int(draws.integers(size - width + 1))
                features.narrow(axis, first, width).zero_()


class MixedChunks:
    """Chunks of several sets: those of one after those of another, each as :class:`Chunks`.

    Args:
        sets: streams of each set, at each speed.
        weights: of each set.
        without: the fold to leave out; None takes all.
        config: of the chunks.
        reach: frames that the network sees to each side.
        seed: of the draws.

    Raises:
        UserError: nothing is left to train on.
    """

    def __init__(
        self,
        sets: Sequence[Sequence[Stream]],
        weights: Sequence[float],
        without: int | None,
        config: ChunkConfig,
        reach: int,
        seed: int,
    ) -> None:
        left = [n for n, streams in enumerate(sets) if len(streams[0].outside(without))]
        if not left:
            raise UserError(f"Without fold {without} nothing is left to train on.")
        # All chunks of a batch are as long as the shortest set allows.
        sizes = [len(stream.outside(without)) for n in left for stream in sets[n]]
        config = replace(config, frames=min(config.frames, min(sizes) - 2 * reach))
        seeds = [int(rng(seed, _SET, n).integers(2**62)) if n else seed for n in range(len(sets))]
        self.members = [Chunks(sets[n], without, config, reach, seeds[n], weights[n]) for n in left]
        self._ends = np.cumsum([len(member) for member in self.members])

    def __len__(self) -> int:
        """Chunks of an epoch."""
        return int(self._ends[-1])

    def batches(self, order: ResumableBatches) -> Iterator[tuple[Tensor, Tensor]]:
        """Features ``[B, frames + 2 reach, M]`` (float32) and targets ``[B, frames]`` (int64)."""
        for members in order:
            chunks = [self.chunk(epoch, index) for epoch, _, index in members]
            features, targets = zip(*chunks, strict=True)
            yield torch.stack(features), torch.stack(targets)

    def chunk(self, epoch: int, index: int) -> tuple[Tensor, Tensor]:
        """One chunk of an epoch: features ``[frames + 2 reach, M]``, targets ``[frames]``."""
        number = int(np.searchsorted(self._ends, index, side="right"))
        member = self.members[number]
        return member.chunk(epoch, index - int(self._ends[number]) + len(member))


def counts(stream: Stream, without: int | None, states: int) -> Tensor:
    """How often each state is a target ``[states]``, outside one fold."""
    targets = stream.outside(without)
    return torch.bincount(targets[targets >= 0].long(), minlength=states)


def stay_counts(stream: Stream, without: int | None, states: int) -> Tensor:
    """How often each state is followed by itself, and by another ``[states, 2]``."""
    targets = stream.outside(without)
    here, there = targets[:-1], targets[1:]
    known = (here >= 0) & (there >= 0)
    index = 2 * here[known].long() + (here != there)[known]
    return torch.bincount(index, minlength=2 * states).view(states, 2)


def stay_probabilities(found: Tensor) -> list[float]:
    """P(stay) of each state from counts ``[states, 2]``, six digits.

    Ten transitions of the mean state are added to each, so that states hardly seen are as
    long as others.
    """
    total = found.sum(0).double()
    mean = float(total[0] / total.sum()) if total.sum() else 0.5
    stay = (found[:, 0].double() + _SMOOTH * mean) / (found.sum(1).double() + _SMOOTH)
    return [round(float(value), 6) for value in stay]


@dataclass
class Data:
    """What a round is trained on.

    Args:
        sets: streams of each set, at each speed.
        weights: of the sets.
        folds: speaker -> fold.
        labels: of the states.
        normal: which of the streams has the speed 1.
    """

    sets: list[list[Stream]]
    weights: list[float]
    folds: dict[str, int]
    labels: tuple[str, ...]
    normal: int

    @property
    def plain(self) -> list[Stream]:
        """The stream of each set at its own speed."""
        return [streams[self.normal] for streams in self.sets]

    @cached_property
    def speech(self) -> list[bool]:
        """For each label, whether it is a phone."""
        return [kaldi_name(label) in ARPABET for label in self.labels]

    def parts(self, fold: int | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Features and targets of the utterances of a fold (None: of all)."""
        for stream in self.plain:
            for number in stream.inside(fold):
                part = stream.parts[number]
                yield stream.features[part], stream.targets[part]

    def prior(self, without: int | None, states: int) -> Tensor:
        """Log share of each state in what is trained on ``[states]``."""
        seen = sum(
            counts(stream, without, states) * weight
            for stream, weight in zip(self.plain, self._weights(), strict=True)
        )
        assert isinstance(seen, Tensor)
        prior = (seen / seen.sum().clamp(min=1)).clamp(min=PRIOR_FLOOR)
        return (prior / prior.sum()).log()

    def stay(self, without: int | None, states: int) -> list[float]:
        """P(stay) of each state."""
        found = sum(
            stay_counts(stream, without, states) * weight
            for stream, weight in zip(self.plain, self._weights(), strict=True)
        )
        assert isinstance(found, Tensor)
        return stay_probabilities(found)

    def _weights(self) -> list[float]:
        """Those of the sets; a whole 1 keeps counts integers, and so exact and as they were."""
        return [weight if weight != 1 else 1 for weight in self.weights]
