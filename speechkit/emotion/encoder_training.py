"""What training a head alone and training the encoder too have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from speechkit.base.log import logger
from speechkit.emotion import encoder_files, encoder_network, model_folder
from speechkit.emotion.config import EncoderConfig
from speechkit.emotion.data import Resources, Run
from speechkit.emotion.loss import WeightedCrossEntropy, class_weights
from speechkit.emotion.validation import measures
from speechkit.labels.emotions import EmotionSet
from speechkit.training.config import FitConfig
from speechkit.training.devices import ranks, resolve_precision
from speechkit.training.loop import Fitted
from speechkit.training.state import Trainable
from speechkit.training.weights import write_weights
from speechkit.workdir import Output

COMMAND = "train emotion"


class Training(Trainable):
    """A network with the loss and the measures of this task.

    Args:
        net: what is trained; its parameters alone are in the checkpoints.
        config: of the training.
        counts: training clips of each class.
        targets: of the validation clips.
    """

    def __init__(
        self,
        net: torch.nn.Module,
        config: EncoderConfig,
        counts: Sequence[int],
        targets: np.ndarray,
    ) -> None:
        super().__init__()
        self.net, self.config, self.targets = net, config, targets
        weights = class_weights(counts, config.class_weights, config.beta)
        self.criterion = WeightedCrossEntropy(weights, config.class_weights == "score-balanced")

    def new_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.trained_parameters(),
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            fused=self.config.precision != "16",  # a fused step leaves no room to clip scaled ones
        )

    def logits(self) -> Tensor:
        """``[N, C]`` of the validation clips, in order."""
        raise TypeError(f"{type(self).__name__} does not define logits()")

    def measure(self) -> dict[str, float]:
        """Plain cross entropy, accuracy and unweighted average recall of the validation clips."""
        return measures(self.logits().float().cpu(), self.targets)


def say(net: torch.nn.Module, clips: int, valid: int, device: torch.device) -> None:
    """Tell what is trained."""
    total = sum(p.numel() for p in net.parameters())
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    if not ranks().rank:
        logger.info(
            f"{clips} clips to train on, {valid} to validate; {trained:,} of {total:,} "
            f"parameters are trained, on {device}"
        )


def fit_config(
    config: EncoderConfig, run: Run, per_epoch: int, device: torch.device, resources: Resources
) -> FitConfig:
    """The fit loop's view: an "epoch" is what lies between two evaluations."""
    monitor = {"loss": "valid_loss", "accuracy": "-valid_accuracy", "uar": "-valid_uar"}
    return FitConfig(
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        clip=config.clip,
        patience=config.patience,
        monitor=monitor[config.select],
        precision=resolve_precision(config.precision, device),
        checkpoint_minutes=resources.checkpoint_minutes,
        seed=run.seed,
        schedule=config.schedule,
        warmup=config.warmup,
        batch_size=config.batch_size,
        accumulate=config.accumulate,
        batches=config.epochs * per_epoch,
        unit="step",
        find_unused=True,
    )


def write(
    out: Output,
    model: Training,
    fitted: Fitted,
    dataset: EmotionSet,
    run: Run,
    config: EncoderConfig,
    folder: Path,
    batches: int,
) -> None:
    """Write the model folder of a finished run.

    Args:
        out: the output.
        model: after the last step.
        fitted: what the fit loop gave.
        dataset: the set.
        run: which training this was.
        config: how it was trained.
        folder: of the encoder.
        batches: of the whole training.
    """
    frozen = config.freeze == "encoder"
    net: Any = model.net
    classifier = net if frozen else net.classifier
    last_step = -(-batches // config.accumulate)
    steps = [
        min(number * config.evaluate_every, last_step) for number in range(1, len(fitted.rows) + 1)
    ]
    best = fitted.best_epoch - 1
    rows = [
        {"step": step, **row, "seconds": seconds}
        for step, row, seconds in zip(steps, fitted.rows, fitted.seconds, strict=True)
    ]
    weights = {k.removeprefix("net."): v for k, v in fitted.weights.items()}
    if config.keep_checkpoints > 1:
        write_weights(out.path / "last.safetensors", net.state_dict())
    encoder_network.save_description(folder, out.path)
    network = {
        "frozen": frozen,
        "layers": config.layers,
        "classifier": classifier.as_dict(),
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
        weights=weights,
        rows=rows,
        summary={
            "best_step": steps[best],
            "steps": steps[-1],
            "train_seconds": fitted.seconds[best],
            "total_seconds": fitted.seconds[-1],
            **({"disk_bytes": _disk_bytes(folder, weights)} if frozen else {}),
        },
    )


def _disk_bytes(folder: Path, weights: Mapping[str, Tensor]) -> int:
    """Of a head together with the encoder that it cannot do without."""
    of_encoder = sum(path.stat().st_size for path in encoder_files.weight_files(folder))
    return of_encoder + sum(value.numel() * value.element_size() for value in weights.values())
