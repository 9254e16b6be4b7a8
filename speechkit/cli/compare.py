"""``speechkit compare TASK``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from speechkit.base.config import Flag
from speechkit.cli.flags import command
from speechkit.cli.options import Dir, Force, Json, Seed, VariantName

app = typer.Typer(no_args_is_help=True, help="Compare experiments; a task is a subcommand.")


@app.callback()
def _tasks() -> None:
    """Compare experiments with a baseline; a task is a subcommand."""


@dataclass(frozen=True)
class Compared:
    """What is compared.

    Data:
        baseline: Experiment that the others are compared to.
        set_name: Evaluations to compare: folders eval/SET.
        name: Experiments, separated by commas.
        measure: Measures of summary.json, separated by commas.
        samples: Number of bootstrap samples.
    """

    baseline: str
    set_name: Annotated[str, Flag("set")] = "test"
    name: Annotated[tuple[str, ...], Flag(shown="all evaluated on the set")] = ()
    measure: Annotated[tuple[str, ...], Flag(shown="PCC and MSE of every aspect")] = ()
    samples: int = 2000


@dataclass(frozen=True)
class ComparedScores(Compared):
    """Of ``compare scoring``."""

    name: Annotated[
        tuple[str, ...],
        Flag(shown="all that were evaluated on the set and predict the same score"),
    ] = ()
    measure: Annotated[tuple[str, ...], Flag(shown="PCC and MSE of the score")] = ()


@dataclass(frozen=True)
class ComparedSeparation(Compared):
    """Of ``compare separation``."""

    set_name: Annotated[str, Flag("set")] = "test_2mix"
    measure: Annotated[
        tuple[str, ...], Flag(shown="mean, HSR5, HSR10 and percentiles 1, 5, 10 of SI-SNRi")
    ] = ()


@command(app, "pronunciation")
def compare_pronunciation(
    compared: Compared,
    seed: Seed,
    out_name: VariantName,
    directory: Dir,
    force: Force,
    as_json: Json,
) -> None:
    """Differences to a baseline on the same items and seeds, with intervals over speakers.

    Reads evaluations of `evaluate pronunciation`, writes exp/compare/pronunciation/SET/.
    """
    from speechkit.pronunciation import evaluate

    _compare(evaluate, compared, compared.measure, seed, out_name, directory, force, as_json)


@command(app, "scoring")
def compare_scoring(
    compared: ComparedScores,
    seed: Seed,
    out_name: VariantName,
    directory: Dir,
    force: Force,
    as_json: Json,
) -> None:
    """Differences to a baseline on the same utterances and seeds, with intervals over speakers.

    Reads evaluations of `evaluate scoring`, writes exp/compare/scoring/SET/.
    """
    from speechkit.scoring import evaluate

    _compare(evaluate, compared, compared.measure, seed, out_name, directory, force, as_json)


@command(app, "separation")
def compare_separation(
    compared: ComparedSeparation,
    seed: Seed,
    out_name: VariantName,
    directory: Dir,
    force: Force,
    as_json: Json,
) -> None:
    """Differences to a baseline on the same mixtures and seeds, with intervals over speakers.

    Reads evaluations of `evaluate separation`, writes exp/compare/separation/SET/.
    """
    from speechkit.separation import compare

    measures = compared.measure or compare.DEFAULT_MEASURES
    _compare(compare, compared, measures, seed, out_name, directory, force, as_json)


def _compare(
    task: Any,
    compared: Compared,
    measures: tuple[str, ...],
    seed: int,
    out_name: str,
    directory: Dir,
    force: bool,
    as_json: bool,
) -> None:
    """Compare by the module of a task, and print the differences."""
    from speechkit.cli.output import print_comparison

    config = task.ComparisonConfig(
        compared.set_name, compared.baseline, compared.name, measures, compared.samples, seed
    )
    folder = task.compare(directory, config, out_name, force)
    print_comparison(folder, task.COMPARISON, as_json)
