"""Train the convolutional network on log mel features, from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from speechkit.base.log import counted, logger
from speechkit.emotion import features, model_folder
from speechkit.emotion.config import CnnConfig
from speechkit.emotion.data import Resources, Run, usable_parts
from speechkit.emotion.fbank_cnn import FbankCnn
from speechkit.emotion.layers import SpecAugment
from speechkit.emotion.loss import ClassifierTraining, seed_start
from speechkit.labels.emotions import EmotionSet
from speechkit.labels.folds import Fold
from speechkit.training.batches import ResumableBatches
from speechkit.training.config import FitConfig
from speechkit.training.devices import keep_memory, resolve_precision
from speechkit.training.loop import Fitted, fit
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


class CnnTraining(ClassifierTraining):
    """The network with masks in training, and its validation.

    Args:
        net: the network.
        config: of the training.
        counts: training clips of each class.
        valid: what it is measured on.
    """

    net: FbankCnn

    def __init__(
        self, net: FbankCnn, config: CnnConfig, counts: Sequence[int], valid: Clips
    ) -> None:
        super().__init__(net, config, counts, valid.targets, config.label_smoothing)
        self.valid = valid
        self.augment = SpecAugment(
            config.mask_time,
            config.mask_time_length,
            config.mask_feature,
            config.mask_feature_length,
        )

    def loss(self, batch: tuple[Tensor, Sequence[int] | None, Tensor]) -> Tensor:
        padded, counts, targets = batch
        assert counts is not None
        # The mean of the training clips fills masks, which is 0 to the network.
        masked = self.augment(padded - self.net.mean, counts, None) + self.net.mean
        return super().loss((masked, counts, targets))

    def logits(self) -> Tensor:
        order = sorted(range(len(self.valid)), key=lambda i: len(self.valid.matrices[i]))
        found = torch.zeros(len(order), len(self.criterion.weights))
        for first in range(0, len(order), _VALID_BATCH):
            part = order[first : first + _VALID_BATCH]
            padded, counts, _ = collate([self.valid[0, 0, i] for i in part])
            found[part] = self.net(padded.to(self.device), counts).float().cpu()
        return found


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
        f"{counted(len(train), 'clip')} to train on, {len(valid)} to validate; "
        f"{sum(p.numel() for p in net.parameters()):,} parameters on {device}"
    )
    keep_memory(device)
    model = CnnTraining(net, config, counts, valid)

    def batches(start: int = 0) -> ResumableBatches:
        return ResumableBatches(len(train), config.batch_size, config.epochs, run.seed, start)

    per_epoch = batches().per_epoch
    fitted = fit(
        model,
        lambda step: DataLoader(train, batch_sampler=batches(step), collate_fn=collate),
        FitConfig.of(
            config,
            precision=resolve_precision(config.precision, device),
            checkpoint_minutes=resources.checkpoint_minutes,
            seed=run.seed,
        ),
        per_epoch=per_epoch,
        device=device,
        checkpoint=out.part("last.ckpt"),
        tensorboard=out.path / "tensorboard",
        label=f"train emotion {out.final.parent.parent.name} fold {run.fold} seed {run.seed}",
    )
    _write(out, net, fitted, per_epoch, dataset, run, config)
    out.counts.update(training=len(train), validation=len(valid))
    out.notes.update(device=str(device))


def _write(
    out: Output,
    net: FbankCnn,
    fitted: Fitted,
    per_epoch: int,
    dataset: EmotionSet,
    run: Run,
    config: CnnConfig,
) -> None:
    epochs = range(1, len(fitted.rows) + 1)
    numbered = [{"epoch": float(n), **row} for n, row in zip(epochs, fitted.rows, strict=True)]
    fitted = replace(fitted, rows=numbered)
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
        **model_folder.of_fitted(
            fitted,
            [n * per_epoch for n in epochs],
            valid_uar=numbered[fitted.best_epoch - 1]["valid_uar"],
        ),
    )
