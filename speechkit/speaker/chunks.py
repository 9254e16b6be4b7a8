"""Data of x-vector training: a split of each speaker's utterances, and random chunks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.utils.data import Dataset

from speechkit.base import audio
from speechkit.base.errors import UserError
from speechkit.base.random_draws import rng
from speechkit.kaldi import data
from speechkit.speaker.config import XVectorConfig

_HELD_OUT, _LENGTH, _POSITION = 1, 2, 3  # streams of random draws


@dataclass
class Split:
    """Utterances to train on and held-out ones, with the classes."""

    train: list[data.Utterance]
    held_out: list[data.Utterance]
    speakers: list[str]
    label: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.label = {speaker: i for i, speaker in enumerate(self.speakers)}


def split(utterances: Sequence[data.Utterance], share: float, seed: int) -> Split:
    """Hold out ``share`` of each speaker's utterances (at least one, and one is left).

    Raises:
        UserError: fewer than two speakers, or none with two utterances.
    """
    of: dict[str, list[data.Utterance]] = {}
    for utterance in utterances:
        of.setdefault(utterance.speaker, []).append(utterance)
    if len(of) < 2:
        raise UserError(
            f"The set has {len(of)} speaker; an x-vector network needs at least two.",
            "Check utt2spk: each speaker needs an id of its own.",
        )
    train, held_out = [], []
    for number, speaker in enumerate(sorted(of)):
        own = of[speaker]
        count = min(max(1, round(share * len(own))), len(own) - 1)
        chosen = set(rng(seed, _HELD_OUT, number).permutation(len(own))[:count].tolist())
        held_out += [u for i, u in enumerate(own) if i in chosen]
        train += [u for i, u in enumerate(own) if i not in chosen]
    if not held_out:
        raise UserError(
            "Every speaker has a single utterance, so none can be held out for validation.",
            "Check utt2spk, or cut long recordings with a segments file.",
        )
    return Split(train, held_out, sorted(of))


class Chunks(Dataset):
    """Random chunks at random speed; a sample is named by (epoch, batch, index).

    All chunks of a batch have one length; shorter utterances are repeated to fill it.
    Index i is utterance i % N at speed i // N; each speed of a speaker is a class.
    """

    def __init__(self, split: Split, config: XVectorConfig, seconds: Sequence[float]) -> None:
        self.split, self.config, self.seconds = split, config, seconds

    def __len__(self) -> int:
        return len(self.split.train) * len(self.config.speeds)

    def __getitem__(self, sample: tuple[int, int, int]) -> tuple[np.ndarray, int] | str:
        """Samples and class, or what is wrong with the utterance (see :class:`Checked`)."""
        try:
            return self._draw(*sample)
        except UserError as error:
            return f"{self.split.train[sample[2] % len(self.split.train)].id}: {error.problem}"

    def _draw(self, epoch: int, batch: int, index: int) -> tuple[np.ndarray, int]:
        config = self.config
        speed_number, number = divmod(index, len(self.split.train))
        utterance, speed = self.split.train[number], config.speeds[speed_number]
        length = rng(config.seed, _LENGTH, epoch, batch).uniform(config.chunk_min, config.chunk_max)
        wanted = round(length * config.sample_rate)
        spare = max(0.0, self.seconds[number] - length * speed)
        start = utterance.start + rng(config.seed, _POSITION, epoch, index).uniform(0, 1) * spare
        end = min(start + length * speed + 0.02, utterance.start + self.seconds[number])
        samples, _ = audio.read(utterance.wav, config.sample_rate, start, end)
        samples = audio.change_speed(samples, speed)
        repeats = math.ceil(wanted / len(samples))
        label = speed_number * len(self.split.speakers) + self.split.label[utterance.speaker]
        return np.tile(samples, repeats)[:wanted], label


def collate(
    batch: Sequence[tuple[np.ndarray, int] | str],
) -> tuple[torch.Tensor, torch.Tensor] | str:
    """Samples ``[B, N]`` and labels ``[B]``, or the first problem."""
    good = [item for item in batch if not isinstance(item, str)]
    if len(good) < len(batch):
        return next(item for item in batch if isinstance(item, str))
    samples, labels = zip(*good, strict=True)
    return torch.from_numpy(np.stack(samples)), torch.tensor(labels)
