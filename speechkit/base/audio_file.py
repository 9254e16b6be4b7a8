"""One audio file as it decodes: opened, its length known, read from start to end.

libsndfile decodes. What it takes on trust is looked at first: headers that promise more than
the file holds, streams whose length stayed open (:mod:`speechkit.base.audio_container`), and MP3,
whose length it only estimates (:mod:`speechkit.base.mp3`). What phones and browsers record PyAV
decodes, where it is installed (:mod:`speechkit.base.media`).
"""

from __future__ import annotations

import ctypes
import io
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from speechkit.base import audio_container, media, media_container, mp3, text
from speechkit.base.errors import AudioError, cut_short
from speechkit.base.log import note_once

if TYPE_CHECKING:
    from soundfile import SoundFile

# Names of files that libsndfile reads (headerless and sampler formats left out) ...
SUFFIXES = (
    ".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus",
    ".mp3", ".mp2", ".mp1", ".mpga", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf",
    ".voc", ".sph", ".nist", ".sf", ".ircam", ".paf", ".pvf", ".avr", ".svx", ".8svx", ".wve",
)  # fmt: skip
# ... and of those that hold sound too, but that neither it nor PyAV (media.SUFFIXES) reads here.
UNREAD_SUFFIXES = (
    ".avi", ".wma", ".wmv", ".asf", ".ac3", ".eac3", ".dts",
    ".ape", ".wv", ".tta", ".mpc", ".ra", ".rm", ".flv", ".mpg", ".mpeg", ".spx", ".shn", ".gsm",
    ".vox", ".dsf", ".dff", ".raw", ".pcm",
)  # fmt: skip
ACCEPTED = (
    "Accepted: WAV, FLAC, OGG (Vorbis, Opus), MP3, AIFF, AU, CAF, W64 and what else libsndfile "
    "reads; M4A, MP4, WebM, AMR. Convert others, as with: ffmpeg -i FILE FILE.wav"
)
_SKIP = 1 << 16  # samples that are decoded at once to be dropped


@dataclass(frozen=True)
class Pipe:
    """A shell command that writes audio to its stdout; reading it runs it.

    Made only by the readers of ``wav.scp``, where pipes were allowed. A path that looks like a
    command is a path.

    Args:
        command: without the ``|`` at its end.
    """

    command: str

    def __str__(self) -> str:
        return f"{self.command} |"


@dataclass(frozen=True)
class Held:
    """An audio file whose bytes are in memory, as a server gets them.

    Args:
        data: all of it.
        name: what messages call it.
    """

    data: bytes = field(repr=False)
    name: str

    def __str__(self) -> str:
        return self.name


Source = str | Path | Pipe | Held


