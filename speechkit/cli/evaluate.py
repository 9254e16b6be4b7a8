"""``speechkit evaluate TASK``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechkit.base.config import Flag
from speechkit.cli import options, output
from speechkit.cli.flags import command
from speechkit.cli.options import Dir
from speechkit.cli.output import Answer
from speechkit.emotion import inference_config as emotion
from speechkit.pronunciation import config as pronunciation
from speechkit.scoring import inference_config as scoring
from speechkit.separation import inference_config as separation
from speechkit.task.config import EvaluationConfig

if TYPE_CHECKING:
    from speechkit.task.evaluation import Summary

app = typer.Typer()


MEASURING = "out_name=evaluation_name device force jobs=1 executor"


@command(app, "separation", f"{MEASURING} on_error batch_seconds")
def evaluate_separation(config: separation.EvaluationConfig, directory: Dir, **how: Any) -> Answer:
    """Separate a set of mixtures with all seeds of a model, and measure means and tail.

    Writes exp/separation/NAME/eval/SET/: utterances.tsv, summary.json, and clips of the
    worst mixtures. A killed run is taken up by the same command.
    """
    from speechkit.separation.evaluate import evaluate
    from speechkit.task.evaluation import read_summary

    folder = evaluate(directory, config, **how)
    found = read_summary(folder)
    rows = [[key, value["mean"], value["std"], value["n"]] for key, value in found.items()]
    return output.output(folder, found, str(folder), ("measure", "mean", "std", "seeds"), rows)


@dataclass(frozen=True)
class PronunciationFlags(pronunciation.EvaluationConfig):
    """The evaluation, and what is shown of it.

    Data:
        miscues: Test whether words that nobody said are found, in changed texts of the set,
            which are made and whose features are extracted where they are not there.
    Output:
        table: Table of the paper: 1 or 2 print its rows above ours; 3 the mean weights by beta,
            from the scores of the set alone; 0: ours only.
    """

    miscues: Annotated[bool, Flag("miscues")] = False
    table: Annotated[int, Flag(least=0, most=3)] = 0


@command(app, "pronunciation", MEASURING)
def evaluate_pronunciation(flags: PronunciationFlags, directory: Dir, **how: Any) -> Answer:
    """Score a set with all seeds of a model: PCC, MSE, errors by score, recall of low scores.

    Writes exp/pronunciation/NAME/eval/SET/: utterances.tsv, words.tsv, phones.tsv, classes.tsv,
    worst.tsv and summary.json. Prints a table laid out like the paper's Table 1. With --miscues
    eval/SET-miscues/: miscues.tsv, roc.tsv, roc.png and summary.json; --executor is for that.
    """
    from speechkit.base.errors import ConfigError
    from speechkit.pronunciation import evaluate, paper

    if flags.miscues:
        return _miscues(flags, directory, how)
    if how.pop("executor") != "local":
        raise ConfigError(
            "executor",
            "is for the features that `miscues` extracts; here they are there already.",
            "Leave it out, or give it to extract-gop.",
        )
    if flags.table == 3:
        rows = paper.average_weights(directory, flags.set)
        title = f"Mean weights of phone accuracy in {flags.set}"
        return output.rows(title, paper.BETA_COLUMNS, rows)
    del how["jobs"]  # it reads no audio
    names, folders, found = _each(evaluate.evaluate, directory, flags, how)
    above = evaluate.published_rows(str(flags.table)) if flags.table else []
    rows = [*above, *evaluate.table(names, found)]
    heads = ("model", *(_short(measure) for measure in paper.MEASURES))
    return output.evaluations(folders, found, f"{flags.set}: mean ± std over seeds", heads, rows)


def _each(
    evaluate: Callable[..., Path], directory: Dir, config: EvaluationConfig, how: dict[str, Any]
) -> tuple[tuple[str, ...], list[Path], list[Summary]]:
    """Evaluate every experiment that is named: names, output folders and summaries."""
    from speechkit.task.evaluation import read_summary

    names = options.words(config.name)
    folders = [evaluate(directory, replace(config, name=name), **how) for name in names]
    return names, folders, [read_summary(folder) for folder in folders]


def _miscues(flags: PronunciationFlags, directory: Dir, how: dict[str, Any]) -> Answer:
    """Tests on texts that were not said as they stand: a row a measure, a column a model."""
    from speechkit.pronunciation.miscue_evaluation import evaluate

    names, folders, found = _each(evaluate, directory, flags, how)
    measures = dict.fromkeys(name for one in found for name in one)
    rows = [[n, *(one.get(n, {}).get("mean") for one in found)] for n in measures]
    title = f"{flags.set}: words that nobody said"
    return output.evaluations(folders, found, title, ("measure", *names), rows)


def _short(measure: str) -> str:
    """``word_stress_pcc`` -> ``word stress``; the phone's two measures keep their kind."""
    aspect, _, kind = measure.rpartition("_")
    level, _, what = aspect.partition("_")
    return f"phone {kind.upper()}" if level == "phone" else f"{level} {what}"


@command(app, "scoring", MEASURING)
def evaluate_scoring(config: scoring.EvaluationConfig, directory: Dir, **how: Any) -> Answer:
    """Score a set with all seeds of a scorer: PCC and MSE, errors by score, calibration.

    Writes exp/scoring/NAME/eval/SET/: utterances.tsv, classes.tsv, calibration.tsv, worst.tsv,
    summary.json, scatter.png and calibration.png. PCC and MSE are of scores from 0 to 1.
    """
    from speechkit.scoring import evaluate

    names, folders, found = _each(evaluate.evaluate, directory, config, how)
    title, rows = f"{config.set}: mean ± std over seeds", evaluate.table(names, found)
    return output.evaluations(folders, found, title, evaluate.COLUMNS, rows)


@command(app, "emotion", "on_error device jobs executor force")
def evaluate_emotion(config: emotion.EvaluationConfig, directory: Dir, **how: Any) -> Answer:
    """Measure all folds and seeds of an emotion model on clips that they were not trained on.

    Writes exp/emotion/NAME/eval/folds/ (or eval/SET/): predictions, accuracy, UAR, measures of
    each class, calibration, confusion, intervals over speakers, and the clips most confidently
    wrong. Clips of another set whose labels are no class of the model are left out and counted.
    """
    from speechkit.emotion import evaluate, results, tables
    from speechkit.task.evaluation import read_summary

    folder = evaluate.evaluate(directory, config, **how)
    summary, about = read_summary(folder), results.read_about(folder)
    classes = [
        [v if v is None or isinstance(v, str | int) else round(v, 3) for v in row]
        for row in tables.class_rows(results.read_predictions(folder))
    ]
    columns = ("class", "precision", "recall", "F1", "support")
    cost = (str(folder), tables.COST_COLUMNS, [tables.cost_row(about, summary)])
    data = {"output": str(folder), "about": about, **summary}
    return Answer(data, [(tables.title(about), columns, classes), cost])
