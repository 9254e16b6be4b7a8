"""Kaldi archives: float vectors and matrices (also compressed), int32 vectors, scp ranges.

The one place that knows kaldi-io. Its import prints a banner and edits PATH, it runs
pipes found in scp files, takes inclusive ranges for exclusive ones, and cannot read
compressed matrices on current NumPy: here the import is quiet, pipes are refused,
ranges are Kaldi's, and compressed matrices are read by `read_compressed`.
Format: https://kaldi-asr.org/doc/io.html and compressed-matrix.h.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from speechkit.base.errors import DataError
from speechkit.base.signals import environment
from speechkit.kaldi.data import read_table

_RX = re.compile(r"^(?P<file>.+?)(?::(?P<offset>\d+))?(?:\[(?P<range>[^\]]*)\])?$")


@lru_cache(maxsize=1)
def _kaldi_io() -> ModuleType:
    """kaldi_io, imported without its banner and with PATH as it was."""
    as_they_are = {"PATH": os.environ.get("PATH", os.defpath)}
    as_they_are["KALDI_ROOT"] = os.environ.get("KALDI_ROOT", str(Path.cwd()))
    with environment(**as_they_are), contextlib.redirect_stderr(io.StringIO()):
        import kaldi_io
    return kaldi_io


def finite(values: np.ndarray) -> bool:
    """Whether all are numbers whose squares can be summed in 32 bits (up to 1e15 in size)."""
    return bool((np.abs(values) <= 1e15).all())


class ArkWriter(contextlib.ExitStack):
    """Write an ark and the scp beside it.

    Args:
        named: how the scp names the archive (default: the path given as ``ark``); a stage
            that writes into a temporary folder gives the final path.

    Keys must come without white space, values as float32, float64 or int32 arrays
    (matrices ``[rows, cols]`` or vectors ``[dim]``; int32 vectors only).
    """

    def __init__(self, ark: Path, scp: Path, named: str | None = None) -> None:
        super().__init__()
        self._named = named or str(ark)
        self._ark = self.enter_context(ark.open("wb"))
        self._scp = self.enter_context(scp.open("w", encoding="utf-8", newline="\n"))

    def write(self, key: str, value: np.ndarray) -> None:
        """Append one entry."""
        if not key or re.search(r"\s", key):
            raise DataError(f"'{key}' cannot be the key of an archive entry (white space).")
        self._ark.write(key.encode() + b" ")
        self._scp.write(f"{key} {self._named}:{self._ark.tell()}\n")
        write_value(self._ark, value)


def write_value(file: BinaryIO, value: np.ndarray) -> None:
    """Write one binary Kaldi object (without a key) to an open file."""
    kind = (value.ndim, value.dtype.name)
    value = value.astype(value.dtype.newbyteorder("<"), copy=False)  # Kaldi's byte order
    if kind in ((2, "float32"), (2, "float64")):
        _kaldi_io().write_mat(file, np.ascontiguousarray(value))
    elif kind in ((1, "float32"), (1, "float64")):
        _kaldi_io().write_vec_flt(file, np.ascontiguousarray(value))
    elif kind == (1, "int32"):
        packed = np.empty(len(value), dtype=[("size", "i1"), ("value", "<i4")])
        packed["size"], packed["value"] = 4, value
        file.write(b"\0B\4" + struct.pack("<i", len(value)) + packed.tobytes())
    else:
        raise DataError(
            f"An array of {value.ndim} dimensions and type {value.dtype} is not a Kaldi object.",
            "Accepted: float32/float64 matrices and vectors, int32 vectors.",
        )


def read_scp(path: Path) -> dict[str, str]:
    """Key -> extended filename of an scp file, in file order.

    Raises:
        DataError: the file is missing or not UTF-8, a line has no value, a key comes twice,
            or a value is a pipe.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist.")
    table = read_table(path, "")
    for number, (key, value) in enumerate(table.items(), 1):
        if value.endswith("|") or value.startswith("|"):
            raise DataError(
                f"{path}:{number}: '{key}' is read through a pipe, which is refused.",
                "Write the features to an ark with copy-feats first.",
            )
    return table


