"""``speechkit synthesize-scores``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options


def synthesize_scores(
    train: Annotated[
        str,
        typer.Option("--train", help="The scored set to train the regressor on."),
    ],
    set_name: Annotated[str, typer.Option("--set", help="The set that gets scores.")],
    gop: Annotated[
        str, typer.Option("--gop", help="Suffix of both sets' folders: exp/gop/SET-GOP.")
    ] = "",
    targets: Annotated[
        str,
        typer.Option(
            help="Scores of an utterance, separated by commas.", show_default="all of --train"
        ),
    ] = "",
    allow_shared: Annotated[
        bool, typer.Option("--allow-shared", help="Let the two sets have speakers in common.")
    ] = False,
    mean_gop: Annotated[
        bool,
        typer.Option(
            "--mean-gop/--no-mean-gop",
            help="The average GOP of all phones as a feature, beside the paper's.",
        ),
    ] = True,
    folds: Annotated[int, typer.Option(help="Folds of speakers to measure the regressor.")] = 5,
    name: options.OutName = "",
    seed: options.Seed = 0,
    directory: options.Dir = Path("."),
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Scores of utterances that nobody scored, by boosted trees on GOP, for pre-training.

    Writes exp/synthetic/SET/. The regressor learns from the scored set --train.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.scoring import synthesis
    from speechkit.scoring.trees import TreeSettings
    from speechkit.workdir import WorkDir

    settings = synthesis.Settings(
        set_name,
        train,
        gop,
        options.words(targets),
        allow_shared,
        folds,
        seed,
        TreeSettings(mean_gop=mean_gop),
    )
    folder = synthesis.synthesize(WorkDir(directory), settings, name, force)
    summary = synthesis.read_summary(folder)
    if as_json:
        print_json({"output": str(folder), **summary})
        return
    rows = synthesis.rows(summary)
    print_table(f"Synthetic scores in {folder}", synthesis.COLUMNS, rows)
