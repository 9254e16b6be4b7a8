"""Configuration of the division of a set by speakers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from speechkit.base.config import Flag, Share, Whole, check_fields
from speechkit.base.errors import ConfigError, UserError
from speechkit.workdir import check_name


@dataclass(frozen=True)
class SplitConfig:
    """Divide a set into two sets with different speakers.

    The held-out speakers are drawn at random with the gender proportions of the whole.
    All tables and label files are divided; the audio stays where it is.

    Data:
        set: Set to read: a folder of data/.
        into: Names of the two sets: the rest, the held-out speakers.
        speakers: Number of speakers to hold out (or give `share`).
        share: Share of the speakers to hold out, as 0.15.
    Training:
        seed: Seed of every random draw.

    Raises:
        UserError: a value that is not accepted.
    """

    set: Annotated[str, Flag("set", default="train")]
    into: Annotated[tuple[str, str], Flag(default=("fit", "dev"))]
    speakers: Annotated[Whole, Flag(least=0)] = 0  # 0: as `share` says
    share: Share = 0.0
    seed: Annotated[Whole, Flag(least=0, most=2**63 - 1)] = 0

    def __post_init__(self) -> None:
        if len(self.into) != 2 or len({self.set, *self.into}) != 3:
            raise ConfigError(
                "into",
                f"{','.join(self.into)} does not name two new sets.",
                f"Give two different names, neither of them '{self.set}': `into` fit,dev",
            )
        for name in self.into:
            check_name("set", name)
        if bool(self.speakers) == bool(self.share):
            raise UserError(
                "How many speakers to hold out is given twice or not at all.",
                "Give either `speakers` N or `share` S.",
            )
        check_fields(self)