class ArkTable(Mapping[str, np.ndarray]):
    """The entries of an scp file, read when asked for.

    Args:
        root: folder against which relative archive names are looked up; an archive that
            is not there is looked for beside the scp.
    """

    def __init__(self, scp: Path, root: Path | None = None) -> None:
        self.scp, self.root = scp, root or Path()
        self.entries = read_scp(scp)
        self._open: tuple[Path, int, BinaryIO] | None = None

    def __getstate__(self) -> dict[str, Any]:  # an open file does not travel
        return {**self.__dict__, "_open": None}

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __getitem__(self, key: str) -> np.ndarray:
        value = self.entries[key]
        match = _RX.match(value)
        if match is None:
            raise DataError(f"{self.scp}: '{value}' is not 'path[:offset][range]'.")
        file = self._file(match["file"])
        name = f"{self.scp}: entry '{key}' ({value})"
        offset = int(match["offset"] or 0)
        if offset >= os.fstat(file.fileno()).st_size:
            raise DataError(
                f"{name} points outside its archive, which ends earlier.",
                "The archive was cut or replaced: run the stage that made it again.",
            )
        file.seek(offset)
        return _apply_range(read_value(file, name), match["range"], name)

    def _file(self, given: str) -> BinaryIO:
        path = self.root / given
        if not path.is_file():
            path = self.scp.parent / Path(given).name
        if not path.is_file():
            raise DataError(f"{self.scp} names the archive {given}, which does not exist.")
        # A forked process shares the file position with its parent, so it opens its own.
        if self._open is None or self._open[:2] != (path, os.getpid()):
            self.close()
            self._open = (path, os.getpid(), path.open("rb"))
        return self._open[2]

    def close(self) -> None:
        """Close the archive that is open."""
        if self._open is not None:
            self._open[2].close()
            self._open = None

    def stack(self, keys: Iterable[str] | None = None) -> np.ndarray:
        """Vectors of ``keys`` (default all) as one float32 matrix ``[N, dim]``."""
        vectors = [self[key] for key in (self if keys is None else keys)]
        shapes = {vector.shape for vector in vectors}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise DataError(f"{self.scp}: expected vectors of one length, found shapes {shapes}.")
        return np.stack(vectors).astype(np.float32, copy=False) if vectors else np.empty((0, 0))


