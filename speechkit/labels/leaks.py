"""What the training and the test part of a split share, and what that does to results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from speechkit.base.log import logger
from speechkit.labels.emotions import EmotionSet
from speechkit.labels.splits import Split

COLUMNS = (
    "fold",
    "train",
    "valid",
    "test",
    "test speakers",
    "valid speakers",
    "speakers in both",
    "sentences in both",
    "identical audio in both",
)
_NAMED = 3  # speakers or clips named in a message
_LISTED = 6  # speakers named in a table


@dataclass(frozen=True)
class Leak:
    """What is both trained on (or validated with) and tested in one fold.

    Args:
        fold: its number.
        sizes: clips to train, validate and test.
        speakers: in both.
        sentences: in both.
        identical: pairs (trained on, tested) of clips with the same audio.
        test_speakers: those of the test part.
        valid_speakers: those that only validate.
    """

    fold: int
    sizes: tuple[int, int, int]
    speakers: tuple[str, ...]
    sentences: tuple[str, ...]
    identical: tuple[tuple[str, str], ...]
    test_speakers: tuple[str, ...]
    valid_speakers: tuple[str, ...]

    def row(self) -> list[object]:
        """As ``COLUMNS``."""
        return [
            self.fold,
            *self.sizes,
            _few(self.test_speakers),
            _few(self.valid_speakers) or "-",
            len(self.speakers),
            len(self.sentences),
            len(self.identical),
        ]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= _LISTED else str(len(names))


def leak_check(split: Split, dataset: EmotionSet) -> list[Leak]:
    """What train and test share, fold by fold."""
    found = []
    for number, fold in enumerate(split.folds):
        seen, tested = {*fold.train, *fold.valid}, set(fold.test)
        speakers = _of(seen, dataset) & _of(tested, dataset)
        said = dataset.statements
        sentences = {said[n] for n in seen if n in said} & {said[n] for n in tested if n in said}
        pairs = [
            (one, other)
            for group in split.identical
            for one in group
            for other in group
            if one in seen and other in tested
        ]
        found.append(
            Leak(
                number,
                (len(fold.train), len(fold.valid), len(fold.test)),
                tuple(sorted(speakers)),
                tuple(sorted(sentences)),
                tuple(pairs),
                fold.test_speakers,
                fold.valid_speakers,
            )
        )
    return found


def _of(names: set[str], dataset: EmotionSet) -> set[str]:
    return {dataset.speaker(name) for name in names}


def warn(split: Split, leaks: Sequence[Leak]) -> None:
    """Say what makes results on this split too good."""
    speakers = sorted({speaker for leak in leaks for speaker in leak.speakers})
    if speakers:
        some = ", ".join(speakers[:_NAMED]) + (" ..." if len(speakers) > _NAMED else "")
        logger.warning(
            f"The split '{split.name}' LEAKS SPEAKERS: {len(speakers)} are both trained on and "
            f"tested ({some}). Its results say nothing about new speakers."
        )
    pairs = [pair for leak in leaks for pair in leak.identical]
    if pairs:
        some = ", ".join(f"{a} = {b}" for a, b in pairs[:_NAMED])
        logger.warning(
            f"The split '{split.name}' tests {len(pairs)} clips whose very audio it trains on: "
            f"{some}."
        )
    sentences = sorted({sentence for leak in leaks for sentence in leak.sentences})
    if sentences:
        logger.info(
            f"The split '{split.name}': {len(sentences)} sentences are both trained on and tested."
        )
