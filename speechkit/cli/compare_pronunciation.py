"""``speechkit compare pronunciation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options


def compare_pronunciation(
    baseline: Annotated[str, typer.Option(help="Experiment that the others are compared to.")],
    set_name: Annotated[
        str, typer.Option("--set", help="Evaluations to compare: folders eval/SET.")
    ] = "test",
    name: Annotated[
        str,
        typer.Option(
            help="Experiments, separated by commas.", show_default="all evaluated on the set"
        ),
    ] = "",
    measure: Annotated[
        str,
        typer.Option(
            help="Measures of summary.json, separated by commas.",
            show_default="PCC and MSE of every aspect",
        ),
    ] = "",
    samples: Annotated[int, typer.Option(help="Bootstrap samples.")] = 2000,
    out_name: Annotated[
        str, typer.Option(help="Write to SET-NAME, so that variants live on.")
    ] = "",
    seed: options.Seed = 0,
    directory: options.Dir = Path("."),
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Differences to a baseline on the same items and seeds, with intervals over speakers.

    Reads evaluations of `evaluate pronunciation`, writes exp/compare/pronunciation/SET/.
    """
    from speechkit.cli.output import print_comparison
    from speechkit.pronunciation import evaluate
    from speechkit.workdir import WorkDir

    settings = evaluate.ComparisonConfig(
        set_name, baseline, options.words(name), options.words(measure), samples, seed
    )
    folder = evaluate.compare(WorkDir(directory), settings, out_name, force)
    print_comparison(folder, evaluate.COMPARISON, as_json)
