"""Train an x-vector network to classify the speakers of a set (paper, section 4.1).

Its data are random chunks; some utterances of each speaker are held out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from speechkit.base import audio
from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.base.random_draws import rng
from speechkit.base.tables import grouped, write_json
from speechkit.kaldi import data
from speechkit.speaker import verification
from speechkit.speaker.config import XVectorConfig
from speechkit.speaker.embedder import network_config, write_model
from speechkit.speaker.speechbrain_folder import LogMel
from speechkit.speaker.tdnn import TDNN, Classifier
from speechkit.training.batches import ResumableBatches, broken, checked_loader, durations
from speechkit.training.config import FitConfig, require_minutes
from speechkit.training.devices import resolve_device, resolve_precision
from speechkit.training.loop import fit
from speechkit.training.state import Trainable
from speechkit.workdir import Output, WorkDir

_HELD_OUT, _LENGTH, _POSITION = 1, 2, 3  # streams of random draws
MAX_DEFAULT_RATE = 16_000


@dataclass
class Split:
    """Utterances to train on and held-out ones, with the classes."""

    train: list[data.Utterance]
    held_out: list[data.Utterance]
    speakers: list[str]

    @cached_property
    def label(self) -> dict[str, int]:
        """Class of each speaker."""
        return {speaker: i for i, speaker in enumerate(self.speakers)}


def split(utterances: Sequence[data.Utterance], share: float, seed: int) -> Split:
    """Hold out ``share`` of each speaker's utterances (at least one, and one is left).

    Raises:
        UserError: fewer than two speakers, or none with two utterances.
    """
    of = grouped(utterances, lambda utterance: utterance.speaker)
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
    for item in batch:
        if isinstance(item, str):
            return item
    samples, labels = zip(*batch, strict=True)
    return torch.from_numpy(np.stack(samples)), torch.tensor(labels)


class SpeakerNet(Trainable):
    """Features, x-vector and speaker classifier.

    Args:
        split: speakers and held-out utterances.
    """

    def __init__(self, config: XVectorConfig, split: Split) -> None:
        super().__init__()
        self.config, self.split = config, split
        self.features = LogMel(config.sample_rate, config.n_mels)
        self.tdnn = TDNN(network_config(config))
        classes = len(split.speakers) * len(config.speeds)
        self.classifier = Classifier(config.embedding, classes)

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        samples, labels = batch
        with torch.no_grad():
            features, _ = self.features(samples)
        logits = self.classifier(self.tdnn(features))
        return torch.nn.functional.cross_entropy(logits.float(), labels)

    def measure(self) -> dict[str, float]:
        """Loss, accuracy and equal error rate on the whole held-out utterances."""
        speeds, speakers = self.config.speeds, self.split.speakers
        first = speeds.index(1.0) * len(speakers)
        vectors, losses, right = [], [], 0
        for utterance in self.split.held_out:
            features, frames = self.features(self._whole(utterance)[None].to(self.device))
            vector = self.tdnn(features, frames)
            label = torch.tensor([first + self.split.label[utterance.speaker]], device=self.device)
            logits = self.classifier(vector).float()
            losses.append(float(torch.nn.functional.cross_entropy(logits, label)))
            right += int(logits.argmax() == label)
            vectors.append(vector[0].float().cpu().numpy())
        found = verification.summary(
            np.stack(vectors), np.array([u.speaker for u in self.split.held_out])
        )
        return {
            "held_out_loss": float(np.mean(losses)),
            "held_out_accuracy": right / len(losses),
            "held_out_eer_percent": found["eer_percent"],
        }

    def _whole(self, utterance: data.Utterance) -> torch.Tensor:
        """Samples ``[T]`` of a held-out utterance."""
        rate, least = self.config.sample_rate, self.tdnn.config.min_frames * self.features.hop
        try:
            samples, _ = audio.read(utterance.wav, rate, utterance.start, utterance.end)
        except UserError as error:
            raise broken(f"{utterance.id}: {error.problem}") from error
        if len(samples) < least:
            raise broken(f"{utterance.id}: {len(samples) / rate:.3f} s are too short to validate.")
        return torch.from_numpy(samples)


def train(
    workdir: WorkDir,
    name: str,
    config: XVectorConfig,
    *,
    device: str = "auto",
    jobs: int = 1,
    checkpoint_minutes: float = 5.0,
    force: bool = False,
    other_batch_size: bool = False,
) -> Path:
    """Train and write ``exp/xvector_nnet/<name>/``; returns that folder.

    Args:
        config: all that decides the result; ``sample_rate`` 0 takes that of the first
            file, at most 16 kHz.
        device: auto, cpu or cuda.
        jobs: processes that read audio; 0 reads in this one.
        checkpoint_minutes: how often the state is saved inside an epoch.
        force: replace a model that was trained with other parameters.
        other_batch_size: go on from an unfinished run of another batch size.
    """
    config.check()
    where = resolve_device(device)
    precision = resolve_precision(config.precision, where)
    dataset = data.load(workdir.data(config.set_name), workdir.root)
    if not config.sample_rate:
        rate = audio.info(dataset.utterances[0].wav).sample_rate
        config = replace(config, sample_rate=min(rate, MAX_DEFAULT_RATE))
        config.check()
    require_minutes(checkpoint_minutes)
    final = workdir.exp("xvector_nnet", name)
    with Output(
        final,
        "train xvector",
        asdict(config),
        dataset.files(),
        force=force,
        audio=dataset.audio_files(),
        resume=True,
        training=True,
        other_batch_size=other_batch_size,
    ) as out:
        if not out.up_to_date:
            _train(out, config, dataset, where, precision, jobs, checkpoint_minutes)
    return final


def _train(
    out: Output,
    config: XVectorConfig,
    dataset: data.DataDir,
    device: torch.device,
    precision: str,
    jobs: int,
    checkpoint_minutes: float,
) -> None:
    parts = split(dataset.utterances, config.held_out, config.seed)
    seconds = durations(parts.train)
    chunks = Chunks(parts, config, seconds)
    torch.manual_seed(config.seed)
    net = SpeakerNet(config, parts)
    logger.info(
        f"{counted(len(parts.speakers), 'speaker')} x {counted(len(config.speeds), 'speed')}, "
        f"{counted(len(parts.train), 'utterance')} to train on, {len(parts.held_out)} held out; "
        f"{sum(p.numel() for p in net.parameters()):,} parameters on {device} ({precision})"
    )
    batches = partial(ResumableBatches, len(chunks), config.batch_size, config.epochs, config.seed)
    fitted = fit(
        net,
        lambda step: checked_loader(chunks, batches(step), collate, jobs, device),
        FitConfig.of(
            config,
            monitor="held_out_loss",
            precision=precision,
            checkpoint_minutes=checkpoint_minutes,
        ),
        per_epoch=batches().per_epoch,
        device=device,
        checkpoint=out.part("last.ckpt"),
        tensorboard=out.path / "tensorboard",
        label="train xvector",
    )
    best = fitted.rows[fitted.best_epoch - 1]
    write_model(out.path, config, parts.speakers, fitted.weights, fitted.rows)
    write_json(out.path / "summary.json", {"best_epoch": fitted.best_epoch, **best})
    out.counts.update(
        speakers=len(parts.speakers), train=len(parts.train), held_out=len(parts.held_out)
    )
    out.notes.update(device=str(device), precision=precision)
