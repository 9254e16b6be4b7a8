"""Containers of samples: how many bytes the header promises, and how many are there.

libsndfile reads a cut WAV without a warning. It reads one of a stream (a program that wrote to a
pipe and could not go back to note the length) as empty.
"""

from __future__ import annotations

import io
import struct
import wave
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from speechkit.base.errors import UserError, cut_short
from speechkit.base.log import note_once

# Lengths that programs write to a pipe in place of the one that they do not know yet: sox (AIFF;
# WAV), arecord and others (the largest of 32 bits, with or without sign), each up to a header or
# a block less.
_UNKNOWN = (0x7F000000, 0x7FFFF000, 0x80000000, 0xFFFFFFFF)
_NEAR = 0x10000
_MOST = 1 << 20  # bytes before the samples that are looked through and kept in memory
_WORTH_SAYING_S = 0.01
FULL_SCALE = 32767 / 32768  # the largest 16-bit sample
_WIDEST = 2**31  # bytes of samples of a WAV file that is written here
_GSM, _GSM_BYTES, _GSM_SAMPLES = 0x31, 65, 320  # format tag, and a block
_W64 = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


@dataclass(frozen=True)
class _Layout:
    """How a container stores its chunks.

    Args:
        first: where the first chunk begins.
        name: bytes of a chunk's name.
        length: its length, as :mod:`struct` reads it.
        data: name of the chunk with the samples.
        align: chunks begin at multiples of this.
        own: the length counts name and length too.
    """

    first: int
    name: int
    length: str
    data: bytes
    align: int = 2
    own: bool = False


_LAYOUTS = {
    (b"RIFF", b"WAVE"): _Layout(12, 4, "<I", b"data"),
    (b"RF64", b"WAVE"): _Layout(12, 4, "<I", b"data"),
    (b"RIFX", b"WAVE"): _Layout(12, 4, ">I", b"data"),
    (b"FORM", b"AIFF"): _Layout(12, 4, ">I", b"SSND"),
    (b"FORM", b"AIFC"): _Layout(12, 4, ">I", b"SSND"),
    (b"caff", b"\0\1\0\0"): _Layout(8, 4, ">Q", b"data", 1),
    (b"riff", b"\x2e\x91\xcf\x11"): _Layout(40, 16, "<Q", b"data" + _W64, 8, own=True),
}


@dataclass(frozen=True)
class _Samples:
    """Where the samples of a file lie.

    Args:
        start: their first byte.
        length: bytes, as the header says.
        at: where the header says so.
        form: how, as :mod:`struct` reads it.
        layout: of the container; None where nothing follows the samples.
        byte_rate: bytes a second, 0 where not known.
        gsm: they are GSM 6.10, of whose odd lengths libsndfile makes a block too many, with
            what happens to lie in memory.
    """

    start: int
    length: int
    at: int
    form: str
    layout: _Layout | None = None
    byte_rate: int = 0
    gsm: bool = False


@dataclass(frozen=True)
class Content:
    """What libsndfile is to read in place of a file.

    Args:
        pieces: bytes, or (first, last) byte of a part of the file, in order.
        samples: per channel, that are to be read; None where libsndfile knows.
    """

    pieces: list[bytes | tuple[int, int]]
    samples: int | None = None


def repaired(file: BinaryIO, name: str) -> Content | None:
    """What is to be read in place of a stream whose header does not know its length.

    Args:
        name: of it, for messages.

    Returns:
        The header with the length that the file has, and the samples; None for a file that can
        be read as it is.

    Raises:
        AudioError: the header promises more than there is.
    """
    size = file.seek(0, io.SEEK_END)
    found = _find(file, size)
    if found is None:
        return None
    there = size - found.start
    if _unknown(file, found, size):
        return _with_length(file, found, there)
    if found.length > there:
        end = found.start + found.length
        raise cut_short(name, f"the header promises {end} bytes, there are {size}")
    more = _behind(file, found, size)
    if more > max(_WORTH_SAYING_S * found.byte_rate, 8):
        note_once(
            f"behind-{name}",
            f"{name}: {more} bytes lie behind the {found.length} bytes of samples that its header "
            "names; they are not read. If it should be longer, its header is wrong.",
        )
    return _with_length(file, found, found.length) if found.gsm else None


def _with_length(file: BinaryIO, found: _Samples, length: int) -> Content | None:
    """The header with another length of the samples, and the samples; None where there are none."""
    if length <= 0 or found.start > _MOST:
        return None
    file.seek(0)
    head = bytearray(file.read(found.start))
    if length < 1 << 8 * struct.calcsize(found.form):
        own = found.layout.name + 8 if found.layout is not None and found.layout.own else 0
        struct.pack_into(found.form, head, found.at, length + own)
    whole = length // _GSM_BYTES * _GSM_SAMPLES if found.gsm else None
    return Content([bytes(head), (found.start, found.start + length)], whole)


