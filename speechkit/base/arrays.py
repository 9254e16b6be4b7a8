"""NumPy files read as what they must be: arrays of numbers and text, never of objects."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from speechkit.base.errors import one_line
from speechkit.base.schema import Damaged, regular_file

# What a damaged, encrypted or patched zip raises when it is opened or read.
BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
    OverflowError,
)
# NumPy reads a header with Python's own parser, which gives up at deep nesting in these ways.
_BROKEN_HEADER = (SyntaxError, tokenize.TokenError, MemoryError, RecursionError)
_NUMBERS = "biuf"
_PACKED = 1 << 10  # deflate makes nothing smaller than by this factor


def read_array(
    path: Path,
    shape: tuple[int | None, ...] | None = None,
    kinds: Collection[str] = _NUMBERS,
    remedy: str = "",
) -> np.ndarray:
    """The array of an ``.npy`` file, mapped from disk: it takes no memory until it is used.

    Args:
        shape: that it must have, None for any length; None for any shape.
        kinds: types (``int32``) or kinds of types (``f``) that it may have.
        remedy: what to do about a damaged one, for the message.

    Raises:
        Damaged: it is missing, no array, or of another shape or type.
    """
    regular_file(path)
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError, OverflowError, *_BROKEN_HEADER) as error:
        raise Damaged(
            f"{path} is not an array of numbers: {one_line(error, 200)}.", remedy
        ) from error
    fits = shape is None or (
        len(array.shape) == len(shape)
        and all(w is None or h == w for h, w in zip(array.shape, shape, strict=True))
    )
    if not fits or not ({array.dtype.kind, str(array.dtype)} & set(kinds)):
        wanted = " x ".join("any" if n is None else str(n) for n in shape or ())
        accepted = ", ".join(_KINDS.get(kind, kind) for kind in kinds)
        raise Damaged(
            f"{path} holds {array.dtype} of shape {array.shape}; expected {accepted}"
            f"{', ' + wanted if wanted else ''}.",
            remedy,
        )
    return array


_KINDS = {"b": "truth values", "i": "integers", "u": "integers", "f": "numbers"}


def read_arrays(path: Path, names: Iterable[str] = (), remedy: str = "") -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file by name.

    Args:
        remedy: what to do about a damaged one, for the message.

    Raises:
        Damaged: it is missing, cut short, damaged, no such file, or lacks a name.
    """
    size = regular_file(path).stat().st_size
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(member.file_size for member in packed.infolist()) > _PACKED * size:
                raise ValueError("its arrays are larger than they can be")
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
    except (*BROKEN_ZIP, OSError, *_BROKEN_HEADER) as error:
        raise Damaged(f"{path} is not a file of arrays: {one_line(error, 200)}.", remedy) from error
    if missing := sorted(set(names) - found.keys()):
        raise Damaged(f"{path} has no array '{missing[0]}'.", remedy)
    return found
