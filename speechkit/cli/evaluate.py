"""``speechkit evaluate TASK``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.base.config import Flag
from speechkit.cli import output
from speechkit.cli.flags import command
from speechkit.cli.options import (
    DATA,
    MACHINE,
    Device,
    Dir,
    EvaluationName,
    Executor,
    Force,
    Group,
    Jobs,
    OnError,
    Option,
)
from speechkit.cli.output import Answer
from speechkit.separation.config import EvaluationConfig

app = typer.Typer()


class Run(Group):
    """How a model is measured."""

    out_name: EvaluationName
    device: Device
    force: Force


class JobsRun(Run):
    """Of what reads audio in processes."""

    jobs: Jobs = 1


class SeparationRun(JobsRun):
    """Of ``evaluate separation``."""

    executor: Executor
    on_error: OnError
    batch_seconds: Annotated[
        float,
        Option(
            0.0,
            "--batch-seconds",
            min=0,
            panel=MACHINE,
            help="Seconds of audio (at 8 kHz) per batch; 0: one mixture on the CPU, 120 s on CUDA.",
        ),
    ]


class EmotionRun(Group):
    """Of ``evaluate emotion``."""

    on_error: OnError
    device: Device
    jobs: Jobs
    force: Force


@command(app, "separation")
def evaluate_separation(evaluation: EvaluationConfig, directory: Dir, run: SeparationRun) -> Answer:
    """Separate a set of mixtures with all seeds of a model, and measure means and tail.

    Writes exp/separation/NAME/eval/SET/: utterances.tsv, summary.json, and clips of the
    worst mixtures. A killed run is taken up by the same command.
    """
    from speechkit.separation.evaluate import evaluate
    from speechkit.task.evaluation import read_summary

    folder = evaluate(directory, evaluation, **vars(run))
    found = read_summary(folder)
    rows = [[key, value["mean"], value["std"], value["n"]] for key, value in found.items()]
    return output.output(folder, found, str(folder), ("measure", "mean", "std", "seeds"), rows)


@dataclass(frozen=True)
class PronunciationFlags:
    """What ``evaluate pronunciation`` measures.

    Data:
        name: Experiments, separated by commas: folders of exp/pronunciation.
        set_name: Scored set: a folder of data/.
        gop: Features: exp/gop/SET-GOP, several separated by commas.
        samples: Number of bootstrap samples of the intervals.
        miscues: Test whether words that nobody said are found, in changed texts of the set,
            which are made and whose features are extracted where they are not there.
    Output:
        table: Table of the paper: 1 or 2 print its rows above ours; 3 the mean weights by beta,
            from the scores of the set alone; 0: ours only.
    """

    name: tuple[str, ...] = ("default",)
    set_name: Annotated[str, Flag("set")] = "test"
    gop: Annotated[str, Flag(shown="the names of the training")] = ""
    table: Annotated[int, Flag(least=0, most=3)] = 0
    samples: int = 2000
    miscues: Annotated[bool, Flag("miscues")] = False


@command(app, "pronunciation")
def evaluate_pronunciation(flags: PronunciationFlags, directory: Dir, run: JobsRun) -> Answer:
    """Score a set with all seeds of a model: PCC, MSE, errors by score, recall of low scores.

    Writes exp/pronunciation/NAME/eval/SET/: utterances.tsv, words.tsv, phones.tsv, classes.tsv,
    worst.tsv and summary.json. Prints a table laid out like the paper's Table 1. With --miscues
    eval/SET-miscues/: miscues.tsv, roc.tsv, roc.png and summary.json.
    """
    from speechkit.pronunciation import evaluate, paper
    from speechkit.task.evaluation import read_summary

    set_name = flags.set_name
    if flags.miscues:
        return _miscues(flags, directory, run)
    if flags.table == 3:
        rows = paper.average_weights(directory, set_name)
        title = f"Mean weights of phone accuracy in {set_name}"
        return output.rows(title, paper.BETA_COLUMNS, rows)
    suffixes = tuple(part.strip() for part in flags.gop.split(",")) if flags.gop else None
    folders, how = [], {k: value for k, value in vars(run).items() if k != "jobs"}
    for name in flags.name:
        config = evaluate.EvaluationConfig(name, set_name, suffixes, flags.samples)
        folders.append(evaluate.evaluate(directory, config, **how))
    found = [read_summary(folder) for folder in folders]
    above = evaluate.published_rows(str(flags.table)) if flags.table else []
    rows = [*above, *evaluate.table(flags.name, found)]
    heads = ("model", *(_short(measure) for measure in paper.MEASURES))
    return output.evaluations(folders, found, f"{set_name}: mean ± std over seeds", heads, rows)


def _miscues(flags: PronunciationFlags, directory: Dir, run: JobsRun) -> Answer:
    """Tests on texts that were not said as they stand: a row a measure, a column a model."""
    from speechkit.pronunciation.evaluate import EvaluationConfig
    from speechkit.pronunciation.miscue_evaluation import evaluate
    from speechkit.task.evaluation import read_summary

    suffixes = tuple(part.strip() for part in flags.gop.split(",")) if flags.gop else None
    configs = [EvaluationConfig(n, flags.set_name, suffixes, flags.samples) for n in flags.name]
    folders = [evaluate(directory, config, **vars(run)) for config in configs]
    found = [read_summary(folder) for folder in folders]
    names = dict.fromkeys(name for one in found for name in one)
    rows = [[n, *(one.get(n, {}).get("mean") for one in found)] for n in names]
    title = f"{flags.set_name}: words that nobody said"
    return output.evaluations(folders, found, title, ("measure", *flags.name), rows)


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
def evaluate_scoring(flags: ScoringFlags, directory: Dir, run: JobsRun) -> Answer:
    """Score a set with all seeds of a scorer: PCC and MSE, errors by score, calibration.

    Writes exp/scoring/NAME/eval/SET/: utterances.tsv, classes.tsv, calibration.tsv, worst.tsv,
    summary.json, scatter.png and calibration.png. PCC and MSE are of scores from 0 to 1.
    """
    from speechkit.scoring import evaluate
    from speechkit.task.evaluation import read_summary

    set_name, features = flags.set_name, flags.features or None
    folders = []
    for name in flags.name:
        config = evaluate.EvaluationConfig(name, set_name, features, flags.samples)
        folders.append(evaluate.evaluate(directory, config, **vars(run)))
    found = [read_summary(folder) for folder in folders]
    title, rows = f"{set_name}: mean ± std over seeds", evaluate.table(flags.name, found)
    return output.evaluations(folders, found, title, evaluate.COLUMNS, rows)


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
    label_map: Annotated[
        Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
        Option(
            None,
            "--label-map",
            panel=DATA,
            metavar="FILE",
            help="With --set: which label is which class of the model: table 'from<TAB>to', YAML.",
            show_default="same and like names",
        ),
    ],
    directory: Dir,
    run: EmotionRun,
) -> Answer:
    """Measure all folds and seeds of an emotion model on clips that they were not trained on.

    Writes exp/emotion/NAME/eval/folds/ (or eval/SET/): predictions, accuracy, UAR, measures of
    each class, calibration, confusion, intervals over speakers, and the clips most confidently
    wrong. Clips of another set whose labels are no class of the model are left out and counted.
    """
    from speechkit.emotion import evaluate, results, tables
    from speechkit.task.evaluation import read_summary

    folder = evaluate.evaluate(directory, name, set_name, label_map=label_map, **vars(run))
    summary, about = read_summary(folder), results.read_about(folder)
    classes = [
        [v if v is None or isinstance(v, str | int) else round(v, 3) for v in row]
        for row in tables.class_rows(results.read_predictions(folder))
    ]
    columns = ("class", "precision", "recall", "F1", "support")
    cost = (str(folder), tables.COST_COLUMNS, [tables.cost_row(about, summary)])
    data = {"output": str(folder), "about": about, **summary}
    return Answer(data, [(tables.title(about), columns, classes), cost])
