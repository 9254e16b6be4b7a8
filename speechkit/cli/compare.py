"""``speechkit compare TASK``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options
from speechkit.cli.compare_pronunciation import compare_pronunciation
from speechkit.cli.compare_scoring import compare_scoring

app = typer.Typer(no_args_is_help=True, help="Compare experiments; a task is a subcommand.")
app.command("pronunciation")(compare_pronunciation)
app.command("scoring")(compare_scoring)


@app.callback()
def _tasks() -> None:
    """Compare experiments with a baseline; a task is a subcommand."""


@app.command("separation")
def compare_separation(
    baseline: Annotated[str, typer.Option(help="Experiment that the others are compared to.")],
    set_name: Annotated[
        str, typer.Option("--set", help="Evaluations to compare: folders eval/SET.")
    ] = "test_2mix",
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
            show_default="mean, HSR5, HSR10 and percentiles 1, 5, 10 of SI-SNRi",
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
    """Differences to a baseline on the same mixtures and seeds, with intervals over speakers.

    Reads evaluations of `evaluate separation`, writes exp/compare/separation/SET/.
    """
    from speechkit.cli.output import print_comparison
    from speechkit.separation import compare
    from speechkit.workdir import WorkDir

    measures = options.words(measure) or compare.DEFAULT_MEASURES
    settings = compare.ComparisonConfig(
        set_name, baseline, options.words(name), measures, samples, seed
    )
    folder = compare.compare(WorkDir(directory), settings, out_name, force)
    print_comparison(folder, compare.COMPARISON, as_json)
