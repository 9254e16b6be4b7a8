"""``speechkit evaluate TASK``."""

from __future__ import annotations

from typing import Annotated

import typer

from speechkit.cli.evaluate_emotion import evaluate_emotion
from speechkit.cli.evaluate_pronunciation import evaluate_pronunciation
from speechkit.cli.evaluate_scoring import evaluate_scoring
from speechkit.cli.flags import command
from speechkit.cli.shared import (
    MACHINE,
    Device,
    Dir,
    EvaluationName,
    Force,
    Jobs,
    Json,
    OnError,
    Option,
)
from speechkit.separation.config import EvaluationConfig

app = typer.Typer(no_args_is_help=True, help="Measure a trained model; a task is a subcommand.")
app.command("emotion")(evaluate_emotion)
app.command("pronunciation")(evaluate_pronunciation)
app.command("scoring")(evaluate_scoring)


@app.callback()
def _tasks() -> None:
    """Measure a trained model; a task is a subcommand."""


@command(app, "separation")
def evaluate_separation(
    evaluation: EvaluationConfig,
    batch_seconds: Annotated[
        float,
        Option(
            0.0,
            "--batch-seconds",
            min=0,
            panel=MACHINE,
            help="Seconds of audio (at 8 kHz) per batch; 0: one mixture on the CPU, 120 s on CUDA.",
        ),
    ],
    out_name: EvaluationName,
    on_error: OnError,
    directory: Dir,
    device: Device,
    force: Force,
    as_json: Json,
    jobs: Jobs = 1,
) -> None:
    """Separate a set of mixtures with all seeds of a model, and measure means and tail.

    Writes exp/separation/NAME/eval/SET/: utterances.tsv, summary.json, and clips of the
    worst mixtures. A killed run is taken up by the same command.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.separation.evaluate import evaluate
    from speechkit.task.evaluation import read_summary

    folder = evaluate(
        directory,
        evaluation,
        out_name=out_name,
        batch_seconds=batch_seconds,
        device=device,
        jobs=jobs,
        on_error=on_error,
        force=force,
    )
    summary = read_summary(folder)
    if as_json:
        print_json({"output": str(folder), **summary})
        return
    rows = [[key, value["mean"], value["std"], value["n"]] for key, value in summary.items()]
    print_table(str(folder), ("measure", "mean", "std", "seeds"), rows)
