"""``speechkit extract-deep``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.cli import options


def extract_deep(
    am: Annotated[
        str,
        typer.Option(
            help="Acoustic model with hidden features: a name in exp/acoustic, a folder, "
            "hf:OWNER/NAME or torchaudio:BUNDLE."
        ),
    ],
    set_name: options.Set = "train",
    layer: Annotated[
        int, typer.Option(min=0, help="Hidden layer, counted from 1 at the input; 0: the last.")
    ] = 0,
    level: Annotated[
        str, typer.Option(help="phone: means over the frames of each phone. frame: all frames.")
    ] = "phone",
    align_with: Annotated[
        str, typer.Option(help="Acoustic model that finds the phones; default: --am itself.")
    ] = "",
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
    """Hidden features of an acoustic model for every canonical phone of a set.

    Writes exp/deep/SET/deep.{ark,scp}, rows.tsv, phones.ctm, phones.txt, features.json and
    summary.json.
    """
    from speechkit.acoustic.lexicon.readings import Policy
    from speechkit.cli.output import print_summary
    from speechkit.phone_features.extract import extract
    from speechkit.phone_features.settings import DEEP, FeatureSettings
    from speechkit.workdir import WorkDir

    folder = extract(
        WorkDir(directory),
        set_name,
        FeatureSettings((am,), DEEP, align_with, layer=layer, level=level),
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
