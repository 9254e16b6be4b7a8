"""The hard folder: its files, written by ``mine-hard`` and read by the sampler."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from speechkit.base import arrays
from speechkit.base.errors import DataError, UserError
from speechkit.mining.distance import NO_LIMIT
from speechkit.mining.windows import Found

THRESHOLDS = "thresholds.tsv"
HEADER = ("utt", "m", "threshold", "nearest")
_AGAIN = "Make it again with: speechkit mine-hard ... --force"


def write_thresholds(folder: Path, utterances: Sequence[str], found: Found) -> None:
    """``thresholds.tsv``: one row per utterance; thresholds read back as the same float64."""
    nearest = [utterances[k] if k >= 0 else "" for k in found.nearest.tolist()]
    columns = (utterances, found.m.tolist(), found.threshold.tolist(), nearest)
    with (folder / THRESHOLDS).open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(HEADER) + "\n")
        for utterance, m, threshold, near in zip(*columns, strict=True):
            file.write(f"{utterance}\t{m}\t{threshold!r}\t{near}\n")


def read_thresholds(folder: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Utterances, sizes of their hard sets (int64) and thresholds (float64).

    Raises:
        UserError: there is no such folder or file.
        DataError: the file breaks its format.
    """
    path = folder / THRESHOLDS
    if not path.is_file():
        raise UserError(
            f"{folder} is not a folder of hard pairs: it has no {THRESHOLDS}.",
            "Make one with `speechkit mine-hard` and name it: exp/hard/<param>_pm<P_M>.",
        )
    utterances: list[str] = []
    sizes: list[int] = []
    thresholds: list[float] = []
    with path.open(encoding="utf-8") as file:
        if tuple(file.readline().rstrip("\n").split("\t")) != HEADER:
            raise DataError(f"{path}: the header is not '{' '.join(HEADER)}'.", _AGAIN)
        for number, line in enumerate(file, 2):
            try:
                utterance, m, threshold, _ = line.rstrip("\n").split("\t")
                utterances.append(utterance)
                sizes.append(int(m))
                thresholds.append(float(threshold))
            except ValueError:
                raise DataError(f"{path}:{number}: expected four columns.", _AGAIN) from None
    return utterances, np.array(sizes, np.int64), np.array(thresholds)


def read_array(folder: Path, name: str, shape: tuple[int | None, ...], kind: str) -> np.ndarray:
    """A memory-mapped array of the folder, checked.

    Args:
        folder: the hard folder.
        name: file name.
        shape: expected shape, None for any length.
        kind: expected type, such as ``int32``.

    Raises:
        DataError: missing, not an array, or of another shape or type.
    """
    if not (folder / name).exists():
        raise DataError(f"{folder} is damaged: {name} is missing.", _AGAIN)
    remedy = f"It does not belong to the {THRESHOLDS} beside it, or is damaged. {_AGAIN}"
    return arrays.read_array(folder / name, shape, (kind,), remedy)


def create_array(path: Path, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """A new memory-mapped ``.npy`` file whose disk space is already taken.

    Writing to a sparse map on a full disk would kill the process; this raises OSError.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(kind), shape=shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def write_rejection(
    folder: Path, speakers: np.ndarray, groups: np.ndarray, found: Found, same_gender: bool
) -> None:
    """What a sampler without stored pairs needs besides values or vectors."""
    np.save(folder / "speakers.npy", speakers.astype(np.int32))
    if same_gender:
        np.save(folder / "groups.npy", groups.astype(np.int32))
    if (found.tie != NO_LIMIT).any():
        np.save(folder / "ties.npy", found.tie.astype(np.int32))
