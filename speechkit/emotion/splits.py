"""Splits of a labelled set: who is trained on, who validates, who is tested.

A split is made once and kept as ``data/<set>/splits/<name>.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from speechkit import files
from speechkit.emotion import drawing
from speechkit.emotion.data import EmotionSet
from speechkit.errors import DataError, UserError, require_choice
from speechkit.kaldi import identical
from speechkit.log import logger
from speechkit.manifest import changed, read_json
from speechkit.names import composed
from speechkit.workdir import check_name

SPEAKER_FOLDS, SPEAKER_80_20 = "speaker-folds", "speaker-80-20"
RANDOM_80_20, STATEMENT = "random-80-20", "statement"
KINDS = (SPEAKER_FOLDS, SPEAKER_80_20, RANDOM_80_20, STATEMENT)
PARTS = 5  # an 80/20 split tests one of so many


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
class SplitSettings:
    """How a split is drawn.

    Args:
        kind: ``speaker-folds``: every speaker is tested once; ``speaker-80-20``: a fifth of
            the speakers is tested; ``random-80-20``: a fifth of the clips of each class is
            tested, whoever speaks (speakers leak); ``statement``: each sentence is tested
            once, the others are trained on (speakers leak).
        fold_size: speakers tested in a fold of ``speaker-folds``.
        folds: of the 80/20 splits: how many different fifths are tested, 1 to 5.
        valid_speakers: of each fold that parts speakers, and of ``statement``: speakers taken
            out of the training part to validate.
        valid_share: of ``random-80-20``: share of the training clips that validates.
        seed: of the draw.

    Raises:
        UserError: a value that is not accepted.
    """

    kind: str = SPEAKER_FOLDS
    fold_size: int = 4
    folds: int = 1
    valid_speakers: int = 2
    valid_share: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("--split", self.kind, KINDS)
        for flag, value, good, accepted in (
            ("--fold-size", self.fold_size, self.fold_size >= 1, "from 1"),
            ("--folds", self.folds, 1 <= self.folds <= PARTS, f"1 to {PARTS}"),
            ("--valid-speakers", self.valid_speakers, self.valid_speakers >= 1, "from 1"),
            ("--valid-share", self.valid_share, 0 < self.valid_share <= 0.5, "above 0, up to 0.5"),
            ("--split-seed", self.seed, self.seed >= 0, "from 0"),
        ):
            if not good:
                raise UserError(f"{flag} {value} is out of range.", f"Accepted: {accepted}.")

    def params(self) -> dict[str, Any]:
        """What decides this kind of split."""
        of_kind = {
            SPEAKER_FOLDS: ("fold_size", "valid_speakers"),
            SPEAKER_80_20: ("folds", "valid_speakers"),
            RANDOM_80_20: ("folds", "valid_share"),
            STATEMENT: ("valid_speakers",),
        }[self.kind]
        return {name: getattr(self, name) for name in of_kind}


@dataclass(frozen=True)
class Split:
    """All folds of a split.

    Args:
        name: of the file.
        kind: one of ``KINDS``.
        seed: of the draw.
        leaks_speakers: speakers are both trained on and tested.
        folds: at least one.
        params: what else decided it (fold size, number of folds ...).
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


def make_split(
    dataset: EmotionSet,
    settings: SplitSettings,
    name: str = "",
    identical_audio: Iterable[tuple[str, ...]] = (),
) -> Split:
    """Draw a split; the same for the same set and settings.

    Args:
        dataset: the set.
        settings: how.
        name: of the split; by default its kind.
        identical_audio: groups of utterances with the same audio, for the record.

    Raises:
        UserError: too few speakers, clips or sentences, or a class that a training part lacks.
    """
    drawing.check_classes(dataset)
    if settings.kind == SPEAKER_FOLDS:
        made = drawing.speaker_folds(dataset, settings)
    elif settings.kind == SPEAKER_80_20:
        made = drawing.speaker_parts(dataset, settings, PARTS)
    elif settings.kind == RANDOM_80_20:
        made = drawing.random_parts(dataset, settings, PARTS)
    else:
        made = drawing.statements(dataset, settings)
    split = Split(
        name or settings.kind,
        settings.kind,
        settings.seed,
        settings.kind in (RANDOM_80_20, STATEMENT),
        tuple(made),
        settings.params(),
        tuple(identical_audio),
    )
    check_fits(split, dataset)
    return split


