"""Separation of signals of any length, block by block, with the speakers kept in order.

A network is free to give the speakers in any order, and gives them in another one for
another block. Neighbouring blocks overlap; there the order of the new block is chosen that
agrees best with what was given before, and the two are cross-faded.

With blocks of 20 s that overlap by 5 s, a minute is separated as 0-20, 15-35, 30-50 and 40-60 s:
the last block is a whole one, too. If the second block gives the speakers of 15-20 s in the other
order than the first did, its outputs are exchanged before both are faded into each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from speechkit.base.errors import ConfigError, UserError, is_out_of_memory
from speechkit.separation.inference_config import BLOCK_SECONDS, OVERLAP_SECONDS
from speechkit.separation.loss import pit
from speechkit.separation.model_folder import Separator

_PIECE = 1 << 18  # samples handed over at a time
_ACTIVE = 1e-4  # power of a sounding source, relative to the loudest block so far (-40 dB)
_CLEAR = 0.1  # by how much of the energy another order must agree better


@dataclass(frozen=True)
class Blocks:
    """How a signal is cut.

    Args:
        size: samples of a block.
        overlap: samples that a block has in common with the one before it, at least.
        step: samples between frames of the network; blocks begin at multiples of it.
    """

    size: int
    overlap: int
    step: int


def block_layout(separator: Separator, block_seconds: float, overlap_seconds: float) -> Blocks:
    """Blocks in samples of the model's rate.

    Raises:
        UserError: lengths that cannot be.
    """
    if not 1 <= block_seconds <= 3600:
        raise ConfigError(
            "block_seconds",
            f"{block_seconds:g} is not a usable length.",
            "Give 1 to 3600 seconds; longer blocks take more memory.",
        )
    if not 0 < overlap_seconds <= block_seconds / 2:
        raise ConfigError(
            "overlap_seconds",
            f"{overlap_seconds:g} does not fit blocks of {block_seconds:g} s.",
            f"Give more than 0 and at most half a block ({block_seconds / 2:g}).",
        )
    rate, step = separator.sample_rate, separator.net.config.hop
    return Blocks(
        size=max(2, round(block_seconds * rate / step)) * step,
        overlap=max(1, round(overlap_seconds * rate / step)) * step,
        step=step,
    )


def separate_long(
    separator: Separator,
    mixture: np.ndarray,
    *,
    block_seconds: float = BLOCK_SECONDS,
    overlap_seconds: float = OVERLAP_SECONDS,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """Sources ``[speakers, T]`` of a mixture ``[T]`` at the model's rate.

    What fits one block is separated whole; see :func:`separate_stream` for the rest.

    Raises:
        UserError: a mixture shorter than the encoder's window, or impossible lengths.
    """
    pieces = (mixture[i : i + _PIECE] for i in range(0, len(mixture), _PIECE))
    parts = separate_stream(
        separator,
        pieces,
        block_seconds=block_seconds,
        overlap_seconds=overlap_seconds,
        device=device,
    )
    return np.concatenate(list(parts), axis=1)


def separate_stream(
    separator: Separator,
    read_blocks: Iterable[np.ndarray],
    *,
    block_seconds: float = BLOCK_SECONDS,
    overlap_seconds: float = OVERLAP_SECONDS,
    device: str | torch.device = "cpu",
) -> Iterator[np.ndarray]:
    """Separate a signal that is never in memory as a whole.

    Args:
        separator: the model (moved to ``device``).
        read_blocks: the mixture in order, ``[n]`` float32 at the model's rate, in pieces of
            any length.
        block_seconds: what the network sees at a time. Global layer normalisation takes its
            statistics from it.
        overlap_seconds: shortest overlap of neighbouring blocks. It is longer before the last
            block, which is never short, and where nobody speaks in it: up to half a block.
        device: where the network runs.

    Yields:
        ``[speakers, n]`` float32 in order; together as long as the mixture.

    Raises:
        UserError: a mixture shorter than the encoder's window, or impossible lengths.
    """
    blocks = block_layout(separator, block_seconds, overlap_seconds)
    separator.net.to(device)
    signal, joiner = _Signal(read_blocks), _Joiner(blocks, separator.speakers)
    start = 0
    while not signal.ends_by(start + blocks.size):
        found = _separate(separator, signal.get(start, start + blocks.size), device)
        yield from joiner.add(found, start)
        signal.forget(start)
        start = joiner.next_start()
    # The last block is a full one, so that its statistics are not of a second or two.
    last = max(signal.start, (signal.end - blocks.size) // blocks.step * blocks.step)
    yield from joiner.add(_separate(separator, signal.get(last, signal.end), device), last)
    yield joiner.rest()


def _separate(
    separator: Separator, mixture: np.ndarray, device: str | torch.device
) -> torch.Tensor:
    """Sources ``[S, T]`` of one block."""
    try:
        given = torch.from_numpy(np.ascontiguousarray(mixture, np.float32)).to(device)
        return separator.separate(given[None])[0].float().cpu()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            f"Memory ran out in a block of {len(mixture)} samples.",
            "Give a smaller `block_seconds`, or `device` cpu in place of a GPU.",
        ) from error


class _Signal:
    """The last part of a signal that comes in pieces."""

    def __init__(self, pieces: Iterable[np.ndarray]) -> None:
        self._pieces = iter(pieces)
        self._kept = np.zeros(0, np.float32)
        self.start = 0  # of what is kept

    @property
    def end(self) -> int:
        """First sample that has not been read."""
        return self.start + len(self._kept)

    def ends_by(self, sample: int) -> bool:
        """Whether no sample follows after so many; reads on until it is known."""
        new, length = [self._kept], self.end
        while length <= sample and (piece := next(self._pieces, None)) is not None:
            new.append(np.asarray(piece, np.float32))
            length += len(piece)
        self._kept = np.concatenate(new) if len(new) > 1 else self._kept
        return length <= sample

    def get(self, first: int, last: int) -> np.ndarray:
        return self._kept[first - self.start : last - self.start]

    def forget(self, before: int) -> None:
        self._kept, self.start = self._kept[before - self.start :].copy(), before


class _Joiner:
    """Puts blocks of sources together."""

    def __init__(self, blocks: Blocks, speakers: int) -> None:
        self._blocks = blocks
        self._pending = torch.zeros(speakers, 0)  # joined, but the next block may overlap it
        self._start = 0  # of what is pending
        self._order = torch.arange(speakers)  # output of the network that is each speaker
        self._loudest = 0.0

    @property
    def end(self) -> int:
        return self._start + self._pending.shape[1]

    def add(self, new: torch.Tensor, start: int) -> Iterator[np.ndarray]:
        """Join a block that begins at ``start``; gives what lies before it."""
        shared = self.end - start
        if shared:
            old = self._pending[:, -shared:]
            self._order = self._track(old, new[:, :shared])
        new = new[self._order]
        before, self._start = self._pending[:, : start - self._start], start
        if shared:
            rise = _rise(shared)
            new[:, :shared] = old * (1 - rise) + new[:, :shared] * rise
        self._pending = new
        self._loudest = max(self._loudest, float(_power(new).max()))
        if before.shape[1]:
            yield before.numpy()

    def next_start(self) -> int:
        """Where the next block begins: so that somebody speaks in the overlap, if possible.

        The order can be told if all speakers but one sound in it.
        """
        block = self._blocks
        sources = self._pending.shape[0]
        for length in (block.overlap, block.overlap * 3 // 2, block.overlap * 2, block.size // 2):
            length = min(length, block.size // 2, self._pending.shape[1])
            power = _power(self._pending[:, -length:])
            if int((power > _ACTIVE * self._loudest).sum()) >= sources - 1:
                break
        else:
            length = block.overlap
        return (self.end - length) // block.step * block.step

    def rest(self) -> np.ndarray:
        """What is left after the last block."""
        return self._pending.numpy()

    def _track(self, old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """Output of the new block that continues each speaker of the old one, both ``[S, n]``.

        Offsets, which a network trained on SI-SNR is free in, are taken off. The order with the
        greatest sum of inner products is then the one with the least energy of the differences.
        The old order is kept unless another one is clearly better.
        """
        old, new = (each - each.mean(1, keepdim=True) for each in (old.double(), new.double()))
        agreement = new @ old.T
        _, (order,) = pit(agreement[None])
        columns = torch.arange(len(order))
        better = agreement[order, columns].sum() - agreement[self._order, columns].sum()
        energy = (new.square().sum() * old.square().sum()).sqrt()
        quiet = float(_power(old).max()) <= _ACTIVE * self._loudest
        return self._order if quiet or better <= _CLEAR * energy else order


def _power(signals: torch.Tensor) -> torch.Tensor:
    """Of ``[S, n]`` about their means, ``[S]``."""
    return signals.var(1, correction=0)


def _rise(length: int) -> torch.Tensor:
    """Weights ``[length]`` of the new block in an overlap: a raised cosine in its middle half.

    Both blocks lack context at their own edge, so the outer quarters are of the other one.
    """
    place = (torch.arange(length) + 0.5) / length
    return 0.5 - 0.5 * torch.cos(torch.pi * ((place - 0.25) * 2).clamp(0, 1))
