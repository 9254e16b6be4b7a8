"""Dynamic mixing: a new mixture for every draw, hard pairs among them.

Wang et al., "Mining Hard Samples Locally and Globally for Improved Speech Separation",
sections 2.1 and 2.4. Every draw comes from (seed, epoch, index): a run that was taken up in
the middle of an epoch, or that is divided among processes, sees the same mixtures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from speechkit.base import audio
from speechkit.base.audio import level_db
from speechkit.base.errors import UserError
from speechkit.base.random_draws import rng
from speechkit.kaldi.data import Utterance
from speechkit.labels.mixtures import MixtureSet
from speechkit.mining.sampler import HardPairSampler
from speechkit.separation.config import MixingConfig
from speechkit.separation.hard_mixtures import require_mined_on

_MIX, _CROP = 0x31, 0x32  # streams of draws
LEVEL_DB = -25.0  # of a crop before its gain, in dB of full scale
SILENT_DB = -80.0  # level below which a crop is drawn again
_TRIES = 5

Sample = tuple[int, int, int]  # (epoch, batch, index), of ResumableBatches


class DynamicMixing(Dataset):
    """Sources of mixtures that are drawn anew each time.

    The first speaker's utterance is the index itself (each is the first of a mixture once in
    an epoch of as many mixtures as utterances); the others are drawn uniformly among the
    utterances of speakers not yet in the mixture. With probability ``ps`` two of them are
    replaced: a random pivot of the pair stays, and its partner is drawn from its hard set.

    Args:
        utterances: of at least ``config.speakers`` speakers.
        seconds: their lengths.
        config: how to draw.
        seed: the run's seed.
        sampler: hard partners, for ``ps`` above 0.

    Returns of ``dataset[(epoch, batch, index)]``: float32 sources ``[speakers, T]`` and how
    many of the T samples are the mixture (the rest is padding).

    Raises:
        UserError: too few speakers, or hard pairs of another set.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        seconds: Sequence[float],
        config: MixingConfig,
        seed: int,
        sampler: HardPairSampler | None = None,
    ) -> None:
        config.check()
        names = sorted({u.speaker for u in utterances})
        if len(names) < config.speakers:
            raise UserError(
                f"Mixtures of {config.speakers} speakers need as many; the set has {len(names)}.",
                "Dynamic mixing never mixes a speaker with himself.",
            )
        self.utterances, self.seconds = list(utterances), np.asarray(seconds)
        self.config, self.seed, self.sampler = config, seed, sampler
        number = {name: i for i, name in enumerate(names)}
        self.speaker = np.array([number[u.speaker] for u in utterances])
        self.by_speaker = np.argsort(self.speaker, kind="stable")
        self.bounds = np.searchsorted(self.speaker[self.by_speaker], np.arange(len(names) + 1))
        self.rows = self._hard_rows() if sampler is not None else None

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, sample: Sample) -> tuple[np.ndarray, int] | str:
        epoch, _, index = sample
        draw = rng(self.seed, _MIX, epoch, index)
        chosen = self.choose(index % len(self), draw)
        try:
            return self.mix(chosen, rng(self.seed, _CROP, epoch, index))
        except UserError as error:  # raised again in the main process
            return f"{self.utterances[chosen[0]].id} in a mixture: {error.problem}"

    def choose(self, first: int, draw: np.random.Generator) -> list[int]:
        """Rows of the utterances of one mixture; different speakers always."""
        chosen = [first]
        while len(chosen) < self.config.speakers:
            chosen.append(self._other(chosen, draw))
        if self.sampler is not None and draw.random() < self.config.ps:
            pivot = chosen[int(draw.integers(2))]
            partner = self._hard_partner(pivot, draw)
            if partner >= 0:
                chosen = [pivot, partner]
                while len(chosen) < self.config.speakers:
                    chosen.append(self._other(chosen, draw))
        return chosen

    def _other(self, chosen: list[int], draw: np.random.Generator) -> int:
        """An utterance of another speaker, uniformly among all of them.

        Utterances lie sorted by speaker. With 3, 2 and 4 of three speakers and the second one
        taken, a place of 0 to 6 is drawn; from 3 on it is moved by the 2 that are left out.
        """
        taken = np.unique(self.speaker[chosen])
        sizes = self.bounds[taken + 1] - self.bounds[taken]
        place = int(draw.integers(len(self) - sizes.sum()))
        for speaker, size in zip(taken, sizes, strict=True):
            if place >= self.bounds[speaker]:
                place += int(size)
        return int(self.by_speaker[place])

    def _hard_partner(self, pivot: int, draw: np.random.Generator) -> int:
        """Row of a hard partner, -1 if the pivot has none."""
        of_sampler, of_set = self.rows  # type: ignore[misc]
        row = int(of_sampler[pivot])
        if row < 0:
            return -1
        partner = int(self.sampler.sample(np.array([row]), draw)[0])  # type: ignore[union-attr]
        return int(of_set[partner]) if partner >= 0 else -1

    def _hard_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Row of the sampler of each utterance (-1: none), and the other way round."""
        sampler = self.sampler
        assert sampler is not None
        require_mined_on(sampler, self.utterances)
        own = {u.id: i for i, u in enumerate(self.utterances)}
        of_set = np.array([own[name] for name in sampler.utterances])
        of_sampler = np.full(len(self.utterances), -1)
        of_sampler[of_set] = np.where(sampler.has_hard, np.arange(len(of_set)), -1)
        return of_sampler, of_set

    def mix(self, chosen: Sequence[int], draw: np.random.Generator) -> tuple[np.ndarray, int]:
        """Crops with their gains ``[speakers, T]``, and the samples that count."""
        total = self.config.samples
        crops = [self.crop(row, draw) for row in chosen]
        length = max(len(crop) for crop in crops)
        gains = self._gains(len(crops), draw)
        sources = np.zeros((len(crops), total), np.float32)
        for row, crop, gain in zip(sources, crops, gains, strict=True):
            start = int(draw.integers(length - len(crop) + 1))
            row[start : start + len(crop)] = crop * np.float32(10 ** (gain / 20))
        return sources, length

    def _gains(self, count: int, draw: np.random.Generator) -> np.ndarray:
        low, high = self.config.gain_min, self.config.gain_max
        if self.config.gain_mode == "each":
            return draw.uniform(low, high, count)
        ratios = np.concatenate([[0.0], -draw.uniform(low, high, count - 1)])
        return ratios - ratios.mean()

    def crop(self, row: int, draw: np.random.Generator) -> np.ndarray:
        """A random piece ``[<= T]`` of an utterance at the model's rate."""
        for _ in range(_TRIES):
            crop, raw_level = self._read(row, draw)
            level = level_db(crop)
            silent = min(level, raw_level) <= SILENT_DB
            if not silent:
                break
        if not self.config.normalize or silent:
            return crop
        return crop * np.float32(10 ** ((LEVEL_DB - level) / 20))

    def _read(self, row: int, draw: np.random.Generator) -> tuple[np.ndarray, float]:
        """A random piece, and its level in dB before it was resampled."""
        utterance, rate = self.utterances[row], self.config.sample_rate
        speed = float(draw.choice(self.config.speeds)) if len(self.config.speeds) > 1 else 1.0
        speed = self.config.speeds[0] if len(self.config.speeds) == 1 else speed
        wanted = self.config.segment * speed
        spare = self.seconds[row] - wanted
        start, end = utterance.start, utterance.end
        if spare > 0:
            start += float(draw.uniform(0, spare))
            end = start + wanted
        raw, own_rate = audio.read(utterance.wav, None, start, end)
        samples = audio.change_speed(audio.resample(raw, own_rate, rate), speed)
        return samples[: self.config.samples], level_db(raw)


