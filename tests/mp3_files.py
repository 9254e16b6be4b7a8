"""MP3 files as the world has them, from what libsndfile writes: tags around, frames edited."""

from __future__ import annotations

import io
import struct

import numpy as np
import soundfile

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def encode(samples: np.ndarray, rate: int, mode: str) -> list[bytes]:
    """The frames of an MP3 of ``[T]`` or ``[T, 2]``; the first holds their number."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="MP3", bitrate_mode=mode, compression_level=0.6)
    return split(buffer.getvalue(), rate)


def split(data: bytes, rate: int) -> list[bytes]:
    """MP3 frames; nothing else may be in ``data``."""
    frames = []
    while data:
        bits = (_MPEG1 if rate >= 32000 else _MPEG2)[data[2] >> 4] * 1000
        length = samples_per_frame(rate) // 8 * bits // rate + (data[2] >> 1 & 1)
        assert data[0] == 0xFF and len(data) >= length
        frames.append(data[:length])
        data = data[length:]
    return frames


def samples_per_frame(rate: int) -> int:
    return 1152 if rate >= 32000 else 576


def id3v1() -> bytes:
    return b"TAG" + b"a title".ljust(125, b"\0")


def id3v2(size: int = 3000) -> bytes:
    length = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + length + b"TIT2\0\0\0\5\0\0\0name".ljust(size, b"\0")


def ape() -> bytes:
    item = struct.pack("<II", 4, 0) + b"Artist\0anna"
    size = len(item) + 32
    end = struct.pack("<IIII8x", 2000, size, 1, 1 << 31)
    start = struct.pack("<IIII8x", 2000, size, 1, 5 << 29)
    return b"APETAGEX" + start + item + b"APETAGEX" + end


TAGGINGS = {
    "plain": lambda frames: frames,
    "id3v1": lambda frames: frames + id3v1(),
    "id3v2": lambda frames: id3v2() + frames,
    "ape": lambda frames: frames + ape(),
    "zeros": lambda frames: frames + bytes(5000),
    "ape in front": lambda frames: ape() + frames,
    "all": lambda frames: id3v2(70000) + id3v2(100) + frames + ape() + id3v1() + bytes(70000),
}
