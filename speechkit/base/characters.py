"""Characters of texts and tables: how files are decoded, and what of a text can be seen.

Texts copied from word processors, web pages and chats hold characters that nobody sees (soft
hyphens, zero-width spaces, marks of the writing direction, variation selectors) and spaces and
hyphens that do not break. A text is read as it looks.
"""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from speechkit.base.errors import DataError, UserError

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
