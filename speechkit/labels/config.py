"""How a labelled set is divided into folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from speechkit.base.config import Count, Flag, check_fields
from speechkit.base.errors import ConfigError, require_choice

SPEAKER_FOLDS, SPEAKER_80_20 = "speaker-folds", "speaker-80-20"
RANDOM_80_20, STATEMENT, PAPER = "random-80-20", "statement", "paper"
KINDS = (SPEAKER_FOLDS, SPEAKER_80_20, RANDOM_80_20, STATEMENT, PAPER)
CHOSEN_ON_TEST = "step chosen on the test clips"
STOP, LOWER, KEEP = CASE_MODES = ("stop", "lower", "keep")  # emotions that differ in case only
CASE_FIELD = "label_case"
PARTS = 5  # an 80/20 split tests one of so many


@dataclass(frozen=True)
class FoldsConfig:
    """How a split is drawn; raises UserError for a value that is not accepted.

    ``speaker-folds``: every speaker is tested once. ``speaker-80-20``: a fifth of the speakers is
    tested. ``random-80-20``: a fifth of the clips of each class is tested, whoever speaks (speakers
    leak). ``statement``: each sentence is tested once, the others are trained on (speakers leak).
    ``paper``: the division of Gavali and Verma: a fifth of the clips is tested, and chooses the
    step; all others are trained on (speakers leak, and the step is chosen on the test clips).

    Data:
        kind: Kind of split: speaker-folds, speaker-80-20, random-80-20, statement, or paper (the
            step is chosen on the test clips).
        fold_size: speaker-folds: number of speakers tested in a fold.
        folds: 80-20 splits: how many different fifths are tested.
        valid_speakers: Number of speakers of each training part that only validate.
        valid_share: random-80-20: share of the training clips that only validate.
        seed: Seed of the draw.
    """

    kind: Annotated[str, Flag("split")] = SPEAKER_FOLDS
    fold_size: Count = 4
    folds: Annotated[int, Meta(ge=1, le=PARTS)] = 1
    valid_speakers: Count = 2
    valid_share: Annotated[float, Meta(gt=0, le=0.5)] = 0.1
    seed: Annotated[int, Flag("split-seed", least=0)] = 0

    def __post_init__(self) -> None:
        require_choice("split", self.kind, KINDS)
        check_fields(self)
        if self.seed < 0:
            raise ConfigError("split_seed", f"{self.seed} is out of range.", "Accepted: from 0.")

    def params(self) -> dict[str, Any]:
        """What decides this kind of split."""
        of_kind = {
            SPEAKER_FOLDS: ("fold_size", "valid_speakers"),
            SPEAKER_80_20: ("folds", "valid_speakers"),
            RANDOM_80_20: ("folds", "valid_share"),
            STATEMENT: ("valid_speakers",),
            PAPER: (),
        }[self.kind]
        return {name: getattr(self, name) for name in of_kind}
