"""Features of all clips of a set, computed once and kept in ``exp/emotion_features/``.

openSMILE's feature sets, one vector of statistics per clip: eGeMAPS v02 (88 values; Eyben et
al., IEEE Transactions on Affective Computing 7 (2), 2016) and ComParE 2016 (6,373 values;
Schuller et al., Interspeech 2016). Or log mel features, for the convolutional network.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from speechkit.acoustic.features import FeatureConfig, log_mel
from speechkit.base.arrays import read_arrays
from speechkit.base.errors import (
    AudioError,
    MissingDependency,
    UserError,
    needed_by_all,
    require_choice,
)
from speechkit.base.files import atomic_write
from speechkit.base.tables import write_skipped
from speechkit.base.text import composed
from speechkit.emotion.model_folder import CNN
from speechkit.kaldi.ark import ArkTable, ArkWriter
from speechkit.kaldi.data import Utterance
from speechkit.labels.emotions import MAX_SECONDS, EmotionSet, read_clip
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.manifest import MANIFEST, changed, read_manifest
from speechkit.workdir.unfinished import map_parts, split

SETS = {"egemaps": "eGeMAPSv02", "compare16": "ComParE_2016"}
SAMPLE_RATE = 16_000
COMMAND = "emotion features"
PART = 256  # clips per part that a resumed run keeps
FBANK = FeatureConfig(SAMPLE_RATE, n_mels=64, normalise="none")  # loudness tells emotions apart
Kept = TypeVar("Kept")


@lru_cache(maxsize=4)
@needed_by_all()
def open_smile(spec: str) -> Any:
    """openSMILE with a feature set, opened once per process.

    Args:
        spec: ``egemaps`` or ``compare16``.

    Raises:
        UserError: an unknown name, or opensmile is not installed.
    """
    require_choice("upstream", spec, SETS)
    try:
        import opensmile
    except ImportError as error:
        raise MissingDependency("opensmile", "emotion") from error
    return opensmile.Smile(
        feature_set=getattr(opensmile.FeatureSet, SETS[spec]),
        feature_level=opensmile.FeatureLevel.Functionals,
    )


@dataclass
class Features:
    """Cached features of a set.

    Args:
        folder: where they are.
        table: utterance -> vector ``[D]`` or matrix ``[T, D]``.
        names: of the D values, where they have names.
        skipped: utterance -> why it has none.
    """

    folder: Path
    table: ArkTable
    names: tuple[str, ...]
    skipped: dict[str, str]


def extract(
    workdir: WorkDir,
    dataset: EmotionSet,
    spec: str,
    *,
    max_seconds: float = MAX_SECONDS,
    jobs: int = 1,
    executor: str = "local",
    on_error: str = "stop",
) -> Features:
    """Features of every clip; what was computed before is only read.

    Args:
        workdir: the working directory.
        dataset: the set.
        spec: ``egemaps``, ``compare16``, or ``fbank-cnn`` for log mel features.
        max_seconds: most seconds of a clip.
        jobs: local processes.
        executor: local or dask://HOST:PORT.
        on_error: stop at a broken clip, or skip it.

    Raises:
        UserError: a broken clip, or opensmile is not installed.
    """
    final = workdir.exp("emotion_features", f"{dataset.name}-{spec}")
    if max_seconds != MAX_SECONDS:
        final = final.with_name(f"{final.name}-{max_seconds:g}s")
    params: dict[str, Any] = {"set": dataset.name, "features": spec, "max_seconds": max_seconds}
    if spec == CNN:
        params["fbank"] = FBANK.as_dict()

    def compute(out: Output) -> None:
        how = {"jobs": jobs, "executor": executor, "on_error": on_error}
        _compute(out, dataset.data.utterances, spec, max_seconds, how)

    there = (read_manifest(final) or {}).get("params", params)
    outdated = bool(changed(there, json.loads(json.dumps(params))))
    return keep(final, COMMAND, params, dataset, on_error, compute, read, force=outdated)


# What this process has read: all folds and seeds of a command ask for the same.
_read: dict[tuple[Path, str], tuple[tuple[int, ...], dict[str, Any], Any]] = {}


def keep(
    final: Path,
    command: str,
    params: dict[str, Any],
    dataset: EmotionSet,
    on_error: str,
    compute: Callable[[Output], None],
    read: Callable[[Path], Kept],
    *,
    force: bool = False,
    beside: str = "",
) -> Kept:
    """What a folder of ``exp/`` keeps of a set: computed if it is not there, read once a process.

    Args:
        final: the folder.
        command: that makes it.
        params: all that decides the result.
        dataset: the labelled set.
        on_error: how broken clips are treated; ``stop`` computes again where some were skipped.
        compute: fills the folder.
        read: opens the finished folder.
        force: compute again.
        beside: what to do if it was made with other parameters, in words.
    """

    def state() -> tuple[int, ...]:
        files = (final / MANIFEST, *dataset.data.files())
        return tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in files)

    force = force or (on_error == "stop" and (final / "skipped.tsv").is_file())
    key = (final.resolve(), on_error)
    if not force and key in _read and _read[key][:2] == (state(), params):
        return _read[key][2]
    with Output(
        final,
        command,
        params,
        dataset.data.files(),
        force=force,
        audio=dataset.data.audio_files(),
        resume=True,
        beside=beside,
    ) as out:
        if not out.up_to_date:
            compute(out)
    _read[key] = (state(), params, read(final))
    return _read[key][2]


def read_skipped(folder: Path) -> dict[str, str]:
    """Utterance -> why it was left out, of ``skipped.tsv``."""
    path = folder / "skipped.tsv"
    lines = path.read_text(encoding="utf-8").splitlines()[1:] if path.is_file() else []
    return dict(composed(line).split("\t", 1) for line in lines)


def read(folder: Path) -> Features:
    """What :func:`extract` wrote."""
    names = folder / "names.txt"
    return Features(
        folder,
        ArkTable(folder / "features.scp"),
        tuple(names.read_text(encoding="utf-8").split("\n")) if names.is_file() else (),
        read_skipped(folder),
    )


def _compute(
    out: Output,
    utterances: Sequence[Utterance],
    spec: str,
    max_seconds: float,
    how: dict[str, Any],
) -> None:
    run = partial(_features, spec=spec, max_seconds=max_seconds)
    if spec != CNN:
        names = open_smile(spec).feature_names
        (out.path / "names.txt").write_text("\n".join(names), encoding="utf-8")
    parts = split(utterances, PART)
    files = [out.part(f"{number:05d}.npz") for number in range(len(parts))]
    how |= {"chunk": 4, "label": spec, "name": lambda utterance: utterance.id}
    found = map_parts(run, parts, [is_kept(file) for file in files], out.scratch, **how)
    for file, part in zip(files, found, strict=True):
        if part is not None:
            values = {done.item.id: done.value for done in part if done.value is not None}
            write_part(file, values, [(d.item.id, d.error or "") for d in part if d.value is None])
    skipped: list[list[str]] = []
    with ArkWriter(out.path / "features.ark", out.path / "features.scp", "features.ark") as writer:
        for arrays in map(read_arrays, files):
            skipped += arrays["skipped"].tolist()
            for name, value in values_of(arrays):
                writer.write(name, value)
    count = len(utterances) - len(skipped)
    if not count:
        raise UserError("No clip could be used.", "See the reasons above.")
    write_skipped(out.path, skipped)
    out.counts.update(utterances=count, skipped=len(skipped))


def is_kept(file: Path) -> bool:
    """Whether an earlier run kept this part, and all of its clips.

    Skipped ones may have been mended since, or the run may now have to stop at them.
    """
    return file.exists() and not len(read_arrays(file, ["skipped"])["skipped"])


def write_part(
    file: Path,
    values: Mapping[str, np.ndarray],
    skipped: Sequence[tuple[str, str]],
    **more: np.ndarray,
) -> None:
    """Keep a part of a set.

    Args:
        file: of the part.
        values: of its clips, by their ids.
        skipped: (id, reason) of those that have none.
        more: arrays that are kept beside them.
    """
    arrays: dict[str, Any] = {f"v{number}": value for number, value in enumerate(values.values())}
    arrays |= {"ids": np.array(list(values), str), **more}
    arrays["skipped"] = np.array(skipped, str).reshape(-1, 2)
    with atomic_write(file, "wb") as handle:
        np.savez(handle, **arrays)


def values_of(part: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """(id, value) of the clips of a part."""
    for number, name in enumerate(part["ids"].tolist()):
        yield name, part[f"v{number}"]


def _features(utterance: Utterance, spec: str, max_seconds: float) -> np.ndarray:
    return of_wave(read_clip(utterance, SAMPLE_RATE, max_seconds), spec)


def of_wave(samples: np.ndarray, spec: str) -> np.ndarray:
    """Features of samples ``[T]`` in -1..1 at 16 kHz: ``[D]``, or ``[T, 64]`` for ``fbank-cnn``.

    Raises:
        AudioError: the clip is too short for the statistics (some 0.03 s).
    """
    if spec == CNN:
        return log_mel(samples, FBANK).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # says what is raised below
        found = open_smile(spec).process_signal(samples, SAMPLE_RATE).to_numpy()[0]
    if not np.isfinite(found).all():
        raise AudioError(
            f"The clip of {len(samples) / SAMPLE_RATE:.3f} s has no {spec} features.",
            "Remove it, or leave it out with `on_error` skip.",
            "empty",
        )
    return found.astype(np.float32)