def _find(file: BinaryIO, size: int) -> _Samples | None:
    file.seek(0)
    head = file.read(24)
    if head[:4] == b".snd" and len(head) == 24:
        start, length = struct.unpack(">II", head[4:12])
        return _Samples(start, length, 8, ">I")
    layout = _LAYOUTS.get((head[:4], head[4:8])) or _LAYOUTS.get((head[:4], head[8:12]))
    if layout is None:
        return None
    position, long_length, byte_rate, gsm = layout.first, None, 0, False
    while (chunk := _chunk(file, layout, position)) is not None:
        name, start, length = chunk
        if name == b"ds64":
            long_length = struct.unpack("<8xQ", file.read(16))[0] if length >= 16 else None
        elif name[:4] == b"fmt " and length >= 12:
            tag, byte_rate = struct.unpack(layout.length[0] + "H6xI", file.read(12))
            gsm = tag == _GSM
        elif name == layout.data:
            if head[:4] == b"RF64" and long_length is not None and length == 0xFFFFFFFF:
                return _Samples(start, long_length, start - 4, "<Q", layout, byte_rate, gsm)
            at = start - struct.calcsize(layout.length)
            return _Samples(start, length, at, layout.length, layout, byte_rate, gsm)
        position = start + length + -(start + length) % layout.align
        if position >= size:
            break
    return None


def _chunk(file: BinaryIO, layout: _Layout, position: int) -> tuple[bytes, int, int] | None:
    """Name, first byte and length of the chunk at a position."""
    width = layout.name + struct.calcsize(layout.length)
    file.seek(position)
    if len(head := file.read(width)) < width:
        return None
    length = struct.unpack(layout.length, head[layout.name :])[0] - (width if layout.own else 0)
    return (head[: layout.name], position + width, length) if length >= 0 else None


def _unknown(file: BinaryIO, found: _Samples, size: int) -> bool:
    """True if the length is one that stands for "until the end"."""
    if found.form[1] == "Q":
        return found.length >= 1 << 63
    if any(abs(found.length - known) < _NEAR for known in _UNKNOWN):
        return found.start + found.length > size
    if found.length or found.layout is None:
        return False
    file.seek(4)  # no samples and a true length of the whole: an empty file with further chunks
    return struct.unpack(found.form, file.read(4))[0] + 8 != size


def _behind(file: BinaryIO, found: _Samples, size: int) -> int:
    """Bytes behind the samples that are no chunks."""
    end, layout = found.start + found.length, found.layout
    if layout is None:
        return size - end
    return min(_loose(file, layout, at, size) for at in {end, end + -end % layout.align})


def _loose(file: BinaryIO, layout: _Layout, position: int, size: int) -> int:
    """Bytes from a position on that are no chunks."""
    while position < size and (chunk := _chunk(file, layout, position)) is not None:
        name, start, length = chunk
        text = layout.own or (name.isascii() and name.decode().isprintable())
        if not text or start + length > size:
            break
        position = start + length + -(start + length) % layout.align
    return max(0, size - position)


class Joined(io.RawIOBase):
    """Parts of a file and bytes in memory, as one file.

    Args:
        pieces: bytes, or (first, last) byte of a part of the file.
    """

    def __init__(self, raw: BinaryIO, pieces: Sequence[bytes | tuple[int, int]]) -> None:
        super().__init__()
        self._raw, self._pieces, self._at = raw, pieces, 0
        lengths = [len(p) if isinstance(p, bytes) else p[1] - p[0] for p in pieces]
        self._starts = [0, *accumulate(lengths)]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view) and self._at < self._starts[-1]:
            which = bisect_right(self._starts, self._at) - 1
            piece, offset = self._pieces[which], self._at - self._starts[which]
            count = min(len(view) - done, self._starts[which + 1] - self._at)
            if isinstance(piece, bytes):
                found = piece[offset : offset + count]
            else:
                self._raw.seek(piece[0] + offset)
                found = self._raw.read(count)
                if not found:
                    break
            view[done : done + len(found)] = found
            done, self._at = done + len(found), self._at + len(found)
        return done


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write int16 samples ``[T]`` or ``[T, channels]`` as 16-bit WAV.

    Raises:
        OSError: with its number, as of a full disk (libsndfile would not tell which).
    """
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype="PCM_16", format="WAV")
    path.write_bytes(buffer.getvalue())


class WavWriter(AbstractContextManager["WavWriter"]):
    """A mono 16-bit WAV file, written as samples come.

    Args:
        file: open for writing bytes; a full disk is then an OSError. It is left open.
        rate: in Hz.
    """

    def __init__(self, file: IO[bytes], rate: int) -> None:
        self._file = wave.Wave_write(file)
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(rate)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # The header is finished here; where writing failed already, that was said.
        with suppress(OSError) if kind is not None else nullcontext():
            self._file.close()

    def write(self, samples: np.ndarray) -> None:
        """Append samples ``[n]`` in -1..1; what lies outside is clipped."""
        steps = np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2")
        self._file.writeframesraw(steps.tobytes())


def check_wav_length(path: Path, frames: int, rate: int) -> None:
    """Raise UserError if a mono 16-bit file of so many samples is too long for a WAV header."""
    if 2 * frames >= _WIDEST:
        hours = _WIDEST / 2 / rate / 3600
        raise UserError(
            f"{path}: is {frames / rate / 3600:.1f} h long, too long for one WAV file.",
            f"Split it into parts of at most {hours:.1f} h.",
        )
