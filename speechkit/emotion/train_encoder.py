"""Train a classifier on a self-supervised encoder: alone, or the encoder with it.

With ``freeze`` encoder the encoder's hidden states are computed once and kept, and a step of the
head reads them. Otherwise clips go through the encoder in every step. Loss, loop and folder are the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechkit.base.errors import UserError
from speechkit.emotion import encoder_files, encoder_network, hidden, model_folder
from speechkit.emotion.config import FROM_ENCODER, EncoderConfig
from speechkit.emotion.data import Clips, Vectors, broken_clips, form_of
from speechkit.emotion.encoder_network import EncoderNet
from speechkit.emotion.encoders import load_encoder
from speechkit.emotion.fold_training import FoldTraining, usable_parts
from speechkit.emotion.heads import Classifier
from speechkit.emotion.hidden import HiddenConfig
from speechkit.emotion.loss import ClassifierTraining, seed_start
from speechkit.training.batches import LengthBatches
from speechkit.training.config import FLOAT32
from speechkit.training.devices import keep_memory, ranks
from speechkit.training.weights import write_weights

_LEAST = 1e-5  # standard deviation below which a dimension is not scaled


def train_encoder(job: FoldTraining) -> None:
    """Train one fold and seed.

    Raises:
        UserError: the encoder cannot be had, a clip cannot be read, or training failed.
    """
    if not job.fold.valid:
        raise UserError(f"Fold {job.run.fold} of '{job.run.split}' has no validation clips.")
    train = _train_head if job.config.freeze == "encoder" else _finetune
    train(job, encoder_files.find(job.run.upstream))


class EncoderTraining(ClassifierTraining):
    """Either kind; batches are of :class:`Clips` or :class:`Vectors`."""

    @property
    def fused(self) -> bool | None:
        """A fused step leaves no room to clip gradients that are scaled."""
        return self.config.precision != "16"


class Finetuning(EncoderTraining):
    """The encoder is trained too; ``net`` is an :class:`EncoderNet`, ``valid`` are clips."""

    def logits(self) -> Tensor:
        half = self.device.type == "cuda" and self.config.precision in ("auto", "bf16")
        with torch.autocast("cuda", torch.bfloat16) if half else nullcontext():
            return super().logits()


class HeadTraining(EncoderTraining):
    """``net`` is a :class:`Classifier`, ``valid`` are vectors."""

    def logits(self) -> Tensor:
        size = len(self.valid) if self.valid.pooled else self.config.batch_size
        parts = [range(i, min(i + size, len(self.valid))) for i in range(0, len(self.valid), size)]
        return torch.cat([self.net(*self.valid.batch(part)) for part in parts])


def _finetune(job: FoldTraining, folder: Path) -> None:
    """An encoder learns with its classifier, on clips."""
    dataset, fold, run, config = job.dataset, job.fold, job.run, job.config
    how, device = job.resources.how, job.device
    encoder = load_encoder(run.upstream)
    encoder.take_layer(config.layers)
    if job.resources.on_error == "skip":
        every = (*fold.train, *fold.valid)
        skipped = broken_clips(dataset, every, encoder, run.max_seconds, **how)
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
        each.keep(**how)
        if config.freeze == "features":
            each.convolve(encoder.to(device), device)
    model = Finetuning(net, config, job.counts(clips.targets), valid)
    batches = _batches(clips.lengths, job, config.buckets)
    keep_memory(device)
    loader = clips.loader(batches, job.resources.jobs, device)
    _fit(job, folder, model, loader, batches().per_epoch, len(clips))


def _train_head(job: FoldTraining, folder: Path) -> None:
    """A head learns alone, on hidden states that are kept."""
    if ranks().world > 1:
        raise UserError(
            "A head on a frozen encoder is trained by one process.", "Run it without torchrun."
        )
    dataset, run, config, resources = job.dataset, job.run, job.config, job.resources
    device = job.device
    kind = HiddenConfig(run.upstream, config.layers, form_of(config.pooling), run.max_seconds)
    how = {"device": device.type, "on_error": resources.on_error, **resources.how}
    cache = hidden.extract(job.workdir, dataset, kind, **how)
    fold = usable_parts(job.fold, dataset, cache.skipped)
    train, valid = (
        Vectors(cache.clips(ids, config.pooling), dataset.targets(ids), device, kind.form == "mean")
        for ids in (fold.train, fold.valid)
    )
    seed_start(run.seed)
    layers = cache.values.shape[1] if config.layers == "weighted" else 0
    shape = (cache.values.shape[-1], layers, len(dataset.classes), config.pooling, config.head)
    net = Classifier(*shape, _dropout(folder, config))
    _normalise(net, train)
    model = HeadTraining(net, config, job.counts(train.targets), valid)
    batches = _batches(train.lengths, job, config.buckets and not train.pooled)
    changes = {"precision": FLOAT32, "quiet": True}  # runs of seconds, by the dozen
    job.out.notes["hidden"] = str(cache.folder.relative_to(job.workdir.root))
    per_epoch = batches().per_epoch
    _fit(job, folder, model, train.loader(batches), per_epoch, len(train), **changes)


def _batches(
    lengths: Sequence[float], job: FoldTraining, buckets: bool
) -> Callable[..., LengthBatches]:
    here = ranks()
    shape = (lengths, job.config.batch_size, job.config.epochs, job.run.seed, buckets)
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


def _fit(
    job: FoldTraining,
    folder: Path,
    model: ClassifierTraining,
    loader: Callable[[int], Iterable[Any]],
    per_epoch: int,
    clips: int,
    **changes: Any,
) -> None:
    """Train, and write the model's folder.

    Args:
        folder: of the encoder.
        model: the network, its loss and its validation.
        loader: step -> batches from that step on.
        per_epoch: batches of an epoch. (One of the loop is what lies between two evaluations.)
        clips: to train on.
        changes: of the loop's configuration.
    """
    config, batches = job.config, job.config.epochs * per_epoch
    every = config.evaluate_every * config.accumulate
    changes |= {"batches": batches, "unit": "step", "find_unused": True}
    fitted = job.fit(model, loader, clips, every, **changes)
    if ranks().rank:
        return
    out, net, frozen = job.out, model.net, config.freeze == "encoder"
    classifier: Any = net if frozen else net.classifier
    last_step = -(-batches // config.accumulate)
    steps = [
        min(number * config.evaluate_every, last_step) for number in range(1, len(fitted.rows) + 1)
    ]
    made = model_folder.of_fitted(fitted, steps)
    if frozen:
        made["summary"]["disk_bytes"] = _disk_bytes(folder, made["weights"])
    if config.keep_checkpoints > 1:
        write_weights(out.path / "last.safetensors", net.state_dict())
    encoder_network.save_description(folder, out.path)
    network = {
        "frozen": frozen,
        "layers": config.layers,
        "classifier": classifier.arguments,
        "encoder_digest": encoder_files.digest(folder),
    }
    if frozen and encoder_files.is_local(job.run.upstream):
        network["encoder_folder"] = str(folder.resolve())  # found from any present folder
    if classifier.sum is not None:
        network["layer_weights"] = classifier.sum.weights().tolist()
    job.write("encoder", network, encoder_files.preprocessing(folder).sample_rate, **made)


def _disk_bytes(folder: Path, weights: Mapping[str, Tensor]) -> int:
    """Of a head together with the encoder that it cannot do without."""
    of_encoder = sum(path.stat().st_size for path in encoder_files.weight_files(folder))
    return of_encoder + sum(value.numel() * value.element_size() for value in weights.values())
