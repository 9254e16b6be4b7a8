"""The stage ``evaluate emotion``: all folds and seeds of a model in, measures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.arrays import read_array
from speechkit.base.errors import UserError, require_choice
from speechkit.base.log import logger, progress
from speechkit.base.tables import write_json, write_skipped
from speechkit.emotion import figures, model_folder, results, tables
from speechkit.emotion.predict import load_predictor
from speechkit.labels.emotions import EmotionSet, load
from speechkit.labels.splits import (
    Split,
    check_fits,
    leak_check,
    path_of,
    read_split,
    warn_of_leaks,
)
from speechkit.task.evaluation import SUMMARY
from speechkit.training.devices import resolve_device
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.unfinished import note_finished

COMMAND = "evaluate emotion"
FOLDS = "folds"  # the output of the test parts of the model's own split
FIGURE = "confusion.png"
_SAME = ("upstream", "classes", "sample_rate", "set", "split", "speaker_norm")


@dataclass(frozen=True)
class Model:
    """One trained fold and seed.

    Args:
        fold: its number.
        seed: its seed.
        folder: where it is.
        card: its ``config.yaml``.
    """

    fold: int
    seed: int
    folder: Path
    card: dict[str, Any]

    def value(self, name: str) -> Any:
        """A value of the card, wherever it is."""
        network, training = self.card["network"], self.card["training"]
        return self.card.get(name, network.get(name, training.get(name)))


def evaluate(
    workdir: WorkDir,
    name: str,
    set_name: str = "",
    *,
    device: str = "auto",
    jobs: int = 1,
    on_error: str = "stop",
    force: bool = False,
) -> Path:
    """Measure all trained folds and seeds of a model; returns the output folder.

    Args:
        workdir: the working directory.
        name: of the model.
        set_name: another labelled set, of which every model is given every clip; empty for
            the test part of each model's own fold.
        device: auto, cpu or cuda.
        jobs: processes that read audio and compute features.
        on_error: stop, or skip clips that cannot be used.
        force: measure again.

    Raises:
        UserError: no such model or set, or they do not fit together.
    """
    require_choice("on_error", on_error, ("stop", "skip"))
    where = resolve_device(device).type
    models = find(workdir, name)
    own = str(models[0].value("set"))
    foreign = bool(set_name) and set_name != own
    dataset = load(workdir, set_name if foreign else own)
    split = None if foreign else read_split(dataset.data.path, str(models[0].value("split")))
    files = [m.folder / n for m in models for n in (model_folder.CONFIG, model_folder.WEIGHTS)]
    inputs = [*dataset.files(), *(path for path in files if path.is_file())]
    if split is not None:
        check_fits(split, dataset)
        inputs.append(path_of(dataset.data.path, split.name))
    with Output(
        workdir.exp("emotion", name, "eval", dataset.name if foreign else FOLDS),
        COMMAND,
        {"set": dataset.name, "split": split.name if split else "", "on_error": on_error},
        inputs,
        force=force,
        audio=dataset.data.audio_files(),
        resume=True,
        beside="remove it",
    ) as out:
        if not out.up_to_date:
            about = _about(models, dataset, split)
            found, skipped = _predict(out, workdir, models, dataset, split, where, jobs, on_error)
            results.write_predictions(out.path, found)
            tables.write_tables(out.path, found)
            write_json(out.path / SUMMARY, results.summarize(found), ascii_only=False)
            write_json(out.path / results.ABOUT, about, ascii_only=False)
            write_skipped(out.path, skipped.items())
            runs = len(about["seeds"] if split is not None else models)
            title = tables.title(about)
            picture = figures.draw_confusion(found.matrix(), found.classes, title, runs)
            (out.path / FIGURE).write_bytes(picture)
            out.notes.update(device=where)
            out.counts.update(
                models=len(models), clips=len(set(found.utterances)), skipped=len(skipped)
            )
    return out.final


def find(workdir: WorkDir, name: str) -> list[Model]:
    """All trained folds and seeds of a model, which must be of one experiment.

    Raises:
        UserError: there are none, or they differ in more than fold and seed.
    """
    models = [
        Model(fold, seed, folder, model_folder.read_card(folder))
        for fold, seed, folder in model_folder.find_models(workdir, name)
    ]
    first = models[0]
    for model in models[1:]:
        for key in _SAME:
            if model.value(key) != first.value(key):
                raise UserError(
                    f"{model.folder} and {first.folder} differ in '{key}': {model.value(key)} "
                    f"and {first.value(key)}.",
                    "Train all folds and seeds of a model with the same flags.",
                )
    return models


def _predict(
    out: Output,
    workdir: WorkDir,
    models: Sequence[Model],
    dataset: EmotionSet,
    split: Split | None,
    device: str,
    jobs: int,
    on_error: str,
) -> tuple[results.Predictions, dict[str, str]]:
    """Predictions of all models, and why clips were skipped; finished models are kept."""
    asked = [list(split.fold(m.fold).test if split else dataset.labels) for m in models]
    classes = models[0].card["classes"]
    if unknown := [name for name in dataset.classes if name not in classes]:
        raise UserError(
            f"The set '{dataset.name}' has the class '{unknown[0]}', which {models[0].folder} was "
            "not trained on.",
            f"Its classes: {', '.join(classes)}. Label the set with those.",
        )
    predictor = load_predictor(models[0].folder, device)
    every = list(dict.fromkeys(name for ids in asked for name in ids))
    skipped = predictor.broken(workdir, dataset, every, jobs)
    if skipped and on_error == "stop":
        name, reason = next(iter(skipped.items()))
        raise UserError(f"{name}: {reason}", "Mend it, or leave it out with `on_error` skip.")
    for name, reason in skipped.items():
        logger.warning(f"skipped {name}: {reason}")
    asked = [[name for name in ids if name not in skipped] for ids in asked]
    if not all(asked):
        raise UserError("No clip is left to test.", "See the reasons above.")
    parts = []
    with progress(f"evaluate {out.final.parent.parent.name}", sum(map(len, asked))) as advance:
        for number, (model, ids) in enumerate(zip(models, asked, strict=True)):
            kept = out.part(f"{number:05d}.npy")
            if kept.is_file():
                values = np.array(read_array(kept, (len(ids), None), "f"))
            else:
                predictor = load_predictor(model.folder, device)
                values = predictor.of_utterances(workdir, dataset, ids, jobs=jobs, advance=advance)
                np.save(kept, values)
                note_finished(kept, f"{number + 1} of {len(models)} models")
            parts.append(values)
    return _table(models, dataset, split, asked, parts), skipped


def _table(
    models: Sequence[Model],
    dataset: EmotionSet,
    split: Split | None,
    asked: Sequence[Sequence[str]],
    parts: Sequence[np.ndarray],
) -> results.Predictions:
    """All predictions; on another set each model counts as a seed of one fold."""
    classes = tuple(models[0].card["classes"])
    index = {name: i for i, name in enumerate(classes)}
    ids = [name for part in asked for name in part]
    numbers = [
        (model.fold, model.seed) if split is not None else (0, number)
        for number, (model, part) in enumerate(zip(models, asked, strict=True))
        for _ in part
    ]
    folds, seeds = np.array(numbers).T
    return results.Predictions(
        classes,
        np.array(ids, object),
        np.array([dataset.speaker(name) for name in ids], object),
        folds,
        seeds,
        np.array([index[dataset.labels[name]] for name in ids], np.int64),
        np.round(np.concatenate(parts).astype(np.float64), results.DIGITS),
    )


def _about(models: Sequence[Model], dataset: EmotionSet, split: Split | None) -> dict[str, Any]:
    """What was measured, for tables: models, protocol, and what the models cost."""
    first = models[0]
    folds, seeds = sorted({m.fold for m in models}), sorted({m.seed for m in models})
    told = [model_folder.read_summary(m.folder) for m in models]
    about: dict[str, Any] = {
        "set": dataset.name,
        "trained_on": first.value("set"),
        "split": first.value("split"),
        "upstream": first.card["upstream"],
        "model": first.card["model"],
        "head": first.value("head") or "",
        "speaker_norm": bool(first.value("speaker_norm")),
        "transductive": bool(first.value("speaker_norm")),
        "classes": first.card["classes"],
        "folds": folds,
        "seeds": seeds,
        "models": [[m.fold, m.seed] for m in models],
        "training": first.card["training"],
        "cost": {
            key: [summary.get(key) for summary in told]
            for key in ("disk_bytes", "best_step", "steps", "train_seconds")
        },
    }
    if split is not None:
        leaks = leak_check(split, dataset)
        warn_of_leaks(split, leaks)
        about.update(
            kind=split.kind,
            split_seed=split.seed,
            split_folds=len(split.folds),
            leaks_speakers=any(leak.speakers for leak in leaks),
            identical_audio=sum(len(leak.identical) for leak in leaks),
            sentences_in_both=max(len(leak.sentences) for leak in leaks),
        )
        if len(folds) < len(split.folds):
            logger.warning(
                f"Of the {len(split.folds)} folds only {', '.join(map(str, folds))} are trained: "
                "not every clip of the split is tested."
            )
    if len(models) < len(folds) * len(seeds):
        logger.warning("Not every fold was trained with every seed.")
    if about["transductive"]:
        logger.warning(
            "Per-speaker normalisation uses the clips of test speakers (not their labels): the "
            "results are TRANSDUCTIVE, and hold where many clips of a new speaker are at hand."
        )
    return about
