"""What anyone's recordings sound like: a label, probabilities, and their course over time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speechkit import audio
from speechkit.audio_stream import read_blocks, resample_blocks
from speechkit.emotion import model_folder
from speechkit.emotion.predictor import Predictor, load_predictor
from speechkit.emotion.windows import Cut, is_silent, windows
from speechkit.errors import SharedError, UserError, require_choice
from speechkit.files import atomic_write, make_dirs
from speechkit.log import logger
from speechkit.progress import progress
from speechkit.text import write_tsv
from speechkit.trained import refuse_path
from speechkit.training.devices import resolve_device
from speechkit.workdir import WorkDir

BATCH = 16  # windows that are judged together
_MEND = "Mend or leave it out, or go on with the others with --on-error skip."


@dataclass(frozen=True)
class Window:
    """A part of a recording.

    Args:
        start: first second.
        end: last second.
        probabilities: of the classes; None where it is silent.
    """

    start: float
    end: float
    probabilities: np.ndarray | None


@dataclass(frozen=True)
class Prediction:
    """What was heard in a recording.

    Args:
        input: the recording.
        seconds: its length.
        classes: in the order of the probabilities.
        windows: one for a short recording.
        files: figure and table of the timeline, where asked for.
    """

    input: Path
    seconds: float
    classes: tuple[str, ...]
    windows: tuple[Window, ...]
    files: tuple[Path, ...] = ()

    @property
    def probabilities(self) -> np.ndarray | None:
        """Mean over the windows that are not silent, ``[C]``; None if all are."""
        heard = [w.probabilities for w in self.windows if w.probabilities is not None]
        return np.mean(heard, axis=0) if heard else None

    @property
    def label(self) -> str | None:
        """The most probable class; None for a silent recording."""
        return self._label(self.probabilities)

    def _label(self, probabilities: np.ndarray | None) -> str | None:
        return None if probabilities is None else self.classes[int(np.argmax(probabilities))]

    def _named(self, probabilities: np.ndarray | None) -> dict[str, float] | None:
        if probabilities is None:
            return None
        return {c: round(float(p), 6) for c, p in zip(self.classes, probabilities, strict=True)}

    def row(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "input": str(self.input),
            "seconds": round(self.seconds, 3),
            "label": self.label,
            "silent": self.label is None,
            "probabilities": self._named(self.probabilities),
            "windows": [
                {
                    "start": round(w.start, 3),
                    "end": round(w.end, 3),
                    "label": self._label(w.probabilities),
                    "probabilities": self._named(w.probabilities),
                }
                for w in self.windows
            ],
            "files": [str(path) for path in self.files],
        }


@dataclass(frozen=True)
class Options:
    """How recordings are judged.

    Args:
        cut: windows of long recordings.
        ensemble: the mean of all folds and seeds of an experiment, not its first alone.
        timeline: write the figure and the table of the course over time.
        out: their folder; None for that of each recording.
        device: auto, cpu or cuda.
        on_error: ``stop`` at the first recording that cannot be used, or ``skip`` it.
        force: replace files that exist.
    """

    cut: Cut = field(default_factory=Cut)
    ensemble: bool = False
    timeline: bool = False
    out: Path | None = None
    device: str = "auto"
    on_error: str = "stop"
    force: bool = False


def predict(
    workdir: WorkDir, model: str, recordings: Sequence[Path], options: Options | None = None
) -> list[Prediction]:
    """Judge recordings.

    Args:
        workdir: where a model's name is looked up.
        model: name of an experiment under ``exp/emotion/``, its folder, or that of one seed.
        recordings: audio files of any rate, length and number of channels (averaged).
        options: see there.

    Raises:
        UserError: no such model, a file that exists or would be written twice, or (with
            ``on_error="stop"``) a recording that cannot be used.
    """
    options = options or Options()
    require_choice("--on-error", options.on_error, ("stop", "skip"))
    device = resolve_device(options.device).type
    predictors = [
        load_predictor(folder, device) for folder in find_folders(workdir, model, options.ensemble)
    ]
    options.cut.check(predictors[0].max_seconds)
    planned = _plan(recordings, options)
    done = []
    for recording, files in planned.items():
        try:
            done.append(_judge(predictors, recording, files, options))
        except SharedError:
            raise
        except UserError as error:
            named = str(recording) in error.problem
            problem = error.problem if named else f"{recording}: {error.problem}"
            if options.on_error == "stop":
                raise UserError(problem, error.remedy or _MEND) from error
            logger.warning(f"skipped {problem}")
    if not done:
        raise UserError("No recording could be judged.", "See the reasons above.")
    return done


def find_folders(workdir: WorkDir, model: str, ensemble: bool = False) -> list[Path]:
    """Folders of the trained models that a name means: the first, or all of an ensemble.

    Raises:
        UserError: there is none.
    """
    path = Path(model)
    if not path.is_dir() and (workdir.root / model).is_dir():
        path = workdir.root / model
    if (path / model_folder.CONFIG).is_file():
        return [path]
    found = sorted(p.parent for p in path.glob(f"**/seed*/{model_folder.CONFIG}"))
    if not path.is_dir() or not found:
        refuse_path(model)
        found = [folder for _, _, folder in model_folder.find_models(workdir, model)]
    if len(found) > 1 and not ensemble:
        logger.info(
            f"'{model}' has {len(found)} models (folds and seeds): taking {found[0]} (--ensemble "
            "takes the mean of all)."
        )
    return found if ensemble else found[:1]


def _plan(recordings: Sequence[Path], options: Options) -> dict[Path, tuple[Path, ...]]:
    """Files to write for each recording; none is written twice."""
    plan: dict[Path, tuple[Path, ...]] = {}
    maker: dict[Path, Path] = {}
    for recording in dict.fromkeys(recordings):
        plan[recording] = ()
        if not options.timeline:
            continue
        folder = recording.parent if options.out is None else options.out
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(
                f"You may not write into {folder}.", "Write to another folder with --out."
            )
        plan[recording] = tuple(
            folder / f"{recording.stem}_emotion{suffix}" for suffix in (".png", ".tsv")
        )
        for file in plan[recording]:
            other = maker.setdefault(file.resolve(), recording)
            if other != recording:
                raise UserError(
                    f"{other} and {recording} would both be written to {file}.",
                    "Judge them in two runs, with another --out.",
                )
            if file.exists() and not options.force:
                raise UserError(
                    f"{file} exists.", "Replace it with --force, or write elsewhere with --out."
                )
    if options.timeline and options.out is not None:
        make_dirs(options.out)
    return plan


def _judge(
    predictors: Sequence[Predictor], recording: Path, files: tuple[Path, ...], options: Options
) -> Prediction:
    found = audio.info(recording)
    rate = predictors[0].sample_rate
    samples = -(-found.frames * rate // found.sample_rate)
    starts, size = options.cut.starts(samples, rate)
    blocks = resample_blocks(read_blocks(recording), found.sample_rate, rate)
    parts: list[Window] = []
    batch: list[tuple[int, np.ndarray]] = []
    with progress(
        f"emotion {recording.name}" if len(starts) > BATCH else "", len(starts), "window"
    ) as advance:
        for part in windows(blocks, starts, size):
            batch.append(part)
            if len(batch) == BATCH:
                parts += _windows(predictors, batch, rate)
                advance(len(batch))
                batch = []
        parts += _windows(predictors, batch, rate)
        advance(len(batch))
    made = Prediction(recording, found.seconds, predictors[0].classes, tuple(parts), files)
    if made.label is None:
        logger.warning(f"{recording}: is silent; it gets no label.")
    if files:
        _write_timeline(made)
    return made


def _windows(
    predictors: Sequence[Predictor], batch: Sequence[tuple[int, np.ndarray]], rate: int
) -> list[Window]:
    heard = [wave for _, wave in batch if not is_silent(wave)]
    found = iter(
        np.mean([each.probabilities(heard) for each in predictors], axis=0) if heard else ()
    )
    return [
        Window(
            start / rate,
            (start + len(wave)) / rate,
            None if is_silent(wave) else next(found),
        )
        for start, wave in batch
    ]


def _write_timeline(made: Prediction) -> None:
    from speechkit.emotion.timeline import draw
    from speechkit.figures import png

    figure, table = made.files
    with atomic_write(figure, "wb") as file:
        file.write(png(draw(made)))
    rows = []
    for window, row in zip(made.windows, made.row()["windows"], strict=True):
        found = window.probabilities
        cells = ["-"] * len(made.classes) if found is None else [f"{p:.4f}" for p in found]
        rows.append([f"{window.start:.2f}", f"{window.end:.2f}", row["label"] or "-", *cells])
    write_tsv(table, ("start", "end", "label", *made.classes), rows)
