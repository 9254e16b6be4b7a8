"""``speechkit predict TASK``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechkit.acoustic.lexicon.config import TextConfig
from speechkit.base.config import Flag
from speechkit.cli import options
from speechkit.cli.flags import command
from speechkit.cli.options import (
    MISSING,
    OUTPUT,
    Device,
    Dir,
    Group,
    Jobs,
    Json,
    Option,
    Save,
)

if TYPE_CHECKING:
    from speechkit.phone_features.recordings import Setup
    from speechkit.task.prediction.jobs import Job
    from speechkit.task.prediction.stream import StreamConfig

app = typer.Typer()


_FORMATS = "WAV, FLAC, OGG, MP3, AIFF ...; - is standard input"
Recordings = Annotated[
    list[Path],
    Option(MISSING, metavar="FILE...", callback=options.as_on_disk, help=f"{_FORMATS}."),
]
ListedRecordings = Annotated[
    list[Path],
    Option(
        None,
        metavar="[FILE...]",
        callback=options.as_on_disk,
        show_default=False,
        help=f"{_FORMATS}; none where --trans lists them.",
    ),
]
Skip = Annotated[
    str,
    Option(
        "stop", "--on-error", panel=OUTPUT, help="A broken recording: stop, or skip and name it."
    ),
]
Anew = Annotated[
    bool, Option(False, "--force", panel=OUTPUT, help="Start the file of --save anew.")
]
Replace = Annotated[
    bool,
    Option(
        False,
        "--force",
        panel=OUTPUT,
        help="Replace files that exist; start that of --save anew.",
    ),
]


class Run(Group):
    """How recordings are gone through."""

    on_error: Skip
    save: Save
    jobs: Jobs = 1
    force: Anew

    @property
    def stream_config(self) -> StreamConfig:
        """As the library takes it."""
        from speechkit.task.prediction.stream import StreamConfig

        return StreamConfig(self.on_error, self.jobs, self.save, self.force)


class ReplacingRun(Run):
    """Of a task that writes files beside recordings."""

    force: Replace


@dataclass(frozen=True)
class EmotionFlags:
    """How long recordings are cut, and what is written.

    Data:
        window: Seconds of a window of a long recording.
        hop: Seconds from one window to the next.
        whole: Recordings of at most this many seconds are one window.
    Model:
        model: Name under exp/emotion/, a folder of a trained one, a file of export, or
            hf:OWNER/NAME (also audio-classification models of Hugging Face, and their folders).
        ensemble: The mean of all folds and seeds of the model.
    Output:
        timeline: Write STEM_emotion.png and .tsv: the course over time.
        out: Folder of these files.
    """

    model: str
    ensemble: Annotated[bool, Flag("ensemble")] = False
    window: float = 4.0
    hop: float = 2.0
    whole: float = 10.0
    timeline: Annotated[bool, Flag("timeline")] = False
    out: Annotated[Path | None, Flag(shown="of each recording")] = None


@command(app, "emotion")
def predict_emotion(
    recordings: Recordings,
    flags: EmotionFlags,
    run: ReplacingRun,
    device: Device,
    directory: Dir,
    as_json: Json,
) -> None:
    """Recognise the emotion of recordings: a label and the probability of each class.

    Any rate, length and number of channels (they are averaged, or the louder is taken where
    they would cancel). Long recordings are classified window by window; their label is that of
    the mean over the windows that are not silent.
    """
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.emotion.predict import PredictConfig, predict
    from speechkit.emotion.windows import WindowConfig
    from speechkit.sharing.load import found_model

    cut = WindowConfig(flags.window, flags.hop, flags.whole)
    wanted = PredictConfig(cut, flags.ensemble, flags.timeline, flags.out, device)
    with found_model("emotion", flags.model) as model:
        found = predict(directory, model, recordings, wanted, run.stream_config)
        print_predictions(found, as_json, [str(path) for path in recordings])


@dataclass(frozen=True)
class SeparationFlags:
    """How long recordings are separated.

    Data:
        block_seconds: Seconds that the network sees at a time.
        overlap_seconds: Shortest overlap of blocks in seconds.
        sample_rate: Sample rate in Hz, of a model that does not state it.
    Model:
        model: Name under exp/separation/, a folder, a file of export, hf:OWNER/NAME, or a
            Conv-TasNet of Asteroid or SpeechBrain (file or folder).
        checkpoint: Weights that the plain or the weighted validation selected.
    Output:
        out: Folder of the outputs.
    """

    model: str
    checkpoint: Annotated[str, Flag(shown="the model's own choice")] = ""
    out: Annotated[Path | None, Flag(shown="that of each recording")] = None
    block_seconds: float = 20.0
    overlap_seconds: float = 5.0
    sample_rate: Annotated[int, Flag(shown="what the model states", least=0)] = 0


@command(app, "separation")
def predict_separation(
    recordings: Recordings,
    flags: SeparationFlags,
    run: ReplacingRun,
    device: Device,
    directory: Dir,
    as_json: Json,
) -> None:
    """Separate the speakers of recordings into STEM_s1.wav, STEM_s2.wav ...

    Any length, rate and number of channels (they are averaged, or the louder is taken where
    they would cancel). Outputs are 16-bit WAV files of the recording's own rate and length.
    """
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.separation.predict import PredictConfig, predict
    from speechkit.sharing.load import found_model

    wanted = PredictConfig(
        checkpoint=flags.checkpoint,
        sample_rate=flags.sample_rate,
        block_seconds=flags.block_seconds,
        overlap_seconds=flags.overlap_seconds,
        device=device,
    )
    files = [str((flags.out or path.parent) / f"{path.stem}_s1.wav") for path in recordings]
    with found_model("separation", flags.model) as model:
        found = predict(directory, model, recordings, flags.out, wanted, run.stream_config)
        print_predictions(found, as_json, files)


@dataclass(frozen=True)
class Texts(TextConfig):
    """What is said in recordings, and the model that scores it.

    Model:
        model: A name under exp/scoring, a folder, a file of export, or hf:OWNER/NAME.
    Data:
        text: What is read in the recordings.
        trans: Table 'path<TAB>text' of many, or the folder of a set.
    """

    lexicon: Annotated[Path | None, Flag(shown="the CMU dictionary")] = None
    model: str = "default"
    text: str = ""
    trans: Annotated[Path | None, Flag(shown="none")] = None

    def jobs(self, recordings: list[Path] | None) -> list[Job]:
        """The recordings with their texts."""
        from speechkit.phone_features import recordings as given

        found = given.jobs_of(recordings or [], self.text, self.trans)
        given.require_text(self.text, self.trans)
        return found

    @contextmanager
    def setup(self, task: str, directory: Dir, device: str) -> Iterator[Setup]:
        """What scores them; a model that is one file lies in a folder as long."""
        from speechkit.phone_features import recordings as given
        from speechkit.sharing.load import found_model

        how = (self.lexicon, self.guess, self.policy)
        with found_model(task, self.model) as model:
            yield given.Setup(model, directory.root, device, *how, name=self.model)


@dataclass(frozen=True)
class AssessedTexts(Texts):
    """As :class:`Texts`, with models of pronunciation.

    Model:
        model: default (comes with speechkit), a name under exp/pronunciation, a folder, a file
            of export, or hf:OWNER/NAME.
    Output:
        ipa: Phones in IPA in place of ARPAbet.
    """

    ipa: Annotated[bool, Flag("ipa")] = False


@command(app, "pronunciation")
def predict_pronunciation(
    recordings: ListedRecordings,
    texts: AssessedTexts,
    run: Run,
    device: Device,
    directory: Dir,
    as_json: Json,
) -> None:
    """Score the pronunciation of recordings whose text is known: phones, words and the whole.

    Prints each recording with its words and phones coloured by score, and for badly said
    phones what was probably said instead; --json gives everything as data.
    """
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.pronunciation.predict import predict

    jobs = texts.jobs(recordings)
    with texts.setup("pronunciation", directory, device) as setup:
        setup = replace(setup, ipa=texts.ipa)
        print_predictions(predict(setup, jobs, run.stream_config), as_json)


@command(app, "scoring")
def predict_scoring(
    recordings: ListedRecordings,
    texts: Texts,
    run: Run,
    device: Device,
    directory: Dir,
    as_json: Json,
) -> None:
    """Score recordings whose text is known with a model of `train scoring`: one score of each.

    On the scale of the scores that the model learned from, the mean of its seeds.
    """
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.scoring.predict import predict

    jobs = texts.jobs(recordings)
    named = [str(job.file) for job in jobs], [job.text for job in jobs]
    with texts.setup("scoring", directory, device) as setup:
        print_predictions(predict(setup, jobs, run.stream_config), as_json, *named)
