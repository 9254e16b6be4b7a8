"""The folder of phone features: what it holds, and how it is read.

That is ``exp/gop/<set>`` of ``extract-gop``, or ``exp/deep/<set>`` of ``extract-deep``:

- ``gop.{ark,scp}`` or ``deep.{ark,scp}``: per utterance one float32 matrix, a row a canonical
  phone (or a frame, of ``extract-deep --level frame``)
- ``rows.tsv``: what each row is (:class:`PhoneRow`)
- ``features.json``: the columns, and everything needed to compute them of another recording
- ``confidence.tsv``: whether text and audio belong together (not of imported features)
- ``insertions.tsv``: what was said between the words (of word verification alone)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from speechkit.base.errors import DataError, UserError
from speechkit.base.schema import Object, Rate, check, read_json
from speechkit.base.tables import typed_rows, write_json, write_tsv
from speechkit.base.text import composed
from speechkit.kaldi.ark import ArkTable
from speechkit.phone_features.gop import frames_at, segment_means

ROW_COLUMNS = (
    *("utt", "index", "word_index", "word", "phone"),
    *("start", "duration", "log_posterior", "gop"),
)
_ROW_KINDS = (composed, int, int, str, str, float, float, float, float)
_CONFIDENCE_COLUMNS = ("utt", "confidence")
_INSERTION_COLUMNS = ("utt", "index", "start", "duration", "phones")
CONFIG, CONFIDENCE, INSERTIONS = "features.json", "confidence.tsv", "insertions.tsv"
_OVER = 3  # frames by which an alignment may end after the last frame
_MADE_BY = "speechkit extract-gop (or extract-deep)"
_AGAIN = f"Make them again with: {_MADE_BY}"


class Block(msgspec.Struct):
    """Columns that one model made."""

    fingerprint: str
    name: str = ""
    am: str = ""
    method: str = ""
    first: int = 0
    last: int = 0
    layer: int | None = None


class Features(msgspec.Struct):
    """What ``features.json`` must be, also inside the card of a model that learned from them."""

    am: list[str] = []
    align_with: str = ""
    method: str = ""
    fingerprint: str = ""
    prosody: bool = False
    pitch: bool = True
    stp: bool = False
    verification: bool = False
    level: str = "phone"
    layer: int = 0
    frame_shift: float = 0.0
    sample_rate: Rate = 16_000
    blocks: list[Block] = []
    columns: list[str] = []


class StoredFeatures(Features, kw_only=True):
    """The same of a folder of features."""

    blocks: list[Block]
    columns: list[str]


@dataclass(frozen=True, slots=True)
class PhoneRow:
    """One canonical phone of an utterance.

    Args:
        index: in the utterance, from 0.
        word_index: of its word.
        word: as in the text ("" where not known).
        phone: canonical, as given (``IY0``).
        start: in seconds; NaN where the features were imported without times.
        duration: in seconds; NaN as above.
        log_posterior: of the canonical phone, from the first acoustic model (beside deep
            features: from the one that aligned).
        gop: scalar GOP of the same model; at most 0.
    """

    index: int
    word_index: int
    word: str
    phone: str
    start: float
    duration: float
    log_posterior: float
    gop: float

    def cells(self, utterance: str) -> list[str]:
        """Its line in ``rows.tsv``."""
        numbers = (self.start, self.duration, self.log_posterior, self.gop)
        names = (str(self.index), str(self.word_index), self.word, self.phone)
        return [utterance, *names, *(f"{value:.6g}" for value in numbers)]


@dataclass(frozen=True)
class GopFolder:
    """Features of a set.

    Args:
        table: utterance -> float32 ``[P, D]``, read when asked for (``[T, D]`` of frames: see
            :func:`read_phone_features`).
        config: of ``features.json``.
        rows: utterance -> its P rows.
    """

    table: ArkTable
    config: dict[str, Any]
    rows: dict[str, list[PhoneRow]]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the D columns."""
        return tuple(self.config["columns"])


def read_features(folder: Path, root: Path | None = None) -> GopFolder:
    """Read ``exp/gop/<set>`` or ``exp/deep/<set>``.

    Args:
        root: the working directory; the archive is looked for beside its index anyway.

    Raises:
        UserError: it is not such a folder, or is damaged.
    """
    remedy = f"Make them with: {_MADE_BY}"
    if not (folder / CONFIG).is_file():
        raise UserError(f"{folder} holds no features of phones (it has no {CONFIG}).", remedy)
    config = read_json(folder / CONFIG, Object, remedy)
    check(config, StoredFeatures, str(folder / CONFIG), remedy)
    index = f"{archive(config)}.scp"
    table = ArkTable(folder / index, root)
    rows: dict[str, list[PhoneRow]] = {}
    for _, (utterance, *values) in typed_rows(folder / "rows.tsv", ROW_COLUMNS, _ROW_KINDS, _AGAIN):
        rows.setdefault(utterance, []).append(PhoneRow(*values))
    if rows.keys() != table.keys():
        raise DataError(f"{folder}: {index} and rows.tsv do not hold the same utterances.", _AGAIN)
    return GopFolder(table, config, rows)


