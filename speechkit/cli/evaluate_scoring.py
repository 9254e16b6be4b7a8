"""``speechkit evaluate scoring``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options


def evaluate_scoring(
    name: Annotated[
        str, typer.Option(help="Experiments, separated by commas: folders of exp/scoring.")
    ] = "default",
    set_name: Annotated[str, typer.Option("--set", help="The scored set: a folder of data/.")] = (
        "test"
    ),
    features: Annotated[
        str,
        typer.Option(
            help="Suffix of the set's features: exp/deep/SET-NAME or exp/gop/SET-NAME.",
            show_default="that of the training",
        ),
    ] = "",
    samples: Annotated[int, typer.Option(help="Bootstrap samples of the intervals.")] = 2000,
    out_name: Annotated[
        str, typer.Option(help="Write to eval/SET-NAME, so that variants live on.")
    ] = "",
    directory: options.Dir = Path("."),
    device: options.Device = "auto",
    jobs: options.Jobs = 1,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Score a set with all seeds of a scorer: PCC and MSE, errors by score, calibration.

    Writes exp/scoring/NAME/eval/SET/: utterances.tsv, classes.tsv, calibration.tsv, worst.tsv,
    summary.json, scatter.png and calibration.png. PCC and MSE are of scores from 0 to 1.
    """
    from speechkit.cli.output import print_evaluations
    from speechkit.scoring import evaluate
    from speechkit.task.evaluation import read_summary
    from speechkit.workdir import WorkDir

    work, names = WorkDir(directory), options.words(name)
    folders = [
        evaluate.evaluate(
            work,
            evaluate.EvaluationConfig(each, set_name, features or None, samples),
            out_name=out_name,
            device=device,
            jobs=options.resolve_jobs(jobs),
            force=force,
        )
        for each in names
    ]
    found = [read_summary(folder) for folder in folders]
    title, rows = f"{set_name}: mean ± std over seeds", evaluate.table(names, found)
    print_evaluations(folders, found, title, evaluate.COLUMNS, rows, as_json)