def ensure_split(
    dataset: EmotionSet,
    settings: SplitSettings,
    name: str = "",
    *,
    jobs: int = 1,
    force: bool = False,
) -> Split:
    """The split of a name (by default its kind), made and recorded if it is not there.

    Raises:
        UserError: as :func:`make_split`; or it is there, but was made otherwise.
    """
    name = check_name("split", name or settings.kind)
    path = path_of(dataset.data.path, name)
    if path.is_file() and not force:
        found = read_split(dataset.data.path, name)
        asked = {"kind": settings.kind, "seed": settings.seed, **settings.params()}
        there = {"kind": found.kind, "seed": found.seed, **found.params}
        if differing := changed(there, asked):
            raise UserError(
                f"The split {path} was made with other parameters ({'; '.join(differing)}).",
                "Replace it with --force, or write beside it with --split-name.",
            )
        check_fits(found, dataset)
        return found
    same = identical.groups(dataset.data.utterances, jobs, "compare audio")
    split = make_split(dataset, settings, name, same)
    write_split(dataset.data.path, split)
    logger.info(f"{path}: {len(split.folds)} folds.")
    return split


def path_of(folder: Path, name: str) -> Path:
    """File of a split of a set."""
    return folder / "splits" / f"{name}.json"


def write_split(folder: Path, split: Split) -> None:
    """Write ``<folder>/splits/<name>.json``, whole or not at all."""
    path = path_of(folder, split.name)
    files.make_dirs(path.parent)
    with files.atomic_write(path) as file:
        json.dump(asdict(split), file, indent=1, ensure_ascii=False)
        file.write("\n")


def read_split(folder: Path, name: str) -> Split:
    """Read ``<folder>/splits/<name>.json``.

    Args:
        folder: the set's.
        name: of the split.

    Raises:
        UserError: it is not there, or not a split.
    """
    path = path_of(folder, check_name("split", name))
    if not path.is_file():
        found = sorted(p.stem for p in path.parent.glob("*.json"))
        listed = f"Splits there: {', '.join(found)}." if found else "It has none yet."
        raise UserError(
            f"The set '{folder.name}' has no split '{name}'. {listed}",
            f"Make one with: speechkit split-folds --set {folder.name} --split {SPEAKER_FOLDS}",
        )
    loaded = read_json(path)
    try:
        folds = tuple(
            Fold(
                **{
                    part: tuple(composed(str(name)) for name in fold[part])
                    for part in Fold.__dataclass_fields__
                }
            )
            for fold in loaded["folds"]
        )
        if not folds:
            raise ValueError("no folds")
        return Split(
            str(loaded["name"]),
            str(loaded["kind"]),
            int(loaded["seed"]),
            bool(loaded["leaks_speakers"]),
            folds,
            dict(loaded["params"]),
            tuple(tuple(composed(str(name)) for name in group) for group in loaded["identical"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is not a split ({type(error).__name__}: {error}).",
            "Remove it and make it again with: speechkit split-folds",
        ) from error


def check_fits(split: Split, dataset: EmotionSet) -> None:
    """Check that a split is of this set, and that each training part has every class.

    Classes that a validation or test part lacks are named in a warning.

    Raises:
        UserError: an unknown utterance, parts that overlap or are empty, a class without
            training clips.
    """
    remedy = "Make the split again with: speechkit split-folds --force"
    for number, fold in enumerate(split.folds):
        where = f"The split '{split.name}', fold {number}"
        parts = {"train": fold.train, "valid": fold.valid, "test": fold.test}
        every = [name for ids in parts.values() for name in ids]
        unknown = set(every) - set(dataset.labels)
        if unknown:
            raise DataError(
                f"{where}: {len(unknown)} utterances are not in the set '{dataset.name}' "
                f"({min(unknown)}).",
                remedy,
            )
        if len(every) > len(set(every)):
            raise DataError(f"{where}: an utterance is in two parts.", remedy)
        for part, ids in parts.items():
            if not ids:
                raise DataError(f"{where}: the part '{part}' is empty.", remedy)
            heard = {dataset.labels[name] for name in ids}
            lacking = [name for name in dataset.classes if name not in heard]
            if lacking and part == "train":
                raise UserError(
                    f"{where}: no clip of the class '{lacking[0]}' is left to train on.",
                    "Take another --split or --split-seed, larger training parts, or leave "
                    "the class out of the labels.",
                )
            if lacking:
                logger.warning(f"{where}: {part} has no clip of {', '.join(lacking)}.")
