"""What a report page is made of, before it is HTML: tables, pictures, sections, and the cells of
tables (numbers with their spread and interval, clips to listen to)."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import audio
from speechkit.base.audio import centred
from speechkit.base.errors import UserError
from speechkit.base.figures import DPI
from speechkit.base.log import logger
from speechkit.base.tables import show
from speechkit.kaldi.data import Utterance

RATE = 16000
_MINUS = "\N{MINUS SIGN}"


@dataclass
class Player:
    """A short clip with a caption."""

    audio: bytes
    mime: str
    caption: str

    @property
    def source(self) -> str:
        return f"data:{self.mime};base64," + base64.b64encode(self.audio).decode()


@dataclass(frozen=True)
class Cell:
    """A cell of a table with more than a plain value.

    Args:
        number: align it to the right.
        under: smaller lines below the text.
        more: long text that unfolds below.
        player: a clip in place of the text.
    """

    text: str
    number: bool = False
    strong: bool = False
    under: Sequence[str] = ()
    more: str = ""
    player: Player | None = None


@dataclass
class Table:
    """A table with a header; numbers are aligned to the right.

    Args:
        rows: values, or :class:`Cell`.
        groups: (title, number of columns) of a header above the header.
        dense: small, for many columns.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    groups: Sequence[tuple[str, int]] = ()
    dense: bool = True
    title: str = ""

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Any]], caption: str = "", **more: Any) -> Table:
        """A table of rows that name their columns, at least one.

        Args:
            rows: title of a column -> value; the same titles in all.
            more: other fields.
        """
        return cls(list(rows[0]), [list(row.values()) for row in rows], caption, **more)

    def cells(self) -> list[list[Cell]]:
        """All rows as cells."""
        return [[_cell(value) for value in row] for row in self.rows]

    def numeric(self) -> list[bool]:
        """Of each column, whether it holds a number."""
        rows = self.cells()
        return [any(row[i].number for row in rows) for i in range(len(self.columns))]


def _cell(value: Any) -> Cell:
    if isinstance(value, Cell):
        return value
    return Cell(show(value), isinstance(value, int | float))


@dataclass
class Picture:
    """A PNG with a caption and a text for readers who cannot see it."""

    png: bytes
    caption: str
    alt: str

    @property
    def source(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.png).decode()

    @classmethod
    def of_file(cls, path: Path, caption: str, alt: str = "") -> list[Picture]:
        """A figure that a stage has drawn; none where there is no file."""
        return [cls(path.read_bytes(), caption, alt or caption)] if path.is_file() else []

    @property
    def width(self) -> int:
        """Width in CSS pixels, so that letters have one size in all figures."""
        return round(int.from_bytes(self.png[16:20], "big") * 96 / DPI)


@dataclass
class Section:
    """A heading with paragraphs, tables, pictures and players, shown in this order; its findings,
    a sentence each, open the page."""

    title: str
    text: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    players: list[Player] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        return "".join(c if c.isalnum() else "-" for c in self.title.lower())


NOTHING = Cell("-", number=True)


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """A number with a real minus sign."""
    rounded = round(value, digits) or 0.0  # no minus before a zero
    shown = f"{rounded:+.{digits}f}" if sign and rounded else f"{rounded:.{digits}f}"
    return shown.replace("-", _MINUS)


def figure(value: float | None, digits: int = 3) -> Cell:
    """A number alone; '-' where there is none."""
    return NOTHING if value is None else Cell(number(value, digits), number=True)


def count(value: Any) -> Cell:
    """A whole number with separators; '-' for none and zero."""
    return Cell(f"{int(value):,}", number=True) if value else NOTHING


def spread(found: tuple[float, float | None] | None, digits: int = 2) -> Cell:
    """Mean and standard deviation over seeds; only the mean of one seed."""
    if found is None:
        return NOTHING
    mean, std = found
    under = (f"± {std:.{digits}f}",) if std is not None else ()
    return Cell(number(mean, digits), number=True, under=under)


def interval(low: float | None, high: float | None, digits: int = 2, sign: bool = False) -> str:
    """``[low, high]``; empty where it is not known."""
    if low is None or high is None:
        return ""
    return f"[{number(low, digits, sign)}, {number(high, digits, sign)}]"


