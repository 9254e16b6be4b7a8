"""``speechkit predict emotion``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.cli import options


def predict_emotion(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Audio: WAV, FLAC, OGG or MP3.",
            callback=options.as_on_disk,
        ),
    ],
    model: Annotated[
        str, typer.Option("--model", help="Name under exp/emotion/, or a folder of a trained one.")
    ],
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="The mean of all folds and seeds of the model.")
    ] = False,
    window: Annotated[
        float, typer.Option("--window", help="Seconds of a window of a long recording.")
    ] = 4.0,
    hop: Annotated[float, typer.Option("--hop", help="Seconds from one window to the next.")] = 2.0,
    whole: Annotated[
        float, typer.Option("--whole", help="Recordings up to so many seconds are not cut.")
    ] = 10.0,
    timeline: Annotated[
        bool,
        typer.Option("--timeline", help="Write STEM_emotion.png and .tsv: the course over time."),
    ] = False,
    out: Annotated[
        Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option("--out", help="Folder of these files.", show_default="of each recording"),
    ] = None,
    on_error: Annotated[
        str, typer.Option("--on-error", help="A broken recording: stop, or skip and name it.")
    ] = "stop",
    device: options.Device = "auto",
    directory: options.Dir = Path("."),
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Tell the emotion of recordings: a label and the probability of each class.

    Any rate, length and number of channels (they are averaged). Long recordings are judged by
    windows; their label is that of the mean over the windows that are not silent.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.emotion.prediction import Options, predict
    from speechkit.emotion.windows import Cut
    from speechkit.workdir import WorkDir

    wanted = Options(Cut(window, hop, whole), ensemble, timeline, out, device, on_error, force)
    done = predict(WorkDir(directory), model, recordings, wanted)
    if as_json:
        print_json([each.row() for each in done])
        return
    rows = []
    for each in done:
        found = each.probabilities
        cells = [float(p) for p in found] if found is not None else [None] * len(each.classes)
        label = each.label or "(silent)"
        rows.append((str(each.input), round(each.seconds, 1), len(each.windows), label, *cells))
    print_table("Emotion", ("file", "seconds", "windows", "label", *done[0].classes), rows)
