"""Short clips of the worst mixtures of an evaluation, and of ordinary ones beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.audio import power
from speechkit.base.files import remove_tree
from speechkit.base.tables import write_tsv
from speechkit.base.text import shortened
from speechkit.labels.mixtures import MixtureSet
from speechkit.separation.losses import reorder
from speechkit.separation.measurement import Task, hear, open_task, separate, stack
from speechkit.separation.metrics import score
from speechkit.separation.mixture import store
from speechkit.separation.model_folder import Separator

WORST, MIDDLE = 20, 3
SECONDS = 6.0
PEAK = 0.9


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
    for name, chosen in (
        ("worst", ranked[:WORST]),
        ("median", ranked[first : first + MIDDLE]),
    ):
        remove_tree(folder / name)  # what a dead run left of it
        (folder / name).mkdir()
        table = []
        for rank, row in chosen:
            safe = re.sub(r"[^\w.-]", "_", row["mixture"])
            stem = f"{rank:02d}_{shortened(safe, 150)}"
            _write_clips(folder / name / stem, task, separator, row["index"])
            table.append(_line(rank, row, f"{name}/{stem}", dataset))
        write_tsv(folder / f"{name}.tsv", ["rank", "clip", *_columns(dataset)], table)


def _columns(dataset: MixtureSet) -> list[str]:
    speakers = [f"speaker{k}" for k in range(1, dataset.header.speakers + 1)]
    return ["mixture", "seed", "genders", *speakers, "si_snr_db", "si_snri_db"]


def _line(rank: int, row: Mapping[str, Any], clip: str, dataset: MixtureSet) -> list[str]:
    values = (row[name] for name in _columns(dataset))
    shown = (f"{value:.2f}" if isinstance(value, float) else str(value) for value in values)
    return [str(rank), clip, *shown]


def _write_clips(stem: Path, task: Task, separator: Separator, index: int) -> None:
    """``<stem>_{mixture,source1,...,estimate1,...}.wav``, at one scale, 16 bit."""
    heard = hear((index,), task)
    mixed, _ = stack(heard.mixed, task.device)
    sources, _ = stack(heard.sources, task.device)
    estimates = separate(separator, mixed).float()
    ordered = reorder(estimates, score(estimates, sources, mixed).order)[0]
    named = clips(heard.mixed[0], heard.sources[0], ordered.cpu().numpy())
    for name, samples in named.items():
        path = stem.with_name(f"{stem.name}_{name}.wav")
        count = round(SECONDS * separator.sample_rate)
        store(path, samples[:count], separator.sample_rate, "PCM_16")


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
