"""Train a classifier on a self-supervised encoder, and the encoder with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from torch import Tensor

from speechkit.base.errors import UserError
from speechkit.emotion import encoder_files, encoder_network, head_training
from speechkit.emotion.config import EncoderConfig
from speechkit.emotion.data import (
    Batch,
    Clips,
    Resources,
    Run,
    broken_clips,
    make_loader,
    usable_parts,
)
from speechkit.emotion.encoder_network import EncoderNet
from speechkit.emotion.encoder_training import COMMAND, Training, fit_config, say, write
from speechkit.emotion.encoders import load_encoder
from speechkit.emotion.validation import Tell, seed_start
from speechkit.labels.emotions import EmotionSet
from speechkit.labels.folds import Fold
from speechkit.training.batches import LengthBatches
from speechkit.training.devices import keep_memory, ranks
from speechkit.training.loop import fit
from speechkit.workdir import Output, WorkDir


class Finetuning(Training):
    """The encoder is trained too; ``net`` is an :class:`EncoderNet`."""

    def __init__(
        self, net: EncoderNet, config: EncoderConfig, counts: Sequence[int], valid: Clips
    ) -> None:
        super().__init__(net, config, counts, valid.targets)
        self.valid = valid

    def loss(self, batch: Batch) -> Tensor:
        waves, lengths, targets = batch
        return self.criterion(self.net(waves, lengths), targets)

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


def train_encoder(
    out: Output,
    workdir: WorkDir,
    dataset: EmotionSet,
    fold: Fold,
    run: Run,
    config: EncoderConfig,
    resources: Resources,
    tell: Tell = lambda step, row: None,
) -> None:
    """Train one fold and seed into an open output.

    Args:
        out: ``exp/emotion/<name>/fold<N>/seed<M>``, with ``resume=True``.
        workdir: the working directory (hidden states of a frozen encoder are kept there).
        dataset: the labelled set.
        fold: who is trained on and who validates; test clips are not read.
        run: which training this is.
        config: how.
        resources: what it may use.
        tell: called with each step that was measured, and its row.

    Raises:
        UserError: the encoder cannot be had, a clip cannot be read, or training failed.
    """
    config.check()
    if not fold.valid:
        raise UserError(f"Fold {run.fold} of '{run.split}' has no validation clips.")
    if config.freeze == "encoder":
        head_training.train_head(out, workdir, dataset, fold, run, config, resources, tell)
        return
    device = torch.device(resources.device)
    folder = encoder_files.find(run.upstream)
    encoder = load_encoder(run.upstream)
    encoder.take_layer(config.layers)
    if resources.on_error == "skip":
        every = (*fold.train, *fold.valid)
        skipped = broken_clips(dataset, every, encoder, run.max_seconds, resources.jobs)
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
        each.keep(resources.jobs)
        if config.freeze == "features":
            each.convolve(encoder.to(device), device)
    counts = np.bincount(clips.targets, minlength=len(dataset.classes)).tolist()
    model = Finetuning(net, config, counts, valid)
    say(net, len(clips), len(valid), device)
    batches = partial(
        LengthBatches,
        clips.seconds,
        config.batch_size,
        config.epochs,
        run.seed,
        config.buckets,
        rank=ranks().rank,
        world=ranks().world,
    )
    per_epoch = batches().per_epoch
    keep_memory(device)
    fitted = fit(
        model,
        make_loader(clips, lambda step: batches(start=step), resources.jobs, device),
        fit_config(config, run, per_epoch, device, resources),
        per_epoch=config.evaluate_every * config.accumulate,
        device=device,
        checkpoint=out.part("last.ckpt"),
        tensorboard=out.path / "tensorboard",
        label=f"{COMMAND} {out.final.parent.parent.name} fold {run.fold} seed {run.seed}",
        tell=tell,
    )
    if not ranks().rank:
        write(out, model, fitted, dataset, run, config, folder, config.epochs * per_epoch)
    out.counts.update(training=len(clips), validation=len(valid))
    out.notes.update(device=str(device))
