"""``speechkit evaluate TASK``."""

from __future__ import annotations

from functools import partial
from typing import Any

import typer

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.cli.flags import command, stage
from speechkit.cli.options import Dir
from speechkit.emotion import inference_config as emotion
from speechkit.pronunciation import config as pronunciation
from speechkit.scoring import inference_config as scoring
from speechkit.separation import inference_config as separation

app = typer.Typer()
MEASURING = "directory out_name=evaluation_name device force jobs=1 executor"


_stage = partial(stage, app)
_stage(
    *("separation", "separation.evaluate:evaluate", separation.EvaluationConfig),
    f"{MEASURING} on_error batch_seconds",
)


@command(app, "pronunciation", MEASURING)
def evaluate_pronunciation(
    config: pronunciation.EvaluationConfig,
    shown: pronunciation.ShownConfig,
    directory: Dir,
    **how: Any,
) -> Answer:
    from speechkit.base.errors import ConfigError
    from speechkit.pronunciation import evaluate, miscue_evaluation, paper
    from speechkit.task.evaluation import evaluate_each

    if shown.miscues:
        found = evaluate_each(miscue_evaluation.evaluate, directory, config, **how)
        return miscue_evaluation.answer(found)
    if how.pop("executor") != "local":
        raise ConfigError(
            "executor",
            "is for the features that `miscues` extracts; here they are there already.",
            "Leave it out, or give it to extract-gop.",
        )
    if shown.table == 3:
        rows = paper.average_weights(directory, config.set)
        title = f"Mean weights of phone accuracy in {config.set}"
        return answers.rows(title, paper.BETA_COLUMNS, rows)
    del how["jobs"]  # it reads no audio
    found = evaluate_each(evaluate.evaluate, directory, config, **how)
    return evaluate.answer(found, shown.table)


_stage("scoring", "scoring.evaluate:evaluate_all", scoring.EvaluationConfig, MEASURING)
_stage(
    *("emotion", "emotion.evaluate:evaluate", emotion.EvaluationConfig),
    "directory on_error device jobs executor force",
)
