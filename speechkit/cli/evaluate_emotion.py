"""``speechkit evaluate emotion``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options


def evaluate_emotion(
    name: Annotated[str, typer.Option(help="Of the model: exp/emotion/NAME.")] = "fbank-cnn",
    set_name: Annotated[
        str,
        typer.Option(
            "--set",
            help="Another labelled set, for all models.",
            show_default="the test part of each fold",
        ),
    ] = "",
    on_error: options.OnError = "stop",
    directory: options.Dir = Path("."),
    device: options.Device = "auto",
    jobs: options.Jobs = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Measure all folds and seeds of an emotion model on clips that they were not trained on.

    Writes exp/emotion/NAME/eval/folds/ (or eval/SET/): predictions, accuracy, UAR, measures of
    each class, confusion, intervals over speakers, and the clips most confidently wrong.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.emotion import evaluate, results, tables
    from speechkit.task.evaluation import read_summary
    from speechkit.workdir import WorkDir

    number = options.resolve_jobs(jobs)
    folder = evaluate.evaluate(
        WorkDir(directory),
        name,
        set_name,
        device=device,
        jobs=number,
        on_error=on_error,
        force=force,
    )
    summary, about = read_summary(folder), results.read_about(folder)
    if as_json:
        print_json({"output": str(folder), "about": about, **summary})
        return
    found = results.read_predictions(folder)
    print_table(
        tables.title(about),
        ("class", "precision", "recall", "F1", "support"),
        [[v if v is None or isinstance(v, str | int) else round(v, 3) for v in row]
         for row in tables.class_rows(found)],
    )  # fmt: skip
    print_table(str(folder), tables.COST_COLUMNS, [tables.cost_row(about, summary)])