def with_interval(
    measured: Mapping[str, Any] | None,
    digits: int = 3,
    around: int = 2,
    scale: float = 1.0,
    sign: bool = False,
    strong: bool | None = False,
) -> Cell:
    """Mean, standard deviation over seeds and interval over speakers of a measure.

    Args:
        measured: ``mean`` and where they are known ``std``, ``low`` and ``high``.
        digits: behind the point of the mean and the standard deviation.
        around: digits of the interval.
        scale: of all of them: 100 for percent.
        sign: of positive numbers too.
        strong: make it stand out; None: where the interval excludes 0.
    """
    known = {key: value for key, value in (measured or {}).items() if value is not None}
    mean, std, low, high = (
        scale * known[key] if key in known else None for key in ("mean", "std", "low", "high")
    )
    if mean is None:
        return NOTHING
    under = [] if std is None else [f"± {std:.{digits}f}"]
    under += filter(None, [interval(low, high, around, sign)])
    strong = excludes_zero(low, high) if strong is None else strong
    return Cell(number(mean, digits, sign), True, strong, tuple(under))


def difference(
    values: Mapping[str, Any] | None,
    lower: bool = False,
    share: bool = False,
    digits: int = 2,
    around: int = 2,
) -> Cell:
    """A difference to a baseline with its interval, marked where the interval excludes 0.

    Args:
        values: ``estimate``, ``low``, ``high`` and ``seed_std`` of a comparison.
        lower: a lower value is a better one.
        share: the value is a share, never negative: there is nothing to test.
        digits: behind the point.
        around: digits of the interval and the standard deviation.
    """
    if values is None or values["estimate"] is None:
        return NOTHING
    estimate, low, high = values["estimate"], values["low"], values["high"]
    sure = excludes_zero(low, high) and not share
    mark = ("▲ " if (estimate > 0) != lower else "▼ ") if sure else ""
    ends = interval(low, high, around)
    under = [ends] if ends else []
    if values["seed_std"] is not None:
        under.append(f"± {values['seed_std']:.{around}f}")
    return Cell(mark + number(estimate, digits, sign=not share), True, sure, under)


def excludes_zero(low: float | None, high: float | None) -> bool:
    """Whether an interval is known and does not hold 0."""
    return low is not None and high is not None and (low > 0 or high < 0)


def epochs(lengths: Sequence[int]) -> Cell:
    """How many epochs the seeds were trained for: ``100``, or ``40 to 100``."""
    ends = dict.fromkeys((min(lengths), max(lengths)))
    return Cell(" to ".join(map(str, ends)), number=True)


def encode(samples: np.ndarray, rate: int) -> tuple[bytes, str]:
    """MP3 where libsndfile writes it (every browser plays it), else WAV; with its MIME type."""
    import soundfile

    buffer = io.BytesIO()
    if "MP3" in soundfile.available_formats():
        soundfile.write(buffer, samples, rate, format="MP3")
        return buffer.getvalue(), "audio/mpeg"
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue(), "audio/wav"


def clip(utterance: Utterance, seconds: float = 4.0) -> tuple[bytes, str]:
    """The beginning of an utterance, scaled to a common level."""
    samples, rate = audio.read(utterance.wav, RATE, utterance.start)
    samples = centred(samples[: round(seconds * rate)]).astype(np.float32)
    peak = float(np.abs(samples).max()) or 1.0
    return encode(0.7 * samples / peak, rate)


def player(utterance: Utterance | None, seconds: float = 4.0) -> Cell:
    """A player of the beginning of an utterance; '-' where it cannot be read."""
    if utterance is None or isinstance(utterance.wav, audio.Pipe):
        return Cell("-")
    try:
        return Cell("", player=Player(*clip(utterance, seconds), utterance.id))
    except UserError as error:
        logger.warning(f"report: no player for {utterance.id}: {error}")
        return Cell("-")


def file_player(folder: Path, name: str, caption: str, seconds: float = 4.0) -> Cell:
    """A player of a file of an output folder; '-' where it cannot be read.

    Raises:
        UserError: the file is outside of the folder.
    """
    import soundfile

    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UserError(f"{folder}: the clip '{name}' is outside of it.")
    try:
        with soundfile.SoundFile(path) as file:
            samples, rate = file.read(round(seconds * file.samplerate)), file.samplerate
        return Cell("", player=Player(*encode(samples, rate), caption))
    except (OSError, soundfile.LibsndfileError) as error:
        logger.warning(f"report: no player for {path}: {error}")
        return Cell("-")
