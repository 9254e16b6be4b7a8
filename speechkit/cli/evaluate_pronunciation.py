"""``speechkit evaluate pronunciation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options


def evaluate_pronunciation(
    name: Annotated[
        str,
        typer.Option(help="Experiments, separated by commas: folders of exp/pronunciation."),
    ] = "default",
    set_name: Annotated[str, typer.Option("--set", help="The scored set: a folder of data/.")] = (
        "test"
    ),
    gop: Annotated[
        str,
        typer.Option(
            help="Features: exp/gop/SET-GOP, several separated by commas.",
            show_default="the names of the training",
        ),
    ] = "",
    table: Annotated[
        int,
        typer.Option(
            min=0,
            max=3,
            help="Of the paper: 1 or 2 print its rows above ours; 3 the mean weights by beta, "
            "from the scores of the set alone; 0: ours only.",
        ),
    ] = 0,
    samples: Annotated[int, typer.Option(help="Bootstrap samples of the intervals.")] = 2000,
    out_name: Annotated[
        str, typer.Option(help="Write to eval/SET-NAME, so that variants live on.")
    ] = "",
    directory: options.Dir = Path("."),
    device: options.Device = "auto",
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Score a set with all seeds of a model: PCC, MSE, errors by score, recall of low scores.

    Writes exp/pronunciation/NAME/eval/SET/: utterances.tsv, words.tsv, phones.tsv, classes.tsv,
    worst.tsv and summary.json. Prints a table laid out like the paper's Table 1.
    """
    from speechkit.cli.output import print_evaluations, print_table
    from speechkit.pronunciation import evaluate, paper
    from speechkit.task.evaluation import read_summary
    from speechkit.workdir import WorkDir

    work = WorkDir(directory)
    if table == 3:
        from speechkit.pronunciation.paper import BETA_COLUMNS, average_weights

        rows = average_weights(work, set_name)
        print_table(f"Mean weights of phone accuracy in {set_name}", BETA_COLUMNS, rows, as_json)
        return
    names = options.words(name)
    suffixes = tuple(part.strip() for part in gop.split(",")) if gop else None
    folders = [
        evaluate.evaluate(
            work,
            evaluate.EvaluationConfig(each, set_name, suffixes, samples),
            out_name=out_name,
            device=device,
            force=force,
        )
        for each in names
    ]
    found = [read_summary(folder) for folder in folders]
    above = evaluate.published_rows(str(table)) if table else []
    rows = [*above, *evaluate.table(names, found)]
    heads = ("model", *(_short(measure) for measure in paper.MEASURES))
    title = f"{set_name}: mean ± std over seeds"
    print_evaluations(folders, found, title, heads, rows, as_json)


def _short(measure: str) -> str:
    """``word_stress_pcc`` -> ``word stress``; the phone's two measures keep their kind."""
    aspect, _, kind = measure.rpartition("_")
    level, _, what = aspect.partition("_")
    return f"phone {kind.upper()}" if level == "phone" else f"{level} {what}"
