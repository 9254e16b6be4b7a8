"""``speechkit prepare folder``: own data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.cli import options
from speechkit.cli.prepare_sets import Gender, write


def folder(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="Folder with a subfolder per speaker, or table 'path<TAB>speaker[<TAB>text]'.",
            show_default=False,
        ),
    ],
    set_name: Annotated[
        str, typer.Option("--set", help="Name of the set, where there is no --split.")
    ] = "train",
    split: Annotated[
        str,
        typer.Option(
            help="Sets with different speakers, as shares: train=0.8,dev=0.1,test=0.1.",
            show_default="one set",
        ),
    ] = "",
    gender: Gender = None,
    scores: Annotated[
        Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option(
            metavar="PATH",
            help="Scores of pronunciation: a folder of tables, one table, or a scores.json.",
            show_default="none",
        ),
    ] = None,
    scales: Annotated[
        str,
        typer.Option(
            "--score-scales",
            metavar="SCALES",
            help="Lowest and highest scores: a JSON file, or utterance=0:10,word=0:10,phone=0:2.",
            show_default="those of speechocean762",
        ),
    ] = "",
    raters: Annotated[
        Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option(
            metavar="TSV",
            help="Scores by rater: utt, rater, total ...; without --scores their means count.",
            show_default="none",
        ),
    ] = None,
    labels: Annotated[
        Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option(
            metavar="TSV",
            help="Emotions: a table 'utt<TAB>emotion' or 'path<TAB>emotion'.",
            show_default="none",
        ),
    ] = None,
    case: Annotated[
        str,
        typer.Option(
            "--label-case",
            help="Emotions that differ in case only: stop, write all in lower case, or keep them.",
        ),
    ] = "stop",
    seed: options.Seed = 0,
    on_error: options.OnError = "stop",
    directory: options.Dir = Path(),
    jobs: options.Jobs = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Own data: audio in one subfolder per speaker, or listed in a table."""
    from speechkit.corpora.folder.corpus import read_corpus

    corpus = read_corpus(path, set_name, split, seed, gender, scores, scales, labels, raters, case)
    write(corpus, directory, on_error, jobs, force, as_json)
