"""Train the convolutional network on log mel features, from scratch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from speechkit.base.log import logger
from speechkit.emotion import features, model_folder
from speechkit.emotion.config import CnnConfig
from speechkit.emotion.data import Resources, Run, usable_parts
from speechkit.emotion.fbank_cnn import FbankCnn
from speechkit.emotion.layers import SpecAugment
from speechkit.emotion.loss import WeightedCrossEntropy, class_weights, measures, seed_start
from speechkit.labels.emotions import EmotionSet
from speechkit.labels.folds import Fold
from speechkit.training.batches import ResumableBatches
from speechkit.training.config import FitConfig
from speechkit.training.devices import keep_memory, resolve_precision
from speechkit.training.loop import Fitted, fit
from speechkit.training.state import Trainable
from speechkit.workdir import Output, WorkDir

Batch = tuple[Tensor, list[int], Tensor]
_VALID_BATCH = 32
_DEVIATION = 0.1  # of a filter: no smaller one is divided by


class Clips(Dataset[tuple[Tensor, int]]):
    """Features ``[T, n_mels]`` and classes of some clips, kept in memory.

    An item is asked for as ``(epoch, batch, index)``, see
    :class:`~speechkit.training.batches.ResumableBatches`.
    """

    def __init__(self, kept: features.Features, dataset: EmotionSet, ids: Sequence[str]) -> None:
        self.matrices = [torch.from_numpy(kept.table[name].copy()) for name in ids]
        self.targets = dataset.targets(ids)

    def __len__(self) -> int:
        return len(self.matrices)

    def __getitem__(self, at: tuple[int, int, int]) -> tuple[Tensor, int]:
        return self.matrices[at[2]], int(self.targets[at[2]])


def collate(items: Sequence[tuple[Tensor, int]]) -> Batch:
    """Padded features ``[B, T, n_mels]``, frame counts and classes ``[B]``."""
    matrices, targets = zip(*items, strict=True)
    padded = torch.nn.utils.rnn.pad_sequence(list(matrices), batch_first=True)
    return padded, [len(matrix) for matrix in matrices], torch.tensor(targets)


class CnnTraining(Trainable):
    """The network with its loss and its validation.

    Args:
        net: the network.
        config: of the training.
        counts: training clips of each class.
        valid: what it is measured on.
    """

    def __init__(
        self, net: FbankCnn, config: CnnConfig, counts: Sequence[int], valid: Clips
    ) -> None:
        super().__init__()
        self.net, self.config, self.valid = net, config, valid
        weights = class_weights(counts, config.class_weights, config.beta)
        self.criterion = WeightedCrossEntropy(
            weights, config.class_weights == "score-balanced", config.label_smoothing
        )
        self.augment = SpecAugment(
            config.mask_time,
            config.mask_time_length,
            config.mask_feature,
            config.mask_feature_length,
        )

    def loss(self, batch: Batch) -> Tensor:
        padded, counts, targets = batch
        # The mean of the training clips fills masks, which is 0 to the network.
        masked = self.augment(padded - self.net.mean, counts, None) + self.net.mean
        return self.criterion(self.net(masked, counts), targets)

    def measure(self) -> dict[str, float]:
        """Loss, accuracy and UAR of the validation clips."""
        order = sorted(range(len(self.valid)), key=lambda i: len(self.valid.matrices[i]))
        found = torch.zeros(len(order), len(self.criterion.weights))
        for first in range(0, len(order), _VALID_BATCH):
            part = order[first : first + _VALID_BATCH]
            padded, counts, _ = collate([self.valid[0, 0, i] for i in part])
            found[part] = self.net(padded.to(self.device), counts).float().cpu()
        return measures(found, self.valid.targets)

    def new_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.trained_parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
        )


def train_cnn(
    out: Output,
    workdir: WorkDir,
    dataset: EmotionSet,
    fold: Fold,
    run: Run,
    config: CnnConfig,
    resources: Resources,
) -> None:
    """Train one fold and seed into an open output.

    Args: as for :func:`speechkit.emotion.train_encoder.train_encoder`.

    Raises:
        UserError: a clip cannot be read, a class has no clips left, or training failed.
    """
    config.check()
    device = torch.device(resources.device)
    kept = features.extract(
        workdir, dataset, run.upstream, max_seconds=run.max_seconds,
        on_error=resources.on_error, **resources.how,
    )  # fmt: skip
    parts = usable_parts(fold, dataset, kept.skipped)
    train, valid = (Clips(kept, dataset, ids) for ids in (parts.train, parts.valid))
    seed_start(run.seed)
    net = FbankCnn(features.FBANK.n_mels, len(dataset.classes), config.channels, config.dropout)
    every = torch.cat(train.matrices)
    net.mean.copy_(every.mean(0))
    net.scale.copy_(every.std(0).clamp(min=_DEVIATION))
    counts = np.bincount(train.targets, minlength=len(dataset.classes)).tolist()
    logger.info(
        f"{len(train)} clips to train on, {len(valid)} to validate; "
        f"{sum(p.numel() for p in net.parameters()):,} parameters on {device}"
    )
    keep_memory(device)
    model = CnnTraining(net, config, counts, valid)
    fitted, per_epoch = _fit(out, model, train, run, resources, device)
    _write(out, net, fitted, per_epoch, dataset, run, config)
    out.counts.update(training=len(train), validation=len(valid))
    out.notes.update(device=str(device))


def _fit(
    out: Output,
    model: CnnTraining,
    train: Clips,
    run: Run,
    resources: Resources,
    device: torch.device,
) -> tuple[Fitted, int]:
    config = model.config

    def batches(start: int = 0) -> ResumableBatches:
        return ResumableBatches(len(train), config.batch_size, config.epochs, run.seed, start)

    per_epoch = batches().per_epoch
    fitted = fit(
        model,
        lambda step: DataLoader(train, batch_sampler=batches(step), collate_fn=collate),
        FitConfig(
            config.epochs,
            config.learning_rate,
            config.clip,
            config.patience,
            "valid_loss" if config.select == "loss" else f"-valid_{config.select}",
            resolve_precision(config.precision, device),
            resources.checkpoint_minutes,
            run.seed,
            batch_size=config.batch_size,
        ),
        per_epoch=per_epoch,
        device=device,
        checkpoint=out.part("last.ckpt"),
        tensorboard=out.path / "tensorboard",
        label=f"train emotion {out.final.parent.parent.name} fold {run.fold} seed {run.seed}",
    )
    return fitted, per_epoch


def _write(
    out: Output,
    net: FbankCnn,
    fitted: Fitted,
    per_epoch: int,
    dataset: EmotionSet,
    run: Run,
    config: CnnConfig,
) -> None:
    rows = [
        {"step": float(epoch * per_epoch), "epoch": float(epoch), **row, "seconds": seconds}
        for epoch, (row, seconds) in enumerate(
            zip(fitted.rows, fitted.seconds, strict=True), start=1
        )
    ]
    best = fitted.best_epoch - 1
    weights = {
        name.removeprefix("net."): value
        for name, value in fitted.weights.items()
        if name.startswith("net.")
    }
    model_folder.write(
        out.path,
        model=run.upstream,
        upstream=run.upstream,
        classes=dataset.classes,
        sample_rate=features.SAMPLE_RATE,
        network={
            "features": features.FBANK.as_dict(),
            "channels": list(config.channels),
            "dropout": config.dropout,
            "parameters": sum(p.numel() for p in net.parameters()),
        },
        training={**run.as_dict(), **config.as_dict()},
        weights=weights,
        rows=rows,
        summary={
            "best_step": int(rows[best]["step"]),
            "steps": int(rows[-1]["step"]),
            "train_seconds": fitted.seconds[best],
            "total_seconds": fitted.seconds[-1],
            "valid_uar": rows[best]["valid_uar"],
        },
    )
