"""Hidden states of a frozen encoder, computed once and kept: ``exp/hidden/<set>-<encoder>...``.

What is kept is what the head needs: the mean of each clip where pooling is the mean (or the sum,
which is the mean times the frames), all frames where it is not; the last layer, a given one,
or all of them. So all folds, seeds and heads of a pooling read the same folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import torch

from speechkit.base.arrays import read_array, read_arrays
from speechkit.base.cluster import kept_for_map
from speechkit.base.errors import UserError, needed_by_all
from speechkit.base.log import counted, logger
from speechkit.base.schema import read_json
from speechkit.base.tables import typed_rows, write_json, write_skipped, write_tsv
from speechkit.base.text import composed
from speechkit.emotion import encoder_files
from speechkit.emotion.encoders import Encoder, load_encoder
from speechkit.emotion.features import is_kept, keep, read_skipped, values_of, write_part
from speechkit.kaldi.data import Utterance
from speechkit.labels.emotions import MAX_SECONDS, EmotionSet, read_clip
from speechkit.training.batches import durations
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.unfinished import map_parts, split

COMMAND = "extract-hidden"
TABLE, INDEX, CARD = "hidden.npy", "index.tsv", "hidden.json"
_COLUMNS, _REMEDY = ("utt", "row", "frames"), "Remove the folder and run again."
BATCH_SECONDS = {"cpu": 20.0, "cuda": 300.0}
PART = 16  # batches of a part that a resumed run keeps


@dataclass(frozen=True)
class HiddenConfig:
    """What is kept.

    Args:
        spec: of the encoder.
        layers: ``last``, ``weighted`` for all, or a number.
        form: ``mean`` of each clip, or all ``frames``.
        max_seconds: most seconds of a clip.
    """

    spec: str
    layers: str = "last"
    form: str = "mean"
    max_seconds: float = MAX_SECONDS

    def folder(self, workdir: WorkDir, set_name: str) -> Path:
        """``exp/hidden/<set>-<encoder>[-all|-layer<N>][-frames][-<S>s]``."""
        layers = {"last": "", "weighted": "-all"}.get(self.layers, f"-layer{self.layers}")
        form = "" if self.form == "mean" else f"-{self.form}"
        cut = "" if self.max_seconds == MAX_SECONDS else f"-{self.max_seconds:g}s"
        name = encoder_files.short_name(self.spec)
        return workdir.exp("hidden", f"{set_name}-{name}{layers}{form}{cut}")


class Card(msgspec.Struct):
    """What ``hidden.json`` must say."""

    form: Literal["mean", "frames"]


@dataclass
class Hidden:
    """Hidden states of a set.

    Args:
        folder: where they are.
        values: float32 ``[rows, D]`` or ``[rows, L + 1, D]``, mapped from disk.
        first: utterance -> its first row.
        frames: utterance -> frames of the clip.
        form: see :class:`HiddenConfig`.
        skipped: utterance -> why it has none.
    """

    folder: Path
    values: np.ndarray
    first: dict[str, int]
    frames: dict[str, int]
    form: str
    skipped: dict[str, str]

    def of(self, utterance: str) -> np.ndarray:
        """``[..., D]`` of a clip's mean, or ``[T, ..., D]`` of its frames."""
        row = self.first[utterance]
        if self.form == "mean":
            return self.values[row]
        return self.values[row : row + self.frames[utterance]]

    def clips(self, ids: Sequence[str], pooling: str) -> list[torch.Tensor]:
        """What a head with a pooling takes of some clips; a sum is the mean times the frames."""
        found = [torch.from_numpy(np.array(self.of(name))) for name in ids]
        if self.form == "mean" and pooling == "sum":
            return [clip * self.frames[name] for clip, name in zip(found, ids, strict=True)]
        return found


def read(folder: Path) -> Hidden:
    """Open hidden states that were kept.

    Raises:
        UserError: a file is missing or damaged.
    """
    card = read_json(folder / CARD, Card)
    values = read_array(folder / TABLE, kinds=("float32",))
    rows = [row for _, row in typed_rows(folder / INDEX, _COLUMNS, (composed, int, int), _REMEDY)]
    first, frames = {utt: row for utt, row, _ in rows}, {utt: count for utt, _, count in rows}
    return Hidden(folder, values, first, frames, card.form, read_skipped(folder))


def extract(
    workdir: WorkDir,
    dataset: EmotionSet,
    kind: HiddenConfig,
    *,
    source: Path | None = None,
    device: str = "cpu",
    jobs: int = 1,
    executor: str = "local",
    on_error: str = "stop",
    force: bool = False,
) -> Hidden:
    """Hidden states of every clip of a set; what is there already is only read.

    Args:
        workdir: the working directory.
        dataset: the labelled set.
        kind: what is kept.
        source: folder of the encoder; None looks it up.
        device: cpu or cuda.
        jobs: processes on the CPU.
        executor: local or dask://HOST:PORT.
        on_error: stop at a clip that cannot be read, or skip it.
        force: replace what another encoder of the same name made.

    Raises:
        UserError: the encoder cannot be had, or (with ``stop``) a clip cannot be read.
    """
    source = source or encoder_files.find(kind.spec)
    final = kind.folder(workdir, dataset.name)
    params = {
        "set": dataset.name,
        "encoder": encoder_files.short_name(kind.spec),
        "digest": encoder_files.origin(source),
        **{k: v for k, v in asdict(kind).items() if k != "spec"},
    }
    how = {"jobs": jobs if device == "cpu" else 1, "executor": executor}

    def compute(out: Output) -> None:
        _compute(out, dataset, kind, source, device, on_error, how)
        out.notes["device"] = device

    return keep(
        final,
        COMMAND,
        params,
        dataset,
        on_error,
        compute,
        read,
        force=force,
        beside="give the other encoder's folder another name",
    )


