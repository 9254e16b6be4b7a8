"""Splits of a labelled set: who is trained on, who validates, who is tested, and what parts share.

A split is made once and kept as ``data/<set>/splits/<name>.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from speechkit.base import files
from speechkit.base.errors import DataError, UserError
from speechkit.base.log import counted, logger
from speechkit.base.schema import read_json
from speechkit.base.text import composed, some
from speechkit.kaldi.data import same_audio
from speechkit.labels.config import CHOSEN_ON_TEST, PAPER
from speechkit.labels.emotions import EmotionSet
from speechkit.labels.folds import (
    RANDOM_80_20,
    SPEAKER_FOLDS,
    STATEMENT,
    Fold,
    FoldsConfig,
    draw_folds,
)
from speechkit.workdir import check_name
from speechkit.workdir.manifest import changed

LEAK_COLUMNS = (
    "fold", "train", "valid", "test", "test speakers", "valid speakers", "speakers in both",
    "sentences in both", "identical audio in both",
)  # fmt: skip
_LISTED = 6  # speakers named in a table


@dataclass(frozen=True)
class Split:
    """All folds of a split.

    Args:
        kind: one of ``KINDS``.
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

    @property
    def chosen_on_test(self) -> bool:
        """Whether the clips that choose the step are the test clips, as in the paper."""
        return self.kind == PAPER

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
    settings: FoldsConfig,
    name: str = "",
    identical_audio: Iterable[tuple[str, ...]] = (),
) -> Split:
    """Draw a split; the same for the same set and settings.

    Args:
        name: of the split; by default its kind.
        identical_audio: groups of utterances with the same audio, for the record.

    Raises:
        UserError: too few speakers, clips or sentences, or a class that a training part lacks.
    """
    split = Split(
        name or settings.kind,
        settings.kind,
        settings.seed,
        settings.kind in (RANDOM_80_20, STATEMENT, PAPER),
        tuple(draw_folds(dataset, settings)),
        settings.params(),
        tuple(identical_audio),
    )
    check_fits(split, dataset)
    return split


def ensure_split(
    dataset: EmotionSet,
    settings: FoldsConfig,
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
                "Replace it with `force`, or write beside it with `split_name`.",
            )
        check_fits(found, dataset)
        return found
    same = same_audio(dataset.data.utterances, jobs, "compare audio")
    split = make_split(dataset, settings, name, same)
    write_split(dataset.data.path, split)
    folds = len(split.folds)
    logger.info(f"{path}: {folds} {'folds' if folds > 1 else 'fold'}.")
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
    remedy = "Remove it and make it again with: speechkit split-folds"
    split = read_json(path, Split, remedy)
    if not split.folds:
        raise DataError(f"{path} has no folds.", remedy)

    def names(listed: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(composed, listed))

    folds = [Fold(**{part: names(ids) for part, ids in vars(fold).items()}) for fold in split.folds]
    return replace(split, folds=tuple(folds), identical=tuple(map(names, split.identical)))


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
        if split.chosen_on_test:
            if fold.valid != fold.test:
                raise DataError(f"{where}: its test clips are not those that validate.", remedy)
            del parts["valid"]
        every = [name for ids in parts.values() for name in ids]
        unknown = set(every) - set(dataset.labels)
        if unknown:
            raise DataError(
                f"{where}: {counted(len(unknown), 'utterance is', 'utterances are')} not in the "
                f"set '{dataset.name}' ({min(unknown)}).",
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
                    "Take another `split` or `split_seed`, larger training parts, or leave "
                    "the class out of the labels.",
                )
            if lacking:
                logger.warning(f"{where}: {part} has no clip of {', '.join(lacking)}.")


@dataclass(frozen=True)
class Leak:
    """What is both trained on (or validated with) and tested in one fold.

    Args:
        sizes: clips to train, validate and test.
        speakers: in both.
        sentences: in both; None where no clip has one that is known.
        identical: pairs (trained on, tested) of clips with the same audio.
        test_speakers: those of the test part.
        valid_speakers: those that only validate.
    """

    fold: int
    sizes: tuple[int, int, int]
    speakers: tuple[str, ...]
    sentences: tuple[str, ...] | None
    identical: tuple[tuple[str, str], ...]
    test_speakers: tuple[str, ...]
    valid_speakers: tuple[str, ...]

    def row(self) -> list[object]:
        """As ``LEAK_COLUMNS``."""
        return [
            self.fold,
            *self.sizes,
            _few(self.test_speakers),
            _few(self.valid_speakers) or "-",
            len(self.speakers),
            "-" if self.sentences is None else len(self.sentences),
            len(self.identical),
        ]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= _LISTED else str(len(names))


def leak_check(split: Split, dataset: EmotionSet) -> list[Leak]:
    """What train and test share, fold by fold."""
    found = []
    for number, fold in enumerate(split.folds):
        chosen = () if split.chosen_on_test else fold.valid  # else they are the tested ones
        seen, tested = {*fold.train, *chosen}, set(fold.test)
        speakers = set(map(dataset.speaker, seen)) & set(map(dataset.speaker, tested))
        said = dataset.statements
        sentences = {said[n] for n in seen if n in said} & {said[n] for n in tested if n in said}
        pairs = [
            (one, other)
            for group in split.identical
            for one in group
            for other in group
            if one in seen and other in tested
        ]
        sizes = (len(fold.train), len(fold.valid), len(fold.test))
        both = (tuple(sorted(speakers)), tuple(sorted(sentences)) if said else None, tuple(pairs))
        found.append(Leak(number, sizes, *both, fold.test_speakers, fold.valid_speakers))
    return found


def warn_of_leaks(split: Split, leaks: Sequence[Leak]) -> None:
    """Say what makes results on this split too good."""
    if split.chosen_on_test:
        logger.warning(
            f"The split '{split.name}' is the published protocol: {CHOSEN_ON_TEST.upper()}. Its "
            "results are too good, whoever speaks."
        )
    speakers = sorted({speaker for leak in leaks for speaker in leak.speakers})
    if speakers:
        logger.warning(
            f"The split '{split.name}' LEAKS SPEAKERS: {len(speakers)} are both trained on and "
            f"tested ({some(speakers)}). Its results say nothing about new speakers."
        )
    pairs = [f"{a} = {b}" for leak in leaks for a, b in leak.identical]
    if pairs:
        logger.warning(
            f"The split '{split.name}' tests {counted(len(pairs), 'clip')} whose very audio it "
            f"trains on: {some(pairs)}."
        )
    sentences = sorted({sentence for leak in leaks for sentence in leak.sentences or ()})
    if sentences:
        count = counted(len(sentences), "sentence is", "sentences are")
        logger.info(f"The split '{split.name}': {count} both trained on and tested.")
