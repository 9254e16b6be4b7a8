"""``speechkit predict TASK``."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli.flags import command
from speechkit.cli.options import Dir, FieldOf
from speechkit.emotion import inference_config as emotion
from speechkit.phone_features.config import Setup, Texts
from speechkit.pronunciation import config as pronunciation
from speechkit.separation import inference_config as separation
from speechkit.task.config import StreamConfig

app = typer.Typer()
ListedRecordings = Annotated[list[Path], FieldOf("listed_recordings")]


@command(app, "emotion")
def predict_emotion(
    recordings: list[Path],
    model: Annotated[str, FieldOf("emotion_model")],
    config: emotion.PredictConfig,
    stream: StreamConfig,
    directory: Dir,
    as_json: bool,
) -> None:
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.emotion.predict import predict
    from speechkit.sharing.load import found_model

    with found_model("emotion", model) as place:
        found = predict(directory, place, recordings, config, stream)
        print_predictions(found, as_json, [str(path) for path in recordings])


@command(app, "separation")
def predict_separation(
    recordings: list[Path],
    model: Annotated[str, FieldOf("separation_model")],
    config: separation.PredictConfig,
    stream: StreamConfig,
    directory: Dir,
    as_json: bool,
) -> None:
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.separation.predict import predict
    from speechkit.sharing.load import found_model

    files = [str((config.out or path.parent) / f"{path.stem}_s1.wav") for path in recordings]
    with found_model("separation", model) as place:
        found = predict(directory, place, recordings, config, stream)
        print_predictions(found, as_json, files)


@command(app, "pronunciation")
def predict_pronunciation(
    recordings: ListedRecordings,
    texts: Texts,
    config: pronunciation.Setup,
    stream: StreamConfig,
    directory: Dir,
    as_json: bool,
) -> None:
    _score("pronunciation", config, recordings, texts, stream, directory, as_json)


@command(app, "scoring")
def predict_scoring(
    recordings: ListedRecordings,
    texts: Texts,
    setup: Setup,
    stream: StreamConfig,
    directory: Dir,
    as_json: bool,
) -> None:
    """Score recordings whose text is known with a model of `train scoring`: one score of each.

    On the scale of the scores that the model learned from, the mean of its seeds.
    """
    _score("scoring", setup, recordings, texts, stream, directory, as_json)


def _score(
    task: str,
    setup: Setup,
    recordings: list[Path] | None,
    texts: Texts,
    stream: StreamConfig,
    directory: Dir,
    as_json: bool,
) -> None:
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.phone_features.recordings import jobs_of, require_text
    from speechkit.sharing.load import found_model

    jobs = jobs_of(recordings or [], texts.text, texts.trans)
    require_text(texts.text, texts.trans)
    module = importlib.import_module(f"speechkit.{task}.predict")
    named = [str(job.file) for job in jobs], [job.text for job in jobs]
    with found_model(task, setup.model) as place:
        ready = replace(setup, model=place, root=directory.root, name=setup.model)
        print_predictions(module.predict(ready, jobs, stream), as_json, *named)
