"""Splits of a labelled set: who is trained on, who validates, who is tested.

A split is made once and kept as ``data/<set>/splits/<name>.json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechkit.errors import DataError, UserError
from speechkit.manifest import read_json

SPEAKER_FOLDS, SPEAKER_80_20 = "speaker-folds", "speaker-80-20"
RANDOM_80_20, STATEMENT = "random-80-20", "statement"
KINDS = (SPEAKER_FOLDS, SPEAKER_80_20, RANDOM_80_20, STATEMENT)


@dataclass(frozen=True)
class Fold:
    """One division of the set.

    Args:
        train: utterances to train on.
        valid: utterances that choose the step or the hyperparameters.
        test: utterances that are only measured.
        valid_speakers: speakers of ``valid``; empty where they are also trained on.
        test_speakers: speakers of ``test``.
    """

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    valid_speakers: tuple[str, ...] = ()
    test_speakers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Split:
    """All folds of a split.

    Args:
        name: of the file.
        kind: one of ``KINDS``.
        seed: of the draw.
        leaks_speakers: speakers are both trained on and tested.
        folds: at least one.
        params: what else made it (fold size, number of folds ...).
        identical: groups of utterances with the same audio.
    """

    name: str
    kind: str
    seed: int
    leaks_speakers: bool
    folds: tuple[Fold, ...]
    params: dict[str, Any] = field(default_factory=dict)
    identical: tuple[tuple[str, ...], ...] = ()

    def fold(self, number: int) -> Fold:
        """A fold by number; UserError if there is no such one."""
        if not 0 <= number < len(self.folds):
            raise UserError(
                f"The split '{self.name}' has no fold {number}.",
                f"Accepted: 0 to {len(self.folds) - 1}.",
            )
        return self.folds[number]


def path_of(folder: Path, name: str) -> Path:
    """File of a split of a set."""
    return folder / "splits" / f"{name}.json"


def read_split(folder: Path, name: str) -> Split:
    """Read ``<folder>/splits/<name>.json``.

    Args:
        folder: the set's.
        name: of the split.

    Raises:
        UserError: it is not there, or not a split.
    """
    path = path_of(folder, name)
    if not path.is_file():
        found = sorted(p.stem for p in path.parent.glob("*.json"))
        listed = f"Splits there: {', '.join(found)}." if found else "It has none yet."
        raise UserError(
            f"The set {folder.name} has no split '{name}'. {listed}",
            f"Make one with: speechkit split-folds --set {folder.name} --split {KINDS[0]}",
        )
    loaded = read_json(path)
    try:
        parts = ("train", "valid", "test", "valid_speakers", "test_speakers")
        folds = tuple(Fold(*(tuple(map(str, fold[p])) for p in parts)) for fold in loaded["folds"])
        return Split(
            str(loaded["name"]),
            str(loaded["kind"]),
            int(loaded["seed"]),
            bool(loaded["leaks_speakers"]),
            folds,
            dict(loaded["params"]),
            tuple(_ids(group) for group in loaded["identical"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is not a split ({type(error).__name__}: {error}).",
            "Remove it and make it again with: speechkit split-folds",
        ) from error


def _ids(group: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(name) for name in group)
