"""``speechkit train TASK``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any

import typer

from speechkit.acoustic.tdnn.config import AcousticConfig, LayersConfig
from speechkit.base.answers import NOTHING, Answer, summary
from speechkit.cli.flags import GivenFields, command
from speechkit.cli.options import SAVED_TRAINING, Dir, FieldOf
from speechkit.cli.output import print_answer, print_json
from speechkit.emotion.config import CnnConfig, EmotionTraining, EncoderConfig, FunctionalsConfig
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.scoring.config import ScoringConfig
from speechkit.separation.config import ConvTasNetConfig, SeparationConfig
from speechkit.speaker.config import XVectorConfig
from speechkit.training.config import CurvesConfig

app = typer.Typer()
FirstSeed = Annotated[int, FieldOf("first_seed")]


def _train(
    room: str, directory: Dir, name: str, config: Any, curves: CurvesConfig, **how: Any
) -> Answer:
    """Train by the module ``ROOM.train``; under torchrun the first process alone answers."""
    from speechkit.training.devices import ranks

    module = importlib.import_module(f"speechkit.{room}.train")
    with _shown(curves, directory, config=config):
        made = module.train(directory, name, config, **how)
    return NOTHING if ranks().rank else getattr(module, "answer", summary)(made)


@contextmanager
def _shown(curves: CurvesConfig, directory: Any, **parameters: Any) -> Iterator[None]:
    """Inside, trainings show their curves where ``curves`` says."""
    from speechkit.training.curves import shown

    plain = {name: getattr(value, "__dict__", value) for name, value in parameters.items()}
    with shown(curves, directory.root, plain):
        yield


@command(app, "acoustic", f"directory {SAVED_TRAINING} jobs checkpoint_minutes=5 name")
def train_acoustic(
    config: AcousticConfig,
    layers: LayersConfig,
    curves: CurvesConfig,
    name: str = "tdnn",
    **how: Any,
) -> Answer:
    """Train a TDNN to classify the states of an alignment, cross-fitted over speakers.

    Network k is not trained on the speakers of fold k, and later scores only them. Writes
    exp/acoustic/NAME/. A killed run is taken up by the same command. Several processes train
    one model under torchrun.
    """
    network = layers.network(config.features.n_mels, config.network)
    config = replace(config, network=network)
    return _train("acoustic.tdnn", name=name, config=config, curves=curves, **how)


@command(app, "xvector", f"{SAVED_TRAINING} checkpoint_minutes=5")
def train_xvector(
    config: XVectorConfig, name: str, directory: Dir, curves: CurvesConfig, **how: Any
) -> Answer:
    return _train("speaker", directory, name, config, curves, **how)


@command(app, "emotion", f"{SAVED_TRAINING} jobs executor as_json")
def train_emotion(
    training: EmotionTraining,
    given: Annotated[
        dict, GivenFields(FunctionalsConfig, CnnConfig, EncoderConfig, shown="of the upstream")
    ],
    on_error: str,
    directory: Dir,
    curves: CurvesConfig,
    as_json: bool,
    **how: Any,
) -> None:
    """Train a classifier of emotions, for every fold of a split and every seed.

    Writes exp/emotion/NAME/foldN/seedM/. The step is chosen on validation clips, never on the
    test clips. A killed run is taken up by the same command.
    """
    from speechkit.emotion.fold_training import Resources
    from speechkit.emotion.train import jobs_of, train_each
    from speechkit.training.devices import ranks, resolve_device

    again = {name: how.pop(name) for name in ("force", "other_batch_size")}
    resources = Resources(on_error=on_error, **how)
    planned = jobs_of(training, given)
    resources = replace(resources, device=resolve_device(resources.device).type)
    rows: list[Any] = []
    with _shown(curves, directory, training=training, given=given):
        for answer in train_each(directory, planned, training, resources, **again):
            rows += answer.data
            if not as_json:  # one document is printed in the end
                print_answer(answer, as_json)
    if as_json and not ranks().rank:
        print_json(rows)


@command(app, "separation", SAVED_TRAINING)
def train_separation(
    config: SeparationConfig,
    network: Annotated[dict, GivenFields(ConvTasNetConfig, shown="of --model")],
    name: str,
    size: str | None,
    directory: Dir,
    curves: CurvesConfig,
    **how: Any,
) -> Answer:
    from speechkit.separation.model_folder import complete

    config = complete(directory, config, size, network)
    return _train("separation", directory, name, config, curves, **how)


def _add(task: str, kind: type) -> None:
    """Add the command of a task that trains all its seeds in one run."""

    def train(config: Any, seeds: int, seed: FirstSeed, curves: CurvesConfig, **how: Any) -> Answer:
        every = range(seed, seed + seeds)
        return _train(task, config=config, curves=curves, seeds=every, **how)

    train.__annotations__["config"] = kind
    command(app, task, "name directory device jobs force other_batch_size")(train)


_add("pronunciation", PronunciationConfig)
_add("scoring", ScoringConfig)
