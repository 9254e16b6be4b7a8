"""Clips for training: their waves, or vectors and frames that were kept.

Waves are normalised, padded, and kept where they fit. Frozen convolutions give the same in every
epoch: their output is kept in place of the waves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from speechkit.base import parallel
from speechkit.base.errors import UserError
from speechkit.emotion.encoders import Encoder
from speechkit.kaldi.data import Utterance
from speechkit.labels.emotions import EmotionSet, read_clip
from speechkit.training.batches import Checked, broken, checked_loader, durations

KEEP_HOURS = 4.0  # up to so much audio (0.9 GB at 16 kHz) is read once
KEEP_CONVOLVED_HOURS = 2.5  # (0.9 GB of 512 features, 50 times a second)
_BATCH_SECONDS = 30.0

Batch = tuple[Tensor, list[int], Tensor]


class Clips(Dataset):
    """Waves at an encoder's rate, and the index of their class.

    Args:
        dataset: the set.
        ids: utterances.
        encoder: its rate and normalisation.
        max_seconds: most seconds of a clip.

    Attributes:
        lengths: of the clips, in seconds.
    """

    def __init__(
        self, dataset: EmotionSet, ids: Sequence[str], encoder: Encoder, max_seconds: float
    ) -> None:
        self.ids = list(ids)
        self.utterances = dataset.utterances(ids)
        self.targets = dataset.targets(self.ids)
        self.lengths = [min(s, max_seconds) for s in durations(self.utterances)]
        self.rate, self.max_seconds = encoder.sample_rate, max_seconds
        self.normalise, self.shortest = encoder.normalise, encoder.shortest
        self.waves: list[np.ndarray] | None = None
        self.convolved: list[np.ndarray] | None = None
        self.samples: list[int] = []  # of the convolved clips

    def __len__(self) -> int:
        return len(self.ids)

    def keep(self, jobs: int, executor: str = "local") -> bool:
        """Read all clips into memory, unless they are too many; returns whether it was done."""
        if sum(self.lengths) > KEEP_HOURS * 3600:
            return False
        read = partial(read_clip, sample_rate=self.rate, max_seconds=self.max_seconds)
        done = parallel.map_items(
            read,
            self.utterances,
            jobs=jobs if len(self.ids) > 64 else 1,
            executor=executor,
            chunk=8,
            name=lambda u: u.id,
            label="reading clips" if len(self.ids) > 64 else "",
        )
        waves = [each.value for each in done]
        self.waves = [self._ready(w, u) for w, u in zip(waves, self.utterances, strict=True)]  # type: ignore[arg-type]
        return True

    def convolve(self, encoder: Encoder, device: torch.device) -> None:
        """Keep the output of frozen convolutions, unless the clips are not in memory or too many.

        Args:
            encoder: on ``device``.
            device: where it computes; what is kept lies in main memory.
        """
        if self.waves is None or sum(self.lengths) > KEEP_CONVOLVED_HOURS * 3600:
            return
        found = [np.zeros(0, np.float32)] * len(self)
        order = sorted(range(len(self)), key=lambda i: len(self.waves[i]))  # type: ignore[index]
        while order:
            size = max(1, int(_BATCH_SECONDS * self.rate // len(self.waves[order[-1]])))
            part, order = order[-size:], order[:-size]
            waves, lengths, _ = self.batch(part)
            with torch.no_grad():
                made = encoder.convolve(waves.to(device), lengths).float().cpu().numpy()
            for i, row, n in zip(part, made, lengths, strict=True):
                found[i] = row[: encoder.frames(n)].copy()
        self.convolved = found
        self.samples = [len(wave) for wave in self.waves]
        self.waves = None

    def wave(self, index: int) -> np.ndarray:
        """Normalised samples ``[T]``."""
        if self.waves is not None:
            return self.waves[index]
        utterance = self.utterances[index]
        return self._ready(read_clip(utterance, self.rate, self.max_seconds), utterance)

    def _ready(self, wave: np.ndarray, utterance: Utterance) -> np.ndarray:
        if len(wave) < self.shortest:
            raise UserError(
                f"{utterance.id}: is {len(wave) / self.rate:.3f} s long, shorter than one frame."
            )
        return self.normalise(wave)

    def __getitem__(self, sample: tuple[int, int, int]) -> tuple[np.ndarray, int, int] | str:
        """Wave or convolved wave, samples, and class of ``(epoch, batch, index)``."""
        index = sample[2]
        target = int(self.targets[index])
        if self.convolved is not None:
            return self.convolved[index], self.samples[index], target
        try:
            wave = self.wave(index)
            return wave, len(wave), target
        except UserError as error:
            return f"{self.ids[index]}: {error.problem}"

    def batch(self, indices: Sequence[int]) -> Batch:
        """One batch; raises UserError for a clip that cannot be read."""
        made = collate([self[0, 0, i] for i in indices])
        if isinstance(made, str):
            raise broken(made)
        return made

    def loader(
        self, batches: Callable[..., Any], jobs: int, device: torch.device
    ) -> Callable[[int], Checked]:
        """Step -> batches from that step on; processes read audio unless it is in memory."""
        workers = jobs if self.waves is None and self.convolved is None else 0
        return lambda step: checked_loader(self, batches(start=step), collate, workers, device)


def broken_clips(
    dataset: EmotionSet, ids: Sequence[str], encoder: Encoder, max_seconds: float, **how: Any
) -> dict[str, str]:
    """Utterance -> why it cannot be used, of those that cannot; with ``jobs`` and ``executor``."""
    check = partial(
        _problem, rate=encoder.sample_rate, shortest=encoder.shortest, max_seconds=max_seconds
    )
    found = parallel.map_items(check, dataset.utterances(ids), chunk=16, name=lambda u: u.id, **how)
    return {done.item.id: done.value for done in found if done.value}


def _problem(utterance: Utterance, rate: int, shortest: int, max_seconds: float) -> str:
    try:
        wave = read_clip(utterance, rate, max_seconds)
    except UserError as error:
        return error.problem
    return "" if len(wave) >= shortest else f"is shorter than {shortest / rate:.3f} s, one frame."


def collate(items: Sequence[Any]) -> Batch | str:
    """Pad to the longest clip: waves ``[B, T]`` or ``[B, T', C]``, samples, targets ``[B]``."""
    for item in items:
        if isinstance(item, str):
            return item
    arrays, lengths, targets = zip(*items, strict=True)
    padded = torch.zeros(len(items), max(map(len, arrays)), *arrays[0].shape[1:])
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = torch.from_numpy(array)
    return padded, list(lengths), torch.tensor(targets)


def form_of(pooling: str) -> str:
    """What has to be kept for a pooling."""
    return "mean" if pooling in ("mean", "sum") else "frames"


class Vectors:
    """Vectors or frames of clips in memory, and the classes of the clips.

    Args:
        clips: vectors ``[..., D]``, or frames ``[T, ..., D]``, of each.
        targets: their classes ``[N]``.
        device: where batches go.
        pooled: whether they are vectors.

    Attributes:
        lengths: of the clips, in frames.
    """

    def __init__(
        self, clips: list[Tensor], targets: np.ndarray, device: torch.device, pooled: bool = False
    ) -> None:
        self.clips, self.targets, self.device, self.pooled = clips, targets, device, pooled
        self.lengths = [1 if pooled else len(clip) for clip in clips]
        self.table = torch.stack(clips).to(device) if pooled else torch.empty(0)

    def __len__(self) -> int:
        return len(self.clips)

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, list[int] | None]:
        """Vectors ``[B, ..., D]`` without counts, or frames ``[B, ..., T, D]`` with them."""
        if self.pooled:
            return self.table[torch.as_tensor(indices)], None
        padded = torch.nn.utils.rnn.pad_sequence(
            [self.clips[i] for i in indices], batch_first=True
        ).to(self.device)
        return torch.movedim(padded, 1, -2), [self.lengths[i] for i in indices]

    def loader(
        self, batches: Callable[..., Iterable[Any]]
    ) -> Callable[[int], Iterator[tuple[Tensor, list[int] | None, Tensor]]]:
        """Step -> batches from that step on, with classes ``[B]``."""
        targets = torch.from_numpy(self.targets).to(self.device)

        def load(step: int) -> Iterator[tuple[Tensor, list[int] | None, Tensor]]:
            for samples in batches(start=step):
                indices = [index for *_, index in samples]
                yield *self.batch(indices), targets[torch.as_tensor(indices)]

        return load
