"""Sets that anyone made: what is wrong in them, and what can be repaired."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from speechkit.base.answers import Answer
from speechkit.base.log import logger, worded
from speechkit.base.tables import json_text
from speechkit.corpora.config import ValidationConfig

if TYPE_CHECKING:
    from speechkit.corpora.check.problems import Report
    from speechkit.workdir import WorkDir


class Checked(NamedTuple):
    """What was found in sets.

    Args:
        reports: one a set.
        actions: name of a set -> what was mended.
        limit: problems shown for each kind and file; 0: all.
    """

    reports: list[Report]
    actions: dict[str, list[str]]
    limit: int


def check_sets(work: WorkDir, config: ValidationConfig, *, jobs: int, allow_pipes: bool) -> Checked:
    """Mend sets where ``config.fix`` says so, then find all that is wrong in them.

    Raises:
        UserError: a named set is not there, or there are none.
    """
    from speechkit.corpora.check import fix, validate

    how: dict[str, Any] = {
        "with_audio": config.with_audio or config.decode,
        "decode": config.decode,
        "allow_pipes": allow_pipes,
        "jobs": jobs,
    }
    folders = validate.find_sets(work.root, config.sets)
    mended = folders if config.fix else []
    actions = {f.name: fix.fix(f, work.root, case=config.label_case, **how) for f in mended}
    reports = [validate.check(folder, work.root, **how) for folder in folders]
    for name, done in actions.items():
        for action in done:
            logger.info(f"{name}/{action}")
    return Checked(reports, actions, config.limit)


def answer(found: Checked) -> Answer:
    """The sets, and their problems; exit code 2 where there are errors."""
    from speechkit.corpora.check import problems

    tables: list[Any] = [("Sets", problems.SET_COLUMNS, list(map(problems.set_row, found.reports)))]
    every = [problem for report in found.reports for problem in report.problems]
    if rows := problems.grouped(every, found.limit):
        shown = [[worded(cell) for cell in row] for row in rows]
        tables.append(("Problems", ("level", "where", "problem", "remedy"), shown))
    data = json.loads(worded(json_text(problems.as_json(found.reports, found.actions))))
    return Answer(data, tables, code=2 * any(report.count("error") for report in found.reports))
