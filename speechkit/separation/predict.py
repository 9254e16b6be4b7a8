"""The speakers of anyone's recordings, as WAV files beside them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from speechkit.base import audio
from speechkit.base.audio import read_blocks
from speechkit.base.audio_container import FULL_SCALE, WavWriter, check_wav_length
from speechkit.base.log import logger, progress
from speechkit.base.resampler import resample_blocks
from speechkit.separation.inference import (
    BLOCK_SECONDS,
    OVERLAP_SECONDS,
    block_layout,
    separate_stream,
)
from speechkit.separation.model_folder import Separator, find_separator
from speechkit.task.prediction import outputs
from speechkit.task.prediction.jobs import Job, open_inputs
from speechkit.task.prediction.saved import model_digest
from speechkit.task.prediction.stream import Head, Predicted, StreamConfig, Task
from speechkit.task.prediction.stream import predict as stream
from speechkit.training.devices import resolve_device
from speechkit.workdir import WorkDir

_READ_FRAMES = 1 << 18


@dataclass(frozen=True)
class Separated:
    """What was made of one recording.

    Args:
        input: the recording.
        outputs: one file per speaker.
        seconds: its length.
        sample_rate: of the recording and of the outputs, in Hz.
        gain_db: by which the network's outputs were amplified, all alike.
    """

    input: Path
    outputs: tuple[Path, ...]
    seconds: float
    sample_rate: int
    gain_db: float

    def head(self) -> Head:
        """Of the table that :meth:`rows` are of."""
        return Head("Separated", ("file", "seconds", "gain (dB)"), ("", "", ""))

    def rows(self) -> list[tuple[Any, ...]]:
        """For a terminal."""
        return [(str(path), self.seconds, self.gain_db) for path in self.outputs]

    def row(self) -> dict[str, object]:
        """For JSON."""
        plain = asdict(self)
        return {**plain, "input": str(self.input), "outputs": [str(p) for p in self.outputs]}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Separated:
        """The reverse of :meth:`row`."""
        files = tuple(map(Path, row["outputs"]))
        return cls(Path(row["input"]), files, row["seconds"], row["sample_rate"], row["gain_db"])


@dataclass(frozen=True)
class PredictConfig:
    """How recordings are separated.

    Args:
        checkpoint: ``plain`` or ``weighted`` weights; empty for the model's own choice.
        sample_rate: of a model of Asteroid or SpeechBrain that does not state it, in Hz.
        block_seconds: what the network sees at a time.
        overlap_seconds: shortest overlap of neighbouring blocks.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    checkpoint: str = ""
    sample_rate: int = 0
    block_seconds: float = BLOCK_SECONDS
    overlap_seconds: float = OVERLAP_SECONDS
    device: str = "auto"


def predict(
    workdir: WorkDir,
    model: str,
    recordings: Sequence[Path],
    out: Path | None = None,
    config: PredictConfig | None = None,
    stream_config: StreamConfig | None = None,
) -> Iterator[Predicted[Separated]]:
    """Separate recordings into ``<stem>_s1.wav``, ``<stem>_s2.wav`` ..., one after the other.

    Args:
        workdir: where a model's name is looked up.
        model: name or folder of a model, see :mod:`speechkit.separation.model_folder`.
        recordings: audio files of any rate and number of channels (averaged).
        out: folder of the outputs; None for that of each recording.
        config: see there.
        stream_config: see there.

    Raises:
        UserError: no such model, a file that exists or would be written twice, or (with
            ``on_error="stop"``) a recording that is missing or cannot be used.
    """
    config, stream_config = config or PredictConfig(), stream_config or StreamConfig()
    with open_inputs([Job(file) for file in recordings], stream_config.on_error) as inputs:
        device = resolve_device(config.device)
        separator = find_separator(workdir, model, config.checkpoint, config.sample_rate)
        block_layout(separator, config.block_seconds, config.overlap_seconds)  # refuses bad lengths
        endings = [f"_s{k}.wav" for k in range(1, separator.speakers + 1)]
        planned = outputs.plan(inputs, endings, out)
        place = {job: number for number, job in enumerate(planned.jobs, 1)}

        def local(job: Job) -> Separated:
            of = f" ({place[job]} of {len(place)})" if len(place) > 1 else ""
            label = f"separate {job.file.name}{of}"
            return _separate_file(separator, job, config, device, label)

        task = Task(
            name="separation",
            verb="separated",
            local=local,
            in_worker=partial(_separate_in_worker, workdir.root, separator.folder, config, device),
            row=Separated.row,
            restore=Separated.from_row,
            made_with=lambda: {
                "task": "separation",
                "model": model_digest([separator.folder], separator.selection),
                "block_seconds": config.block_seconds,
                "overlap_seconds": config.overlap_seconds,
                "sample_rate": separator.sample_rate,
                "out": str(out) if out else None,
            },
            named="input",
            shows_itself=True,
        )
        yield from stream(task, planned, stream_config)


