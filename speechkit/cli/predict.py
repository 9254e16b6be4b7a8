"""``speechkit predict TASK``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechkit.base.config import Flag
from speechkit.cli.flags import command
from speechkit.cli.options import Dir, FieldOf
from speechkit.emotion import inference_config as emotion
from speechkit.phone_features.config import Setup
from speechkit.pronunciation import config as pronunciation
from speechkit.separation import inference_config as separation
from speechkit.task.config import StreamConfig

if TYPE_CHECKING:
    from speechkit.task.prediction.jobs import Job

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
    """Recognise the emotion of recordings: a label and the probability of each class.

    Any rate, length and number of channels (they are averaged, or the louder is taken where
    they would cancel). Long recordings are classified window by window; their label is that of
    the mean over the windows that are not silent.
    """
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
    """Separate the speakers of recordings into STEM_s1.wav, STEM_s2.wav ...

    Any length, rate and number of channels (they are averaged, or the louder is taken where
    they would cancel). Outputs are 16-bit WAV files of the recording's own rate and length.
    """
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.separation.predict import predict
    from speechkit.sharing.load import found_model

    files = [str((config.out or path.parent) / f"{path.stem}_s1.wav") for path in recordings]
    with found_model("separation", model) as place:
        found = predict(directory, place, recordings, config, stream)
        print_predictions(found, as_json, files)


@dataclass(frozen=True)
class Texts:
    """What is said in recordings.

    Data:
        text: What is read in the recordings.
        trans: Table 'path<TAB>text' of many, or the folder of a set.
    """

    text: str = ""
    trans: Annotated[Path | None, Flag(shown="none")] = None

    def jobs(self, recordings: list[Path] | None) -> list[Job]:
        """The recordings with their texts."""
        from speechkit.phone_features import recordings as given

        found = given.jobs_of(recordings or [], self.text, self.trans)
        given.require_text(self.text, self.trans)
        return found


@command(app, "pronunciation")
def predict_pronunciation(
    recordings: ListedRecordings,
    texts: Texts,
    setup: pronunciation.Setup,
    stream: StreamConfig,
    directory: Dir,
    as_json: bool,
) -> None:
    """Score the pronunciation of recordings whose text is known: phones, words and the whole.

    Prints each recording with its words and phones coloured by score, and for badly said
    phones what was probably said instead; --json gives everything as data.
    """
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.pronunciation.predict import predict
    from speechkit.sharing.load import found_model

    jobs = texts.jobs(recordings)
    with found_model("pronunciation", setup.model) as place:
        ready = replace(setup, model=place, root=directory.root, name=setup.model)
        print_predictions(predict(ready, jobs, stream), as_json)


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
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.scoring.predict import predict
    from speechkit.sharing.load import found_model

    jobs = texts.jobs(recordings)
    named = [str(job.file) for job in jobs], [job.text for job in jobs]
    with found_model("scoring", setup.model) as place:
        ready = replace(setup, model=place, root=directory.root, name=setup.model)
        print_predictions(predict(ready, jobs, stream), as_json, *named)
