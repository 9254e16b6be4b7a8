"""Train a head alone, on hidden states of a frozen encoder that are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from speechkit.base.errors import UserError
from speechkit.emotion import encoder_files, hidden
from speechkit.emotion.config import FROM_ENCODER, EncoderConfig
from speechkit.emotion.data import Resources, Run, Vectors, form_of, usable_parts
from speechkit.emotion.encoder_training import COMMAND, Training, fit_config, say, write
from speechkit.emotion.heads import Classifier
from speechkit.emotion.hidden import Kind
from speechkit.emotion.validation import Tell, seed_start
from speechkit.labels.emotions import EmotionSet
from speechkit.labels.folds import Fold
from speechkit.training.batches import LengthBatches
from speechkit.training.config import FLOAT32
from speechkit.training.devices import ranks
from speechkit.training.loop import fit
from speechkit.workdir import Output, WorkDir

_LEAST = 1e-5  # standard deviation below which a dimension is not scaled

Batch = tuple[Tensor, "list[int] | None", Tensor]


class HeadTraining(Training):
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
        self.valid = valid

    def loss(self, batch: Batch) -> Tensor:
        values, counts, targets = batch
        return self.criterion(self.net(values, counts), targets)

    def logits(self) -> Tensor:
        size = len(self.valid) if self.valid.pooled else self.config.batch_size
        parts = [range(i, min(i + size, len(self.valid))) for i in range(0, len(self.valid), size)]
        return torch.cat([self.net(*self.valid.batch(part)) for part in parts])


def train_head(
    out: Output,
    workdir: WorkDir,
    dataset: EmotionSet,
    fold: Fold,
    run: Run,
    config: EncoderConfig,
    resources: Resources,
    tell: Tell,
) -> None:
    """Train one fold and seed; see :func:`speechkit.emotion.finetune.train_encoder`."""
    if ranks().world > 1:
        raise UserError(
            "A head on a frozen encoder is trained by one process.", "Run it without torchrun."
        )
    device = torch.device(resources.device)
    folder = encoder_files.find(run.upstream)
    kind = Kind(run.upstream, config.layers, form_of(config.pooling), run.max_seconds)
    cache = hidden.extract(
        workdir,
        dataset,
        kind,
        device=resources.device,
        jobs=resources.jobs,
        on_error=resources.on_error,
    )
    fold = usable_parts(fold, dataset, cache.skipped)
    train, valid = (Vectors(cache, ids, config.pooling, device) for ids in (fold.train, fold.valid))
    targets = dataset.targets(fold.train)
    labels = torch.from_numpy(targets).to(device)
    seed_start(run.seed)
    size = cache.values.shape[-1]
    layers = cache.values.shape[1] if config.layers == "weighted" else 0
    net = Classifier(
        size, layers, len(dataset.classes), config.pooling, config.head, _dropout(folder, config)
    )
    _normalise(net, train)
    counts = np.bincount(targets, minlength=len(dataset.classes)).tolist()
    model = HeadTraining(net, config, counts, valid, dataset.targets(fold.valid))
    say(net, len(train), len(valid), device)
    batches = partial(
        LengthBatches,
        train.frames,
        config.batch_size,
        config.epochs,
        run.seed,
        config.buckets and not train.pooled,
    )
    per_epoch = batches().per_epoch

    def loader(step: int) -> Iterator[Batch]:
        for samples in batches(start=step):
            indices = [index for _, _, index in samples]
            yield *train.batch(indices), labels[torch.as_tensor(indices)]

    fitted = fit(
        model,
        loader,
        replace(
            fit_config(config, run, per_epoch, device, resources), precision=FLOAT32, quiet=True
        ),
        per_epoch=config.evaluate_every * config.accumulate,
        device=device,
        checkpoint=out.part("last.ckpt"),
        tensorboard=out.path / "tensorboard",
        label=f"{COMMAND} {out.final.parent.parent.name} fold {run.fold} seed {run.seed}",
        tell=tell,
    )
    write(out, model, fitted, dataset, run, config, folder, config.epochs * per_epoch)
    out.counts.update(training=len(train), validation=len(valid))
    out.notes.update(device=str(device), hidden=str(cache.folder.relative_to(workdir.root)))


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
