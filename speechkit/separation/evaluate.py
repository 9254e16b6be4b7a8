"""Measure a trained model on a set of mixtures (the stage ``evaluate separation``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.base.audio import power
from speechkit.base.errors import UserError, require_choice
from speechkit.base.files import remove_tree
from speechkit.base.log import counted, logger
from speechkit.base.tables import write_json, write_skipped, write_tsv
from speechkit.base.text import shortened
from speechkit.labels.mixtures import MixtureSet, check_rate, load_mixtures
from speechkit.separation import measurement, model_folder, results
from speechkit.separation.inference_config import EvaluationConfig
from speechkit.separation.loss import reorder
from speechkit.separation.measurement import Measured, Task, open_task, stack
from speechkit.separation.metrics import require_pystoi, score
from speechkit.separation.mixture_draws import store
from speechkit.separation.model_folder import Separator
from speechkit.task import trained
from speechkit.task.evaluation import SUMMARY, read_summary
from speechkit.training.devices import resolve_device
from speechkit.workdir import Output, WorkDir

COMMAND = "evaluate separation"
BATCH_SECONDS = {"cpu": 0.0, "cuda": 120.0}  # at 8 kHz; on the CPU one by one is fastest
NAMED = 20  # mixtures named in a message
WORST, MIDDLE = 20, 3
SECONDS = 6.0
PEAK = 0.9


def evaluate(
    work: WorkDir,
    config: EvaluationConfig,
    *,
    out_name: str = "",
    batch_seconds: float = 0.0,
    device: str = "auto",
    jobs: int = 1,
    executor: str = "local",
    on_error: str = "stop",
    force: bool = False,
) -> Path:
    """Measure all seeds of a model; returns the output folder.

    Args:
        work: the working directory.
        config: all that decides the result.
        out_name: suffix of the output folder.
        batch_seconds: audio per batch with padding, counted at 8 kHz; 0 takes one mixture
            on the CPU and 120 s on CUDA.
        device: auto, cpu or cuda.
        jobs: processes on the CPU (1: this process with all threads); threads that read
            audio on CUDA.
        executor: local or dask://HOST:PORT.
        on_error: stop, or skip mixtures that cannot be used.
        force: replace an evaluation with other settings.

    Raises:
        UserError: no such model or set, or they do not fit together.
    """
    require_choice("on_error", on_error, ("stop", "skip"))
    where = resolve_device(device).type
    if config.stoi:
        require_pystoi()
    dataset = load_mixtures(work.data(config.set), work.root)
    models, suffix = _choose(work, config)
    params = {**asdict(config), "checkpoint": ", ".join(sorted({w for _, _, w in models}))}
    del params["name"]  # it is in the path
    with Output(
        work.exp("separation", config.name, "eval", config.set, name=out_name or suffix),
        COMMAND,
        params,
        [*dataset.files(), *_files(models)],
        force=force,
        audio=dataset.audio_files(),
        resume=True,
        beside="write beside it with `out_name`",
    ) as out:
        if not out.up_to_date:
            places = dataset.path.resolve(), work.root.resolve()
            seeds = tuple((seed, folder.resolve(), which) for seed, folder, which in models)
            task = Task(seeds, *places, where, config.sdr, config.stoi, on_error)
            open_task.cache_clear()  # what a failed run in this process left may have changed
            rate = _check(task, dataset, config.resample)
            samples = round(8000 * (batch_seconds or BATCH_SECONDS[where]))
            batches = measurement.make_batches(dataset, samples, rate)
            found = measurement.run(out, batches, task, jobs, f"evaluate {config.name}", executor)
            _write(out, config, task, dataset, found)
            open_task.cache_clear()
    return out.final


def _choose(work: WorkDir, config: EvaluationConfig) -> tuple[list[tuple[int, Path, str]], str]:
    """Seed, folder and weights of each model, and a suffix for the output folder.

    The suffix is empty for the models' own choice of weights, so that the others never take
    the place of that result.
    """
    models, suffix = [], ""
    for seed, folder in trained.find(work, "separation", config.name):
        own = str(model_folder.read_card(folder).get("selection", "plain"))
        require_choice(f"{folder / 'config.yaml'}: selection", own, model_folder.FILES)
        models.append((seed, folder, config.checkpoint or own))
        if config.checkpoint not in ("", own):
            suffix = config.checkpoint
    return models, suffix


def _files(models: Sequence[tuple[int, Path, str]]) -> list[Path]:
    """What is read of the models; missing weights are named when they are loaded."""
    named = [folder / model_folder.FILES[which] for _, folder, which in models]
    cards = [folder / "config.yaml" for _, folder, _ in models]
    return [*cards, *(path for path in named if path.is_file())]


def _check(task: Task, dataset: MixtureSet, resample: bool) -> int:
    """Rate of the models, after all of them and the set were found to fit."""
    _, models = open_task(task)
    speakers, rate = dataset.header.speakers, models[0][1].sample_rate
    for _, separator in models:
        if separator.speakers != speakers:
            raise UserError(
                f"{dataset.path} has mixtures of {speakers} speakers, {separator.folder} "
                f"separates {separator.speakers}.",
                f"Make fitting mixtures: speechkit mix --speakers {separator.speakers} ...",
            )
        if separator.sample_rate != rate:
            raise UserError(
                f"{separator.folder} is of {separator.sample_rate} Hz, {models[0][1].folder} of "
                f"{rate} Hz.",
                "Seeds of one experiment must have one sample rate.",
            )
    check_rate(dataset.header.sample_rate, rate, resample, str(dataset.path))
    return rate


def _write(
    out: Output, config: EvaluationConfig, task: Task, dataset: MixtureSet, found: Measured
) -> None:
    rows = [{**_describe(dataset, row["index"]), **row} for row in found.rows]
    for row in rows:
        row.update({k: round(row[k], results.DIGITS) for k in results.MEASURES if k in row})
    silent = _silent(dataset, rows, len(found.skipped))
    names = results.columns(dataset.header.speakers, config.stoi)
    results.write_utterances(out.path, names, rows)
    counts: dict[int, dict[str, float]] = {}
    for seed, _, _ in task.models:
        own = [row for row in rows if row["seed"] == seed]
        counts[seed] = {
            "mixtures": len(own),
            "mixtures_silent": silent,
            "mixtures_skipped": len(found.skipped),
            "silent_estimates": sum(row["silent_estimates"] for row in own),
        }
    summary = results.summarize(results.read_utterances(out.path), config.hsr, counts)
    write_json(out.path / SUMMARY, summary, ascii_only=False)
    write_examples(out.path, task, rows)
    write_skipped(out.path, found.skipped)
    out.notes.update(device=task.device, seeds=list(counts))
    out.counts.update(seeds=len(counts), **counts[task.models[0][0]])


def _silent(dataset: MixtureSet, rows: Sequence[Mapping[str, Any]], skipped: int) -> int:
    """Name the mixtures with a silent source, and count them.

    Raises:
        UserError: nothing else is left.
    """
    undefined = sorted({row["mixture"] for row in rows if not np.isfinite(row["si_snri_db"])})
    if len(undefined) == len({row["mixture"] for row in rows}):
        raise UserError(
            f"{dataset.path} has no mixture that can be measured: {len(undefined)} have a silent "
            f"source, {skipped} were skipped.",
            "Make other mixtures with: speechkit mix",
        )
    if undefined:
        named = ", ".join(undefined[:NAMED]) + (" ..." if len(undefined) > NAMED else "")
        logger.warning(
            f"Left out of the means, without SI-SNR: {counted(len(undefined), 'mixture')} with a "
            f"silent source: {named}"
        )
    return len(undefined)


def _describe(dataset: MixtureSet, index: int) -> dict[str, Any]:
    mixture = dataset.mixtures[index]
    speakers = {f"speaker{k}": s.utterance.speaker for k, s in enumerate(mixture.sources, 1)}
    described = {"mixture": mixture.id, "genders": dataset.genders(mixture), **speakers}
    return {**described, "samples": mixture.samples}


def write_examples(folder: Path, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``worst/`` and ``median/`` with clips, and ``worst.tsv`` and ``median.tsv``.

    Args:
        folder: of the evaluation.
        task: of the evaluation; the clips are of its first model.
        rows: of ``utterances.tsv``, with ``index``: the position in the list of mixtures.
    """
    dataset, models = open_task(task)
    seed, separator = models[0]
    own = [row for row in rows if row["seed"] == seed and np.isfinite(row["si_snri_db"])]
    ranked = list(enumerate(sorted(own, key=lambda row: row["si_snri_db"]), 1))
    first = max(0, (len(ranked) - MIDDLE) // 2)
    speakers = [f"speaker{k}" for k in range(1, dataset.header.speakers + 1)]
    columns = ["mixture", "seed", "genders", *speakers, "si_snr_db", "si_snri_db"]
    for name, chosen in (("worst", ranked[:WORST]), ("median", ranked[first : first + MIDDLE])):
        remove_tree(folder / name)  # what a dead run left of it
        (folder / name).mkdir()
        table = []
        for rank, row in chosen:
            safe = re.sub(r"[^\w.-]", "_", row["mixture"])
            stem = f"{rank:02d}_{shortened(safe, 150)}"
            _write_clips(folder / name / stem, task, separator, row["index"])
            table.append([rank, f"{name}/{stem}", *(row[column] for column in columns)])
        write_tsv(folder / f"{name}.tsv", ["rank", "clip", *columns], table, ".2f")


def _write_clips(stem: Path, task: Task, separator: Separator, index: int) -> None:
    """``<stem>_{mixture,source1,...,estimate1,...}.wav``, at one scale, 16 bit."""
    audio = measurement.read_batch((index,), task)
    mixed, _ = stack(audio.mixed, task.device)
    sources, _ = stack(audio.sources, task.device)
    estimates = measurement.separate(separator, mixed).float()
    ordered = reorder(estimates, score(estimates, sources, mixed).order)[0]
    named = clips(audio.mixed[0], audio.sources[0], ordered.cpu().numpy())
    for name, samples in named.items():
        path = stem.with_name(f"{stem.name}_{name}.wav")
        count = round(SECONDS * separator.sample_rate)
        store(path, samples[:count], separator.sample_rate, "PCM_16")


def answer(folder: Path) -> Answer:
    """The measures, a row each."""
    found = read_summary(folder)
    rows = [[key, value["mean"], value["std"], value["n"]] for key, value in found.items()]
    return answers.output(folder, found, str(folder), ("measure", "mean", "std", "seeds"), rows)


def clips(mixed: np.ndarray, sources: np.ndarray, estimates: np.ndarray) -> dict[str, np.ndarray]:
    """Signals to listen to, by name: one scale for all, so that the loudest peaks at ``PEAK``.

    Args:
        mixed: ``[T]``.
        sources: ``[S, T]``.
        estimates: ``[S, T]`` in the order of the sources; each gets the level of its source.
    """
    powers = [(power(s), max(power(e), 1e-12)) for s, e in zip(sources, estimates, strict=True)]
    level = np.sqrt([source / estimate for source, estimate in powers], dtype=np.float32)
    named = {"mixture": mixed}
    named.update({f"source{k}": each for k, each in enumerate(sources, 1)})
    named.update({f"estimate{k}": each for k, each in enumerate(estimates * level[:, None], 1)})
    peak = max(float(np.abs(each).max()) for each in named.values()) or 1.0
    return {name: PEAK / peak * each for name, each in named.items()}
