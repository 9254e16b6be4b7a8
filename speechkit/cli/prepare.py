"""``speechkit prepare CORPUS``: one command a corpus."""

from __future__ import annotations

import importlib
from typing import Any

import typer

from speechkit.base.answers import Answer
from speechkit.cli.flags import command
from speechkit.cli.options import Dir
from speechkit.corpora import config

app = typer.Typer()


def _add(name: str, run: str, kind: type, listed: str) -> None:
    """Add the command of a corpus, by what its module has: ``read_corpus``, or what writes it all.

    Args:
        run: ``MODULE:FUNCTION`` of :mod:`speechkit.corpora`.
    """

    def corpus(directory: Dir, config: Any, **how: Any) -> Answer:
        from speechkit.corpora import mixture_sets, write

        place, _, function = run.partition(":")
        found = getattr(importlib.import_module(f"speechkit.corpora.{place}"), function)
        if function == "read_corpus":
            read = found(how.pop("path"), config)
            return write.answer(directory, write.write_corpus(directory, read, **how))
        made = found(directory, config=config, **how)
        return (write if name == "demo" else mixture_sets).answer(directory, made)

    corpus.__annotations__["config"] = kind
    command(app, name, f"{listed} jobs force directory")(corpus)


_PUBLISHED = "path=corpus on_error"
for _one in (
    ("folder", "folder.corpus:read_corpus", config.FolderConfig, "path=own_data on_error"),
    ("demo", "demo:prepare", config.DemoConfig, "directory"),
    ("librispeech", "librispeech:read_corpus", config.LibriSpeechConfig, _PUBLISHED),
    ("wsj0", "wsj0:read_corpus", config.Wsj0Config, _PUBLISHED),
    ("wsj0-2mix", "wsj0:prepare_mixtures", config.Wsj0MixConfig, _PUBLISHED),
    ("librimix", "librimix:prepare", config.LibriMixConfig, "tables=metadata on_error"),
    (
        "speechocean762",
        "speechocean762:read_corpus",
        config.SpeechoceanConfig,
        _PUBLISHED,
    ),
    ("ravdess", "ravdess:read_corpus", config.RavdessConfig, _PUBLISHED),
    ("crema-d", "crema_d:read_corpus", config.CremaDConfig, _PUBLISHED),
    ("emodb", "emodb:read_corpus", config.EmoDBConfig, _PUBLISHED),
):
    _add(*_one)
