"""``speechkit predict emotion``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from speechkit.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from speechkit.cli.prediction_output import RowTable
    from speechkit.emotion.predict import Prediction

_SILENT = "(silent)"


def predict_emotion(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="WAV, FLAC, OGG, MP3, AIFF ...; - is standard input.",
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
    """Tell the emotion of recordings: a label and the probability of each class.

    Any rate, length and number of channels (they are averaged, or the louder is taken where
    they would cancel). Long recordings are judged by windows; their label is that of the mean
    over the windows that are not silent.
    """
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.emotion.predict import Options, predict
    from speechkit.emotion.windows import Cut
    from speechkit.task.prediction.stream import How
    from speechkit.workdir import WorkDir

    wanted = Options(Cut(window, hop, whole), ensemble, timeline, out, device)
    how = How(on_error, options.resolve_jobs(jobs), save, force)
    found = predict(WorkDir(directory), model, recordings, wanted, how)
    print_predictions(found, as_json, lambda: _View(recordings))


class _View:
    def __init__(self, recordings: Sequence[Path]) -> None:
        self._recordings = recordings
        self._table: RowTable | None = None

    def add(self, made: Prediction) -> None:
        from speechkit.cli.prediction_output import RowTable

        if self._table is None:
            columns = ("file", "seconds", "windows", "label", *made.classes)
            self._table = RowTable("Emotion", columns, self._widest(made.classes))
        found = made.probabilities
        cells = [float(p) for p in found] if found is not None else [None] * len(made.classes)
        label = made.label or _SILENT
        row = (str(made.input), round(made.seconds, 1), len(made.windows), label, *cells)
        self._table.add([row])

    def _widest(self, classes: Sequence[str]) -> Sequence[str]:
        if len(self._recordings) < 2:
            return ()
        file = max(map(str, self._recordings), key=len)
        label = max((_SILENT, *classes), key=len)
        return (file, "0000.0", "0000", label, *["0.00000"] * len(classes))

    def close(self) -> None:
        if self._table is not None:
            self._table.close()
