"""``speechkit predict TASK``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.cli import options
from speechkit.cli.predict_emotion import predict_emotion
from speechkit.cli.predict_pronunciation import predict_pronunciation
from speechkit.cli.predict_scoring import predict_scoring

app = typer.Typer(
    no_args_is_help=True, help="Use a trained model on anyone's audio; a task is a subcommand."
)

Out = Annotated[
    Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
    typer.Option("--out", help="Folder of the outputs.", show_default="that of each recording"),
]


app.command("emotion")(predict_emotion)
app.command("pronunciation")(predict_pronunciation)
app.command("scoring")(predict_scoring)


@app.callback()
def _tasks() -> None:
    """Use a trained model on anyone's audio; a task is a subcommand."""


@app.command("separation")
def predict_separation(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Audio: WAV, FLAC, OGG or MP3.",
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
    device: options.Device = "auto",
    directory: options.Dir = Path("."),
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Separate the speakers of recordings into STEM_s1.wav, STEM_s2.wav ...

    Any length, rate and number of channels (they are averaged). Outputs are 16-bit WAV files
    of the recording's own rate and length.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.separation.prediction import Options, predict
    from speechkit.workdir import WorkDir

    done = predict(
        WorkDir(directory),
        model,
        recordings,
        out,
        Options(
            checkpoint=checkpoint,
            sample_rate=sample_rate,
            block_seconds=block_seconds,
            overlap_seconds=overlap_seconds,
            device=device,
            on_error=on_error,
            force=force,
        ),
    )
    if as_json:
        print_json([each.row() for each in done])
        return
    rows = [(str(path), each.seconds, each.gain_db) for each in done for path in each.outputs]
    print_table("Separated", ("file", "seconds", "gain (dB)"), rows)
