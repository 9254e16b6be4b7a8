"""``speechkit align``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.cli import options


def align(
    set_name: options.Set = "train",
    am: Annotated[
        str,
        typer.Option(
            "--am",
            help="Acoustic model: sphinx, a name in exp/acoustic, a folder, hf:OWNER/NAME, "
            "torchaudio:BUNDLE or posteriors:SCP[,labels=FILE].",
        ),
    ] = "sphinx",
    lexicon: Annotated[
        Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option(help="Pronunciations that go before the built-in ones, as Kaldi's lexicon."),
    ] = None,
    g2p: Annotated[
        bool, typer.Option(help="Let espeak-ng pronounce words that are in no lexicon.")
    ] = True,
    readings: options.Readings = "likeliest",
    drop_markup: options.DropMarkup = False,
    name: options.OutName = "",
    directory: options.Dir = Path("."),
    device: options.Device = "auto",
    jobs: options.Jobs = 0,
    executor: options.Executor = "local",
    on_error: options.OnError = "stop",
    allow_pipes: options.Pipes = False,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Where every phone and word of a set lies in its audio.

    Writes exp/align/SET/phones.ctm, words.ctm, ali.{ark,scp} and utterances.tsv. Canonical
    phones are those of the set's phone_scores.tsv, or looked up for its text.
    """
    from speechkit.acoustic.align.stage import align_set
    from speechkit.acoustic.lexicon.readings import Policy
    from speechkit.cli.output import print_summary
    from speechkit.workdir import WorkDir

    folder = align_set(
        WorkDir(directory),
        set_name,
        am=am,
        lexicon=lexicon,
        guess=g2p,
        policy=Policy(readings, drop_markup),
        name=name,
        device=device,
        jobs=options.resolve_jobs(jobs),
        executor=executor,
        on_error=on_error,
        allow_pipes=allow_pipes,
        force=force,
    )
    print_summary(folder, as_json)
