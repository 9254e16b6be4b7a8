"""``speechkit compare TASK``."""

from __future__ import annotations

from typing import Any

import typer

from speechkit.base.schema import Object, read_json
from speechkit.cli import output
from speechkit.cli.flags import command
from speechkit.cli.options import Dir
from speechkit.cli.output import Answer
from speechkit.pronunciation import config as pronunciation
from speechkit.scoring import inference_config as scoring
from speechkit.separation import inference_config as separation
from speechkit.task.config import ComparisonConfig

app = typer.Typer()


WRITING = "out_name=variant_name force directory"


@command(app, "pronunciation", WRITING)
def compare_pronunciation(config: pronunciation.ComparisonConfig, **how: Any) -> Answer:
    """Differences to a baseline on the same items and seeds, with intervals over speakers.

    Reads evaluations of `evaluate pronunciation`, writes exp/compare/pronunciation/SET/.
    """
    from speechkit.pronunciation import evaluate

    return _compare(evaluate, config, **how)


@command(app, "scoring", WRITING)
def compare_scoring(config: scoring.ComparisonConfig, **how: Any) -> Answer:
    """Differences to a baseline on the same utterances and seeds, with intervals over speakers.

    Reads evaluations of `evaluate scoring`, writes exp/compare/scoring/SET/.
    """
    from speechkit.scoring import evaluate

    return _compare(evaluate, config, **how)


@command(app, "separation", WRITING)
def compare_separation(config: separation.ComparisonConfig, **how: Any) -> Answer:
    """Differences to a baseline on the same mixtures and seeds, with intervals over speakers.

    With --baseline-set: how much harder the mixtures of a hard set are than their random
    counterparts (mix --hard), for each experiment by itself.

    Reads evaluations of `evaluate separation`, writes exp/compare/separation/SET/.
    """
    from speechkit.separation import compare

    return _compare(compare, config, **how)


def _compare(task: Any, config: ComparisonConfig, directory: Dir, **how: Any) -> Answer:
    """Compare by the module of a task: differences to the baseline, a row each."""
    folder = task.compare(directory, config, **how)
    found = read_json(folder / "summary.json", Object)
    title = f"Differences to {found['baseline']} on {found['set']}"
    rows = task.COMPARISON.rows(found["experiments"])
    return output.output(folder, found, title, task.COMPARISON.columns, rows)