class AudioFile(AbstractContextManager["AudioFile"]):
    """An audio file that is open for reading.

    Attributes:
        rate: in Hz.
        frames: samples per channel that it decodes to.

    Args:
        source: a file, one in memory, or a pipe, which is run.

    Raises:
        AudioError: missing, empty, not audio, or cut short.
    """

    def __init__(self, source: Source) -> None:
        self.source, self._position = source, 0
        with ExitStack() as stack:
            self._quiet: Callable[[], AbstractContextManager[Any]] = nullcontext
            self._run_up, found = 0, None
            raw = stack.enter_context(_open(source))
            self._file: Any
            if kind := media_container.kind_of(raw, str(source)):
                self._file = stack.enter_context(media.MediaFile(raw, kind, source))
            else:
                self._file, found = self._of_libsndfile(raw)
                stack.enter_context(self._file)
            self.rate, self.channels = self._file.samplerate, self._file.channels
            self.frames = self._file.frames
            if found is not None and found.samples is not None:
                self.frames = found.samples
            self._open = stack.pop_all()

    def _of_libsndfile(self, raw: BinaryIO) -> tuple[SoundFile, audio_container.Content | None]:
        """The file as libsndfile opens it, and what it is to read in its place."""
        import soundfile

        name = str(self.source)
        found = audio_container.repaired(raw, name)
        if found is None and (found := mp3.look(raw, name)) is not None:
            # Frames borrow bits from those before them; after a jump the first are wrong.
            self._quiet, self._run_up = partial(_decoder_warnings, name), mp3.RUN_UP
        given: Any = raw if isinstance(self.source, Pipe | Held) else name
        if found is not None:
            given = audio_container.Joined(raw, found.pieces)
        raw.seek(0)
        try:
            with self._quiet():
                return _forward()(given), found
        except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:  # TypeError: .raw
            raise not_audio(self.source, error) from error

    def __exit__(self, *_: object) -> None:
        with self._quiet():
            self._open.close()

    def seek(self, first: int) -> None:
        """Go to a sample; formats that cannot be sought are decoded up to it.

        Raises:
            AudioError: it cannot be decoded, or ends before.
        """
        import soundfile

        telling = self._quiet
        if self._run_up:  # what the first frames behind a jump borrow is missing, not damaged
            self._quiet = quiet
        try:
            with self._quiet():
                self._position = self._file.jump(max(0, first - self._run_up), self._position)
            while self._position < first:
                self.read(min(_SKIP, first - self._position))
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise not_audio(self.source, error) from error
        finally:
            self._quiet = telling

    def read(self, count: int) -> np.ndarray:
        """The next samples.

        Args:
            count: how many; fewer come at the end.

        Returns:
            Float32 ``[n, channels]``.

        Raises:
            AudioError: it cannot be decoded, or fewer samples come than the file has.
        """
        import soundfile

        count = min(count, self.frames - self._position)
        try:
            with self._quiet():
                samples = self._file.read(count, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise not_audio(self.source, error) from error
        self._position += len(samples)
        if len(samples) < count:
            decoded = f"{self._position} of {self.frames} samples can be decoded"
            raise cut_short(self.source, decoded)
        return samples


@lru_cache
def _forward() -> type[SoundFile]:
    """``soundfile.SoundFile`` that goes on where it is.

    After each block the other jumps to the place that it has reached; MP3 and Opus then do not
    decode to the same samples as in one piece.
    """
    import soundfile

    class Forward(soundfile.SoundFile):
        def seekable(self) -> bool:
            return False

        def jump(self, first: int, position: int) -> int:
            """Go to a sample where the format allows it; the place that is reached."""
            return self.seek(first) if super().seekable() else position

    return Forward


def check_file(path: str | Path) -> None:
    """Raise AudioError if there is no such file, or it is empty."""
    path = Path(path)
    try:
        size = path.stat().st_size
    except ValueError as error:  # a NUL byte in the name
        raise AudioError(f"{str(path)!r} cannot be the name of a file.", kind="missing") from error
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            reason, remedy = text.missing(path)
            raise AudioError(f"{path}: {reason}.", remedy, "missing") from error
        raise AudioError(f"{path}: {error.strerror or 'cannot be read'}.") from error
    if not path.is_file():
        what = "a folder" if path.is_dir() else "a device or a pipe"
        raise AudioError(f"{path}: is {what}, not an audio file.")
    if size == 0:
        raise AudioError(f"{path}: is empty (0 bytes).", "Copy it again.", "empty")


def not_audio(source: Source, error: Exception) -> AudioError:
    """The error for a file that libsndfile does not decode."""
    reason = str(error).rpartition(": ")[2].rstrip(".") or "it is damaged"
    return AudioError(f"{source}: cannot be decoded as audio ({reason}).", ACCEPTED)


def _open(source: Source) -> BinaryIO:
    if isinstance(source, Pipe):
        return io.BytesIO(_run(source))
    if isinstance(source, Held):
        if not source.data:
            raise AudioError(f"{source}: is empty (0 bytes).", "Send it again.", "empty")
        return io.BytesIO(source.data)
    check_file(source)
    try:
        return Path(source).open("rb")
    except OSError as error:
        raise AudioError(f"{source}: {error.strerror}.") from error


def _run(pipe: Pipe) -> bytes:
    """Output of a Kaldi input pipe."""
    done = subprocess.run(["/bin/sh", "-c", pipe.command], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise AudioError(f"The pipe '{pipe.command.strip()}' failed ({done.returncode}): {last}")
    return done.stdout


@contextmanager
def _decoder_warnings(name: str) -> Iterator[None]:
    """Say once, in our words, that the MP3 decoder warned about a file."""
    with quiet() as warned:
        yield
    if warned():
        note_once(f"mp3-warning-{name}", f"{name}: parts of this MP3 are damaged.")


class _Stderr:
    """The C library's stderr, which mpg123 writes its warnings to, while it is turned away."""

    def __init__(self) -> None:
        self.lock, self.depth = threading.Lock(), 0
        try:
            self.library = ctypes.CDLL(None)
            self.variable = ctypes.c_void_p.in_dll(self.library, "stderr")
            for name, kinds, result in (
                ("fmemopen", (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p), ctypes.c_void_p),
                ("ftell", (ctypes.c_void_p,), ctypes.c_long),
                ("rewind", (ctypes.c_void_p,), None),
            ):
                function = getattr(self.library, name)
                function.argtypes, function.restype = kinds, result
            self.memory = self.library.fmemopen(None, 1 << 16, b"w")
        except (OSError, ValueError, AttributeError, TypeError):  # not glibc: warnings are printed
            self.memory = None

    def turn(self, away: bool) -> None:
        with self.lock:
            self.depth += 1 if away else -1
            if away and self.depth == 1:
                self.library.rewind(self.memory)
                self.real = self.variable.value
                self.variable.value = self.memory
            elif not away and self.depth == 0:
                self.variable.value = self.real


_stderr: _Stderr | None = None


@contextmanager
def quiet() -> Iterator[Callable[[], bool]]:
    """Keep what the decoder prints away from the terminal; yields "has it printed anything?"."""
    global _stderr
    _stderr = _stderr or _Stderr()
    if _stderr.memory is None:
        yield lambda: False
        return
    library, memory = _stderr.library, _stderr.memory
    _stderr.turn(away=True)
    before = library.ftell(memory)
    try:
        yield lambda: library.ftell(memory) > before
    finally:
        _stderr.turn(away=False)
