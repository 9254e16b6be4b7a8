"""``speechkit predict scoring``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from speechkit.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from speechkit.cli.prediction_output import RowTable
    from speechkit.scoring.predict import Result
    from speechkit.task.prediction.jobs import Job


def predict_scoring(
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
    """Score recordings whose text is known with a model of `train scoring`: one score of each.

    On the scale of the scores that the model learned from, the mean of its seeds.
    """
    from speechkit.acoustic.lexicon.readings import Policy
    from speechkit.cli.prediction_output import print_predictions
    from speechkit.phone_features import recordings as given
    from speechkit.scoring.predict import predict
    from speechkit.task.prediction.stream import How

    items = given.jobs_of(recordings or [], text, trans)
    given.require_text(text, trans)
    policy = Policy(readings, drop_markup)
    setup = given.Setup(model, directory, device, lexicon, guess, policy)
    found = predict(setup, items, How(on_error, options.resolve_jobs(jobs), save, force))
    print_predictions(found, as_json, lambda: _View(items))


class _View:
    def __init__(self, items: Sequence[Job]) -> None:
        self._items = items
        self._table: RowTable | None = None
        self._guessed = False
        self._readings: list[str] = []

    def add(self, result: Result) -> None:
        from speechkit.cli.prediction_output import RowTable

        if self._table is None:
            low, high = result.scale
            title = f"{result.target}, from {low:g} to {high:g} (± over {len(result.seeds)} seeds)"
            columns = ("file", "seconds", "score", "text matches", "words")
            self._table = RowTable(title, columns, self._widest())
        self._guessed |= any(word.guessed for word in result.words)
        several = f" ±{result.spread:.1f}" if len(result.seeds) > 1 else ""
        row = (
            result.file,
            round(result.seconds, 2),
            f"{result.score:.1f}{several}",
            "yes" if result.matches else f"probably not ({result.confidence:.2f})",
            " ".join(word.word + "*" * word.guessed for word in result.words),
        )
        self._table.add([row])
        self._readings += [f"{result.file}: {r.written} read as {r.said}" for r in result.readings]

    def _widest(self) -> Sequence[str]:
        if len(self._items) < 2:
            return ()
        files = (str(item.file) for item in self._items)
        texts = (item.text for item in self._items)
        numbers = ("000.00", "00.0 ±0.0", "probably not (0.00)")
        return (max(files, key=len), *numbers, max(texts, key=len))

    def close(self) -> None:
        if self._table is not None:
            self._table.close()
        for line in self._readings:
            print(line)
        if self._guessed:
            print("*: pronunciation guessed")
