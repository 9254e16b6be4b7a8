"""``speechkit validate``, ``split``, ``split-folds``, ``mix``: sets of data/, checked and made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.base.config import Flag
from speechkit.cli.flags import command, stage
from speechkit.cli.options import Dir, FieldOf
from speechkit.emotion.config import EmotionTraining
from speechkit.kaldi.config import SplitConfig
from speechkit.labels.config import CASE_FIELD, CASE_MODES, CHOSEN_ON_TEST, STOP, FoldsConfig
from speechkit.pronunciation.config import MiscueConfig
from speechkit.separation.config import MixConfig

app = typer.Typer()
_stage = partial(stage, app)


@dataclass(frozen=True)
class ValidateFlags:
    """What is checked, and what is done about it.

    Data:
        sets: Set to check: a folder of data/; may be given again.
        fix: Mend what can be mended; originals go to .backup/.
        label_case: With `fix`, emotions that differ in case only: stop (leave them), lower or
            keep.
        with_audio: Read the header of every audio file.
        decode: Read every sample too: finds NaN and cut FLAC.
        limit: Number of problems shown for each kind and file; 0: all.
    """

    sets: Annotated[tuple[str, ...], Flag("set", several=True)] = ()
    fix: Annotated[bool, Flag("fix")] = False
    label_case: str = "stop"
    with_audio: Annotated[bool, Flag("audio/no-audio")] = True
    decode: Annotated[bool, Flag("decode")] = False
    limit: Annotated[int, Flag(least=0)] = 3


@command(app, "validate", "jobs allow_pipes")
def validate(flags: ValidateFlags, directory: Dir, **how: Any) -> Answer:
    """List every problem of the sets in data/, with file, line and remedy.

    Checks all sets unless --set names some. Exit code 2 if there are errors, 0 if there
    are none or only warnings.
    """
    from speechkit.base.errors import UserError, require_choice
    from speechkit.base.log import logger, worded
    from speechkit.base.tables import json_text
    from speechkit.corpora.check import fix as fixing
    from speechkit.corpora.check import problems, validate

    case = flags.label_case
    require_choice(CASE_FIELD, case, CASE_MODES)
    if case != STOP and not flags.fix:
        raise UserError(f"--label-case {case} changes sets.", "Give --fix with it.")
    how |= {"with_audio": flags.with_audio or flags.decode, "decode": flags.decode}
    root = directory.root
    folders = validate.find_sets(root, flags.sets)
    actions = {f.name: fixing.fix(f, root, case=case, **how) if flags.fix else [] for f in folders}
    reports = [validate.check(folder, root, **how) for folder in folders]
    for name, done in actions.items():
        for action in done:
            logger.info(f"{name}/{action}")
    tables: list[Any] = [("Sets", problems.SET_COLUMNS, list(map(problems.set_row, reports)))]
    rows = problems.grouped([p for report in reports for p in report.problems], flags.limit)
    if rows:
        shown = [[worded(cell) for cell in row] for row in rows]
        tables.append(("Problems", ("level", "where", "problem", "remedy"), shown))
    data = json.loads(worded(json_text(problems.as_json(reports, actions))))
    return Answer(data, tables, code=2 * any(report.count("error") for report in reports))


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
