"""One recording to its speakers, at its own rate, length and level: to files, or in memory."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import torch

from speechkit.base import audio, audio_array
from speechkit.base.audio_container import FULL_SCALE, WavWriter
from speechkit.base.resampler import resample_blocks
from speechkit.separation.inference import separate_stream
from speechkit.separation.inference_config import PredictConfig
from speechkit.separation.model_folder import Separator
from speechkit.training.devices import resolve_device

_READ_FRAMES = 1 << 18


def separate_samples(
    separator: Separator,
    samples: np.ndarray,
    sample_rate: int,
    config: PredictConfig,
) -> np.ndarray:
    """The speakers of a mixture in memory, as `predict` writes them.

    Args:
        separator: the model.
        samples: mono float32 ``[N]`` of full scale 1.
        sample_rate: of them in Hz.
        config: how long ones are separated, and where.

    Returns:
        Float32 ``[speakers, N]`` at the same rate, before they are rounded to 16 bits.
    """
    scratch, speakers, device = io.BytesIO(), separator.speakers, resolve_device(config.device)
    given = audio_array.blocks(samples, sample_rate)
    gain = _separate(separator, given, sample_rate, scratch, config, device)
    stored = _outputs(scratch, speakers, separator.sample_rate, sample_rate, len(samples))
    sources = np.concatenate(list(stored), axis=1)
    found: np.ndarray = sources * np.float32(gain)
    if (peak := float(np.abs(found).max(initial=0))) > FULL_SCALE:
        found = sources * np.float32(gain * (FULL_SCALE / peak))
    return found


def separate_file(
    separator: Separator,
    recording: Path,
    info: audio.Info,
    outputs: Sequence[Path],
    config: PredictConfig,
    device: torch.device | str,
    advance: Callable[[int], None],
) -> float:
    """Write the speakers of a recording as WAV files of 16 bits; gives the gain.

    Args:
        separator: the model.
        recording: an audio file.
        info: of it.
        outputs: the files to write, one a speaker.
        config: how long recordings are separated.
        device: where the network runs.
        advance: told of the seconds that are done.
    """
    rate = info.sample_rate
    with tempfile.TemporaryFile(dir=outputs[0].parent) as scratch:
        blocks = audio.read_blocks(recording)
        gain = _separate(separator, blocks, rate, scratch, config, device, advance)
        return _write(scratch, outputs, separator.sample_rate, info, gain)


def _separate(
    separator: Separator,
    blocks: Iterable[np.ndarray],
    sample_rate: int,
    scratch: IO[bytes],
    config: PredictConfig,
    device: torch.device | str,
    advance: Callable[[int], None] = lambda seconds: None,
) -> float:
    """Write the network's sources of a mixture in blocks into ``scratch``; gives their gain."""
    level, rate, seconds = _Level(), separator.sample_rate, 0.0
    for sources in separate_stream(
        separator,
        level.listen(resample_blocks(blocks, sample_rate, rate)),
        block_seconds=config.block_seconds,
        overlap_seconds=config.overlap_seconds,
        device=device,
    ):
        level.add(sources)
        scratch.write(np.ascontiguousarray(sources.T).tobytes())
        before, seconds = seconds, seconds + sources.shape[1] / rate
        advance(round(seconds) - round(before))
    return level.gain()


class _Level:
    """The gain at which the sources together come nearest to the mixture.

    A network trained on SI-SNR is free in the scale and the sign of what it gives, and in its
    mean. One gain for all sources keeps their balance: gain = <mixture, sum> / <sum, sum>, both
    about their means.
    """

    def __init__(self) -> None:
        self._waiting = np.zeros(0, np.float32)  # mixture of which the sources are to come
        self._cross = self._energy = self._total = self._mixture = 0.0
        self._count = 0

    def listen(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Pass the mixture on."""
        for block in blocks:
            self._waiting = np.concatenate([self._waiting, block])
            yield block

    def add(self, sources: np.ndarray) -> None:
        """Take in sources ``[S, n]``, in order."""
        total = sources.sum(axis=0, dtype=np.float64)
        heard, self._waiting = np.split(self._waiting, [len(total)])
        self._cross += float(total @ heard)
        self._energy += float(total @ total)
        self._total += float(total.sum())
        self._mixture += float(heard.sum(dtype=np.float64))
        self._count += len(total)

    def gain(self) -> float:
        """1 where all is silent."""
        mean = self._total / max(self._count, 1)
        energy, cross = self._energy - mean * self._total, self._cross - mean * self._mixture
        # A constant leaves rounding errors.
        return cross / energy if energy > 1e-12 * self._energy and cross else 1.0


def _write(
    scratch: IO[bytes], parts: Sequence[Path], rate: int, info: audio.Info, gain: float
) -> float:
    """Write all outputs; with less gain if one would pass full scale. Gives the gain."""
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in parts]
        peak = _write_once(scratch, files, rate, info, gain)
        if peak > FULL_SCALE:
            gain *= FULL_SCALE / peak
            for file in files:
                file.seek(0)
                file.truncate()
            _write_once(scratch, files, rate, info, gain)
    return gain


def _write_once(
    scratch: IO[bytes], files: Sequence[IO[bytes]], rate: int, info: audio.Info, gain: float
) -> float:
    """Write the outputs at the recording's rate and length; gives the highest sample."""
    peak = 0.0
    with ExitStack() as stack:
        writers = [stack.enter_context(WavWriter(file, info.sample_rate)) for file in files]
        for block in _outputs(scratch, len(files), rate, info.sample_rate, info.frames):
            block = block * np.float32(gain)
            for writer, samples in zip(writers, block, strict=True):
                writer.write(samples)
            peak = max(peak, float(np.abs(block).max(initial=0)))
    return peak


def _outputs(
    scratch: IO[bytes], speakers: int, rate: int, sample_rate: int, frames: int
) -> Iterator[np.ndarray]:
    """The network's sources ``[speakers, n]`` at the rate and length of the recording."""
    left = frames
    for block in resample_blocks(_stored(scratch, speakers), rate, sample_rate):
        yield block[:, :left]
        left -= min(left, block.shape[1])


def _stored(scratch: IO[bytes], speakers: int) -> Iterator[np.ndarray]:
    """Sources ``[speakers, n]`` from the temporary file."""
    scratch.seek(0)
    while data := scratch.read(4 * speakers * _READ_FRAMES):
        yield np.ascontiguousarray(np.frombuffer(data, np.float32).reshape(-1, speakers).T)
