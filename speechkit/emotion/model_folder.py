"""The folder of a trained emotion model: config.yaml, model.safetensors, log.tsv, summary.json.

``exp/emotion/<name>/fold<N>/seed<M>/``, for every kind of model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from speechkit.acoustic.features import FeatureConfig
from speechkit.base import schema
from speechkit.base.tables import plain, write_json, write_log
from speechkit.base.yaml_files import write_yaml
from speechkit.task import trained
from speechkit.training.weights import write_weights
from speechkit.workdir.manifest import read_json

if TYPE_CHECKING:
    import torch

    from speechkit.training.loop import Fitted
    from speechkit.workdir import WorkDir

KIND = "emotion"
CONFIG, WEIGHTS, LOG, SUMMARY = "config.yaml", "model.safetensors", "log.tsv", "summary.json"
FUNCTIONALS = ("egemaps", "compare16")
CNN = "fbank-cnn"
KINDS = ("functionals", CNN, "encoder")


class Training(msgspec.Struct):
    """What of the training is needed again."""

    max_seconds: Annotated[float, Meta(gt=0, le=86_400)] = 30.0


class Calibration(msgspec.Struct):
    """The temperature that was chosen on validation clips, and how many they were."""

    temperature: Annotated[float, Meta(gt=0, le=1000)]
    clips: int = 0


class Card(msgspec.Struct):
    """What config.yaml must say."""

    model: Literal["functionals", "fbank-cnn", "encoder"]
    upstream: str
    classes: Annotated[list[str], Meta(min_length=1, max_length=1 << 16)]
    sample_rate: schema.Rate
    network: schema.Object
    training: Training
    chosen_on_test: bool = False
    calibration: Calibration | None = None


class Functionals(msgspec.Struct):
    """A classifier of functionals; its weights say the rest."""

    speaker_norm: bool
    head: str = ""


class Cnn(msgspec.Struct):
    """A convolutional network on log mel features."""

    features: FeatureConfig
    channels: Annotated[list[schema.Width], Meta(min_length=4, max_length=4)]
    dropout: schema.Share


@dataclass(frozen=True)
class Head:
    """What is behind an encoder."""

    size: schema.Width
    layers: Annotated[int, Meta(ge=0, le=1 << 10)]
    classes: schema.Width
    pooling: str
    head: str
    dropout: schema.Share


class Encoder(msgspec.Struct):
    """An encoder with a head; a frozen one is found by its digest."""

    frozen: bool
    layers: Annotated[str, Meta(pattern="^(last|weighted|[0-9]{1,4})$")]
    classifier: Head
    encoder_digest: str
    encoder_folder: str = ""
    head: str = ""


NETWORKS = {"functionals": Functionals, "fbank-cnn": Cnn, "encoder": Encoder}


def write(
    folder: Path,
    *,
    model: str,
    upstream: str,
    classes: Sequence[str],
    sample_rate: int,
    network: Mapping[str, Any],
    training: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    rows: Sequence[Mapping[str, float]],
    summary: Mapping[str, Any],
) -> None:
    """Write all that prediction needs, and the log of the training.

    Args:
        folder: an existing folder.
        model: ``functionals``, ``fbank-cnn`` or ``encoder``: who loads it again.
        upstream: its spec.
        classes: in the order of the outputs.
        sample_rate: in Hz, of the audio that the model takes.
        network: all that rebuilds the model (head, pooling, normalisation, features).
        training: set, split, fold, seed, and settings, for the record.
        weights: tensors of the model, normalisation among them.
        rows: the log; each begins with ``step``, and should have ``train_loss``,
            ``valid_loss`` and ``valid_accuracy``.
        summary: ``best_step`` and ``train_seconds`` at least; ``disk_bytes`` where the model
            needs more than its own files (an encoder that is not in ``weights``).
    """
    write_weights(folder / WEIGHTS, weights)
    config = {
        "kind": KIND,
        "model": model,
        "upstream": upstream,
        "classes": list(classes),
        "sample_rate": int(sample_rate),
        "network": plain(network),
        "training": plain(training),
    }
    write_yaml(folder / CONFIG, config)
    write_log(folder / LOG, rows)
    told = {"disk_bytes": (folder / WEIGHTS).stat().st_size, **summary}
    write_json(folder / SUMMARY, told)


def of_fitted(fitted: Fitted, steps: Sequence[int], **more: Any) -> dict[str, Any]:
    """What :func:`write` is given of a run of the training loop.

    Args:
        fitted: the run.
        steps: of the optimizer, at each of its rows.
        more: of the summary.
    """
    best = fitted.best_epoch - 1
    told = zip(steps, fitted.rows, fitted.seconds, strict=True)
    return {
        "weights": {name.removeprefix("net."): v for name, v in fitted.weights.items()},
        "rows": [{"step": step, **row, "seconds": seconds} for step, row, seconds in told],
        "summary": {
            "best_step": steps[best],
            "steps": steps[-1],
            "train_seconds": fitted.seconds[best],
            "total_seconds": fitted.seconds[-1],
            **more,
        },
    }


def temperature(card: Mapping[str, Any]) -> float | None:
    """The temperature that makes a model's probabilities calibrated; None where it has none."""
    found = card.get("calibration")
    return float(found["temperature"]) if found else None


def add_to_card(folder: Path, **more: Any) -> None:
    """Write further fields of the card into a folder that is being written."""
    write_yaml(folder / CONFIG, {**read_card(folder), **more})


def read_card(folder: Path) -> dict[str, Any]:
    """Contents of ``config.yaml``.

    Raises:
        UserError: it is not there, or not of an emotion model.
    """
    card = trained.read_card(folder, KIND, "an emotion model of speechkit", Card)
    network: type = NETWORKS[card["model"]]
    schema.check(card["network"], network, f"{folder / CONFIG}: network", trained.TRAIN_AGAIN)
    return card


class _Cost(msgspec.Struct):
    """What is relied on of a summary; all else is a record."""

    disk_bytes: schema.Finite | None = None
    best_step: schema.Finite | None = None
    steps: schema.Finite | None = None
    train_seconds: schema.Finite | None = None


def is_published(folder: Path) -> bool:
    """Whether a folder is laid out as Hugging Face does, and is none of ours."""
    return (folder / "config.json").is_file() and not (folder / CONFIG).is_file()


def read_summary(folder: Path) -> dict[str, Any]:
    """``summary.json`` of a trained model; empty where there is none.

    Raises:
        UserError: its numbers are none.
    """
    found = schema.as_object(read_json(folder / SUMMARY))
    schema.check(found, _Cost, str(folder / SUMMARY), trained.TRAIN_AGAIN)
    return found


def folder_of(workdir: WorkDir, name: str, fold: int, seed: int) -> Path:
    """``exp/emotion/<name>/fold<N>/seed<M>``."""
    return workdir.exp("emotion", name, f"fold{fold}", f"seed{seed}")


def kind_of(spec: str) -> str:
    """``functionals``, ``fbank-cnn`` or ``encoder``."""
    if spec in FUNCTIONALS:
        return "functionals"
    return CNN if spec == CNN else "encoder"
