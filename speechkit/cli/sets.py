"""``speechkit validate``, ``split``, ``split-folds``, ``mix``: sets of data/, checked and made."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.cli.flags import command, stage
from speechkit.cli.options import Dir, FieldOf
from speechkit.corpora.config import ValidationConfig
from speechkit.emotion.config import EmotionTraining
from speechkit.kaldi.config import SplitConfig
from speechkit.labels.config import CHOSEN_ON_TEST, FoldsConfig
from speechkit.pronunciation.config import MiscueConfig
from speechkit.separation.config import MixConfig

app = typer.Typer()
_stage = partial(stage, app)


_stage("validate", "corpora.check:check_sets", ValidationConfig, "directory jobs allow_pipes")
_stage("split", "kaldi.split:split", SplitConfig, "directory force")


@command(app, "split-folds", "name=split_name directory jobs force")
def split_folds(
    set_name: Annotated[str, FieldOf("set_name", EmotionTraining)],
    folds: FoldsConfig,
    directory: Dir,
    **how: Any,
) -> Answer:
    """Divide a labelled set into folds to train, validate and test; check what they share.

    Writes data/SET/splits/NAME.json, once: later commands read it. The parts have
    different speakers; kinds of split that share speakers give a warning.
    """
    from speechkit.labels import emotions, splits

    dataset = emotions.load(directory, set_name)
    made = splits.ensure_split(dataset, folds, **how)
    found = splits.leak_check(made, dataset)
    splits.warn_of_leaks(made, found)
    title = str(splits.path_of(dataset.data.path, made.name))
    title += f" ({CHOSEN_ON_TEST})" if made.chosen_on_test else ""
    return answers.rows(title, splits.LEAK_COLUMNS, [leak.row() for leak in found])


_stage(
    "mix", "separation.mixture_set:mix", MixConfig, "name=out_name directory jobs executor force"
)
_stage("make-miscues", "pronunciation.miscues:make", MiscueConfig, "name=out_name directory force")