def frame_means(frames: np.ndarray, rows: Sequence[PhoneRow], shift: float) -> np.ndarray:
    """Mean over the frames of each phone, float32 ``[P, D]``, as level ``phone`` gives it.

    Args:
        frames: features of frames ``[T, D]``.
        shift: of the frames, in seconds.

    Raises:
        DataError: phones without times, or times that go beyond the frames.
    """
    starts = np.array([row.start for row in rows])
    ends = starts + np.array([row.duration for row in rows])
    if not np.isfinite(ends).all():
        raise DataError("The phones have no times, so their frames are not known.")
    if ends.max() > (len(frames) + _OVER) * shift:
        raise DataError(
            f"The alignment ends at {ends.max():.2f} s, the frames at {len(frames) * shift:.2f} s.",
            "The features and rows.tsv are of different recordings: extract them again.",
        )
    first, last = frames_at(starts, ends, shift, len(frames))
    return segment_means(frames, first, last).astype(np.float32)


def read_phone_features(folder: GopFolder, utterance: str) -> np.ndarray:
    """Features of the phones of an utterance ``[P, D]``; frames are averaged by its rows.

    Raises:
        DataError: its features and its rows do not fit together.
    """
    features, rows = folder.table[utterance], folder.rows[utterance]
    try:
        if folder.config.get("level") == "frame":
            return frame_means(features, rows, float(folder.config["frame_shift"]))
    except DataError as error:
        raise DataError(f"{utterance}: {error.problem}", error.remedy) from error
    if len(features) != len(rows):
        raise DataError(f"{utterance}: {len(features)} rows of features, {len(rows)} phones.")
    return features


def archive(config: Mapping[str, Any]) -> str:
    """Name of the archive, without ending, of features with this configuration."""
    return "deep" if config.get("method") == "deep" else "gop"


def write_rows(path: Path, rows: Iterable[tuple[str, Sequence[PhoneRow]]]) -> None:
    """Write ``rows.tsv`` of (utterance, its rows)."""
    write_tsv(path, ROW_COLUMNS, [row.cells(utt) for utt, found in rows for row in found])


def write_confidence(folder: Path, rows: Iterable[tuple[str, float]]) -> None:
    """Write ``confidence.tsv``: by how much text and audio of each utterance belong together."""
    write_tsv(folder / CONFIDENCE, _CONFIDENCE_COLUMNS, rows, ".4f")


def read_confidence(folder: Path) -> dict[str, float]:
    """Utterance -> confidence of its alignment; empty where the folder does not say it.

    Raises:
        UserError: it cannot be read.
    """
    path = folder / CONFIDENCE
    if not path.is_file():
        return {}
    rows = typed_rows(path, _CONFIDENCE_COLUMNS, (composed, float), _AGAIN)
    return {utterance: confidence for _, (utterance, confidence) in rows}


def write_insertions(folder: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write ``insertions.tsv``: utterance, the word that an insertion comes before (the number of
    words at the end), its start and duration in seconds, and its phones."""
    write_tsv(folder / INSERTIONS, _INSERTION_COLUMNS, rows)


def read_insertions(folder: Path) -> dict[str, list[int]] | None:
    """Utterance -> the words that something was said before; None where the folder does not say.

    Raises:
        UserError: it cannot be read.
    """
    path = folder / INSERTIONS
    if not path.is_file():
        return None
    found: dict[str, list[int]] = {}
    kinds = (composed, int, float, float, str)
    for _, (utterance, index, *_) in typed_rows(path, _INSERTION_COLUMNS, kinds, _AGAIN):
        found.setdefault(utterance, []).append(index)
    return found


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Write ``features.json``."""
    write_json(folder / CONFIG, config, indent=1, ascii_only=False)


def require_features(
    own: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]], where: str, remedy: str
) -> None:
    """Raise UserError unless given features are those that a model learned from.

    Args:
        own: ``features.json`` of what the model learned from, folder by folder.
        given: of what it is to read.
        where: what has the given ones, to begin the message with.
        remedy: what to do about it.
    """
    prints = [[one.get("fingerprint") for one in side] for side in (own, given)]
    if prints[0] == prints[1]:
        return
    made = " and ".join(map(_named, own))
    raise UserError(
        f"{where} has features of {' and '.join(map(_named, given)) or 'nothing'}, but the model "
        f"learned from features of {made}.",
        remedy,
    )


def _named(config: Mapping[str, Any]) -> str:
    named = ", ".join(map(str, config.get("am", ()))) or "an unknown model"
    print_ = str(config.get("fingerprint", ""))[:8]
    return f"{named} ({config.get('method', 'imported')}, {print_ or 'no fingerprint'})"