@lru_cache(maxsize=1)
def _separator_in_worker(root: Path, folder: Path, checkpoint: str, sample_rate: int) -> Separator:
    return find_separator(WorkDir(root), str(folder), checkpoint, sample_rate)


def _separate_in_worker(
    root: Path, folder: Path, config: PredictConfig, device: torch.device, job: Job
) -> Separated:
    """In a worker process, which loads the model once."""
    separator = _separator_in_worker(root, folder, config.checkpoint, config.sample_rate)
    return _separate_file(separator, job, config, device, "")


def _separate_file(
    separator: Separator, job: Job, config: PredictConfig, device: torch.device, label: str
) -> Separated:
    """Separate one recording into the parts of its outputs; ``label`` is of the progress."""
    recording, parts = job.audio, outputs.parts(job)
    info, rate = audio.info(recording), separator.sample_rate
    check_wav_length(recording, info.frames, info.sample_rate)
    if info.sample_rate != rate:
        logger.info(f"{job.file.name}: {info.sample_rate} Hz, resampled to the model's {rate} Hz.")
    with tempfile.TemporaryFile(dir=parts[0].parent) as scratch:
        with progress(label, round(info.seconds), "s") as advance:
            level = _Level()
            mixture = level.listen(resample_blocks(read_blocks(recording), info.sample_rate, rate))
            seconds = 0.0
            for sources in separate_stream(
                separator,
                mixture,
                block_seconds=config.block_seconds,
                overlap_seconds=config.overlap_seconds,
                device=device,
            ):
                level.add(sources)
                scratch.write(np.ascontiguousarray(sources.T).tobytes())
                before, seconds = seconds, seconds + sources.shape[1] / rate
                advance(round(seconds) - round(before))
        gain = _write(scratch, parts, rate, info, level.gain())
    gain_db = float(20 * np.log10(abs(gain))) if gain else 0.0
    return Separated(job.file, job.outputs, info.seconds, info.sample_rate, round(gain_db, 2))


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
    left, peak = info.frames, 0.0
    with ExitStack() as stack:
        writers = [stack.enter_context(WavWriter(file, info.sample_rate)) for file in files]
        for block in resample_blocks(_stored(scratch, len(files)), rate, info.sample_rate):
            block = block[:, :left] * np.float32(gain)
            for writer, samples in zip(writers, block, strict=True):
                writer.write(samples)
            left -= block.shape[1]
            peak = max(peak, float(np.abs(block).max(initial=0)))
    return peak


def _stored(scratch: IO[bytes], speakers: int) -> Iterator[np.ndarray]:
    """Sources ``[speakers, n]`` from the temporary file."""
    scratch.seek(0)
    while data := scratch.read(4 * speakers * _READ_FRAMES):
        yield np.ascontiguousarray(np.frombuffer(data, np.float32).reshape(-1, speakers).T)
