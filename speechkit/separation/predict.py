"""The speakers of anyone's recordings, as WAV files beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechkit.base import audio
from speechkit.base.audio_container import check_wav_length
from speechkit.base.log import logger, progress
from speechkit.separation.inference import block_layout
from speechkit.separation.inference_config import PredictConfig
from speechkit.separation.model_folder import Separator, find_separator
from speechkit.separation.recording import separate_file
from speechkit.task.config import StreamConfig
from speechkit.task.prediction import outputs, written
from speechkit.task.prediction.jobs import Job, called, open_inputs
from speechkit.task.prediction.saved import Row, model_digest
from speechkit.task.prediction.stream import Head, Predicted, Task
from speechkit.task.prediction.stream import predict as stream
from speechkit.task.prediction.written import Forms
from speechkit.training.devices import resolve_device
from speechkit.workdir import WorkDir


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


def _lines(row: Row) -> list[Mapping[str, Any]]:
    """A line for each speaker."""
    about = {name: row[name] for name in ("seconds", "sample_rate", "gain_db")}
    return [{"input": row["input"], "output": output, **about} for output in row["outputs"]]


FORMS = Forms(("input", "output", "seconds", "sample_rate", "gain_db"), _lines)


def predict(
    workdir: WorkDir,
    model: str,
    recordings: Sequence[Path],
    config: PredictConfig | None = None,
    stream_config: StreamConfig | None = None,
) -> Iterator[Predicted[Separated]]:
    """Separate recordings into ``<stem>_s1.wav``, ``<stem>_s2.wav`` ..., one after the other.

    Args:
        workdir: where a model's name is looked up.
        model: name or folder of a model, see :mod:`speechkit.separation.model_folder`.
        recordings: audio files of any rate and number of channels (averaged).
        config: see there.
        stream_config: see there.

    Raises:
        UserError: no such model, a file that exists or would be written twice, or (with
            ``on_error="stop"``) a recording that is missing or cannot be used.
    """
    config, stream_config = config or PredictConfig(), stream_config or StreamConfig()
    save, force = stream_config.save, stream_config.force
    with open_inputs([Job(file) for file in recordings], stream_config.on_error) as given:
        inputs = written.plan(given, save, FORMS, force)
        device = resolve_device(config.device)
        separator = find_separator(workdir, model, config.checkpoint, config.sample_rate)
        block_layout(separator, config.block_seconds, config.overlap_seconds)  # refuses bad lengths
        endings = [f"_s{k}.wav" for k in range(1, separator.speakers + 1)]
        planned = outputs.plan(inputs, endings, config.out)
        place = {job: number for number, job in enumerate(planned.jobs, 1)}

        def local(job: Job) -> Separated:
            of = f" ({place[job]} of {len(place)})" if len(place) > 1 else ""
            label = f"separate {Path(called(job.file)).name}{of}"
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
                "out": str(config.out) if config.out else None,
            },
            forms=FORMS,
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
        name = called(job.file)
        logger.info(f"{name}: {info.sample_rate} Hz, resampled to the model's {rate} Hz.")
    with progress(label, round(info.seconds), "s") as advance:
        gain = separate_file(separator, recording, info, parts, config, device, advance)
    gain_db = float(20 * np.log10(abs(gain))) if gain else 0.0
    return Separated(job.file, job.outputs, info.seconds, info.sample_rate, round(gain_db, 2))
