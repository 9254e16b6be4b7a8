"""Audio as phones and browsers record it: MPEG-4 (AAC), WebM (Opus), AMR. PyAV decodes.

**Length.** Encoders put silence before the sound and fill their last block; where a container says
how much, it is taken away. Of MPEG-4, the edit list counts in steps of the file, often a
millisecond: 44,877 samples at 44.1 kHz are 1.017 s there, which is 44,850. The durations of its
blocks are exact: where both agree to a step, the blocks decide; where the list is shorter, it cuts.
iTunes names the number of samples itself (``iTunSMPB``). PyAV takes away what WebM and Opus say
(pre-skip, discarded padding), and what comes before an edit list begins. AMR and bare AAC (ADTS)
say nothing: their length is that of all blocks.

A file is decoded once to learn its length. Its kind is told by its first bytes and given to the
decoder, which so never takes a file for a play list that names others.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from speechkit.base.distribution import install_command
from speechkit.base.errors import COPY_AGAIN, AudioError, cut_short
from speechkit.base.log import note_once
from speechkit.base.media_container import (
    MATROSKA,
    MPEG4,
    SUFFIXES,
    check_size,
    promised_seconds,
    samples_of_itunes,
)

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

__all__ = ["SUFFIXES", "MediaFile", "installed", "remedy"]
EXTRA, PACKAGE = "media", "av"
_SLACK_S = 0.1  # by which a file may end before the time that its header names


def installed() -> bool:
    """Whether such files can be read here."""
    return importlib.util.find_spec(PACKAGE) is not None


def remedy() -> str:
    """What to do where they cannot."""
    return f"Install it with: {install_command(EXTRA, PACKAGE)}"


@dataclass(frozen=True)
class _Sound:
    """What a whole file decodes to.

    Args:
        rate: in Hz.
        samples: per channel, without what the encoder added.
    """

    rate: int
    channels: int
    samples: int


class MediaFile(AbstractContextManager["MediaFile"]):
    """A file that PyAV decodes, read from start to end.

    Attributes:
        samplerate: in Hz.
        frames: samples per channel.

    Args:
        raw: its bytes.
        kind: its container.
        source: its path, or what messages call it.

    Raises:
        AudioError: PyAV is not installed; no audio in it, damaged, or cut short.
    """

    def __init__(self, raw: BinaryIO, kind: str, source: object) -> None:
        if not installed():
            raise AudioError(
                f"{source}: its format is read with the package '{PACKAGE}', which is not "
                "installed.",
                f"{remedy()}, or convert it, as with: ffmpeg -i FILE FILE.wav",
            )
        self._raw, self._kind, self._name = raw, kind, str(source)
        if isinstance(raw, io.BytesIO):
            sound = _measure(raw, kind, self._name)
        else:
            about = Path(self._name).stat()
            sound = _measured(self._name, kind, about.st_size, about.st_mtime_ns)
        self.samplerate, self.channels, self.frames = sound.rate, sound.channels, sound.samples
        self._container: InputContainer | None = None
        self._restart()

    def __exit__(self, *_: object) -> None:
        if self._container is not None:
            self._container.close()

    def _restart(self) -> None:
        self.__exit__()
        self._container, stream = _open(self._raw, self._kind, self._name)
        self._blocks = _samples(self._container, stream, self._name)
        self._rest = np.zeros((0, self.channels), np.float32)

    def jump(self, first: int, position: int) -> int:
        """Go back to the start where a sample lies behind; the place that is reached."""
        if first >= position:
            return position
        self._restart()
        return 0

    def read(self, count: int, **_: Any) -> np.ndarray:
        """The next samples, float32 ``[n, channels]``; fewer at the end."""
        found, missing = [], count
        while missing > 0:
            if not len(self._rest):
                block = next(self._blocks, None)
                if block is None:
                    break
                self._rest = block
            found.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(found[-1])
        return np.concatenate(found) if found else self._rest[:0]


@lru_cache(maxsize=4096)
def _measured(path: str, kind: str, size: int, modified: int) -> _Sound:
    with Path(path).open("rb") as raw:
        return _measure(raw, kind, path)


def _open(raw: BinaryIO, kind: str, name: str) -> tuple[InputContainer, AudioStream]:
    """A container and the audio stream to read, from the start."""
    import av

    raw.seek(0)
    try:
        container = cast("InputContainer", av.open(raw, format=kind, metadata_errors="replace"))
    except av.FFmpegError as error:
        raise _damaged(name, error, 0.0) from error
    stream = cast("AudioStream | None", container.streams.best("audio"))
    if stream is None:
        others = ", ".join(sorted({one.type for one in container.streams})) or "none"
        container.close()
        raise AudioError(
            f"{name}: has no audio (streams: {others}).", "Record it with sound, or leave it out."
        )
    if (count := len(container.streams.audio)) > 1:
        note_once(
            f"streams-{name}",
            f"{name}: of its {count} audio streams number {stream.index} is read.",
        )
    return container, stream


def _damaged(name: str, error: Any, seconds: float) -> AudioError:
    reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
    return AudioError(
        f"{name}: cannot be decoded after {seconds:.2f} s ({reason}): it is damaged, cut short, or "
        "no audio.",
        COPY_AGAIN,
        "cut",
    )


def _frames(
    container: InputContainer, stream: AudioStream, name: str, span: list[int]
) -> Iterator[AudioFrame]:
    """Decoded blocks in order.

    Args:
        span: gets the times (in units of the stream) of the first block that is heard, and of
            the end of the last.
    """
    import av

    done = 0.0
    try:
        for packet in container.demux(stream):
            if packet.pts is not None and not packet.is_discard:
                span[1] = max(span[1], packet.pts + (packet.duration or 0))
            for frame in packet.decode():
                if not done:
                    span[0] = frame.pts or 0
                done += frame.samples / frame.sample_rate
                yield frame
    except (av.FFmpegError, ValueError, RuntimeError) as error:  # no decoder for what is in it
        raise _damaged(name, error, done) from error


def _samples(container: InputContainer, stream: AudioStream, name: str) -> Iterator[np.ndarray]:
    """Decoded blocks, float32 ``[n, channels]``."""
    import av

    convert = av.AudioResampler(format="fltp")
    for frame in _frames(container, stream, name, [0, 0]):
        for one in convert.resample(frame):
            yield one.to_ndarray().T


def _measure(raw: BinaryIO, kind: str, name: str) -> _Sound:
    """Decode a file to learn its length.

    Raises:
        AudioError: damaged, cut short, without audio, or of another rate later on.
    """
    step = check_size(raw, kind, name)
    container, stream = _open(raw, kind, name)
    with container:
        base, span, count = stream.time_base or Fraction(1), [0, 0], 0
        forms: set[tuple[int, int]] = set()
        for frame in _frames(container, stream, name, span):
            count += frame.samples
            forms.add((frame.sample_rate, frame.layout.nb_channels))
        if len(forms) > 1:
            raise AudioError(
                f"{name}: its rate or channels change: {sorted(forms)}.", "Convert it."
            )
        if not forms:
            raise AudioError(f"{name}: holds no samples.", "Record or copy it again.", "empty")
        ((rate, channels),) = forms
        promised, end = promised_seconds(container, stream), float(span[1] * base)
        if promised - end > _SLACK_S:
            raise cut_short(name, f"the header promises {promised:.2f} s, there are {end:.2f}")
        timed = round((span[1] - span[0]) * base * rate) or count
        if abs(timed - count) > 2 * _SLACK_S * rate and kind in (MPEG4, MATROSKA):
            note_once(f"gaps-{name}", f"{name}: its times have gaps; the sound is joined there.")
        if kind == MPEG4:
            listed = round((stream.duration or span[1]) * base * rate)
            count = min(count, listed if timed - listed > step * rate else timed)
            count = min(count, samples_of_itunes(container.metadata.get("iTunSMPB", "")) or count)
        return _Sound(rate, channels, count)
