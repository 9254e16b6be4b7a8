"""The mixtures that were separated worst, to listen to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.report import clips
from speechkit.report.model import Cell, Player, Table
from speechkit.report.reader import read_rows

SECONDS = 4.0
TITLES = {
    "worst": "The lowest SI-SNRi",
    "median": "Around the median, to compare",
}


def tables(folder: Path) -> list[Table]:
    """Tables with players of an evaluation: its worst mixtures, and ordinary ones.

    Args:
        folder: ``exp/separation/<name>/eval/<set>``.
    """
    found = []
    for name, title in TITLES.items():
        path = folder / f"{name}.tsv"
        if path.is_file() and (rows := read_rows(path)):
            found.append(_table(folder, rows, title))
    return found


def _table(folder: Path, rows: Sequence[dict[str, str]], title: str) -> Table:
    speakers = [name for name in rows[0] if name.startswith("speaker")]
    numbers = range(1, len(speakers) + 1)
    signals = ["mixture", *(f"{what}{k}" for k in numbers for what in ("source", "estimate"))]
    lines = []
    for row in rows:
        players = [_player(folder, row["clip"], signal, row["mixture"]) for signal in signals]
        level = Cell(f"{float(row['si_snri_db']):.1f}".replace("-", "−"), number=True)
        who = ", ".join(row[name] for name in speakers)
        lines.append(
            [int(row["rank"]), row["mixture"], who, row["genders"].lower(), level, *players]
        )
    pairs = [column for _ in numbers for column in ("source", "estimate")]
    return Table(
        ["rank", "mixture", "speakers", "genders", "SI-SNRi", "mixture", *pairs],
        lines,
        groups=[("", 6), *((f"speaker {k}", 2) for k in numbers)],
        dense=True,
        title=title,
    )


def _player(folder: Path, clip: str, signal: str, mixture: str) -> Cell:
    """The clip of a signal, or nothing where it cannot be read."""
    import soundfile

    path = (folder / f"{clip}_{signal}.wav").resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UserError(f"{folder}: the clip '{clip}' is outside of it.")
    try:
        with soundfile.SoundFile(path) as file:
            samples, rate = file.read(round(SECONDS * file.samplerate)), file.samplerate
        sound, mime = clips.encode(samples, rate)
    except (OSError, soundfile.LibsndfileError) as error:
        logger.warning(f"report: no player for {path}: {error}")
        return Cell("-")
    return Cell("", player=Player(sound, mime, f"{mixture}, {signal}"))