def read_ark(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """All entries of an archive, in order.

    Raises:
        DataError: the archive is cut in the middle or is not one.
    """
    with path.open("rb") as file:
        while True:
            key = bytearray()
            while (char := file.read(1)) not in (b" ", b""):
                key += char
            if not key.strip():
                if char:
                    raise DataError(f"{path}: expected a key at byte {file.tell() - 1}.")
                return
            name = key.decode("utf-8", "replace").strip()
            yield name, read_value(file, f"{path}: entry '{name}'")


def read_value(file: BinaryIO, name: str) -> np.ndarray:
    """One Kaldi object at the file's position; ``name`` is used in errors."""
    start = file.tell()
    head = file.read(15)
    file.seek(start)
    try:
        _require_bytes(file, head, start)
        if head[:4] == b"\0BCM":
            return read_compressed(file)
        if head[:2] == b"\0B" and head[2:3] in (b"F", b"D"):
            read = _kaldi_io().read_mat if head[3:4] == b"M" else _kaldi_io().read_vec_flt
            return np.array(read(file))
        if head[:3] == b"\0B\4":
            return np.array(_kaldi_io().read_vec_int(file))
        return _read_text(file)
    except (ValueError, IndexError, AssertionError, struct.error, UnicodeDecodeError) as error:
        raise DataError(
            f"{name} is cut short or not a Kaldi matrix or vector.",
            "Copy the archive again, or run the stage that made it again.",
        ) from error
    except Exception as error:  # kaldi-io's own exception types share no base class
        if type(error).__module__.startswith("kaldi_io"):
            raise DataError(f"{name} is not a Kaldi matrix or vector ({error}).") from error
        raise


def _require_bytes(file: BinaryIO, head: bytes, start: int) -> None:
    """ValueError if fewer bytes are left than the header says (kaldi-io would not notice)."""
    if head[:3] == b"\0B\4":  # int32 vector: each value is preceded by its size
        rows, cols, width, length = *struct.unpack("<i", head[3:7]), 1, 5, 7
    elif head[:2] == b"\0B" and head[2:4] in (b"FV", b"DV", b"FM", b"DM"):
        width, rows = 4 if head[2:3] == b"F" else 8, struct.unpack("<i", head[6:10])[0]
        vector = head[3:4] == b"V"
        cols = 1 if vector else struct.unpack("<i", head[11:15])[0]
        length = 10 if vector else 15
    else:
        return
    end = start + length + rows * cols * width
    if rows < 0 or cols < 0 or end > os.fstat(file.fileno()).st_size:
        raise ValueError("fewer bytes than the header says")


def _read_text(file: BinaryIO) -> np.ndarray:
    """A text object: ``[ 1 2 ]`` on one line, one matrix row a line, or bare integers."""
    line = file.readline()
    if re.fullmatch(rb"[-\d ]*\d *\n", line):
        return np.array(line.split(), dtype=np.int32)
    if not line.lstrip().startswith(b"["):
        raise ValueError("no opening bracket")
    text = bytearray(line)
    while b"]" not in line:
        line = file.readline()
        if not line:
            raise ValueError("no closing bracket")
        text += line
    body = text.decode().strip()
    rows = [row.split() for row in body.strip("[] \n").splitlines() if row.strip()]
    one_line = "\n" not in body
    return np.array(rows[0] if one_line and rows else rows, dtype=np.float32)


def _apply_range(value: np.ndarray, text: str | None, name: str) -> np.ndarray:
    """Kaldi's ``[first:last]`` or ``[first:last,first:last]``, both ends included."""
    if text is None:
        return value
    parts = []
    for axis, part in enumerate(text.split(",")):
        match = re.fullmatch(r"(?:(\d+):(\d+)|:?)", part)
        size = value.shape[axis] if axis < value.ndim else 0
        if match is None or not size:
            raise DataError(f"{name}: the range [{text}] does not fit an array {value.shape}.")
        first, last = (int(match[1]), int(match[2])) if match[1] else (0, size - 1)
        if first > last or last >= size:
            raise DataError(f"{name}: the range [{text}] lies outside an array {value.shape}.")
        parts.append(slice(first, last + 1))
    return value[tuple(parts)]


def read_compressed(file: BinaryIO) -> np.ndarray:
    """Kaldi's CM (speech features), CM2 (16 bits) and CM3 (8 bits) matrices as float32."""
    token = bytearray(file.read(5)[2:])
    while not token.endswith(b" "):
        token += file.read(1) or b" "
    low, span, rows, cols = struct.unpack("<ffii", file.read(16))
    if rows == cols == 0:  # Kaldi stores an empty matrix as a bare header
        return np.empty((0, 0), np.float32)
    low, span = np.float32(low), np.float32(span)
    if bytes(token) == b"CM2 ":
        codes = np.frombuffer(file.read(2 * rows * cols), "<u2").reshape(rows, cols)
        return codes.astype(np.float32) * np.float32(span / 65535) + low
    if bytes(token) == b"CM3 ":
        codes = np.frombuffer(file.read(rows * cols), np.uint8).reshape(rows, cols)
        return codes.astype(np.float32) * np.float32(span / 255) + low
    if bytes(token) != b"CM ":
        raise ValueError(f"unknown token {bytes(token)!r}")
    header = np.frombuffer(file.read(8 * cols), "<u2").reshape(cols, 4).astype(np.float32)
    p0, p25, p75, p100 = (header * np.float32(span / 65535) + low).T[:, :, None]
    codes = np.frombuffer(file.read(rows * cols), np.uint8).reshape(cols, rows)
    code = codes.astype(np.float32)
    lowest, highest = p0 + (p25 - p0) * code / 64, p75 + (p100 - p75) * (code - 192) / 63
    middle = p25 + (p75 - p25) * (code - 64) / 128
    value = np.where(codes <= 64, lowest, np.where(codes <= 192, middle, highest))
    return np.ascontiguousarray(value.T.astype(np.float32))
