"""MP3, frame by frame: how long a file is, and its frames without what lies between them.

An MP3 file is a row of frames. Its length stands in a first frame without sound (``Xing``,
``Info``, or ``VBRI``), or nowhere; decoders then estimate it from the size of the file, which is
wrong where the bit rate varies, and where tags or zeros follow. Here all headers of frames are
read, and the decoder is given the frames alone.
"""

from __future__ import annotations

import io
import mmap
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from speechkit.base.audio_container import Content
from speechkit.base.errors import cut_short
from speechkit.base.log import note_once

# kbit/s by index, of (MPEG-1, layer) and of (MPEG-2 and 2.5, layer)
_RATES = {
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HERTZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_KNOWN = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"fLaC", b"OggS", b".snd", b"caff")
_TAGS = (b"TAG", b"APETAGEX", b"ID3", b"LYRICS")
RUN_UP = 64 * 1152  # samples behind a jump that may be wrong; frames borrow from 511 bytes at most
Data = mmap.mmap | bytes


@dataclass(frozen=True)
class Frame:
    """What the header of a frame says.

    Args:
        length: bytes, the header's 4 included.
        kind: version, layer, rate and whether it is mono; the same in all frames of a stream.
        rate: in Hz.
        samples: per channel.
        layer: 1 to 3.
        side: bytes between the header and the number of frames, in the frame that has it.
    """

    length: int
    kind: tuple[int, int, int, bool]
    rate: int
    samples: int
    layer: int
    side: int


def look(file: BinaryIO, name: str) -> Content | None:
    """Read all frame headers of a file.

    What is not heard is said: a second stream behind the first, and gaps between frames.

    Args:
        name: of it, for messages and for its suffix.

    Returns:
        Its frames; None for what is not MP3 (or has no bit rate in its headers).

    Raises:
        AudioError: the file promises more frames than it has.
    """
    file.seek(0)
    head = file.read(4)
    sync = len(head) == 4 and head[0] == 0xFF and head[1] >= 0xE0
    named = name.lower().endswith((".mp3", ".mp2", ".mp1", ".mpga"))
    if head in _KNOWN or not (sync or head[:3] == b"ID3" or named):
        return None
    if isinstance(file, io.BytesIO):
        return _look(file.getvalue(), name)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _look(data, name)


def _look(data: Data, name: str) -> Content | None:
    start = 0
    while data[start : start + 3] == b"ID3":
        start = _behind_id3(data, start)
    if data[start : start + 4] in _KNOWN:
        return None
    position = _next(data, start)
    first = None if position is None else frame(data, position)
    if position is None or first is None:
        return None
    own = position
    promised = _promise(data, position, first)
    if promised is not None:
        position += first.length
    walk = _Walk(data, first.kind, position, promised or None)
    walk.run()
    if promised and walk.count < promised:
        there = f"its header promises {promised} MP3 frames, there are {walk.count}"
        raise cut_short(name, there)
    _say(name, walk, first)
    if not walk.count:
        return None
    length = sum(last - begin for begin, last in walk.parts)
    if promised and not _is_vbri(data, own):
        number = _with_length(data[own : own + first.length], first, first.length + length)
        return Content([number, *walk.parts], None)
    # The decoder takes all frames to be as long as the first and stops at its estimate. So that it
    # comes to the end of the frames in any case, they are given again behind it.
    times = 2 + walk.count * (first.length + 1) // length
    return Content([*walk.parts * times], walk.count * first.samples)


def _say(name: str, walk: _Walk, first: Frame) -> None:
    seconds = walk.count * first.samples / first.rate
    if walk.second is not None:
        note_once(
            f"mp3-second-{name}",
            f"{name}: a second MP3 stream begins behind the first ({seconds:.2f} s); it is not "
            "read. Cut the file there if both are wanted.",
        )
    elif walk.incomplete:
        note_once(
            f"mp3-end-{name}",
            f"{name}: ends within an MP3 frame, after {seconds:.2f} s: it is probably cut.",
        )
    if walk.gaps:
        note_once(
            f"mp3-gaps-{name}",
            f"{name}: {walk.gaps} bytes between MP3 frames are no sound; they are left out.",
        )


