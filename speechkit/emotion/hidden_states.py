"""Hidden states that were kept: what they are of, reading them, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch

from speechkit.base.arrays import read_array
from speechkit.base.errors import UserError
from speechkit.base.schema import read_json
from speechkit.base.text import composed
from speechkit.emotion import encoder_files
from speechkit.labels.emotions import MAX_SECONDS
from speechkit.workdir import WorkDir

TABLE, INDEX, CARD = "hidden.npy", "index.tsv", "hidden.json"


@dataclass(frozen=True)
class Kind:
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
        form: see :class:`Kind`.
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


def form_of(pooling: str) -> str:
    """What has to be kept for a pooling."""
    return "mean" if pooling in ("mean", "sum") else "frames"


class Vectors:
    """Hidden states of some clips in memory, on a device.

    Args:
        hidden: of the whole set.
        ids: utterances.
        pooling: of the head; a sum is the mean times the frames.
        device: where.
    """

    def __init__(
        self, hidden: Hidden, ids: Sequence[str], pooling: str, device: torch.device
    ) -> None:
        self.frames = [hidden.frames[name] for name in ids]
        self.pooled = hidden.form == "mean"
        clips = [torch.from_numpy(np.array(hidden.of(name))) for name in ids]
        if self.pooled and pooling == "sum":
            clips = [clip * count for clip, count in zip(clips, self.frames, strict=True)]
        self.clips = clips if not self.pooled else []
        self.table = torch.stack(clips).to(device) if self.pooled else torch.empty(0)
        self.device = device

    def __len__(self) -> int:
        return len(self.frames)

    def batch(self, indices: Sequence[int]) -> tuple[torch.Tensor, list[int] | None]:
        """Vectors ``[B, ..., D]`` without counts, or frames ``[B, ..., T, D]`` with them."""
        if self.pooled:
            return self.table[torch.as_tensor(indices)], None
        padded = torch.nn.utils.rnn.pad_sequence(
            [self.clips[i] for i in indices], batch_first=True
        ).to(self.device)
        return torch.movedim(padded, 1, -2), [self.frames[i] for i in indices]


def read(folder: Path) -> Hidden:
    """Open what :func:`extract` wrote.

    Raises:
        UserError: a file is missing or damaged.
    """
    try:
        card = read_json(folder / CARD, Card)
        values = read_array(folder / TABLE, kinds=("float32",))
        lines = (folder / INDEX).read_text(encoding="utf-8").splitlines()[1:]
        rows = [composed(line).split("\t") for line in lines]
        missing = folder / "skipped.tsv"
        left = missing.read_text(encoding="utf-8").splitlines()[1:] if missing.is_file() else []
        skipped = dict(composed(line).split("\t", 1) for line in left)
        first = {utt: int(row) for utt, row, _ in rows}
        frames = {utt: int(count) for utt, _, count in rows}
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{folder} cannot be read as hidden states ({error}).", "Remove it and run again."
        ) from error
    return Hidden(folder, values, first, frames, card.form, skipped)
