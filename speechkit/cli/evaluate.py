"""``speechkit evaluate TASK``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from speechkit.base.config import Flag
from speechkit.cli.flags import command
from speechkit.cli.options import (
    DATA,
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


@dataclass(frozen=True)
class PronunciationFlags:
    """What ``evaluate pronunciation`` measures.

    Data:
        name: Experiments, separated by commas: folders of exp/pronunciation.
        set_name: Scored set: a folder of data/.
        gop: Features: exp/gop/SET-GOP, several separated by commas.
        samples: Number of bootstrap samples of the intervals.
    Output:
        table: Table of the paper: 1 or 2 print its rows above ours; 3 the mean weights by beta,
            from the scores of the set alone; 0: ours only.
    """

    name: tuple[str, ...] = ("default",)
    set_name: Annotated[str, Flag("set")] = "test"
    gop: Annotated[str, Flag(shown="the names of the training")] = ""
    table: Annotated[int, Flag(least=0, most=3)] = 0
    samples: int = 2000


@command(app, "pronunciation")
def evaluate_pronunciation(
    flags: PronunciationFlags,
    out_name: EvaluationName,
    directory: Dir,
    device: Device,
    force: Force,
    as_json: Json,
) -> None:
    """Score a set with all seeds of a model: PCC, MSE, errors by score, recall of low scores.

    Writes exp/pronunciation/NAME/eval/SET/: utterances.tsv, words.tsv, phones.tsv, classes.tsv,
    worst.tsv and summary.json. Prints a table laid out like the paper's Table 1.
    """
    from speechkit.cli.output import print_evaluations, print_table
    from speechkit.pronunciation import evaluate, paper
    from speechkit.task.evaluation import read_summary

    set_name = flags.set_name
    if flags.table == 3:
        from speechkit.pronunciation.paper import BETA_COLUMNS, average_weights

        rows = average_weights(directory, set_name)
        print_table(f"Mean weights of phone accuracy in {set_name}", BETA_COLUMNS, rows, as_json)
        return
    suffixes = tuple(part.strip() for part in flags.gop.split(",")) if flags.gop else None
    folders = [
        evaluate.evaluate(
            directory,
            evaluate.EvaluationConfig(each, set_name, suffixes, flags.samples),
            out_name=out_name,
            device=device,
            force=force,
        )
        for each in flags.name
    ]
    found = [read_summary(folder) for folder in folders]
    above = evaluate.published_rows(str(flags.table)) if flags.table else []
    rows = [*above, *evaluate.table(flags.name, found)]
    heads = ("model", *(_short(measure) for measure in paper.MEASURES))
    title = f"{set_name}: mean ± std over seeds"
    print_evaluations(folders, found, title, heads, rows, as_json)


def _short(measure: str) -> str:
    """``word_stress_pcc`` -> ``word stress``; the phone's two measures keep their kind."""
    aspect, _, kind = measure.rpartition("_")
    level, _, what = aspect.partition("_")
    return f"phone {kind.upper()}" if level == "phone" else f"{level} {what}"


@dataclass(frozen=True)
class ScoringFlags:
    """What ``evaluate scoring`` measures.

    Data:
        name: Experiments, separated by commas: folders of exp/scoring.
        set_name: Scored set: a folder of data/.
        features: Suffix of the set's features: exp/deep/SET-NAME or exp/gop/SET-NAME.
        samples: Number of bootstrap samples of the intervals.
    """

    name: tuple[str, ...] = ("default",)
    set_name: Annotated[str, Flag("set")] = "test"
    features: Annotated[str, Flag(shown="that of the training")] = ""
    samples: int = 2000


@command(app, "scoring")
def evaluate_scoring(
    flags: ScoringFlags,
    out_name: EvaluationName,
    directory: Dir,
    device: Device,
    force: Force,
    as_json: Json,
    jobs: Jobs = 1,
) -> None:
    """Score a set with all seeds of a scorer: PCC and MSE, errors by score, calibration.

    Writes exp/scoring/NAME/eval/SET/: utterances.tsv, classes.tsv, calibration.tsv, worst.tsv,
    summary.json, scatter.png and calibration.png. PCC and MSE are of scores from 0 to 1.
    """
    from speechkit.cli.output import print_evaluations
    from speechkit.scoring import evaluate
    from speechkit.task.evaluation import read_summary

    folders = [
        evaluate.evaluate(
            directory,
            evaluate.EvaluationConfig(each, flags.set_name, flags.features or None, flags.samples),
            out_name=out_name,
            device=device,
            jobs=jobs,
            force=force,
        )
        for each in flags.name
    ]
    found = [read_summary(folder) for folder in folders]
    title = f"{flags.set_name}: mean ± std over seeds"
    rows = evaluate.table(flags.name, found)
    print_evaluations(folders, found, title, evaluate.COLUMNS, rows, as_json)


@command(app, "emotion")
def evaluate_emotion(
    name: Annotated[
        str, Option("fbank-cnn", "--name", panel=DATA, help="Name of the model: exp/emotion/NAME.")
    ],
    set_name: Annotated[
        str,
        Option(
            "",
            "--set",
            panel=DATA,
            help="Another labelled set, for all models.",
            show_default="the test part of each fold",
        ),
    ],
    on_error: OnError,
    directory: Dir,
    device: Device,
    jobs: Jobs,
    force: Force,
    as_json: Json,
) -> None:
    """Measure all folds and seeds of an emotion model on clips that they were not trained on.

    Writes exp/emotion/NAME/eval/folds/ (or eval/SET/): predictions, accuracy, UAR, measures of
    each class, confusion, intervals over speakers, and the clips most confidently wrong.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.emotion import evaluate, results, tables
    from speechkit.task.evaluation import read_summary

    folder = evaluate.evaluate(
        directory, name, set_name, device=device, jobs=jobs, on_error=on_error, force=force
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
