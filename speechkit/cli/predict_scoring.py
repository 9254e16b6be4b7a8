"""``speechkit predict scoring``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from speechkit.cli import options

if TYPE_CHECKING:
    from speechkit.scoring.prediction import Result


def predict_scoring(
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
        str, typer.Option("--model", help="A name under exp/scoring, or a folder.")
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
    """Score recordings whose text is known with a model of `train scoring`: one score of each.

    On the scale of the scores that the model learned from, the mean of its seeds.
    """
    from speechkit.acoustic.lexicon import Lexicon
    from speechkit.cli.output import print_json
    from speechkit.pronunciation import recordings as given
    from speechkit.scoring import bundle, prediction
    from speechkit.training.devices import resolve_device
    from speechkit.workdir import WorkDir

    jobs = given.jobs_of(recordings or [], text, trans)
    given.require_text(text, trans)
    ready = bundle.load(model, WorkDir(directory), str(resolve_device(device)))
    results = prediction.predict(ready, jobs, Lexicon(lexicon, guess=guess), on_error)
    if as_json:
        print_json([{"model": ready.name, **result.as_dict()} for result in results])
        return
    _show(results)


def _show(results: list[Result]) -> None:
    from speechkit.cli.output import print_table

    low, high = results[0].scale
    rows = [
        [
            one.file,
            round(one.seconds, 2),
            f"{one.score:.1f}" + (f" ±{one.spread:.1f}" if len(one.seeds) > 1 else ""),
            "yes" if one.matches else f"probably not ({one.confidence:.2f})",
            " ".join(word.word + "*" * word.guessed for word in one.words),
        ]
        for one in results
    ]
    title = f"{results[0].target}, from {low:g} to {high:g} (± over {len(results[0].seeds)} seeds)"
    print_table(title, ("file", "seconds", "score", "text matches", "words"), rows)
    if any(word.guessed for one in results for word in one.words):
        print("*: pronunciation guessed")
