"""What the commands of ``speechkit prepare`` share: the corpus as argument, the table of sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from speechkit.cli import options

if TYPE_CHECKING:
    from speechkit.corpora.common import Corpus
    from speechkit.corpora.write import SetSummary

Corpora = Annotated[
    Path, typer.Argument(metavar="PATH", help="The corpus as published.", show_default=False)
]
Gender = Annotated[
    Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
    typer.Option("--gender", help="Table 'speaker<TAB>m|f'.", show_default="none"),
]


def write(
    corpus: Corpus, directory: Path, on_error: str, jobs: int, force: bool, as_json: bool
) -> None:
    """Write the sets of a corpus, and show them."""
    from speechkit.corpora.write import write_corpus
    from speechkit.workdir import WorkDir

    number = options.resolve_jobs(jobs)
    show(
        write_corpus(WorkDir(directory), corpus, on_error=on_error, jobs=number, force=force),
        directory,
        as_json,
    )


def show(summaries: list[SetSummary], directory: Path, as_json: bool) -> None:
    """Print the table of the sets that were made."""
    from speechkit.cli.output import print_table
    from speechkit.corpora.write import COLUMNS

    rows = [[getattr(summary, column) for column in COLUMNS] for summary in summaries]
    print_table(f"Sets in {directory / 'data'}", COLUMNS, rows, as_json)
