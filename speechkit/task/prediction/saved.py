"""A file of predictions, one JSON object a line, that a stopped ``predict`` goes on with.

Each line has what ``json`` prints of a recording, or ``"error"`` and the reason; ``made_with``:
the model and the parameters; and ``audio_sha256``: the content of the audio file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from speechkit.base.digests import sha256
from speechkit.base.errors import UserError
from speechkit.base.files import Lock, atomic_write, make_dirs
from speechkit.base.log import logger
from speechkit.base.tables import json_text
from speechkit.workdir.manifest import changed

MADE_WITH, AUDIO, ERROR = "made_with", "audio_sha256", "error"
Row = dict[str, Any]
Key = tuple[str, str]

_MODEL_FILES = {".yaml", ".json", ".safetensors", ".npz", ".pt", ".pth", ".ckpt", ".bin"}
_NOT_THE_MODEL = {"manifest.json", "summary.json"}
_OTHER = "Choose another name for `save`, or start this file anew with `force`."


class Saved:
    """The open file.

    Args:
        path: of it.
        made_with: the model and the parameters of this run.
        rows: those of earlier runs, by recording and text.
        file: open for appending, without a buffer.
    """

    def __init__(
        self, path: Path, made_with: Mapping[str, Any], rows: dict[Key, Row], file: IO[bytes]
    ) -> None:
        self.path, self.rows = path, rows
        self._made_with, self._file = dict(made_with), file

    def append(self, row: Row, audio: str | None) -> None:
        """Write a line; it is in the file, whole, when this returns."""
        left = _line({**row, AUDIO: audio, MADE_WITH: self._made_with})
        while left:
            left = left[self._file.write(left) :]

    def drop(self, keys: Collection[Key]) -> None:
        """Take out recordings that are to be computed again."""
        if not keys:
            return
        for key in keys:
            del self.rows[key]
        with atomic_write(self.path, "wb") as file:
            file.writelines(map(_line, self.rows.values()))
        self._file.close()
        self._file = self.path.open("ab", buffering=0)

    def close(self) -> None:
        with self._file:
            os.fsync(self._file.fileno())


@contextmanager
def open_saved(path: Path, made_with: Mapping[str, Any], force: bool) -> Iterator[Saved]:
    """Open a file of predictions; the torn last line of a killed run is dropped.

    Args:
        path: of it; it need not exist.
        made_with: the model and the parameters of this run.
        force: start it anew.

    Raises:
        UserError: it was made with another model or other parameters, is no such file, or
            another process writes it.
    """
    make_dirs(path.parent)
    lock = Lock(path.with_name(f".{path.name}.lock"))
    lock.acquire(str(path))
    try:
        rows = {} if force else _read(path, made_with)
        saved = Saved(path, made_with, rows, path.open("wb" if force else "ab", buffering=0))
        try:
            yield saved
        finally:
            saved.close()
    finally:
        lock.release()


def _read(path: Path, made_with: Mapping[str, Any]) -> dict[Key, Row]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder.", _OTHER) from error
    *lines, torn = data.split(b"\n")
    rows = [_row(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]
    for row in rows:
        if different := changed(row[MADE_WITH], made_with):
            raise UserError(
                f"{path} was made in another way ({'; '.join(different)}).",
                "Give the same model and options as before, choose another name for `save`, or "
                "start the file anew with `force`.",
            )
    if torn:
        if not rows and not _may_be_ours(torn):
            raise UserError(f"{path}:1: is not a prediction of speechkit.", _OTHER)
        logger.info(f"{path}: the last line was cut off when a run was stopped; it is made anew.")
        os.truncate(path, len(data) - len(torn))
    return {(str(r.get("file", r.get("input"))), str(r.get("text", ""))): r for r in rows}


def _parsed(line: bytes) -> Any:
    """The JSON of a line; None where it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _row(line: bytes, where: str) -> Row:
    row = _parsed(line)
    if not isinstance(row, dict) or not isinstance(row.get(MADE_WITH), dict):
        raise UserError(f"{where}: is not a prediction of speechkit.", _OTHER)
    return row


def _may_be_ours(torn: bytes) -> bool:
    """Whether the only line of a file can be the beginning of a prediction."""
    row = _parsed(torn)
    if row is None:
        return torn[:2] in (b'{"', b"{") or not torn.strip(b"\0")
    return isinstance(row, dict) and MADE_WITH in row


def _line(row: Row) -> bytes:
    return json_text(row).encode() + b"\n"


def result_of(row: Row) -> Row:
    """The line without what it was made with: what ``json`` prints."""
    return {name: value for name, value in row.items() if name not in (MADE_WITH, AUDIO)}


def model_digest(places: Iterable[Path], *more: str) -> str:
    """A short digest of a model.

    Args:
        places: its files, and folders whose settings and weights belong to it.
        more: fingerprints of what lies elsewhere.
    """
    found = hashlib.sha256("\0".join(more).encode())
    for place in places:
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in inside:
            if file == place or (file.suffix in _MODEL_FILES and file.name not in _NOT_THE_MODEL):
                found.update(f"{file.relative_to(place.parent)}\0{sha256(file)}\n".encode())
    return found.hexdigest()[:16]


def task_of(path: Path) -> str:
    """The task whose predictions a file has; empty if it has none, or none yet."""
    with path.open("rb") as file:
        row = _parsed(file.readline())
    made_with = row.get(MADE_WITH) if isinstance(row, dict) else None
    return str(made_with.get("task", "")) if isinstance(made_with, dict) else ""


def read_saved(path: Path) -> Iterator[Row]:
    """The predictions of a file, without what they were made with; not a line that is cut off.

    Raises:
        UserError: a line is not a prediction.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                yield result_of(_row(line, f"{path}:{number}"))
