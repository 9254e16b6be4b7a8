"""``speechkit prepare CORPUS``: one command a corpus."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.cli.flags import command
from speechkit.cli.options import Dir, FieldOf
from speechkit.corpora.config import (
    ActedConfig,
    DemoConfig,
    FolderConfig,
    LibriMixConfig,
    LibriSpeechConfig,
    SpeechoceanConfig,
    Wsj0MixConfig,
)

if TYPE_CHECKING:
    from speechkit.corpora.common import Corpus
    from speechkit.corpora.write import SetSummary

app = typer.Typer()
Published = Annotated[Path, FieldOf("corpus")]
OwnData = Annotated[Path, FieldOf("own_data")]
Gender = Annotated[Optional[Path], FieldOf("gender_file", FolderConfig)]  # noqa: UP045
SetName = Annotated[str, FieldOf("set_name", ActedConfig)]


WRITING = "on_error jobs force directory"


def _write(corpus: Corpus, directory: Dir, **how: Any) -> Answer:
    """Write the sets of a corpus, and show them."""
    from speechkit.corpora.write import write_corpus

    return _show(write_corpus(directory, corpus, **how), directory)


def _show(summaries: list[SetSummary], directory: Dir) -> Answer:
    from speechkit.corpora.write import COLUMNS

    rows = [one.row() for one in summaries]
    return answers.rows(f"Sets in {directory.root / 'data'}", COLUMNS, rows)


def _mixtures(rows: list[dict[str, Any]], directory: Dir) -> Answer:
    from speechkit.corpora.mixture_sets import COLUMNS

    values = [[row[column] for column in COLUMNS] for row in rows]
    return answers.rows(f"Sets of mixtures in {directory.root / 'data'}", COLUMNS, values)


def _add_corpus(name: str, kind: type, module: str = "") -> None:
    """Add the command of a corpus, whose sets its module reads by a configuration."""

    def corpus(path: Any, config: Any, **how: Any) -> Answer:
        found = importlib.import_module(f"speechkit.corpora.{module or name}")
        return _write(found.read_corpus(path, config), **how)

    corpus.__annotations__ |= {"path": OwnData if name == "folder" else Published, "config": kind}
    command(app, name, WRITING)(corpus)


_add_corpus("folder", FolderConfig, "folder.corpus")


@command(app, "demo", "jobs force")
def demo(config: DemoConfig, directory: Dir, **how: Any) -> Answer:
    from speechkit.corpora.demo import prepare

    return _show(prepare(directory, config, **how), directory)


_add_corpus("librispeech", LibriSpeechConfig)


@command(app, "wsj0", WRITING)
def wsj0(path: Published, gender: Gender, **how: Any) -> Answer:
    """WSJ0: si_tr_s, si_dt_05 and si_et_05 become the sets train, dev and test.

    Files that end in .wv1 are converted to WAV inside the set.
    """
    from speechkit.corpora.wsj0 import read_corpus

    return _write(read_corpus(path, gender), **how)


@command(app, "wsj0-2mix", WRITING)
def wsj0_2mix(path: Published, config: Wsj0MixConfig, directory: Dir, **how: Any) -> Answer:
    from speechkit.corpora.wsj0 import prepare_mixtures

    return _mixtures(prepare_mixtures(directory, path, config, **how), directory)


@command(app, "librimix", WRITING)
def librimix(
    tables: Annotated[list[Path], FieldOf("metadata")],
    config: LibriMixConfig,
    directory: Dir,
    **how: Any,
) -> Answer:
    from speechkit.corpora.librimix import prepare

    return _mixtures(prepare(directory, tables, config, **how), directory)


_add_corpus("speechocean762", SpeechoceanConfig)


def _add_acted(name: str, text: str) -> None:
    """Add the command of a corpus of acted emotions; the set is called as its module."""
    module = name.replace("-", "_")

    def acted(path: Published, set_name: SetName = module, **how: Any) -> Answer:
        corpus = importlib.import_module(f"speechkit.corpora.{module}")
        return _write(corpus.read_corpus(path, set_name), **how)

    acted.__doc__ = f"{text}\n\nDivide it for training and testing with `speechkit split-folds`."
    command(app, name, WRITING)(acted)


_add_acted("ravdess", "RAVDESS: acted emotions; its speech recordings become one labelled set.")
_add_acted(
    "crema-d", "CREMA-D: acted emotions of 91 actors; its recordings become one labelled set."
)
_add_acted("emodb", "EmoDB: acted German emotions of ten speakers; they become one labelled set.")
