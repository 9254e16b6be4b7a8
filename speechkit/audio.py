"""Read audio: any format of soundfile, any rate and channel count, segments by seek."""

from __future__ import annotations

import io
import struct
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit import names
from speechkit.errors import AudioError
from speechkit.log import note_once

if TYPE_CHECKING:
    import torch

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")


@dataclass(frozen=True)
class Info:
    """What a file's header says.

    Args:
        sample_rate: in Hz.
        frames: samples per channel.
        channels: number of channels.
    """

    sample_rate: int
    frames: int
    channels: int

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def info(path: str | Path) -> Info:
    """Header of an audio file.

    Raises:
        AudioError: missing, empty, not audio, or cut short.
    """
    import soundfile

    check_whole(path)
    try:
        with soundfile.SoundFile(str(path)) as file:
            found = Info(file.samplerate, file.frames, file.channels)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:  # TypeError: .raw
        raise _not_audio(path, error) from error
    if found.frames <= 0:
        raise AudioError(f"{path}: holds no samples.", "Record or copy it again.", "empty")
    return found


def read(
    path: str | Path,
    sample_rate: int | None = None,
    start: float = 0.0,
    end: float | None = None,
) -> tuple[np.ndarray, int]:
    """Samples of a file or of a part of it, mono.

    Several channels are averaged. Only the asked part is decoded.

    Args:
        path: audio file, or a shell command that ends in ``|`` and writes audio to stdout
            (data directories refuse those unless pipes were allowed).
        sample_rate: resample to this rate in Hz; None keeps the file's own.
        start: first second.
        end: last second; None for the end of the file.

    Returns:
        Float32 samples ``[T]`` in -1..1, and their rate in Hz.

    Raises:
        AudioError: the file is missing, empty, cut short, not audio, holds NaN or infinite
            samples, or ends before the asked part.
    """
    import soundfile

    source: Any = str(path)
    if source.endswith("|"):
        source = io.BytesIO(_run_pipe(source))
    else:
        check_whole(path)
    try:
        with soundfile.SoundFile(source) as file:
            rate, frames = file.samplerate, file.frames
            first = round(start * rate)
            last = frames if end is None else min(round(end * rate), frames)
            if not 0 <= first < last:
                until = "the end" if end is None else f"{end} s"
                raise AudioError(
                    f"{path}: no samples between {start} s and {until}; "
                    f"it is {frames / rate:.3f} s long.",
                    kind="outside",
                )
            if end is not None and end * rate > frames + rate / 100:
                raise AudioError(
                    f"{path}: the segment ends at {end} s, the recording at {frames / rate:.3f} s.",
                    "Correct `segments`; `speechkit validate` lists every such line.",
                    "outside",
                )
            file.seek(first)
            samples = file.read(last - first, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        raise _not_audio(path, error) from error
    if len(samples) < last - first:
        raise AudioError(
            f"{path}: is cut short: {len(samples)} of {last - first} samples can be decoded.",
            "Copy it again, or leave it out with --on-error skip.",
            "cut",
        )
    mono = _mono(samples, path)
    if not np.isfinite(mono).all():
        bad = int((~np.isfinite(mono)).sum())
        raise AudioError(
            f"{path}: {bad} of {len(mono)} samples are NaN or infinite.",
            "Convert or record it again.",
            "nan",
        )
    if sample_rate is not None and sample_rate != rate:
        mono, rate = resample(mono, rate, sample_rate), sample_rate
    return mono, rate


def _mono(samples: np.ndarray, path: str | Path) -> np.ndarray:
    """Average of the channels of ``[T, channels]``."""
    channels = samples.shape[1]
    if channels > 1:
        note_once(
            f"channels-{channels}",
            f"Audio with {channels} channels is averaged to one (first seen: {path}).",
        )
        return samples.mean(axis=1)
    return samples[:, 0]


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """Resample ``[..., T]`` with torchaudio's windowed sinc; kernels are kept per rate pair."""
    import torch

    with torch.inference_mode():
        resampled = resampler(rate, new_rate)(torch.from_numpy(np.ascontiguousarray(samples)))
        return resampled.numpy()


def change_speed(samples: np.ndarray, factor: float) -> np.ndarray:
    """Faster (factor > 1) with higher pitch, as ``sox speed``: by resampling ``[T]``."""
    if factor == 1:
        return samples
    ratio = Fraction(factor).limit_denominator(100)
    return resample(samples, ratio.numerator, ratio.denominator)


@lru_cache(maxsize=32)
def resampler(rate: int, new_rate: int) -> torch.nn.Module:
    """A cached ``torchaudio.transforms.Resample``."""
    import torch
    import torchaudio

    with torch.inference_mode(False):  # the kept kernel may be asked for gradients later
        return torchaudio.transforms.Resample(rate, new_rate)


def check_whole(path: str | Path) -> None:
    """Raise AudioError if the file is missing, empty, or a WAV shorter than its header says.

    libsndfile reads a cut WAV without a word, so the RIFF header is compared here.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
    except ValueError as error:  # a NUL byte in the name
        raise AudioError(f"{str(path)!r} cannot be the name of a file.", kind="missing") from error
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            reason, remedy = names.missing(path)
            raise AudioError(f"{path}: {reason}.", remedy, "missing") from error
        raise AudioError(f"{path}: {error.strerror or 'cannot be read'}.") from error
    if path.is_dir():
        raise AudioError(f"{path}: is a folder, not an audio file.")
    if size == 0:
        raise AudioError(f"{path}: is empty (0 bytes).", "Copy it again.", "empty")
    promised = _riff_data_end(path)
    if promised is not None and promised > size:
        raise AudioError(
            f"{path}: is cut short: the header promises {promised} bytes, there are {size}.",
            "Copy it again, or leave it out with --on-error skip.",
            "cut",
        )


def _riff_data_end(path: Path) -> int | None:
    """Offset at which a WAV's data chunk should end; None where not known or not a WAV."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
                return None
            while len(chunk := file.read(8)) == 8:
                name, length = chunk[:4], struct.unpack("<I", chunk[4:])[0]
                if name == b"data":
                    streamed = length in (0, 0x7FFFFFFF, 0xFFFFFFFF) or length >= 0xFFFFF000
                    return None if streamed else file.tell() + length
                file.seek(length + length % 2, io.SEEK_CUR)
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}.") from error
    return None


def _not_audio(path: str | Path, error: Exception) -> AudioError:
    reason = str(error).rpartition(": ")[2].rstrip(".")
    return AudioError(
        f"{path}: cannot be decoded as audio ({reason}).",
        "Accepted: WAV, FLAC, OGG/Opus and MP3 that libsndfile reads.",
    )


def _run_pipe(command: str) -> bytes:
    """Output of a Kaldi input pipe; only called where --allow-pipes was given."""
    shell = command.strip().removesuffix("|")
    done = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise AudioError(f"The pipe '{shell.strip()}' failed ({done.returncode}): {last}")
    return done.stdout