def make_batches(utterances: Sequence[Utterance], batch_seconds: float) -> list[list[Utterance]]:
    """Clips sorted by length, the longest first, in batches of so many seconds with padding."""
    seconds = durations(utterances)
    order = sorted(range(len(utterances)), key=lambda i: (-seconds[i], utterances[i].id))
    batches: list[list[Utterance]] = []
    longest = 0.0
    for i in order:
        if not batches or (len(batches[-1]) + 1) * longest > batch_seconds:
            batches.append([])
            longest = min(seconds[i], MAX_SECONDS)
        batches[-1].append(utterances[i])
    return batches


@kept_for_map
@lru_cache(maxsize=1)
@needed_by_all()
def _encoder(folder: str, layers: str, device: str) -> Encoder:
    encoder = load_encoder(folder, device)
    encoder.take_layer(layers)
    return encoder


def _states(
    batch: Sequence[Utterance], folder: str, kind: HiddenConfig, device: str
) -> tuple[list[tuple[str, np.ndarray, int]], list[tuple[str, str]]]:
    """(id, states, frames) of each clip of a batch, and (id, reason) of those that have none."""
    encoder = _encoder(folder, kind.layers, device)
    waves, ids, skipped = [], [], []
    for utterance in batch:
        try:
            wave = read_clip(utterance, encoder.sample_rate, kind.max_seconds)
            encoder.prepare([wave])
        except UserError as error:
            skipped.append((utterance.id, error.problem))
            continue
        waves.append(wave)
        ids.append(utterance.id)
    if not waves:
        return [], skipped
    found = []
    with torch.inference_mode():
        padded, lengths = encoder.prepare(waves)
        states, counts = encoder(padded.to(device), lengths, kind.layers == "weighted")
    for name, clip, count in zip(ids, states, counts, strict=True):
        whole = clip[..., :count, :].float()
        value = whole.mean(-2) if kind.form == "mean" else torch.movedim(whole, -2, 0)
        found.append((name, value.cpu().numpy(), count))
    return found, skipped


def _compute(
    out: Output,
    dataset: EmotionSet,
    kind: HiddenConfig,
    source: Path,
    device: str,
    on_error: str,
    how: dict[str, Any],
) -> None:
    parts = split(make_batches(dataset.data.utterances, BATCH_SECONDS[device]), PART)
    files = [out.part(f"{number:05d}.npz") for number in range(len(parts))]
    run = partial(_states, folder=str(source.resolve()), kind=kind, device=device)
    found: Any = map_parts(
        run,
        parts,
        [is_kept(file) for file in files],
        out.scratch,
        size=len,
        name=lambda batch: batch[0].id,
        label=f"hidden states {dataset.name}",
        unit="clip",
        **how,
    )
    with closing(found), ExitStack() as after:  # also where a clip stops the run
        after.callback(_encoder.cache_clear)
        for file, part in zip(files, found, strict=True):
            if part is None:
                continue
            results: list[Any] = [done.value for done in part]
            clips = [clip for found_of, _ in results for clip in found_of]
            skipped = [row for _, missing in results for row in missing]
            for name, reason in skipped:
                if on_error == "stop":
                    raise UserError(
                        f"{name}: {reason}", "Mend it, or leave it out: `on_error` skip."
                    )
                logger.warning(f"skipped {name}: {reason}")
            counts = np.array([count for *_, count in clips], dtype=np.int64)
            write_part(file, {name: value for name, value, _ in clips}, skipped, frames=counts)
    _join(out, dataset, kind, files)


def _join(out: Output, dataset: EmotionSet, kind: HiddenConfig, files: Sequence[Path]) -> None:
    """One table of all parts, in the set's order."""
    frames: dict[str, int] = {}
    skipped: list[list[str]] = []
    shape: tuple[int, ...] = ()
    for file in files:
        part = read_arrays(file, ("skipped", "ids", "frames"))
        skipped += part["skipped"].tolist()
        frames.update(zip(part["ids"].tolist(), part["frames"].tolist(), strict=True))
        shape = shape or part.get("v0", np.empty(())).shape
    if not frames:
        raise UserError("No clip could be read.", "See the reasons above.")
    order = [u.id for u in dataset.data.utterances if u.id in frames]
    sizes = {name: 1 if kind.form == "mean" else frames[name] for name in order}
    starts = dict(zip(order, np.r_[0, np.cumsum([*sizes.values()])[:-1]].tolist(), strict=True))
    row = shape if kind.form == "mean" else shape[1:]
    table = np.lib.format.open_memmap(
        out.path / TABLE, mode="w+", dtype=np.float32, shape=(sum(sizes.values()), *row)
    )
    for file in files:
        for name, value in values_of(read_arrays(file, ["ids"])):
            table[starts[name] : starts[name] + sizes[name]] = value
    table.flush()
    index = [[name, str(starts[name]), str(frames[name])] for name in order]
    write_tsv(out.path / INDEX, _COLUMNS, index)
    card = {**asdict(kind), "shape": list(table.shape), "clips": len(order)}
    write_json(out.path / CARD, card)
    write_skipped(out.path, skipped)
    if skipped:
        logger.warning(f"Skipped {counted(len(skipped), 'clip')}: see {out.final}/skipped.tsv.")
    out.counts.update(clips=len(order), skipped=len(skipped), rows=sum(sizes.values()))
