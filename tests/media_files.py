"""Files as phones and browsers record them, made with PyAV."""

from __future__ import annotations

import io

import numpy as np

KINDS = {  # name: container, encoder, rate
    "m4a": ("ipod", "aac", 44100),
    "mp4": ("mp4", "aac", 16000),
    "3gp": ("3gp", "aac", 32000),
    "mov": ("mov", "alac", 44100),
    "webm": ("webm", "libopus", 48000),
    "mkv": ("matroska", "flac", 16000),
    "amr": ("amr", "libopencore_amrnb", 8000),
    "aac": ("adts", "aac", 16000),
}


def encode(
    samples: np.ndarray, name: str, rate: int = 0, streams: int = 1, **options: str
) -> bytes:
    """A file of float samples ``[channels, n]`` (or ``[n]``) in -1..1.

    Args:
        name: of :data:`KINDS`.
        rate: in Hz, where it is not that of the kind.
        streams: how many audio streams of these samples it has.
    """
    import av

    form, encoder, own = KINDS[name]
    samples = np.atleast_2d(samples).astype(np.float32)
    layout = {1: "mono", 2: "stereo"}[len(samples)]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form, options=options) as container:
        made = [container.add_stream(encoder, rate=rate or own) for _ in range(streams)]
        for stream in made:
            stream.layout = layout
        for stream in made:
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate or own, 0
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
    return buffer.getvalue()


def video(seconds: float = 0.4) -> bytes:
    """An MPEG-4 file of pictures without sound."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for _ in range(round(10 * seconds)):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return buffer.getvalue()


def with_itunes(data: bytes, delay: int, length: int) -> bytes:
    """An M4A file, whose ``moov`` is its last box, with the number of samples as of iTunes."""
    text = f" 00000000 {delay:08X} 00000000 {length:016X}".encode()

    def box(name: bytes, *parts: bytes) -> bytes:
        inner = b"".join(parts)
        return (8 + len(inner)).to_bytes(4, "big") + name + inner

    none = b"\0" * 4
    item = box(
        b"----",
        box(b"mean", none, b"com.apple.iTunes"),
        box(b"name", none, b"iTunSMPB"),
        box(b"data", (1).to_bytes(4, "big"), none, text),
    )
    handler = box(b"hdlr", none, none, b"mdirappl", b"\0" * 9)
    more = box(b"udta", box(b"meta", none, handler, box(b"ilst", item)))
    at = data.rindex(b"moov") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    assert at + size == len(data)
    return data[:at] + (size + len(more)).to_bytes(4, "big") + data[at + 4 :] + more
