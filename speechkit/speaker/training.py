"""Train an x-vector network to classify the speakers of a set (paper, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from speechkit import audio
from speechkit.errors import UserError
from speechkit.kaldi import data
from speechkit.log import logger
from speechkit.speaker import model_folder, verification
from speechkit.speaker.features import LogMel
from speechkit.speaker.tdnn import TDNN, Classifier, TDNNConfig
from speechkit.training.batches import ResumableBatches
from speechkit.training.devices import resolve_device, resolve_precision
from speechkit.training.fit import FitConfig, Trainable, fit
from speechkit.training.seeds import rng
from speechkit.workdir import Output, WorkDir

_HELD_OUT, _LENGTH, _POSITION = 1, 2, 3  # streams of random draws


@dataclass(frozen=True)
class XVectorConfig:
    """Everything that decides which network comes out; the flags of ``train xvector``."""

    set_name: str = "train"
    sample_rate: int = 0
    n_mels: int = 24
    channels: tuple[int, ...] = TDNNConfig.channels
    embedding: int = 512
    epochs: int = 20
    batch_size: int = 32
    learning_rate: float = 1e-3
    clip: float = 5.0
    patience: int = 5
    chunk_min: float = 2.0
    chunk_max: float = 4.0
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    held_out: float = 0.1
    precision: str = "auto"
    seed: int = 0

    def check(self) -> None:
        """Raise UserError for values outside their range."""
        for flag, value, good, accepted in (
            (
                "--chunk-min/--chunk-max",
                (self.chunk_min, self.chunk_max),
                0.2 <= self.chunk_min <= self.chunk_max,
                "seconds, from 0.2, the second not smaller",
            ),
            ("--held-out", self.held_out, 0 < self.held_out < 0.5, "a share above 0 and below 0.5"),
            ("--epochs", self.epochs, self.epochs >= 1, "1 or more"),
            ("--batch-size", self.batch_size, self.batch_size >= 2, "2 or more"),
            ("--learning-rate", self.learning_rate, self.learning_rate > 0, "a number above 0"),
            (
                "--speeds",
                self.speeds,
                1.0 in self.speeds and min(self.speeds) >= 0.5 and max(self.speeds) <= 2,
                "factors from 0.5 to 2, with 1.0 among them",
            ),
        ):
            if not good:
                raise UserError(f"{flag} {value} is out of range.", f"Accepted: {accepted}.")


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

    def __getitem__(self, sample: tuple[int, int, int]) -> tuple[np.ndarray, int]:
        epoch, batch, index = sample
        config = self.config
        speed_number, number = divmod(index, len(self.split.train))
        utterance, speed = self.split.train[number], config.speeds[speed_number]
        length = rng(config.seed, _LENGTH, epoch, batch).uniform(config.chunk_min, config.chunk_max)
        wanted = round(length * config.sample_rate)
        spare = max(0.0, self.seconds[number] - length * speed)
        start = utterance.start + rng(config.seed, _POSITION, epoch, index).uniform(0, 1) * spare
        end = min(start + length * speed + 0.02, utterance.start + self.seconds[number])
        samples, _ = audio.read(utterance.wav, config.sample_rate, start, end)
        samples = change_speed(samples, speed)
        repeats = math.ceil(wanted / len(samples))
        label = speed_number * len(self.split.speakers) + self.split.label[utterance.speaker]
        return np.tile(samples, repeats)[:wanted], label


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Faster (factor > 1) with higher pitch, as ``sox speed``: by resampling ``[T]``."""
    if factor == 1:
        return samples
    ratio = Fraction(factor).limit_denominator(100)
    return audio.resample(samples, ratio.numerator, ratio.denominator)


def collate(batch: Sequence[tuple[np.ndarray, int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples ``[B, N]`` and labels ``[B]``."""
    samples, labels = zip(*batch, strict=True)
    return torch.from_numpy(np.stack(samples)), torch.tensor(labels)


class SpeakerNet(Trainable):
    """Features, x-vector and speaker classifier.

    Args:
        config: of the network.
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
            samples, _ = audio.read(
                utterance.wav, self.config.sample_rate, utterance.start, utterance.end
            )
            features, frames = self.features(torch.from_numpy(samples)[None].to(self.device))
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


def network_config(config: XVectorConfig) -> TDNNConfig:
    return TDNNConfig(config.n_mels, config.channels, embedding=config.embedding)


def train(
    workdir: WorkDir,
    name: str,
    config: XVectorConfig,
    *,
    device: str = "auto",
    jobs: int = 1,
    checkpoint_minutes: float = 5.0,
    force: bool = False,
) -> Path:
    """Train and write ``exp/xvector_nnet/<name>/``; returns that folder.

    Args:
        workdir: the working directory.
        name: of the model.
        config: all that decides the result; ``sample_rate`` 0 takes that of the first file.
        device: auto, cpu or cuda.
        jobs: processes that read audio; 0 reads in this one.
        checkpoint_minutes: how often the state is saved inside an epoch.
        force: replace a model that was trained with other parameters.
    """
    config.check()
    where = resolve_device(device)
    precision = resolve_precision(config.precision, where)
    dataset = data.load(workdir.data(config.set_name), workdir.root)
    if not config.sample_rate:
        rate = audio.info(dataset.utterances[0].wav).sample_rate
        config = XVectorConfig(**{**asdict(config), "sample_rate": rate})
    final = workdir.exp("xvector_nnet", name)
    with Output(
        final,
        "train xvector",
        asdict(config),
        dataset.files(),
        force=force,
        audio=dataset.audio_files(),
        resume=True,
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
    seconds = _durations(parts.train)
    chunks = Chunks(parts, config, seconds)
    torch.manual_seed(config.seed)
    net = SpeakerNet(config, parts)
    logger.info(
        f"{len(parts.speakers)} speakers x {len(config.speeds)} speeds, "
        f"{len(parts.train)} utterances to train on, {len(parts.held_out)} held out; "
        f"{sum(p.numel() for p in net.parameters()):,} parameters on {device} ({precision})"
    )
    batches = partial(ResumableBatches, len(chunks), config.batch_size, config.epochs, config.seed)
    fitted = fit(
        net,
        lambda step: DataLoader(
            chunks,
            batch_sampler=batches(step),
            collate_fn=collate,
            num_workers=jobs,
            prefetch_factor=4 if jobs else None,
        ),
        FitConfig(
            config.epochs,
            config.learning_rate,
            config.clip,
            config.patience,
            "held_out_loss",
            precision,
            checkpoint_minutes,
            config.seed,
        ),
        per_epoch=batches().per_epoch,
        device=device,
        checkpoint=out.part("last.ckpt"),
        tensorboard=out.path / "tensorboard",
        label="train xvector",
    )
    best = fitted.rows[fitted.best_epoch - 1]
    model_folder.write(out.path, config, parts.speakers, fitted.weights, fitted.rows)
    model_folder.write_summary(out.path, {"best_epoch": fitted.best_epoch, **best})
    out.counts.update(
        speakers=len(parts.speakers), train=len(parts.train), held_out=len(parts.held_out)
    )
    out.notes.update(device=str(device), precision=precision)


def _durations(utterances: Sequence[data.Utterance]) -> list[float]:
    """Seconds of each utterance, from headers."""
    of: dict[str, Any] = {}
    seconds = []
    for u in utterances:
        if u.end is None and u.wav not in of:
            of[u.wav] = audio.info(u.wav).seconds
        seconds.append((of[u.wav] if u.end is None else u.end) - u.start)
    return seconds
