"""The folds of a split, and how they can be drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from speechkit.base.errors import UserError, require_choice

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
