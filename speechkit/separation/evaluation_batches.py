"""All batches of an evaluation, in parallel, with parts that a resumed run keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from speechkit.base import parallel
from speechkit.base.schema import Object, read_json
from speechkit.labels.mixtures import MixtureSet
from speechkit.separation.measurement import (
    LONG,
    Batch,
    Found,
    Task,
    hear,
    measure,
    read_ahead,
    score_batch,
)
from speechkit.workdir import Output
from speechkit.workdir.unfinished import note_finished

PART = 64  # mixtures of a part


def make_batches(dataset: MixtureSet, most: int, rate: int) -> list[Batch]:
    """Positions of mixtures, the longest first, in batches of ``most`` samples with padding.

    Args:
        dataset: the mixtures.
        most: samples of a batch at the models' rate; a batch has at least one mixture.
        rate: of the models.
    """
    factor = rate / dataset.header.sample_rate
    lengths = [round(m.samples * factor) for m in dataset.mixtures]
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        last = batches[-1] if batches else []
        fits = last and (len(last) + 1) * lengths[last[0]] <= most and lengths[last[0]] <= LONG
        if not fits or len(last) >= PART:
            batches.append([])
        batches[-1].append(index)
    return [tuple(batch) for batch in batches]


def run(out: Output, batches: list[Batch], task: Task, jobs: int, label: str) -> Found:
    """Everything measured; finished parts are kept for a resumed run."""
    parts = _parts(batches)
    kept = [_read_part(out.part(f"{k:05d}.json"), part, task) for k, part in enumerate(parts)]
    todo = [batch for part, rows in zip(parts, kept, strict=True) if not rows for batch in part]
    done = _map(todo, task, jobs, label)
    found = Found([], [])
    for number, (part, rows) in enumerate(zip(parts, kept, strict=True)):
        if not rows:
            fresh = [one.value for one in islice(done, len(part))]
            rows = [row for each in fresh if each for row in each.rows]
            skipped = [line for each in fresh if each for line in each.skipped]
            found.skipped += skipped
            if rows and not skipped:  # parts with skipped ones are tried again by a resumed run
                path = out.part(f"{number:05d}.json")
                path.with_suffix(".tmp").write_text(json.dumps(rows), encoding="utf-8")
                path.with_suffix(".tmp").replace(path)
                count = sum(len(batch) for each in parts[: number + 1] for batch in each)
                total = sum(len(batch) for batch in batches)
                note_finished(path, f"{count:,} of {total:,} mixtures")
        found.rows += rows
    for _ in done:  # lets the map end its progress and its workers
        pass
    order = {seed: place for place, (seed, _, _) in enumerate(task.models)}
    found.rows.sort(key=lambda row: (order[row["seed"]], row["index"]))
    return found


def _parts(batches: Sequence[Batch]) -> list[list[Batch]]:
    """Batches in parts of about ``PART`` mixtures."""
    parts: list[list[Batch]] = []
    for batch in batches:
        if not parts or sum(map(len, parts[-1])) >= PART:
            parts.append([])
        parts[-1].append(batch)
    return parts


def _read_part(path: Path, part: list[Batch], task: Task) -> list[dict[str, Any]]:
    """Rows of a finished part; none if it is not there or of other mixtures."""
    if not path.exists():
        return []
    rows = read_json(path, list[Object])
    wanted = {(seed, index) for seed, _, _ in task.models for batch in part for index in batch}
    return rows if {(row["seed"], row["index"]) for row in rows} == wanted else []


def _map(batches: list[Batch], task: Task, jobs: int, label: str) -> Iterator[Any]:
    """Outcomes in order: in processes on the CPU, on CUDA with audio read ahead in threads."""
    function: Callable[[Batch], Found] = partial(score_batch, task=task)
    if task.device != "cpu":
        heard = read_ahead(partial(hear, task=task), batches, max(1, jobs))
        function = lambda _: measure(next(heard), task)  # noqa: E731
        jobs = 1
    return parallel.map_items(
        function, batches, jobs=jobs, size=len, name=lambda _: label, label=label, unit="mixtures"
    )
