"""Train a classifier on a self-supervised encoder: alone, or the encoder with it.

With ``freeze`` encoder the encoder's hidden states are computed once and kept, and a step of the
head reads them. Otherwise clips go through the encoder in every step. Loss, loop and folder are the
same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.emotion import encoder_files, encoder_network, model_folder
from speechkit.emotion.config import EncoderConfig
from speechkit.emotion.data import Resources, Run
from speechkit.emotion.encoder_training import TrainingSetup, finetuned, frozen
from speechkit.labels.emotions import EmotionSet
from speechkit.labels.folds import Fold
from speechkit.training.config import FitConfig
from speechkit.training.devices import ranks, resolve_precision
from speechkit.training.loop import Fitted, fit
from speechkit.training.weights import write_weights
from speechkit.workdir import Output, WorkDir


def train_encoder(
    out: Output,
    workdir: WorkDir,
    dataset: EmotionSet,
    fold: Fold,
    run: Run,
    config: EncoderConfig,
    resources: Resources,
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

    Raises:
        UserError: the encoder cannot be had, a clip cannot be read, or training failed.
    """
    config.check()
    if not fold.valid:
        raise UserError(f"Fold {run.fold} of '{run.split}' has no validation clips.")
    prepare = frozen if config.freeze == "encoder" else finetuned
    setup = prepare(workdir, dataset, fold, run, config, resources)
    _say(setup, resources)
    name = out.final.parent.parent.name
    fitted = fit(
        setup.model,
        setup.loader,
        replace(fit_config(config, run, setup.per_epoch, resources), **setup.changes),
        per_epoch=config.evaluate_every * config.accumulate,
        device=torch.device(resources.device),
        checkpoint=out.part("last.ckpt"),
        tensorboard=out.path / "tensorboard",
        label=f"train emotion {name} fold {run.fold} seed {run.seed}",
    )
    if not ranks().rank:
        _write(out, setup, fitted, dataset, run, config)
    out.counts.update(training=setup.clips, validation=len(setup.model.targets))
    out.notes.update(device=resources.device, **setup.notes)


def _say(setup: TrainingSetup, resources: Resources) -> None:
    """Tell what is trained."""
    parameters = list(setup.model.net.parameters())
    total = sum(p.numel() for p in parameters)
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    if not ranks().rank:
        logger.info(
            f"{counted(setup.clips, 'clip')} to train on, {len(setup.model.targets)} to validate; "
            f"{trained:,} of {total:,} parameters trained, on {resources.device}"
        )


def fit_config(config: EncoderConfig, run: Run, per_epoch: int, resources: Resources) -> FitConfig:
    """The fit loop's view: an "epoch" is what lies between two evaluations."""
    return FitConfig.of(
        config,
        precision=resolve_precision(config.precision, torch.device(resources.device)),
        checkpoint_minutes=resources.checkpoint_minutes,
        seed=run.seed,
        batches=config.epochs * per_epoch,
        unit="step",
        find_unused=True,
    )


def _write(
    out: Output,
    setup: TrainingSetup,
    fitted: Fitted,
    dataset: EmotionSet,
    run: Run,
    config: EncoderConfig,
) -> None:
    """Write the model folder of a finished run; the network is as after the last step."""
    folder, frozen = setup.folder, config.freeze == "encoder"
    net: Any = setup.model.net
    classifier = net if frozen else net.classifier
    last_step = -(-config.epochs * setup.per_epoch // config.accumulate)
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
    if frozen and encoder_files.is_local(run.upstream):
        network["encoder_folder"] = str(folder.resolve())  # found from any present folder
    if classifier.sum is not None:
        network["layer_weights"] = classifier.sum.weights().tolist()
    model_folder.write(
        out.path,
        model="encoder",
        upstream=run.upstream,
        classes=dataset.classes,
        sample_rate=encoder_files.preprocessing(folder).sample_rate,
        network=network,
        training={**run.as_dict(), **config.as_dict()},
        **made,
    )


def _disk_bytes(folder: Path, weights: Mapping[str, Tensor]) -> int:
    """Of a head together with the encoder that it cannot do without."""
    of_encoder = sum(path.stat().st_size for path in encoder_files.weight_files(folder))
    return of_encoder + sum(value.numel() * value.element_size() for value in weights.values())
