"""``speechkit compare TASK``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from speechkit.base.config import Flag
from speechkit.base.schema import Object, read_json
from speechkit.cli import output
from speechkit.cli.flags import command
from speechkit.cli.options import Dir, Force, Group, VariantName
from speechkit.cli.output import Answer
from speechkit.task.config import ComparisonConfig

app = typer.Typer()


@dataclass(frozen=True)
class ScoresConfig(ComparisonConfig):
    """Of ``compare scoring``."""

    names: Annotated[
        tuple[str, ...],
        Flag("name", shown="all that were evaluated on the set and predict the same score"),
    ] = ()
    measures: Annotated[tuple[str, ...], Flag("measure", shown="PCC and MSE of the score")] = ()


@dataclass(frozen=True)
class SeparationConfig(ComparisonConfig):
    """Of ``compare separation``.

    Data:
        baseline_set: Set of random mixtures to compare a hard set with, instead of `baseline`.
    """

    baseline: str = ""
    baseline_set: str = ""
    set: Annotated[str, Flag("set", default="test_2mix")]
    measures: Annotated[
        tuple[str, ...],
        Flag("measure", shown="mean, HSR5, HSR10 and percentiles 1, 5, 10 of SI-SNRi"),
    ] = ()


class Run(Group):
    """Where a comparison is written."""

    out_name: VariantName
    force: Force


@command(app, "pronunciation")
def compare_pronunciation(config: ComparisonConfig, run: Run, directory: Dir) -> Answer:
    """Differences to a baseline on the same items and seeds, with intervals over speakers.

    Reads evaluations of `evaluate pronunciation`, writes exp/compare/pronunciation/SET/.
    """
    from speechkit.pronunciation import evaluate

    return _compare(evaluate, config, run, directory)


@command(app, "scoring")
def compare_scoring(config: ScoresConfig, run: Run, directory: Dir) -> Answer:
    """Differences to a baseline on the same utterances and seeds, with intervals over speakers.

    Reads evaluations of `evaluate scoring`, writes exp/compare/scoring/SET/.
    """
    from speechkit.scoring import evaluate

    return _compare(evaluate, config, run, directory)


@command(app, "separation")
def compare_separation(config: SeparationConfig, run: Run, directory: Dir) -> Answer:
    """Differences to a baseline on the same mixtures and seeds, with intervals over speakers.

    With --baseline-set: how much harder the mixtures of a hard set are than their random
    counterparts (mix --hard), for each experiment by itself.

    Reads evaluations of `evaluate separation`, writes exp/compare/separation/SET/.
    """
    from speechkit.separation import compare

    return _compare(compare, config, run, directory)


def _compare(task: Any, config: ComparisonConfig, run: Run, directory: Dir) -> Answer:
    """Compare by the module of a task: differences to the baseline, a row each."""
    given = {name: value for name, value in vars(config).items() if value != ()}
    folder = task.compare(directory, task.ComparisonConfig(**given), **vars(run))
    found = read_json(folder / "summary.json", Object)
    title = f"Differences to {found['baseline']} on {found['set']}"
    rows = task.COMPARISON.rows(found["experiments"])
    return output.output(folder, found, title, task.COMPARISON.columns, rows)
