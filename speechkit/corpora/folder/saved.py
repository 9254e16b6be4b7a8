"""Datasets that the package ``datasets`` of Hugging Face saved with ``save_to_disk``.

Such a folder holds Arrow tables and JSON, no code, and none of a dataset is ever run. Audio is not
decoded by ``datasets``: its bytes are written into the set as they are, or its path is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from speechkit.base import media
from speechkit.base.audio_file import SUFFIXES
from speechkit.base.errors import MissingDependency, UserError, one_line
from speechkit.base.schema import Object, read_json
from speechkit.corpora.common import CorpusSet, Item, Names, full_path
from speechkit.corpora.folder import tables
from speechkit.corpora.folder.listed import FILE_NAME, add
from speechkit.corpora.folder.speakers import Speakers

STATE, INFO, PARTS = "state.json", "dataset_info.json", "dataset_dict.json"
PACKAGE = EXTRA = "datasets"
LAYOUT = "a dataset that was saved with save_to_disk and has one column of audio."
_STRUCT = {"bytes", "path"}
_BATCH = 256  # rows that are looked at together
_ENDINGS = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", b"\xff\xfb": ".mp3"}


def saved_parts(path: Path) -> dict[str, Path]:
    """Part of a saved dataset -> its folder (``""`` for one alone); none where it is no dataset."""
    if (path / STATE).is_file() and (path / INFO).is_file():
        return {"": path}
    if not (path / PARTS).is_file():
        return {}
    names = read_json(path / PARTS, Object).get("splits")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path / PARTS}: 'splits' is no list of names.", f"Expected: {LAYOUT}")
    return {name: path / PurePosixPath(name).name for name in names}


def files_of(folder: Path) -> list[Path]:
    """The files of a saved dataset that decide what a set holds."""
    return [folder / STATE, folder / INFO, *sorted(folder.glob("*.arrow"))]


def read_saved(folder: Path, names: Names, speakers: Speakers) -> CorpusSet:
    """One set of a saved dataset.

    Raises:
        MissingDependency: ``datasets`` is not installed.
        UserError: it cannot be read, has no column of audio or several, or a row has no audio.
    """
    if find_spec(PACKAGE) is None:
        raise MissingDependency(PACKAGE, EXTRA)
    column = _audio_column(folder)
    rows = list(_rows(folder, column))
    if not rows:
        raise UserError(f"{folder} holds no recordings.", f"Expected: {LAYOUT}")
    names.speakers(sorted({row["speaker"] for row, _, _ in rows if "speaker" in row}))
    stems = Counter(PurePosixPath(name).stem for _, name, _ in rows)
    alike = "" in stems or max(stems.values()) > 1
    whole, source = CorpusSet("", []), files_of(folder)[-1]
    for number, (row, name, ending) in enumerate(rows):
        path = Path(f"{number:06d}") if alike else Path(PurePosixPath(name).name)
        if "speaker" not in row and not alike:
            path = Path(name)
        utterance, speaker = speakers.place(path, row.get("speaker", ""), row.get("utt", ""))
        if ending:
            make = partial(_write, folder, column, number)
            item = Item(utterance, source, speaker, make=make, ending=ending)
        else:
            item = Item(utterance, full_path(folder / name), speaker)
        add(whole, item, row, f"{folder}: row {number}")
    return whole


@lru_cache(maxsize=2)
def _opened(folder: Path) -> Any:
    """The dataset, which gives Arrow tables; its audio is not decoded."""
    import datasets

    try:
        return datasets.load_from_disk(str(folder)).with_format("arrow")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = one_line(error, 200)
        raise UserError(
            f"{folder} cannot be read as a saved dataset ({type(error).__name__}: {reason}).",
            "Copy it again, or save it again with save_to_disk.",
        ) from error


def _audio_column(folder: Path) -> str:
    import datasets

    features = _opened(folder).features
    found = [
        name
        for name, kind in features.items()
        if isinstance(kind, datasets.Audio) or (isinstance(kind, dict) and set(kind) == _STRUCT)
    ]
    if len(found) != 1:
        raise UserError(
            f"{folder} has {len(found)} columns of audio; its columns: {', '.join(features)}.",
            f"Expected: {LAYOUT} (remove_columns, cast_column('NAME', Audio(decode=False)))",
        )
    return found[0]


def _rows(folder: Path, column: str) -> Iterator[tuple[dict[str, str], str, str]]:
    """Columns of a row, the name of its audio, and the ending of embedded audio (else empty).

    Raises:
        UserError: a row has no audio, or a column that is read holds lists.
    """
    data = _opened(folder)
    header = [name for name in data.column_names if name != column]
    known = tables.columns_of(str(folder), header, LAYOUT, (), FILE_NAME)
    kinds = {name: data.features[header[place]] for place, name in known.items()}
    for start in range(0, len(data), _BATCH):
        table = data[start : start + _BATCH]
        cells = {name: table[header[place]].to_pylist() for place, name in known.items()}
        for k, audio in enumerate(table[column]):
            number, content = start + k, audio["bytes"]
            name = audio["path"].as_py() or ""
            if not content.is_valid and not name:
                raise UserError(
                    f"{folder}: row {number}: has no audio.",
                    "Filter such rows out, and save again.",
                )
            row = {}
            for key, values in cells.items():
                if text := _text(values[k], kinds[key], f"{folder}: row {number}: '{key}'"):
                    row[key] = text
            yield row, name, _ending(name, content.as_py()[:4]) if content.is_valid else ""


def _text(value: Any, kind: Any, where: str) -> str:
    if isinstance(value, list | dict | bytes):
        raise UserError(f"{where} is no text and no number.", "Remove or rename the column.")
    if hasattr(kind, "int2str") and isinstance(value, int):
        return str(kind.int2str(value)) if value >= 0 else ""
    return "" if value is None else str(value).strip()


def _ending(name: str, head: bytes) -> str:
    given = PurePosixPath(name).suffix.lower()
    if given in SUFFIXES or given in media.SUFFIXES:
        return given
    return next((end for mark, end in _ENDINGS.items() if head.startswith(mark)), ".wav")


def _write(folder: Path, column: str, number: int, target: Path) -> Path:
    """Write the embedded audio of a row as it is."""
    table = _opened(folder)[number : number + 1]
    target.write_bytes(table[column][0]["bytes"].as_py())
    return target
