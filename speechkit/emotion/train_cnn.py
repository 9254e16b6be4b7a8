"""Train the convolutional network on log mel features, from scratch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from speechkit.emotion import features, model_folder
from speechkit.emotion.data import Vectors
from speechkit.emotion.fbank_cnn import FbankCnn
from speechkit.emotion.fold_training import FoldTraining
from speechkit.emotion.layers import SpecAugment
from speechkit.emotion.loss import ClassifierTraining, seed_start
from speechkit.training.batches import ResumableBatches
from speechkit.training.devices import keep_memory

_DEVIATION = 0.1  # of a filter: no smaller one is divided by


class CnnTraining(ClassifierTraining):
    """The network with masks in training; batches are of :class:`Vectors`."""

    net: FbankCnn
    valid_batch = 32

    def loss(self, batch: tuple[Tensor, Sequence[int] | None, Tensor]) -> Tensor:
        (padded, counts, targets), config = batch, self.config
        assert counts is not None
        time, feature = config.mask_time, config.mask_feature
        augment = SpecAugment(time, config.mask_time_length, feature, config.mask_feature_length)
        # The mean of the training clips fills masks, which is 0 to the network.
        masked = augment(padded - self.net.mean, counts, None) + self.net.mean
        return super().loss((masked, counts, targets))


def train_cnn(job: FoldTraining) -> None:
    """Train one fold and seed.

    Raises:
        UserError: a clip cannot be read, a class has no clips left, or training failed.
    """
    config, dataset = job.config, job.dataset
    kept, parts = job.kept_features()
    train, valid = (
        Vectors(
            [torch.from_numpy(kept.table[name].copy()) for name in ids],
            dataset.targets(ids),
            job.device,
        )
        for ids in (parts.train, parts.valid)
    )
    seed_start(job.run.seed)
    net = FbankCnn(features.FBANK.n_mels, len(dataset.classes), config.channels, config.dropout)
    every = torch.cat(train.clips)
    net.mean.copy_(every.mean(0))
    net.scale.copy_(every.std(0).clamp(min=_DEVIATION))
    keep_memory(job.device)
    model = CnnTraining(net, config, job.counts(train.targets), valid)

    def batches(start: int = 0) -> ResumableBatches:
        return ResumableBatches(len(train), config.batch_size, config.epochs, job.run.seed, start)

    per_epoch = batches().per_epoch
    fitted = job.fit(model, train.loader(batches), len(train), per_epoch)
    epochs = range(1, len(fitted.rows) + 1)
    numbered = [{"epoch": float(n), **row} for n, row in zip(epochs, fitted.rows, strict=True)]
    network = {
        "features": features.FBANK.as_dict(),
        "channels": list(config.channels),
        "dropout": config.dropout,
        "parameters": sum(p.numel() for p in net.parameters()),
    }
    steps, best = [n * per_epoch for n in epochs], numbered[fitted.best_epoch - 1]
    told = model_folder.of_fitted(
        replace(fitted, rows=numbered), steps, valid_uar=best["valid_uar"]
    )
    job.write(job.run.upstream, network, **told)
