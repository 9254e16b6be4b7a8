"""``speechkit extract-gop``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.cli import options

_MODELS = (
    "sphinx, a name in exp/acoustic, a folder, hf:OWNER/NAME, torchaudio:BUNDLE or "
    "posteriors:SCP[,labels=FILE]; given several times, their columns stand side by side."
)


def extract_gop(
    set_name: options.Set = "train",
    am: Annotated[list[str], typer.Option("--am", help=f"Acoustic model: {_MODELS}")] = ["sphinx"],  # noqa: B006 - Typer copies it
    method: Annotated[
        str,
        typer.Option(
            help="segment: Kaldi's 84 columns of aligned phones. ctc: scores of every "
            "substitution and deletion without an alignment (42 columns). both: 126 columns."
        ),
    ] = "segment",
    align_with: Annotated[
        str,
        typer.Option(help="Acoustic model whose segments all take; default: each its own."),
    ] = "",
    prosody: Annotated[
        bool, typer.Option(help="Add durations, pauses, energy and pitch (13 columns).")
    ] = False,
    stp: Annotated[
        bool,
        typer.Option(
            "--stp", help="Add GOP with the transition probabilities of the HMM (1 column)."
        ),
    ] = False,
    lexicon: Annotated[
        Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option(help="Pronunciations that go before the built-in ones, as Kaldi's lexicon."),
    ] = None,
    g2p: Annotated[
        bool, typer.Option(help="Let espeak-ng pronounce words that are in no lexicon.")
    ] = True,
    readings: options.Readings = "likeliest",
    drop_markup: options.DropMarkup = False,
    import_from: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--import",
            help="Take features that others made instead: feat.scp of Kaldi's "
            "gop_speechocean762, or GOPT's features as .csv or .npy.",
        ),
    ] = None,
    keys: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="With --import of .csv or .npy: the file of keys (UTTERANCE.PHONE)."),
    ] = None,
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
    """Goodness of pronunciation: a row of features for every canonical phone of a set.

    Writes exp/gop/SET/gop.{ark,scp}, rows.tsv, phones.txt, features.json and summary.json.
    """
    from speechkit.cli.output import print_summary
    from speechkit.workdir import WorkDir

    workdir = WorkDir(directory)
    if import_from is not None:
        from speechkit.phone_features.import_gop import import_features

        folder = import_features(
            workdir, set_name, import_from, keys=keys, name=name, on_error=on_error, force=force
        )
    else:
        from speechkit.acoustic.lexicon.readings import Policy
        from speechkit.base.errors import require_choice
        from speechkit.phone_features.extract import extract
        from speechkit.phone_features.settings import METHODS, FeatureSettings

        require_choice("method", method, METHODS)  # of the others, extract-deep has its flags
        folder = extract(
            workdir,
            set_name,
            FeatureSettings(tuple(am), method, align_with, prosody, stp=stp),
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
