"""Separate batches of mixtures with every seed of a model, in parallel, and measure the outcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from speechkit.base import audio, parallel
from speechkit.base.cluster import kept_for_map
from speechkit.base.errors import AudioError, UserError, is_out_of_memory, needed_by_all
from speechkit.base.files import atomic_write
from speechkit.base.log import counted
from speechkit.base.schema import Object, read_json
from speechkit.labels.mixtures import MixtureSet, load_mixtures
from speechkit.separation import model_folder
from speechkit.separation.inference import separate_long
from speechkit.separation.loss import reorder
from speechkit.separation.metrics import score, sdr, silent, stoi
from speechkit.separation.model_folder import Separator
from speechkit.workdir import Output
from speechkit.workdir.unfinished import map_parts

PART = 64  # mixtures of a part
LONG = 480_000  # samples (a minute at 8 kHz) above which a mixture is separated by blocks

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
class BatchAudio:
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
class Measured:
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


def run(
    out: Output, batches: list[Batch], task: Task, jobs: int, label: str, executor: str = "local"
) -> Measured:
    """Everything measured; finished parts are kept for a resumed run."""
    parts: list[list[Batch]] = []
    for batch in batches:  # in parts of about PART mixtures
        if not parts or sum(map(len, parts[-1])) >= PART:
            parts.append([])
        parts[-1].append(batch)
    files = [out.part(f"{k:05d}.json") for k in range(len(parts))]
    kept = [_read_part(file, part, task) for file, part in zip(files, parts, strict=True)]
    function: Callable[[Batch], Measured] = partial(score_batch, task=task)
    if task.device != "cpu" and executor == "local":  # the GPU measures while threads read ahead
        todo = [batch for part, rows in zip(parts, kept, strict=True) if not rows for batch in part]
        threads = max(1, jobs)
        ahead = parallel.read_ahead(partial(read_batch, task=task), todo, threads, 2 * threads)
        function, jobs = lambda _: measure(next(ahead), task), 1
    fresh = map_parts(
        function,
        parts,
        [bool(rows) for rows in kept],
        out.scratch,
        jobs=jobs,
        executor=executor,
        size=len,
        name=lambda _: label,
        label=label,
        unit="mixture",
    )
    found = Measured([], [])
    for file, rows, done in zip(files, kept, fresh, strict=True):
        if done is not None:
            rows = [row for each in done if each.value for row in each.value.rows]
            skipped = [line for each in done if each.value for line in each.value.skipped]
            found.skipped += skipped
            if rows and not skipped:  # parts with skipped ones are tried again by a resumed run
                with atomic_write(file) as handle:
                    json.dump(rows, handle)
        found.rows += rows
    order = {seed: place for place, (seed, _, _) in enumerate(task.models)}
    found.rows.sort(key=lambda row: (order[row["seed"]], row["index"]))
    return found


def _read_part(path: Path, part: list[Batch], task: Task) -> list[dict[str, Any]]:
    """Rows of a finished part; none if it is not there or of other mixtures."""
    rows = read_json(path, list[Object]) if path.exists() else []
    wanted = {(seed, index) for seed, _, _ in task.models for batch in part for index in batch}
    return rows if {(row["seed"], row["index"]) for row in rows} == wanted else []


@kept_for_map
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


def score_batch(members: Batch, task: Task) -> Measured:
    """Read and measure the mixtures at these positions."""
    return measure(read_batch(members, task), task)


def read_batch(members: Batch, task: Task) -> BatchAudio:
    """Read a batch.

    Raises:
        UserError: a mixture cannot be used, and ``on_error`` is stop.
    """
    dataset, models = open_task(task)
    config, rate = models[0][1].net.config, models[0][1].sample_rate
    batch = BatchAudio()
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
            batch.skipped.append([mixture.id, str(error)])
            continue
        batch.members.append(index)
        batch.mixed.append(mixed)
        batch.sources.append(sources)
    return batch


def measure(batch: BatchAudio, task: Task) -> Measured:
    """Separate a batch with every model, and measure.

    Raises:
        UserError: memory ran out.
    """
    if not batch.members:
        return Measured([], batch.skipped)
    try:
        return Measured(_measure(batch, task), batch.skipped)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        count, longest = len(batch.mixed), max(map(len, batch.mixed))
        raise UserError(
            f"Memory ran out with {counted(count, 'mixture')} of up to {longest} samples.",
            "Give fewer `batch_seconds`, or fewer processes with -j 1."
            if count > 1
            else "Give fewer processes with -j 1, or use a smaller model.",
        ) from error


def _measure(batch: BatchAudio, task: Task) -> list[dict[str, Any]]:
    _, models = open_task(task)
    mixed, lengths = stack(batch.mixed, task.device)
    sources, _ = stack(batch.sources, task.device)
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
        for row, index in enumerate(batch.members):
            made = {"index": index, "seed": seed, **{n: plain[n][row] for n in plain}}
            if task.stoi and not bool(undefined[row]):
                count = len(batch.mixed[row])
                pair = estimates[row, :, :count].cpu().numpy(), batch.sources[row]
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
    longest, pad = max(lengths), torch.nn.functional.pad
    padded = [pad(torch.from_numpy(one), (0, longest - one.shape[-1])) for one in signals]
    batch = torch.stack(padded).to(device)
    return batch, None if min(lengths) == longest else torch.tensor(lengths, device=device)
