"""``speechkit predict pronunciation``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from speechkit.cli import options

if TYPE_CHECKING:
    from speechkit.labels.scores import Scales
    from speechkit.pronunciation.assessment import Result


def predict_pronunciation(
    recordings: Annotated[
        Optional[list[Path]],  # noqa: UP045 - Typer evaluates this at run time
        typer.Argument(
            metavar="[FILE...]",
            help="WAV, FLAC, OGG, MP3, AIFF ...; - is standard input; none where --trans lists "
            "them.",
            callback=options.as_on_disk,
            show_default=False,
        ),
    ] = None,
    text: Annotated[str, typer.Option("--text", help="What is read in the recordings.")] = "",
    trans: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--trans", help="Table 'path<TAB>text' of many.", show_default="none"),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            help="default (comes with speechkit), a name under exp/pronunciation, or a folder.",
        ),
    ] = "default",
    lexicon: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--lexicon",
            help="Pronunciations that go first: lines 'WORD PHONE PHONE ...' (ARPAbet).",
            show_default="the CMU dictionary",
        ),
    ] = None,
    guess: Annotated[
        bool,
        typer.Option(
            "--g2p/--no-g2p", help="Let espeak-ng pronounce words that no lexicon has, or refuse."
        ),
    ] = True,
    readings: options.Readings = "likeliest",
    drop_markup: options.DropMarkup = False,
    on_error: Annotated[
        str, typer.Option("--on-error", help="A broken recording: stop, or skip and name it.")
    ] = "stop",
    save: options.Save = None,
    jobs: options.Jobs = 1,
    device: options.Device = "auto",
    directory: options.Dir = Path("."),
    force: Annotated[bool, typer.Option("--force", help="Start the file of --save anew.")] = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Score the pronunciation of recordings whose text is known: phones, words and the whole.

    Prints each recording with its words and phones coloured by score, and for badly said
    phones what was probably said instead; --json gives everything as data.
    """
    from speechkit.acoustic.lexicon.readings import Policy
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.phone_features import recordings as given
    from speechkit.pronunciation.predict import predict
    from speechkit.task.prediction.stream import How

    items = given.jobs_of(recordings or [], text, trans)
    given.require_text(text, trans)
    policy = Policy(readings, drop_markup)
    setup = given.Setup(model, directory, device, lexicon, guess, policy)
    found = predict(setup, items, How(on_error, options.resolve_jobs(jobs), save, force))
    print_predictions(found, as_json, _View)


class _View:
    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(file=sys.stdout)
        self._scales: Scales | None = None

    def add(self, result: Result) -> None:
        from speechkit.cli import pronunciation_view

        self._scales = result.scales
        self._console.print(pronunciation_view.render(result))

    def close(self) -> None:
        from speechkit.cli import pronunciation_view

        if self._scales is not None:
            self._console.print(pronunciation_view.legend(self._scales))
