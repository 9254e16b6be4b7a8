"""Separate batches of mixtures with every seed of a model, in parallel, and measure the outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from speechkit.base import audio, parallel
from speechkit.base.errors import AudioError, UserError, is_out_of_memory, needed_by_all
from speechkit.base.schema import Object, read_json
from speechkit.labels.mixtures import MixtureSet, load_mixtures
from speechkit.separation import model_folder
from speechkit.separation.inference import separate_long
from speechkit.separation.loss import reorder
from speechkit.separation.metrics import score, sdr, silent, stoi
from speechkit.separation.model_folder import Separator
from speechkit.workdir import Output
from speechkit.workdir.unfinished import note_finished

PART = 64  # mixtures of a part
LONG = 480_000  # samples (a minute at 8 kHz) above which a mixture is separated by blocks

Item = TypeVar("Item")
Result = TypeVar("Result")
Batch = tuple[int, ...]  # positions in the list of mixtures


@dataclass(frozen=True)
class Task:
    """What is done to every batch; travels to workers.

    Args:
        models: seed and folder of each model, and which of its weights.
        mixtures: folder of the mixture set.
        root: the working directory.
        device: cpu or cuda.
        sdr: measure SDR.
        stoi: measure STOI and ESTOI.
        on_error: stop, or skip mixtures that cannot be used.
    """

    models: tuple[tuple[int, Path, str], ...]
    mixtures: Path
    root: Path
    device: str = "cpu"
    sdr: bool = True
    stoi: bool = False
    on_error: str = "stop"


@dataclass
class Heard:
    """Audio of a batch at the rate of the models, and the mixtures that could not be used.

    Args:
        members: positions in the list of mixtures.
        mixed: mixtures ``[T]``.
        sources: ``[S, T]`` of each.
        skipped: mixture and reason.
    """

    members: list[int] = field(default_factory=list)
    mixed: list[np.ndarray] = field(default_factory=list)
    sources: list[np.ndarray] = field(default_factory=list)
    skipped: list[list[str]] = field(default_factory=list)


@dataclass
class Found:
    """What came of a batch: a row for every seed and mixture, and what was skipped."""

    rows: list[dict[str, Any]]
    skipped: list[list[str]]


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
    parts: list[list[Batch]] = []
    for batch in batches:  # in parts of about PART mixtures
        if not parts or sum(map(len, parts[-1])) >= PART:
            parts.append([])
        parts[-1].append(batch)
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


@lru_cache(maxsize=1)
@needed_by_all()
def open_task(task: Task) -> tuple[MixtureSet, list[tuple[int, Separator]]]:
    """The mixture set, and the models on their device."""
    models = []
    for seed, folder, which in task.models:
        separator = model_folder.load(folder, which)
        separator.net.to(task.device)
        models.append((seed, separator))
    return load_mixtures(task.mixtures, task.root), models


def score_batch(members: Batch, task: Task) -> Found:
    """Read and measure the mixtures at these positions."""
    return measure(hear(members, task), task)


def hear(members: Batch, task: Task) -> Heard:
    """Read a batch.

    Raises:
        UserError: a mixture cannot be used, and ``on_error`` is stop.
    """
    dataset, models = open_task(task)
    config, rate = models[0][1].net.config, models[0][1].sample_rate
    heard = Heard()
    for index in members:
        mixture = dataset.mixtures[index]
        try:
            mixed, sources = dataset.read(mixture)
            if rate != dataset.header.sample_rate:
                mixed = audio.resample(mixed, dataset.header.sample_rate, rate)
                sources = audio.resample(sources, dataset.header.sample_rate, rate)
            if len(mixed) < config.kernel:
                raise AudioError(
                    f"has {len(mixed)} samples at {rate} Hz, fewer than the encoder's window "
                    f"({config.kernel}).",
                    "Leave it out with `on_error` skip.",
                    "empty",
                )
        except UserError as error:
            if task.on_error == "stop":
                raise type(error)(f"{mixture.id}: {error.problem}", error.remedy) from error
            heard.skipped.append([mixture.id, str(error)])
            continue
        heard.members.append(index)
        heard.mixed.append(mixed)
        heard.sources.append(sources)
    return heard


def measure(heard: Heard, task: Task) -> Found:
    """Separate a batch with every model, and measure.

    Raises:
        UserError: memory ran out.
    """
    if not heard.members:
        return Found([], heard.skipped)
    try:
        return Found(_measure(heard, task), heard.skipped)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        count, longest = len(heard.mixed), max(map(len, heard.mixed))
        raise UserError(
            f"Memory ran out with {count} mixtures of up to {longest} samples.",
            "Give fewer `batch_seconds`, or fewer processes with -j 1."
            if count > 1
            else "Give fewer processes with -j 1, or use a smaller model.",
        ) from error


def _measure(heard: Heard, task: Task) -> list[dict[str, Any]]:
    _, models = open_task(task)
    mixed, lengths = stack(heard.mixed, task.device)
    sources, _ = stack(heard.sources, task.device)
    sources, exact = sources.double(), mixed.double()
    columns: list[dict[str, Tensor]] = []
    ordered = []
    for _, separator in models:
        estimates = separate(separator, mixed, lengths).double()
        scores = score(estimates, sources, exact, lengths)
        ordered.append(reorder(estimates, scores.order))
        columns.append(
            {
                "si_snr_db": scores.si_snr_db,
                "si_snri_db": scores.si_snri_db,
                "silent_estimates": silent(estimates, lengths).sum(-1),
            }
        )
    undefined = silent(sources, lengths).any(-1)
    if task.sdr:
        for column, values in zip(columns, _sdr(ordered, sources, exact, undefined), strict=True):
            column.update(zip(("sdr_db", "sdri_db"), values, strict=True))
    rate = models[0][1].sample_rate
    rows = []
    for (seed, _), column, estimates in zip(models, columns, ordered, strict=True):
        plain = {name: values.tolist() for name, values in column.items()}
        for row, index in enumerate(heard.members):
            made = {"index": index, "seed": seed, **{n: plain[n][row] for n in plain}}
            if task.stoi and not bool(undefined[row]):
                count = len(heard.mixed[row])
                pair = estimates[row, :, :count].cpu().numpy(), heard.sources[row]
                made["stoi"], made["estoi"] = stoi(*pair, rate, False), stoi(*pair, rate, True)
            rows.append(made)
    return rows


def _sdr(
    ordered: Sequence[Tensor], sources: Tensor, mixed: Tensor, undefined: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """SDR and SDRi ``[B]`` of each model, from its estimates in the order of the sources."""
    before = mixed[:, None].expand_as(sources)
    values = sdr(torch.stack([*ordered, before], dim=2), sources).mean(1)  # [B, models + 1]
    values = values.masked_fill(undefined[:, None], float("nan"))
    return [(v, v - values[:, -1]) for v in values[:, :-1].unbind(1)]


def separate(separator: Separator, mixed: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Estimates ``[B, S, T]`` of mixtures ``[B, T]``; a long one by blocks."""
    if mixed.shape[-1] <= LONG:
        return separator.separate(mixed, lengths)
    counts = [mixed.shape[-1]] * len(mixed) if lengths is None else lengths.tolist()
    estimates = mixed.new_zeros(len(mixed), separator.speakers, mixed.shape[-1])
    for row, (signal, count) in enumerate(zip(mixed, counts, strict=True)):
        found = separate_long(separator, signal[:count].cpu().numpy(), device=mixed.device)
        estimates[row, :, :count] = torch.as_tensor(found, device=mixed.device)
    return estimates


def stack(
    signals: Sequence[np.ndarray], device: str | torch.device
) -> tuple[Tensor, Tensor | None]:
    """Signals ``[..., T_i]`` padded with zeros to ``[B, ..., T]``.

    Returns:
        The batch, and the lengths ``[B]``; None if all are equal.
    """
    lengths = [signal.shape[-1] for signal in signals]
    longest = max(lengths)
    padded = [
        torch.nn.functional.pad(torch.from_numpy(signal), (0, longest - count))
        for signal, count in zip(signals, lengths, strict=True)
    ]
    batch = torch.stack(padded).to(device)
    return batch, None if min(lengths) == longest else torch.tensor(lengths, device=device)


def read_ahead(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int
) -> Iterator[Result]:
    """``function`` of every item in order, in ``jobs`` threads, a few items ahead."""
    waiting = iter(items)
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(function, item) for item in islice(waiting, 2 * jobs)]
        try:
            while futures:
                result = futures.pop(0).result()
                futures += [pool.submit(function, item) for item in islice(waiting, 1)]
                yield result
        finally:
            for future in futures:
                future.cancel()
