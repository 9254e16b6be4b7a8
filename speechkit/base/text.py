"""Names, texts and transcripts: one form of Unicode, what can be seen, marks that are not said.

``é`` is one character (U+00E9), or two (``e`` and U+0301): one name to whoever reads it, two to
a computer. Keyboards write the first, macOS often the second. Ids, labels and words are compared
in the composed form (Unicode's NFC); a file is opened under the name that it has.

Texts copied from word processors, web pages and chats hold characters that nobody sees (soft
hyphens, zero-width spaces, marks of the writing direction, variation selectors) and spaces and
hyphens that do not break. A text is read as it looks.
"""

from __future__ import annotations

import codecs
import errno
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from speechkit.base.errors import DataError, UserError

MOST_BYTES = 255  # of a file name, on all common file systems
BOM = "\ufeff"
_HYPHENS = "\u2010\u2011"
# Without a glyph, though their category is not "format".
_UNSEEN = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x3164, 0xFFA0}
_UNSEEN |= {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
_UTF_16_32 = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_MARK = re.compile(
    r"\[[^\[\]]*\]|\([^()]*\)|\{[^{}]*\}"
    r"|<(?!\s)[^<>]*>"  # "a < b" is mathematics
    r"|(?<!\S)\*(?!\s)[^*]*[^*\s]\*(?!\w)|(?<!\S)\+\+\w+\+\+"
    r"|(?<!\S)!SIL\b"
)
_REMEDY = (
    "Give `drop_markup` to leave such marks out with what is inside them; where the words inside "
    "are said, take the brackets away."
)


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
    if str(path).isascii() or _exists(path):
        return path
    found = Path(path.anchor)
    for part in path.parts[len(found.parts) :]:
        if not _exists(found / part):
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


def _exists(path: Path) -> bool:
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


def visible(text: str) -> str:
    """The text as it looks: without invisible characters, with plain spaces and hyphens.

    Soft hyphens, zero-width characters, byte order marks, marks of direction and variation
    selectors are taken out; every kind of space but tabs and line ends becomes a space; a
    non-breaking hyphen a hyphen. Names and paths are not texts: they are compared as they are.
    """
    if text.isascii():
        return text
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isascii():
        return character
    if character in _HYPHENS:
        return "-"
    category = unicodedata.category(character)
    if category[0] == "Z":
        return " "
    return "" if category == "Cf" or ord(character) in _UNSEEN else character


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 that say so by a byte order mark.

    Byte order marks are taken out wherever they are (files that were put together have some
    inside); line ends are those of Python's text files.

    Raises:
        DataError: it is in another encoding.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    encoding = encoding_of(content)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not {encoding} text (byte {error.start}).", _remedy(content, path)
        ) from None
    if "\0" in text and (guess := unmarked_encoding(content)):
        raise DataError(f"{path} is not UTF-8 text, but {guess}.", _remedy(content, path))
    return text.replace(BOM, "").replace("\r\n", "\n").replace("\r", "\n")


def encoding_of(content: bytes) -> str:
    """UTF-8, or what a byte order mark says: UTF-16 or UTF-32."""
    return next((name for mark, name in _UTF_16_32.items() if content.startswith(mark)), "UTF-8")


def unmarked_encoding(content: bytes) -> str:
    """UTF-16LE or UTF-16BE where every other byte is zero, as of English; else empty."""
    start = content[:4096]
    for first, name in ((1, "UTF-16LE"), (0, "UTF-16BE")):
        if len(start) > 1 and start[first::2].count(0) > 0.4 * len(start) // 2:
            return name if start[1 - first :: 2].count(0) == 0 else ""
    return ""


def _remedy(content: bytes, path: Path) -> str:
    """How to convert a file, as it can be typed."""
    marked = encoding_of(content)
    guess = marked if marked != "UTF-8" else unmarked_encoding(content) or "WINDOWS-1252"
    name = str(path).replace("'", "'\\''")
    return (
        f"If it is text, convert it: iconv -f {guess} -t UTF-8 '{name}' > NEW"
        + ("" if guess != "WINDOWS-1252" else " (with the encoding that it truly has)")
        + ", and use NEW in its place."
    )


def read_lines(path: Path) -> list[str]:
    """Lines of a text file in UTF-8 (UTF-16 with a byte order mark), without line ends.

    Raises:
        UserError: it cannot be read or is in another encoding.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    return text.removesuffix("\n").split("\n") if text else []


def is_header(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a first line begins with the names of columns, in any case."""
    return [cell.lower() for cell in cells[: len(names)]] == list(names)


def some(names: Sequence[str], most: int = 3) -> str:
    """The first of several names, and whether there are more: ``a, b, c, ...``."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def find_marks(text: str) -> list[str]:
    """The marks in a text, outermost ones, in order.

    Brackets of every kind, ``*cough*``, ``++noise++`` and Kaldi's ``!SIL``.
    """
    return _split(text)[1]


def without_marks(text: str) -> str:
    """The text without its marks."""
    return _split(text)[0]


def refuse_marks(text: str) -> None:
    """Raise UserError that names the marks of a text, if it has any."""
    if marks := find_marks(text):
        raise UserError(
            f"The text '{short(text)}' has marks that are not words: "
            f"{', '.join(dict.fromkeys(marks))}.",
            _REMEDY,
        )


def dropped_marks(texts: Iterable[str]) -> str:
    """What dropping the marks of some texts leaves out, in one line; empty if nothing."""
    count = Counter(mark for text in texts for mark in find_marks(text))
    if not count:
        return ""
    some = ", ".join(f"{mark} ({number})" for mark, number in count.most_common(10))
    more = f" and {len(count) - 10} more kinds" if len(count) > 10 else ""
    return f"Marks that are not said are left out: {some}{more}."


def short(text: str) -> str:
    """A text as a message shows it."""
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _split(text: str) -> tuple[str, list[str]]:
    """The text without marks, and the marks."""
    rest = text = visible(text)
    held: list[str] = []

    def hide(match: re.Match[str]) -> str:
        held.append(match.group())
        return f" \0{len(held) - 1}\0 "  # a place for it, so that outer brackets are found

    while (hidden := _MARK.sub(hide, rest)) != rest:
        rest = hidden
    places = re.compile(r" \0(\d+)\0 ")

    def full(mark: str) -> str:
        return places.sub(lambda m: full(held[int(m[1])]), mark)

    found = [full(held[int(m[1])]) for m in places.finditer(rest)]
    return (places.sub(" ", rest) if found else text), found
