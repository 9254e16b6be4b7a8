"""Names in one form, and files by name, whichever form the disk has.

``é`` is one character (U+00E9), or two (``e`` and U+0301): one name to whoever reads it, two to
a computer. Keyboards write the first, macOS often the second. Ids, labels and words are compared
in the composed form (Unicode's NFC); a file is opened under the name that it has.
"""

from __future__ import annotations

import errno
import os
import unicodedata
from functools import lru_cache
from pathlib import Path

MOST_BYTES = 255  # of a file name, on all common file systems


def composed(name: str) -> str:
    """A name in the form in which names are compared."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def byte_order(name: str) -> bytes:
    """What names are sorted by, as ``LC_ALL=C sort`` does."""
    return name.encode("utf-8", "surrogateescape")


def spelled(name: str) -> str:
    """A name as a message shows it where its form matters: ``Jose\\u0301``."""
    return "".join(
        char if char.isprintable() and not unicodedata.combining(char) else ascii(char)[1:-1]
        for char in name
    )


def on_disk(path: Path) -> Path:
    """The path of a file as the disk spells it; the path itself where there is no such file.

    Args:
        path: with each name in either form.
    """
    if str(path).isascii() or _there(path):
        return path
    found = Path(path.anchor)
    for part in path.parts[len(found.parts) :]:
        if not _there(found / part):
            part = "" if part.isascii() else _entry(found, part)
        if not part:
            return path
        found /= part
    return found


def _entry(folder: Path, name: str) -> str:
    """A name as the folder has it; empty if it has none."""
    try:
        return _entries(folder, folder.stat().st_mtime_ns).get(composed(name), "")
    except (OSError, ValueError):
        return ""


@lru_cache(maxsize=16)
def _entries(folder: Path, _changed: int) -> dict[str, str]:
    """Composed form -> name, of what is in a folder that was changed then."""
    return {composed(path.name): path.name for path in folder.iterdir()}


def _there(path: Path) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # a NUL character, which no name has
        return False


def check_path(text: str) -> str:
    """What keeps a text from being the path of a file; empty if nothing does."""
    if "\0" in text:
        return "it holds a NUL character"
    if long := next((part for part in Path(text).parts if size(part) > MOST_BYTES), ""):
        return f"'{long[:40]}...' has {size(long)} bytes, a name can have {MOST_BYTES}"
    return ""


def missing(path: str | Path) -> tuple[str, str]:
    """Why there is no such file, and what to do about it, as far as its path tells.

    Returns:
        The reason, to follow the path, and the remedy; the system's reason and no remedy where
        the path tells nothing.
    """
    if "\\" in str(path):
        return (
            "there is no such file: it is written with '\\', as on Windows",
            "Write the path of this machine, with '/' between folders.",
        )
    return os.strerror(errno.ENOENT), ""


def shortened(name: str, most: int) -> str:
    """The beginning of a name, of at most so many bytes."""
    return name.encode("utf-8", "surrogateescape")[:most].decode("utf-8", "ignore")


def size(name: str) -> int:
    """Bytes of a name on the disk."""
    return len(os.fsencode(name))