@dataclass
class _Walk:
    """Goes from frame to frame.

    Args:
        position: of the first frame with sound.
        most: frames that there should be; None where that is not known.

    Attributes:
        parts: (first, last) byte of rows of frames.
        count: frames in them.
        second: where another stream begins.
        gaps: bytes between frames that are none.
        incomplete: the last frame is not whole; it is left out.
    """

    data: Data
    kind: tuple[int, int, int, bool]
    position: int
    most: int | None
    parts: list[tuple[int, int]] = field(default_factory=list)
    count: int = 0
    second: int | None = None
    gaps: int = 0
    incomplete: bool = False

    def run(self) -> None:
        data, size, position = self.data, len(self.data), self.position
        lengths: dict[bytes, Frame | None] = {}
        begin = position
        while True:
            head = data[position : position + 4]
            found = lengths.get(head)
            if found is None and head not in lengths:
                lengths[head] = found = frame(data, position)
            if found is None or found.kind != self.kind:
                self._close(begin, position)
                if (after := self._resume(position)) is None:
                    return
                begin = position = after
                continue
            if position + found.length > size:
                self.incomplete = True
                break
            if self.count == self.most or _promise(data, position, found) is not None:
                self.second = position
                break
            self.count += 1
            position += found.length
        self._close(begin, position)

    def _close(self, begin: int, end: int) -> None:
        if begin < end:
            self.parts.append((begin, end))

    def _resume(self, position: int) -> int | None:
        """Where frames of the stream go on behind a gap; None where they do not."""
        after = _next(self.data, position)
        if after is None:
            return None
        found = frame(self.data, after)
        if found is None or found.kind != self.kind or self.count == self.most:
            self.second = after
            return None
        self.gaps += after - position
        return after


def frame(data: Data, position: int) -> Frame | None:
    """The header of a frame at a position; None where there is none."""
    head = data[position : position + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    index, hertz = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or index in (0, 15) or hertz == 3:
        return None
    new, mono, padding = version == 3, head[3] >> 6 == 3, head[2] >> 1 & 1
    rate = _HERTZ[version][hertz]
    bits = 1000 * _RATES[new, layer][index]
    if layer == 1:
        length, samples = (12 * bits // rate + padding) * 4, 384
    else:
        samples = 1152 if new or layer == 2 else 576
        length = samples // 8 * bits // rate + padding
    side = (17 if mono else 32) if new else (9 if mono else 17)
    return Frame(length, (version, layer, hertz, mono), rate, samples, layer, side)


def _next(data: Data, position: int) -> int | None:
    """The next place from a position on where frames begin: one that others or a tag follow."""
    size = len(data)
    while (position := data.find(b"\xff", position)) >= 0:
        found = frame(data, position)
        if found is not None:
            end = position + found.length
            after = frame(data, end)
            if (
                (after is not None and after.kind == found.kind)
                or end == size
                or (end < size and data[end : end + 8].startswith(_TAGS))
            ):
                return position
        position += 1
    return None


def _promise(data: Data, position: int, found: Frame) -> int | None:
    """Frames that follow, where a frame holds their number; 0 where it leaves it out."""
    if found.layer != 3:
        return None
    at = position + 4 + found.side
    if data[at : at + 4] in (b"Xing", b"Info"):
        flags, count = struct.unpack(">II", data[at + 4 : at + 12].ljust(8, b"\0"))
        return int(count) if flags & 1 else 0
    if _is_vbri(data, position):
        return int(struct.unpack(">I", data[position + 50 : position + 54].ljust(4, b"\0"))[0])
    return None


def _is_vbri(data: Data, position: int) -> bool:
    return data[position + 36 : position + 40] == b"VBRI"


def _with_length(info: bytes, first: Frame, length: int) -> bytes:
    """A frame that says how many follow, with the true number of bytes too."""
    at = 4 + first.side + 12
    if info[at - 5] & 2 and len(info) >= at + 4:
        return info[:at] + struct.pack(">I", length) + info[at + 4 :]
    return info


def _behind_id3(data: Data, position: int) -> int:
    """The byte behind an ID3v2 tag."""
    head = data[position : position + 10]
    if len(head) < 10 or any(byte & 0x80 for byte in head[6:10]):
        return position + 3
    length = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    footer = 10 if head[5] & 0x10 else 0
    return position + 10 + length + footer
