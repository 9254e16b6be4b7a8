"""Extract x-vectors of a set, and the mean of each speaker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import audio
from speechkit.base.arrays import read_arrays
from speechkit.base.errors import UserError
from speechkit.base.files import atomic_write
from speechkit.base.log import counted, note_once
from speechkit.base.tables import write_json, write_skipped
from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkWriter
from speechkit.speaker import embedder, ge2e, verification
from speechkit.speaker.config import VectorConfig
from speechkit.training.devices import resolve_device
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.unfinished import map_kept

PART = 64  # batches per part that a resumed run keeps
BATCH_SECONDS = {"cpu": 60.0, "cuda": 600.0}
MAX_BATCH = 256

Batch = list[data.Utterance]


def extract(
    workdir: WorkDir,
    set_name: str,
    config: VectorConfig | None = None,
    *,
    name: str = "",
    device: str = "auto",
    jobs: int = 1,
    executor: str = "local",
    on_error: str = "stop",
    allow_pipes: bool = False,
    force: bool = False,
) -> Path:
    """Write ``exp/xvector/<set>/`` and return it.

    Args:
        config: which vectors; default: those of the newest model.
        name: suffix of the output folder.
        device: auto, cpu or cuda.
        jobs, executor, on_error: see :func:`speechkit.base.parallel.map_items`.
        allow_pipes: run shell commands in ``wav.scp``.
        force: replace vectors of another model.
    """
    config = config or VectorConfig()
    where, precision = resolve_device(device).type, config.precision
    folder = embedder.find_model(workdir, config.model)
    dataset = data.load(workdir.data(set_name), workdir.root, allow_pipes)
    final = workdir.exp("xvector", set_name, name=name)
    weights = [p for p in folder.iterdir() if p.suffix in (".safetensors", ".ckpt", ".pt", ".yaml")]
    model = config.model if config.model == ge2e.NAME else folder.name
    params = {"set": set_name, "model": model, "precision": precision}
    with Output(
        final,
        "extract-xvector",
        params,
        [*dataset.files(), *sorted(weights)],
        force=force,
        audio=dataset.audio_files(),
        resume=True,
        beside="write beside it with `name`, or name the model that made it with `model`",
    ) as out:
        if out.up_to_date:
            return final
        encoder = embedder.load(folder.resolve(), where, precision)
        batches = make_batches(dataset, config.batch_seconds or BATCH_SECONDS[where])
        run = partial(
            _embed, folder=folder.resolve(), device=where, precision=precision, on_error=on_error
        )
        how: dict[str, Any] = {"jobs": jobs, "executor": executor, "label": f"xvector {set_name}"}
        how |= {"size": len, "name": lambda batch: "extract-xvector", "batches": True}
        how |= {"read": _read_part, "write": _write_part}
        rows, skipped = map_kept(run, batches, PART, out.part, ".npz", **how)
        _write(out, workdir, dataset, dict(rows), skipped)
        out.notes.update(device=where, sample_rate=encoder.sample_rate)
    return final


def make_batches(dataset: data.DataDir, batch_seconds: float) -> list[Batch]:
    """Utterances sorted by length, in batches of at most ``batch_seconds`` with padding.

    Utterances of unknown length (pipes, broken headers) get batches of their own.
    """
    seconds_of = cache(_seconds)  # one header may serve several segments
    timed = [
        (max(0.0, (seconds_of(u.wav) if u.end is None else u.end) - u.start), u)
        for u in dataset.utterances
    ]
    timed.sort(key=lambda pair: (-pair[0], pair[1].id))
    batches: list[Batch] = []
    longest = 0.0
    for seconds, utterance in timed:
        full = batches and (
            (len(batches[-1]) + 1) * longest > batch_seconds or len(batches[-1]) >= MAX_BATCH
        )
        if not batches or full:
            batches.append([])
            longest = seconds
        batches[-1].append(utterance)
    return batches


def _seconds(wav: str | audio.Pipe) -> float:
    try:
        return math.inf if isinstance(wav, audio.Pipe) else audio.info(wav).seconds
    except UserError:  # named when it is read
        return math.inf


def _embed(
    batch: Batch, folder: Path, device: str, precision: str, on_error: str
) -> tuple[list[tuple[str, np.ndarray]], list[list[str]]]:
    """(id, vector) of a batch, and (id, reason) of those that are skipped."""
    encoder = embedder.load(folder, device, precision)
    waves, ids, skipped = [], [], []
    for utterance in batch:
        try:
            samples, _ = audio.read(
                utterance.wav, encoder.sample_rate, utterance.start, utterance.end
            )
            encoder.check(samples)
        except UserError as error:
            if on_error == "stop":
                raise type(error)(f"{utterance.id}: {error.problem}", error.remedy) from error
            skipped.append([utterance.id, str(error)])
            continue
        waves.append(samples)
        ids.append(utterance.id)
    return list(zip(ids, encoder(waves) if waves else [], strict=True)), skipped


def _read_part(path: Path, part: Sequence[Batch]) -> list[tuple[str, np.ndarray]] | None:
    """What was kept, if it is of these batches: others may have been made meanwhile."""
    kept = read_arrays(path, ("ids", "vectors"))
    rows = list(zip(kept["ids"].tolist(), kept["vectors"], strict=True))
    return rows if {name for name, _ in rows} == {u.id for batch in part for u in batch} else None


def _write_part(path: Path, rows: Sequence[tuple[str, np.ndarray]]) -> None:
    with atomic_write(path, "wb") as file:
        np.savez(file, ids=np.array([name for name, _ in rows]), vectors=[row for _, row in rows])


def _write(
    out: Output,
    workdir: WorkDir,
    dataset: data.DataDir,
    vectors: dict[str, np.ndarray],
    skipped: list[list[str]],
) -> None:
    if not vectors:
        raise UserError("No utterance could be read.", "See the reasons above.")
    order = [u for u in dataset.utterances if u.id in vectors]
    assert len(order) + len(skipped) == len(dataset.utterances), "vectors were lost"
    speakers = np.array([u.speaker for u in order])
    table = np.stack([vectors[u.id] for u in order])
    if not np.isfinite(table).all():
        bad = [u.id for u, row in zip(order, table, strict=True) if not np.isfinite(row).all()]
        raise UserError(f"The model gives vectors that are not finite, e.g. of {bad[0]}.")
    _write_ark(out, workdir, "xvector", [(u.id, vectors[u.id]) for u in order])
    means = [(str(s), table[speakers == s].mean(0)) for s in np.unique(speakers)]
    _write_ark(out, workdir, "spk_xvector", means)
    counts = "".join(f"{s} {int((speakers == s).sum())}\n" for s in np.unique(speakers))
    (out.path / "num_utts.ark").write_text(counts, encoding="utf-8")
    write_skipped(out.path, skipped)
    if skipped:
        told = f"Skipped {counted(len(skipped), 'utterance')}: see skipped.tsv."
        note_once("xvector-skipped", told)
    found = {
        "utterances": len(order),
        "skipped": len(skipped),
        "speakers": len(means),
        "dimension": table.shape[1],
        **verification.summary_with_interval(table, speakers),
    }
    write_json(out.path / "summary.json", found)
    out.counts.update(utterances=len(order), skipped=len(skipped), speakers=len(means))


def _write_ark(
    out: Output, workdir: WorkDir, stem: str, rows: Sequence[tuple[str, np.ndarray]]
) -> None:
    """``<stem>.ark`` with an scp that names it relative to the working directory, as Kaldi does."""
    named = (out.final / f"{stem}.ark").relative_to(workdir.root)
    with ArkWriter(out.path / f"{stem}.ark", out.path / f"{stem}.scp", str(named)) as writer:
        for key, vector in rows:
            writer.write(key, vector.astype(np.float32))
