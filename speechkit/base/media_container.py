"""Containers of MPEG-4, Matroska (WebM), AMR and ADTS: what they are, and what they promise."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from speechkit.base.errors import cut_short

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

SUFFIXES = (
    ".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".3gpp", ".3g2", ".aac",
    ".webm", ".weba", ".mka", ".mkv", ".amr", ".awb",
)  # fmt: skip
MPEG4, MATROSKA, AMR, ADTS = "mov", "matroska", "amr", "aac"  # as FFmpeg calls them
_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # boxes of MPEG-4
_BOXES = (*_FIRST, b"moof", b"mfra", b"sidx", b"styp", b"uuid", b"meta", b"emsg", b"prft", b"udta")


def kind_of(raw: BinaryIO, name: str) -> str:
    """The container that a file is, by its first bytes; empty for what others decode."""
    raw.seek(0)
    head = raw.read(12)
    ending = Path(name).suffix.lower()
    if head[4:8] == b"ftyp" or (head[4:8] in _FIRST and ending in SUFFIXES):
        return MPEG4
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return MATROSKA
    if head[:5] == b"#!AMR":
        return AMR
    adts = len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0
    return ADTS if adts or (head[:3] == b"ID3" and ending == ".aac") else ""


def promised_seconds(container: InputContainer, stream: AudioStream) -> float:
    """Seconds that the header says the audio lasts; 0 where it does not."""
    if container.format.name.startswith("matroska"):
        hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
        minutes, _, seconds = rest.partition(":")
        try:
            return 3600 * float(hours) + 60 * float(minutes) + float(seconds)
        except ValueError:
            alone = len(container.streams) == 1
            return (container.duration or 0) / 1e6 if alone else 0.0
    if not container.format.name.startswith("mov"):
        return 0.0
    return float((stream.duration or 0) * (stream.time_base or 0))


def samples_of_itunes(text: str) -> int:
    """Samples that iTunes says there are: the fourth number, of 16 digits; 0 where it does not."""
    parts = text.split()
    try:
        return int(parts[3], 16)
    except (IndexError, ValueError):
        return 0


def check_size(raw: BinaryIO, kind: str, name: str) -> float:
    """Compare the bytes that the container promises with those that are there.

    Returns:
        Seconds of a step of MPEG-4's edit lists.

    Raises:
        AudioError: there are fewer.
    """
    size = raw.seek(0, io.SEEK_END)
    promised, step = 0, 0.0
    if kind == MATROSKA:
        promised = _segment_end(raw)
    elif kind == MPEG4:
        promised, step = _boxes_end(raw, size)
    elif kind == ADTS:
        promised = _adts_end(raw, size)
    if promised > size:
        raise cut_short(name, f"its header promises {promised} bytes, there are {size}")
    return step


def _boxes_end(raw: BinaryIO, size: int) -> tuple[int, float]:
    """Where the last box of an MPEG-4 file ends, and seconds of a step of its edit lists."""
    start, step = 0, 0.0
    while start + 8 <= size:
        raw.seek(start)
        length, box = struct.unpack(">I4s", raw.read(8))
        if box not in _BOXES:  # bytes behind the last one
            break
        if length == 1 and size - start >= 16:
            (length,) = struct.unpack(">Q", raw.read(8))
        if box == b"moov":
            head = raw.read(32)  # of the movie header, whose version says how wide times are
            at = 28 if head[8:9] == b"\1" else 20
            step = 1 / (int.from_bytes(head[at : at + 4], "big") or 1)
        start = start + length if length >= 8 else size  # 0: to the end
    return start, step


def _adts_end(raw: BinaryIO, size: int) -> int:
    """Where the last block of bare AAC ends; its header has 13 bits for its length."""
    start = 0
    while start + 6 <= size:
        raw.seek(start)
        head = raw.read(6)
        length = int.from_bytes(head[3:6], "big") >> 5 & 0x1FFF
        if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or length < 7:
            return 0  # a tag, or what is no AAC
        start += length
    return start


def _segment_end(raw: BinaryIO) -> int:
    """Where the segment of a Matroska file ends; 0 where its length stayed open."""
    raw.seek(4)
    head = _number(raw)
    raw.seek(head, io.SEEK_CUR)
    if raw.read(4) != b"\x18\x53\x80\x67":
        return 0
    length = _number(raw)
    return raw.tell() + length if length else 0


def _number(raw: BinaryIO) -> int:
    """A length of EBML: leading zeros of the first byte say how many follow; 0: it is open."""
    first = raw.read(1)
    if not first or not first[0]:
        return 0
    width = 9 - first[0].bit_length()
    rest = raw.read(width - 1)
    value = int.from_bytes(bytes([first[0] & ((1 << (8 - width)) - 1)]) + rest, "big")
    return 0 if value == (1 << (7 * width)) - 1 else value
