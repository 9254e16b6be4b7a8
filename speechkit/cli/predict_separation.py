"""``speechkit predict separation``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from speechkit.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from speechkit.separation.predict import Separated

Out = Annotated[
    Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
    typer.Option("--out", help="Folder of the outputs.", show_default="that of each recording"),
]


def predict_separation(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="WAV, FLAC, OGG, MP3, AIFF ...; - is standard input.",
            callback=options.as_on_disk,
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            help="Name under exp/separation/, a folder, or a Conv-TasNet of Asteroid or "
            "SpeechBrain (file or folder).",
        ),
    ],
    checkpoint: Annotated[
        str,
        typer.Option(
            "--checkpoint",
            help="Weights that the plain or the weighted validation selected.",
            show_default="the model's own choice",
        ),
    ] = "",
    out: Out = None,
    block_seconds: Annotated[
        float, typer.Option("--block-seconds", help="What the network sees at a time.")
    ] = 20.0,
    overlap_seconds: Annotated[
        float, typer.Option("--overlap-seconds", help="Shortest overlap of blocks.")
    ] = 5.0,
    sample_rate: Annotated[
        int,
        typer.Option(
            "--sample-rate",
            min=0,
            help="In Hz, of a model that does not state it.",
            show_default="what the model states",
        ),
    ] = 0,
    on_error: Annotated[
        str, typer.Option("--on-error", help="A broken recording: stop, or skip and name it.")
    ] = "stop",
    save: options.Save = None,
    jobs: options.Jobs = 1,
    device: options.Device = "auto",
    directory: options.Dir = Path("."),
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that exist; start that of --save anew.")
    ] = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Separate the speakers of recordings into STEM_s1.wav, STEM_s2.wav ...

    Any length, rate and number of channels (they are averaged, or the louder is taken where
    they would cancel). Outputs are 16-bit WAV files
    of the recording's own rate and length.
    """
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.separation.predict import Options, predict
    from speechkit.task.prediction.stream import How
    from speechkit.workdir import WorkDir

    wanted = Options(
        checkpoint=checkpoint,
        sample_rate=sample_rate,
        block_seconds=block_seconds,
        overlap_seconds=overlap_seconds,
        device=device,
    )
    how = How(on_error, options.resolve_jobs(jobs), save, force)
    found = predict(WorkDir(directory), model, recordings, out, wanted, how)
    print_predictions(found, as_json, lambda: _View(recordings, out))


class _View:
    def __init__(self, recordings: Sequence[Path], out: Path | None) -> None:
        from speechkit.cli.prediction_output import RowTable

        widest: Sequence[str] = ()
        if len(recordings) > 1:
            outputs = (str((out or path.parent) / f"{path.stem}_s1.wav") for path in recordings)
            widest = (max(outputs, key=len), "", "")
        self._table = RowTable("Separated", ("file", "seconds", "gain (dB)"), widest)

    def add(self, made: Separated) -> None:
        self._table.add([(str(path), made.seconds, made.gain_db) for path in made.outputs])

    def close(self) -> None:
        self._table.close()