class StaticMixtures(Dataset):
    """Random segments of fixed mixtures (training without dynamic mixing).

    Args:
        mixtures: the set.
        config: its ``segment`` and ``sample_rate`` count.
        seed: the run's seed.
    """

    def __init__(self, mixtures: MixtureSet, config: MixingConfig, seed: int) -> None:
        self.mixtures, self.config, self.seed = mixtures, config, seed

    def __len__(self) -> int:
        return len(self.mixtures)

    def __getitem__(self, sample: Sample) -> tuple[np.ndarray, int] | str:
        epoch, _, index = sample
        mixture = self.mixtures.mixtures[index % len(self)]
        total = self.config.samples
        try:
            _, sources = self.mixtures.read(mixture)
        except UserError as error:
            return f"{mixture.id}: {error.problem}"
        spare = sources.shape[1] - total
        if spare <= 0:
            return np.pad(sources, ((0, 0), (0, -spare))), sources.shape[1]
        start = int(rng(self.seed, _CROP, epoch, index).integers(spare + 1))
        return sources[:, start : start + total], total


def collate(samples: Sequence[tuple[np.ndarray, int] | str]) -> tuple | str:
    """Sources ``[B, speakers, T]`` and lengths ``[B]``, or the first problem."""
    for sample in samples:
        if isinstance(sample, str):
            return sample
    sources, lengths = zip(*samples, strict=True)
    return torch.from_numpy(np.stack(sources)), torch.tensor(lengths)
