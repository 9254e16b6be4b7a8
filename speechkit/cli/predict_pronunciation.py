"""``speechkit predict pronunciation``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from speechkit.cli import options

if TYPE_CHECKING:
    from speechkit.pronunciation.assessment import Result


def predict_pronunciation(
    recordings: Annotated[
        Optional[list[Path]],  # noqa: UP045 - Typer evaluates this at run time
        typer.Argument(
            metavar="[FILE...]",
            help="Audio: WAV, FLAC, OGG or MP3; none where --trans lists them.",
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
    on_error: Annotated[
        str, typer.Option("--on-error", help="A broken recording: stop, or skip and name it.")
    ] = "stop",
    device: options.Device = "auto",
    directory: options.Dir = Path("."),
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Score the pronunciation of recordings whose text is known: phones, words and the whole.

    Prints each recording with its words and phones coloured by score, and for badly said
    phones what was probably said instead; --json gives everything as data.
    """
    from speechkit.acoustic.lexicon import Lexicon
    from speechkit.cli.output import print_json
    from speechkit.pronunciation import bundle, prediction
    from speechkit.pronunciation import recordings as given
    from speechkit.training.devices import resolve_device
    from speechkit.workdir import WorkDir

    jobs = given.jobs_of(recordings or [], text, trans)
    given.require_text(text, trans)
    ready = bundle.load(model, WorkDir(directory), str(resolve_device(device)))
    words = Lexicon(lexicon, guess=guess)
    results = prediction.predict(ready, jobs, words, on_error)
    if as_json:
        print_json([{"model": ready.name, **result.as_dict()} for result in results])
        return
    _show(results)


def _show(results: list[Result]) -> None:
    from rich.console import Console

    from speechkit.cli import pronunciation_view

    console = Console()
    for result in results:
        console.print(pronunciation_view.render(result))
    console.print(pronunciation_view.legend(results[0].scales))
