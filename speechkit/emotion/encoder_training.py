"""What is trained: a head on hidden states that were kept, or encoder and head together.

Data, network, loss and batches of :mod:`speechkit.emotion.train_encoder`. Hidden states of a frozen
encoder are computed once, and a step of the head reads them; otherwise clips go through the encoder
in every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from speechkit.base.errors import UserError
from speechkit.emotion import encoder_files, encoder_network, hidden
from speechkit.emotion.config import FROM_ENCODER, EncoderConfig
from speechkit.emotion.data import (
    Clips,
    Resources,
    Run,
    Vectors,
    broken_clips,
    form_of,
    make_loader,
    usable_parts,
)
from speechkit.emotion.encoder_network import EncoderNet
from speechkit.emotion.encoders import load_encoder
from speechkit.emotion.heads import Classifier
from speechkit.emotion.hidden import HiddenConfig
from speechkit.emotion.loss import ClassifierTraining, seed_start
from speechkit.labels.emotions import EmotionSet
from speechkit.labels.folds import Fold
from speechkit.training.batches import LengthBatches
from speechkit.training.config import FLOAT32
from speechkit.training.devices import keep_memory, ranks
from speechkit.workdir import WorkDir

_LEAST = 1e-5  # standard deviation below which a dimension is not scaled

Batch = tuple[Tensor, "Sequence[int] | None", Tensor]


def _fused(config: EncoderConfig) -> bool:
    """A fused step leaves no room to clip gradients that are scaled."""
    return config.precision != "16"


class Finetuning(ClassifierTraining):
    """The encoder is trained too; ``net`` is an :class:`EncoderNet`."""

    def __init__(
        self, net: EncoderNet, config: EncoderConfig, counts: Sequence[int], valid: Clips
    ) -> None:
        super().__init__(net, config, counts, valid.targets)
        self.valid, self.fused = valid, _fused(config)

    def logits(self) -> Tensor:
        order = np.argsort(self.valid.seconds, kind="stable").tolist()
        size = self.config.batch_size
        found = [Tensor()] * len(order)
        half = self.device.type == "cuda" and self.config.precision in ("auto", "bf16")
        low = torch.autocast("cuda", torch.bfloat16) if half else nullcontext()
        with low:
            for first in range(0, len(order), size):
                part = order[first : first + size]
                waves, lengths, _ = self.valid.batch(part)
                for index, row in zip(part, self.net(waves.to(self.device), lengths), strict=True):
                    found[index] = row
        return torch.stack(found)


class HeadTraining(ClassifierTraining):
    """``net`` is a :class:`Classifier`; batches are of :class:`Vectors`."""

    def __init__(
        self,
        net: Classifier,
        config: EncoderConfig,
        counts: Sequence[int],
        valid: Vectors,
        targets: np.ndarray,
    ) -> None:
        super().__init__(net, config, counts, targets)
        self.valid, self.fused = valid, _fused(config)

    def logits(self) -> Tensor:
        size = len(self.valid) if self.valid.pooled else self.config.batch_size
        parts = [range(i, min(i + size, len(self.valid))) for i in range(0, len(self.valid), size)]
        return torch.cat([self.net(*self.valid.batch(part)) for part in parts])


@dataclass
class TrainingSetup:
    """What is to be trained.

    Args:
        model: the network, its loss and its validation.
        loader: step -> batches from that step on.
        per_epoch: batches of an epoch.
        clips: to train on.
        folder: of the encoder.
        changes: of the fit loop's configuration.
        notes: for the manifest.
    """

    model: ClassifierTraining
    loader: Callable[[int], Iterable[Any]]
    per_epoch: int
    clips: int
    folder: Path
    changes: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def finetuned(
    workdir: WorkDir,
    dataset: EmotionSet,
    fold: Fold,
    run: Run,
    config: EncoderConfig,
    resources: Resources,
) -> TrainingSetup:
    """An encoder that learns with its classifier, on clips."""
    device, folder = torch.device(resources.device), encoder_files.find(run.upstream)
    encoder = load_encoder(run.upstream)
    encoder.take_layer(config.layers)
    if resources.on_error == "skip":
        every = (*fold.train, *fold.valid)
        skipped = broken_clips(dataset, every, encoder, run.max_seconds, **resources.how)
        fold = usable_parts(fold, dataset, skipped)
    seed_start(run.seed)
    net = EncoderNet(
        encoder, encoder_network.make_classifier(encoder, config, len(dataset.classes))
    )
    encoder_network.set_up(encoder, config)
    clips, valid = (
        Clips(dataset, ids, encoder, run.max_seconds) for ids in (fold.train, fold.valid)
    )
    for each in (clips, valid):
        each.keep(**resources.how)
        if config.freeze == "features":
            each.convolve(encoder.to(device), device)
    model = Finetuning(net, config, _counts(clips.targets, dataset), valid)
    batches = _batches(clips.seconds, config, run, config.buckets)
    keep_memory(device)
    loader = make_loader(clips, lambda step: batches(start=step), resources.jobs, device)
    return TrainingSetup(model, loader, batches().per_epoch, len(clips), folder)


def frozen(
    workdir: WorkDir,
    dataset: EmotionSet,
    fold: Fold,
    run: Run,
    config: EncoderConfig,
    resources: Resources,
) -> TrainingSetup:
    """A head alone, on hidden states that are kept."""
    if ranks().world > 1:
        raise UserError(
            "A head on a frozen encoder is trained by one process.", "Run it without torchrun."
        )
    device, folder = torch.device(resources.device), encoder_files.find(run.upstream)
    kind = HiddenConfig(run.upstream, config.layers, form_of(config.pooling), run.max_seconds)
    cache = hidden.extract(
        workdir,
        dataset,
        kind,
        device=resources.device,
        on_error=resources.on_error,
        **resources.how,
    )
    fold = usable_parts(fold, dataset, cache.skipped)
    train, valid = (Vectors(cache, ids, config.pooling, device) for ids in (fold.train, fold.valid))
    targets = dataset.targets(fold.train)
    labels = torch.from_numpy(targets).to(device)
    seed_start(run.seed)
    layers = cache.values.shape[1] if config.layers == "weighted" else 0
    shape = (cache.values.shape[-1], layers, len(dataset.classes), config.pooling, config.head)
    net = Classifier(*shape, _dropout(folder, config))
    _normalise(net, train)
    counts, held_out = _counts(targets, dataset), dataset.targets(fold.valid)
    model = HeadTraining(net, config, counts, valid, held_out)
    batches = _batches(train.frames, config, run, config.buckets and not train.pooled)

    def loader(step: int) -> Iterator[Batch]:
        for samples in batches(start=step):
            indices = [index for _, _, index in samples]
            yield *train.batch(indices), labels[torch.as_tensor(indices)]

    changes = {"precision": FLOAT32, "quiet": True}  # runs of seconds, by the dozen
    notes = {"hidden": str(cache.folder.relative_to(workdir.root))}
    return TrainingSetup(model, loader, batches().per_epoch, len(train), folder, changes, notes)


def _counts(targets: np.ndarray, dataset: EmotionSet) -> list[int]:
    """Clips of each class."""
    return np.bincount(targets, minlength=len(dataset.classes)).tolist()


def _batches(
    lengths: Sequence[float], config: EncoderConfig, run: Run, buckets: bool
) -> Callable[..., LengthBatches]:
    here = ranks()
    shape = (lengths, config.batch_size, config.epochs, run.seed, buckets)
    return partial(LengthBatches, *shape, rank=here.rank, world=here.world)


def _dropout(folder: Path, config: EncoderConfig) -> float:
    if config.dropout != FROM_ENCODER:
        return config.dropout
    return float(getattr(encoder_files.read_config(folder), "final_dropout", 0.1))


def _normalise(net: Classifier, train: Vectors) -> None:
    """Scale of the training clips' vectors, so that no dimension rules (layers alike)."""
    if not train.pooled:
        frames = torch.cat([clip.flatten(0, -2) for clip in train.clips])
        mean, std = frames.mean(0), frames.std(0)
    else:
        table = train.table.flatten(0, -2)
        mean, std = table.mean(0), table.std(0)
    net.mean.copy_(mean)
    net.std.copy_(torch.where(std > _LEAST, std, torch.ones_like(std)))
