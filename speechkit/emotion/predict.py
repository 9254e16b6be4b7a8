"""The emotion of anyone's recordings: a label, probabilities, and their course over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache, partial
from itertools import tee
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import audio
from speechkit.base.audio import read_blocks
from speechkit.base.log import logger, progress
from speechkit.base.resampler import resample_blocks
from speechkit.base.tables import write_tsv
from speechkit.emotion import model_folder
from speechkit.emotion.inference_config import PredictConfig, WindowConfig
from speechkit.emotion.predictor import Predictor
from speechkit.emotion.windows import Prediction, Window, is_silent, windows
from speechkit.task import trained
from speechkit.task.config import StreamConfig
from speechkit.task.prediction import outputs, written
from speechkit.task.prediction.jobs import Job, called, open_inputs
from speechkit.task.prediction.saved import Row, model_digest
from speechkit.task.prediction.stream import Predicted, Task
from speechkit.task.prediction.stream import predict as stream
from speechkit.task.prediction.written import Forms
from speechkit.training.devices import resolve_device
from speechkit.workdir import WorkDir

BATCH = 16  # windows that are judged together


def _lines(row: Row) -> list[Mapping[str, Any]]:
    """A line for the recording, then one for each window."""
    whole = {"level": "recording", "start": 0.0, "end": row["seconds"], **row}
    parts = [whole, *({"level": "window", **window} for window in row["windows"])]
    return [
        {
            "input": row["input"],
            **{name: part[name] for name in ("level", "start", "end", "label")},
            **(part["probabilities"] or {}),
        }
        for part in parts
    ]


FORMS = Forms(("input", "level", "start", "end", "label"), _lines)


def predict(
    workdir: WorkDir,
    model: str,
    recordings: Sequence[Path],
    config: PredictConfig | None = None,
    stream_config: StreamConfig | None = None,
) -> Iterator[Predicted[Prediction]]:
    """Judge recordings, one after the other.

    Args:
        workdir: where a model's name is looked up.
        model: name of an experiment under ``exp/emotion/``, its folder, that of one seed, or one
            of Hugging Face (see :mod:`speechkit.emotion.published`).
        recordings: audio files of any rate, length and number of channels (averaged).
        config: see there.
        stream_config: see there.

    Raises:
        UserError: no such model, a file that exists or would be written twice, or (with
            ``on_error="stop"``) a recording that is missing or cannot be used.
    """
    config, stream_config = config or PredictConfig(), stream_config or StreamConfig()
    endings = ("_emotion.png", "_emotion.tsv") if config.timeline else ()
    save, force = stream_config.save, stream_config.force
    with open_inputs([Job(file) for file in recordings], stream_config.on_error) as given:
        inputs = written.plan(given, save, FORMS, force)
        device = resolve_device(config.device).type
        folders = tuple(find_folders(workdir, model, config.ensemble))
        predictors = _load(folders, device)
        config.window_config.check(predictors[0].max_seconds)
        planned = outputs.plan(inputs, endings, config.out)
        classes = predictors[0].classes
        task = Task(
            name="emotion",
            verb="judged",
            local=lambda job: _judge(predictors, job, config, len(planned.jobs) == 1),
            in_worker=partial(_judge_in_worker, folders, device, config),
            row=Prediction.row,
            restore=lambda row: Prediction.from_row(row, classes),
            made_with=lambda: _made_with(folders, config),
            forms=FORMS,
            named="input",
        )
        yield from stream(task, planned, stream_config)


def _load(folders: Sequence[Path], device: str) -> list[Predictor]:
    return [load_predictor(folder, device) for folder in folders]


_loaded = lru_cache(maxsize=1)(_load)


def _judge_in_worker(
    folders: tuple[Path, ...], device: str, config: PredictConfig, job: Job
) -> Prediction:
    """In a worker process, which loads the model once."""
    return _judge(_loaded(folders, device), job, config, False)


def _made_with(folders: Sequence[Path], config: PredictConfig) -> dict[str, Any]:
    return {
        "task": "emotion",
        "model": model_digest(folders),
        **asdict(config.window_config),
        "timeline": config.timeline,
        "out": str(config.out) if config.timeline and config.out else None,
    }


def find_folders(workdir: WorkDir, model: str, ensemble: bool = False) -> list[Path]:
    """Folders of the trained models that a name means: the first, or all of an ensemble.

    Raises:
        UserError: there is none.
    """
    path = Path(model)
    if not path.is_dir() and (workdir.root / model).is_dir():
        path = workdir.root / model
    # An experiment may have the name of the encoder that it began with, whose folder lies here.
    ours = "/" not in model and workdir.exp("emotion", model).is_dir()
    published = model_folder.is_published(path) and not ours
    if (path / model_folder.CONFIG).is_file() or published:
        return [path]
    found = sorted(p.parent for p in path.glob(f"**/seed*/{model_folder.CONFIG}"))
    if not path.is_dir() or not found:
        trained.refuse_path(model)
        found = [f for *_, f in trained.find_folds(workdir, "emotion", model)]
    if len(found) > 1 and not ensemble:
        logger.info(
            f"'{model}' has {len(found)} models (folds and seeds): taking {found[0]}; "
            "`speechkit predict emotion --ensemble` takes the mean of all."
        )
    return found if ensemble else found[:1]


def _judge(
    predictors: Sequence[Predictor], job: Job, config: PredictConfig, show: bool
) -> Prediction:
    recording = job.audio
    found = audio.info(recording)
    label = f"emotion {Path(called(job.file)).name}" if show else ""
    made = judge(
        predictors, job.file, found, read_blocks(recording), config.window_config, label=label
    )
    if job.outputs:
        made = replace(made, files=job.outputs)
        _write_timeline(made, *outputs.parts(job))
    return made


def judge(
    predictors: Sequence[Predictor],
    name: Path,
    found: audio.Info,
    blocks: Iterable[np.ndarray],
    config: WindowConfig,
    label: str = "",
) -> Prediction:
    """The emotion of one recording, from wherever it comes.

    Args:
        predictors: the models; their mean is taken.
        name: of the recording, for results and messages.
        found: its rate and length.
        blocks: its samples in order, mono float32 ``[n]`` of full scale 1.
        config: how long recordings are cut.
        label: of the progress of a long one; empty for none.
    """
    rate = predictors[0].sample_rate
    samples = -(-found.frames * rate // found.sample_rate)
    starts, size = config.starts(samples, rate)
    raw, heard = tee(blocks)
    resampled = resample_blocks(heard, found.sample_rate, rate)
    quiet = _quiet(raw, starts, size, rate, found.sample_rate)
    parts: list[Window] = []
    batch: list[tuple[int, np.ndarray | None, int]] = []
    with progress(label if len(starts) > BATCH else "", len(starts), "window") as advance:
        for (start, wave), silent in zip(windows(resampled, starts, size), quiet, strict=True):
            silent = silent or is_silent(wave)
            batch.append((start, None if silent else wave, len(wave)))
            if len(batch) == BATCH:
                parts += _windows(predictors, batch, rate)
                advance(len(batch))
                batch = []
        parts += _windows(predictors, batch, rate)
        advance(len(batch))
    calibrated = all(each.temperature is not None for each in predictors)
    made = Prediction(
        name, found.seconds, predictors[0].classes, tuple(parts), calibrated=calibrated
    )
    if made.label is None:
        logger.warning(f"{called(name)} is silent; it gets no label.")
    return made


def _windows(
    predictors: Sequence[Predictor], batch: Sequence[tuple[int, np.ndarray | None, int]], rate: int
) -> list[Window]:
    """Judge windows: first sample, samples (None where they are silent) and length of each."""
    heard = [wave for _, wave, _ in batch if wave is not None]
    found = iter(
        np.mean([each.calibrated(each.probabilities(heard)) for each in predictors], axis=0)
        if heard
        else ()
    )
    return [
        Window(start / rate, (start + length) / rate, None if wave is None else next(found))
        for start, wave, length in batch
    ]


def _quiet(
    blocks: Iterable[np.ndarray], starts: Sequence[int], size: int, rate: int, own_rate: int
) -> Iterator[bool]:
    """Whether windows of a recording are silent before it is resampled from ``own_rate``."""
    own = [start * own_rate // rate for start in starts]
    for _, wave in windows(blocks, own, -(-size * own_rate // rate)):
        yield is_silent(wave)


def _write_timeline(made: Prediction, figure: Path, table: Path) -> None:
    from speechkit.base.figures import png
    from speechkit.emotion.figures import draw_timeline

    figure.write_bytes(png(draw_timeline(made)))
    rows = []
    for window, row in zip(made.windows, made.row()["windows"], strict=True):
        found = window.probabilities
        cells = ["-"] * len(made.classes) if found is None else [f"{p:.4f}" for p in found]
        rows.append([f"{window.start:.2f}", f"{window.end:.2f}", row["label"] or "-", *cells])
    write_tsv(table, ("start", "end", "label", *made.classes), rows)


def load_predictor(folder: Path, device: str = "cpu") -> Predictor:
    """Load a trained model of any kind.

    Args:
        folder: ``exp/emotion/<name>/fold<N>/seed<M>``, or of a published model.
        device: where a network computes: cpu or cuda.

    Raises:
        UserError: something is missing, damaged, or of another kind.
    """
    if model_folder.is_published(folder):
        from speechkit.emotion.published import PublishedPredictor

        return PublishedPredictor(folder, device)
    card = model_folder.read_card(folder)
    if card["model"] == "functionals":
        from speechkit.emotion.functionals import FunctionalsPredictor

        return FunctionalsPredictor(folder, card)
    if card["model"] == "fbank-cnn":
        from speechkit.emotion.fbank_cnn import CnnPredictor

        return CnnPredictor(folder, card, device)
    from speechkit.emotion.encoder_network import EncoderPredictor

    return EncoderPredictor(folder, card, device)
