"""What a text says and a recording does not: the table ``miscues.tsv`` of a set.

Miscue is the word of reading research for a place where text and speech differ. The words of a
text are ``said``, or an ``omission`` (nothing was said in their place) or a ``substitution``
(something else was); an ``insertion`` is what was said between them and the text lacks.
The table has a line for each miscue; words without a line were said:

``utt``, ``source`` (the utterance with the text as it was said), ``test`` (which kind of text this
is), ``index`` (of the word, from 0; of an insertion: of the word that it comes before), ``word``,
``status``, ``said`` (what was said there, if anything), ``distance`` (by how many phones the two
differ).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from speechkit.base.errors import DataError
from speechkit.base.tables import typed_rows, write_tsv
from speechkit.base.text import composed

TABLE = "miscues.tsv"
SAID, SUBSTITUTION, OMISSION, INSERTION = "said", "substitution", "omission", "insertion"
STATUSES = (SAID, SUBSTITUTION, OMISSION)
"""What a word of a text can be."""
_KINDS = (composed, composed, composed, int, composed, composed, composed, int)


@dataclass(frozen=True)
class Miscue:
    """One line of the table; see the module."""

    utt: str
    source: str
    test: str
    index: int
    word: str
    status: str
    said: str
    distance: int


def write_miscues(folder: Path, miscues: Sequence[Miscue]) -> None:
    """Write ``miscues.tsv``."""
    write_tsv(folder / TABLE, _names(), [astuple(miscue) for miscue in miscues])


def _names() -> list[str]:
    return [each.name for each in fields(Miscue)]


def read_miscues(folder: Path) -> dict[str, list[Miscue]]:
    """Utterance -> its miscues; empty where the set has no such table.

    Raises:
        UserError: it cannot be read, or a line breaks the format (named with its number).
    """
    path = folder / TABLE
    found: dict[str, list[Miscue]] = {}
    for number, values in typed_rows(path, _names(), _KINDS) if path.is_file() else ():
        miscue = Miscue(*values)
        if miscue.status not in (*STATUSES[1:], INSERTION) or miscue.index < 0:
            problem = f"'{miscue.status}' of word {miscue.index} is no miscue"
            raise DataError(f"{path}:{number}: {problem}.")
        found.setdefault(miscue.utt, []).append(miscue)
    return found


def statuses(words: int, miscues: Sequence[Miscue]) -> list[int]:
    """Number in :data:`STATUSES` of each word of a text.

    Raises:
        DataError: a miscue of a word that the text has not.
    """
    found = [0] * words
    for miscue in miscues:
        if miscue.status == INSERTION:
            continue
        if miscue.index >= words:
            raise DataError(f"{miscue.utt}: a miscue of word {miscue.index} of {words}.")
        found[miscue.index] = STATUSES.index(miscue.status)
    return found
