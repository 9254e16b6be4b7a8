"""Tables of labels and predicted scores, one a level, as an evaluation writes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from speechkit.base.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

TABLES = {"phone": "phones.tsv", "word": "words.tsv", "utterance": "utterances.tsv"}


def read_table(folder: Path, level: str) -> pd.DataFrame:
    """A table of an evaluation; what was not scored is NaN.

    Args:
        folder: ``exp/pronunciation/<name>/eval/<set>``.
        level: phone, word or utterance.

    Raises:
        DataError: it is not there, or not such a table.
    """
    import pandas as pd

    path = folder / TABLES[level]
    try:
        table = pd.read_csv(path, sep="\t", quoting=3, dtype=str, keep_default_na=False)
        for name in table.columns.difference(["utt", "speaker", "word", "phone"]):
            table[name] = pd.to_numeric(table[name].mask(table[name] == ""))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read: {error}.",
            "Make it again with: speechkit evaluate pronunciation",
        ) from error
    return table
