"""Measure all folds and seeds of an emotion model (the stage ``evaluate emotion``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.answers import Answer
from speechkit.base.arrays import read_array
from speechkit.base.errors import ConfigError, UserError, require_choice
from speechkit.base.log import counted, logger, progress
from speechkit.base.tables import write_json, write_skipped
from speechkit.emotion import figures, model_folder, results, tables
from speechkit.emotion.calibration import temper
from speechkit.emotion.inference_config import EvaluationConfig
from speechkit.emotion.predict import load_predictor
from speechkit.labels.emotions import EmotionSet, MappedSet, load, map_labels, read_label_map
from speechkit.labels.splits import (
    Split,
    check_fits,
    leak_check,
    path_of,
    read_split,
    warn_of_leaks,
)
from speechkit.task import trained
from speechkit.task.evaluation import SUMMARY, read_summary
from speechkit.training.devices import resolve_device
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.unfinished import note_finished

COMMAND = "evaluate emotion"
FOLDS = "folds"  # the output of the test parts of the model's own split
FIGURE = "confusion.png"
_SAME = ("upstream", "classes", "sample_rate", "set", "split", "speaker_norm", "chosen_on_test")

Model = tuple[int, int, Path]  # fold, seed, folder


def evaluate(
    workdir: WorkDir,
    config: EvaluationConfig,
    *,
    device: str = "auto",
    jobs: int = 1,
    executor: str = "local",
    on_error: str = "stop",
    force: bool = False,
) -> Path:
    """Measure all trained folds and seeds of a model; returns the output folder.

    Args:
        workdir: the working directory.
        config: the model, and the set; of another labelled set every model is given every clip
            (its label map: see :func:`speechkit.labels.emotions.read_label_map`).
        device: auto, cpu or cuda.
        jobs: processes that read audio and compute features.
        executor: local, or dask://HOST:PORT for all that is computed of audio.
        on_error: stop, or skip clips that cannot be used.
        force: measure again.

    Raises:
        UserError: no such model or set, or they do not fit together.
    """
    require_choice("on_error", on_error, ("stop", "skip"))
    where = resolve_device(device).type
    models = trained.find_folds(workdir, "emotion", config.name)
    card = trained.read_cards([folder for *_, folder in models], _flat_card, _SAME)[0]
    own = str(card["set"])
    foreign = bool(config.set) and config.set != own
    mapped = _read_set(workdir, config.set if foreign else "", card, config.label_map)
    dataset = mapped.dataset
    split = None if foreign else read_split(dataset.data.path, str(card["split"]))
    files = (f / name for *_, f in models for name in (model_folder.CONFIG, model_folder.WEIGHTS))
    inputs = [*dataset.files(), *(path for path in files if path.is_file())]
    if split is not None:
        check_fits(split, dataset)
        inputs.append(path_of(dataset.data.path, split.name))
    params = {"set": dataset.name, "split": split.name if split else "", "on_error": on_error}
    with Output(
        workdir.exp("emotion", config.name, "eval", dataset.name if foreign else FOLDS),
        COMMAND,
        params | {key: value for key, value in mapped.changes.items() if value},
        inputs,
        force=force,
        audio=dataset.data.audio_files(),
        resume=True,
        beside="remove it",
    ) as out:
        if not out.up_to_date:
            about = _about(models, card, dataset, split) | mapped.changes
            how = {"jobs": jobs, "executor": executor}
            pair, skipped = _predict(out, workdir, models, dataset, split, where, on_error, how)
            _write(out, pair, skipped, about, len(about["seeds"] if split else models))
            out.notes.update(device=where)
            out.counts["models"] = len(models)
    return out.final


def _read_set(
    workdir: WorkDir, other: str, card: Mapping[str, Any], label_map: Path | None
) -> MappedSet:
    """The set of the training, or another one with the classes of the model; says what differs."""
    if not other:
        if label_map is not None:
            raise ConfigError(
                "label_map", "is for another set than that of the training.", "Name it with `set`."
            )
        return MappedSet(load(workdir, str(card["set"])), {}, {})
    given = read_label_map(label_map) if label_map is not None else {}
    mapped = map_labels(load(workdir, other), card["classes"], given)
    name = mapped.dataset.name
    if mapped.renamed:
        said = ", ".join(f"{a} is {b}" for a, b in mapped.renamed.items())
        logger.info(f"Labels of '{name}' in the words of the model: {said}.")
    if mapped.left_out:
        said = ", ".join(f"{label} ({count})" for label, count in mapped.left_out.items())
        logger.warning(
            f"Clips of '{name}' with labels that are no class of the model are left out: {said}."
        )
    return mapped


def _write(
    out: Output,
    pair: tuple[results.Predictions, results.Predictions],
    skipped: Mapping[str, str],
    about: dict[str, Any],
    runs: int,
) -> None:
    """Write all that is told of predictions, calibrated and not."""
    folder, (found, raw) = out.path, pair
    if any(about["temperatures"]):
        about["ece_uncalibrated"] = results.calibration_of(raw)
    results.write_predictions(folder, found)
    tables.write_tables(folder, found)
    write_json(folder / SUMMARY, results.summarize(found), ascii_only=False)
    write_json(folder / results.ABOUT, about, ascii_only=False)
    picture = figures.draw_confusion(found.matrix(), found.classes, tables.title(about), runs)
    (folder / FIGURE).write_bytes(picture)
    write_skipped(folder, skipped.items())
    out.counts.update(clips=len(set(found.utterances)), skipped=len(skipped))


def _flat_card(folder: Path) -> dict[str, Any]:
    """The card with the values of its network and its training beside its own."""
    card = model_folder.read_card(folder)
    return {**card["training"], **card["network"], **card}


def _predict(
    out: Output,
    workdir: WorkDir,
    models: Sequence[Model],
    dataset: EmotionSet,
    split: Split | None,
    device: str,
    on_error: str,
    how: Mapping[str, Any],
) -> tuple[tuple[results.Predictions, results.Predictions], dict[str, str]]:
    """Predictions of all models, calibrated and not, and why clips were skipped.

    Finished models are kept.
    """
    asked = [list(split.fold(fold).test if split else dataset.labels) for fold, *_ in models]
    predictor = load_predictor(models[0][2], device)
    classes = predictor.classes
    every = list(dict.fromkeys(name for ids in asked for name in ids))
    skipped = predictor.broken(workdir, dataset, every, **how)
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
        for number, ((*_, folder), ids) in enumerate(zip(models, asked, strict=True)):
            kept = out.part(f"{number:05d}.npy")
            if kept.is_file():
                values = np.array(read_array(kept, (len(ids), None), "f"))
            else:
                predictor = load_predictor(folder, device)
                values = predictor.of_utterances(workdir, dataset, ids, advance=advance, **how)
                np.save(kept, values)
                note_finished(kept, f"{number + 1} of {counted(len(models), 'model')}")
            temperature = model_folder.temperature(model_folder.read_card(folder))
            parts.append((values, values if temperature is None else temper(values, temperature)))
    # On another set each model counts as a seed of one fold.
    of = [(fold, seed) if split else (0, number) for number, (fold, seed, _) in enumerate(models)]
    folds, seeds = np.repeat(of, [len(ids) for ids in asked], axis=0).T
    ids = [name for part in asked for name in part]
    found = results.Predictions(
        classes,
        np.array(ids, object),
        np.array([dataset.speaker(name) for name in ids], object),
        folds,
        seeds,
        np.array([classes.index(dataset.labels[name]) for name in ids], np.int64),
        _rounded([calibrated for _, calibrated in parts]),
    )
    return (found, replace(found, probabilities=_rounded([raw for raw, _ in parts]))), skipped


def _rounded(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.round(np.concatenate(parts).astype(np.float64), results.DIGITS)


def _about(
    models: Sequence[Model], card: Mapping[str, Any], dataset: EmotionSet, split: Split | None
) -> dict[str, Any]:
    """What was measured, for tables: models, protocol, and what the models cost."""
    folds, seeds = sorted({fold for fold, *_ in models}), sorted({seed for _, seed, _ in models})
    told = [model_folder.read_summary(folder) for *_, folder in models]
    about: dict[str, Any] = {
        "set": dataset.name,
        "trained_on": card["set"],
        "split": card["split"],
        "upstream": card["upstream"],
        "model": card["model"],
        "head": card.get("head") or "",
        "speaker_norm": bool(card.get("speaker_norm")),
        "transductive": bool(card.get("speaker_norm")),
        "chosen_on_test": bool(card.get("chosen_on_test")),
        "classes": card["classes"],
        "lacking": [name for name in card["classes"] if name not in dataset.classes],
        "temperatures": [
            model_folder.temperature(model_folder.read_card(folder)) for *_, folder in models
        ],
        "folds": folds,
        "seeds": seeds,
        "models": [[fold, seed] for fold, seed, _ in models],
        "training": card["training"],
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
            sentences_in_both=max(len(leak.sentences or ()) for leak in leaks),
        )
        if len(folds) < len(split.folds):
            logger.warning(
                f"Only {len(folds)} of the {len(split.folds)} folds are trained (number "
                f"{', '.join(map(str, folds))}): not every clip of the split is tested."
            )
    if len(models) < len(folds) * len(seeds):
        logger.warning("Not every fold was trained with every seed.")
    if about["transductive"]:
        logger.warning(
            "Per-speaker normalisation uses the clips of test speakers (not their labels): the "
            "results are TRANSDUCTIVE, and hold where many clips of a new speaker are at hand."
        )
    return about


def answer(folder: Path) -> Answer:
    """The classes, and what the models cost."""
    summary, about = read_summary(folder), results.read_about(folder)
    rows = [
        [v if v is None or isinstance(v, str | int) else round(v, 3) for v in row]
        for row in tables.class_rows(results.read_predictions(folder))
    ]
    classes = (tables.title(about), ("class", "precision", "recall", "F1", "support"), rows)
    cost = (str(folder), tables.COST_COLUMNS, [tables.cost_row(about, summary)])
    return Answer({"output": str(folder), "about": about, **summary}, [classes, cost])
