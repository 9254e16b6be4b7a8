"""What the evaluations of all tasks share: ``summary.json``, tables that are read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from speechkit.base import schema
from speechkit.base.errors import DataError
from speechkit.base.log import logger

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "summary.json"
FEW_SPEAKERS = 10  # with fewer, an interval over speakers is rough
Read = TypeVar("Read")
Summary = dict[str, dict[str, Any]]


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
