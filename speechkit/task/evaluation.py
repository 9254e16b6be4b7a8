"""What the evaluations of all tasks share: ``summary.json``, tables that are read again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from speechkit.base import schema
from speechkit.base.answers import Answer, Rows
from speechkit.base.errors import DataError
from speechkit.base.log import logger

if TYPE_CHECKING:
    import pandas as pd

    from speechkit.workdir import WorkDir

SUMMARY = "summary.json"
FEW_SPEAKERS = 10  # with fewer, an interval over speakers is rough
Read = TypeVar("Read")
Summary = dict[str, dict[str, Any]]


class Each(NamedTuple):
    """Evaluations of several experiments on one set.

    Args:
        set: its name.
        names: of the experiments.
        folders: of the evaluations.
        summaries: what they say.
    """

    set: str
    names: list[str]
    folders: list[Path]
    summaries: list[Summary]

    def answer(self, title: str, columns: Sequence[str], rows: Rows) -> Answer:
        """Rows for people, and the summaries as data; of one experiment its alone."""
        data = [
            {"output": str(folder), **summary}
            for folder, summary in zip(self.folders, self.summaries, strict=True)
        ]
        lines = list(map(str, self.folders))
        told = [(f"{self.set}: {title}", columns, rows)]
        return Answer(data if len(data) > 1 else data[0], told, lines)


def warn_few_speakers(name: str, speakers: int) -> None:
    """Warn where an interval over speakers is of few of them; ``name`` is what it is of."""
    if speakers < FEW_SPEAKERS:
        logger.warning(
            f"{name}: an interval from {speakers} speakers is rough; with {FEW_SPEAKERS} or more "
            "it can be relied on."
        )


def read_summary(folder: Path) -> Summary:
    """``summary.json`` of an evaluation (measure -> ``mean``, ``std``, ``n`` and more) or of a
    comparison."""
    return schema.read_json(folder / SUMMARY, schema.Object)


def evaluate_each(evaluate: Callable[..., Path], work: WorkDir, config: Any, **how: Any) -> Each:
    """Evaluate every experiment that a configuration names, separated by commas."""
    names = [name.strip() for name in config.name.split(",") if name.strip()]
    folders = [evaluate(work, replace(config, name=name), **how) for name in names]
    return Each(config.set, names, folders, [read_summary(folder) for folder in folders])


def read_table(path: Path, made_by: str, convert: Callable[[pd.DataFrame], Read]) -> Read:
    """A table (TSV) that a stage wrote.

    Args:
        path: of it.
        made_by: the command that writes it, for the message.
        convert: makes what is wanted of the table of text; it raises ValueError where the table
            is another one.

    Raises:
        DataError: it is not there, or not such a table.
    """
    import pandas as pd

    try:
        return convert(pd.read_csv(path, sep="\t", quoting=3, dtype=str, keep_default_na=False))
    except (OSError, ValueError) as error:  # pandas' errors of parsing are ValueErrors
        raise DataError(
            f"{path} cannot be read: {error}.", f"Make it again with: speechkit {made_by}"
        ) from error


def numbers(column: pd.Series) -> pd.Series:
    """A column of text as numbers; what is empty is NaN."""
    import pandas as pd

    return pd.to_numeric(column.mask(column == ""))
