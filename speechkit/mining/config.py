"""What determines hard pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from msgspec import Meta

from speechkit.base.config import Flag, OneOf, Seed, check_fields
from speechkit.base.errors import ConfigError, UserError, command_line, require_choice

if TYPE_CHECKING:
    from speechkit.workdir import WorkDir

# P_M of the paper's best results (table 2); energy has none there and takes that of pitch.
DEFAULT_PM = {"pitch": 0.02, "energy": 0.02, "xvector": 0.04}


@dataclass(frozen=True)
class MiningConfig:
    """Find the hard pairs of each utterance: the closest utterances of other speakers.

    Reads exp/prosody/SET or exp/xvector/SET and writes exp/hard/PARAM_pmP_M: thresholds,
    pairs, a summary and a figure, for HardPairSampler and `train separation`.

    Data:
        param: What makes pairs hard: pitch, energy or xvector.
        pm: P_M, the proportion of each utterance's pairs that is hard, above 0 and at most 1.
        set: Set to read: a folder of data/.
        same_gender: Only partners of the same gender (spk2gender).
        candidates: Estimate thresholds from this many random partners (for millions); 0: exact.
        pitch_unit: Unit of pitch differences: hz or semitones.
        prosody: Read exp/prosody/SET-NAME (extract-prosody --name).
        xvector: Read exp/xvector/SET-NAME (extract-xvector --name).
        seed: Seed of every random draw.
    Output:
        store: pairs, thresholds (O(N) files), or auto: pairs if they take under 1 GiB.

    Raises:
        UserError: a value that is not accepted.
    """

    param: str
    pm: Annotated[
        float, Meta(gt=0, le=1), Flag(shown="0.02 for pitch and energy, 0.04 for xvector")
    ] = cast(float, None)  # that of the parameter
    set: Annotated[str, Flag("set")] = "train"
    same_gender: Annotated[bool, Flag("same-gender")] = False
    store: Annotated[str, OneOf("auto", "thresholds", "pairs")] = "auto"
    candidates: Annotated[int, Flag(least=0)] = 0
    pitch_unit: Annotated[str, OneOf("hz", "semitones")] = "hz"
    prosody: str = ""
    xvector: str = ""
    seed: Annotated[Seed, Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        require_choice("param", self.param, DEFAULT_PM)
        if self.pm is None:
            object.__setattr__(self, "pm", DEFAULT_PM[self.param])
        check_fields(self)
        if self.pitch_unit != "hz" and self.param != "pitch":
            raise ConfigError(
                "pitch_unit",
                f"{self.pitch_unit} is a unit of pitch, and `param` is {self.param}.",
                "Leave it out, or take `param` pitch.",
            )
        if self.candidates and self.store == "pairs":
            raise UserError(
                "`candidates` estimates thresholds and finds no pairs, so `store` pairs "
                "cannot be had with it.",
                "Leave out one of the two.",
            )
        if self.candidates < 0 or 0 < self.candidates * self.pm < 1:
            least = math.ceil(1 / self.pm)
            raise ConfigError(
                "candidates",
                f"{self.candidates} is too few to find the nearest {self.pm:g}.",
                f"Give at least {least} (better {100 * least}), or 0 for exact mining.",
            )

    def output(self, work: WorkDir, name: str = "") -> Path:
        """``exp/hard/<param>_pm<P_M>[-name]``; 0.04, .04 and 4e-2 are the same folder."""
        pm = format(Decimal(repr(float(self.pm))), "f")
        pm = pm.rstrip("0").rstrip(".") if "." in pm else pm
        return work.exp("hard", f"{self.param}_pm{pm}", name=name)

    def source(self, work: WorkDir) -> Path:
        """The parameter file that is read; UserError if it is not there."""
        data = work.data(self.set)
        if self.param == "xvector":
            path = work.exp("xvector", self.set, name=self.xvector) / "xvector.scp"
            stage, name = "extract-xvector", self.xvector
        else:
            path = work.exp("prosody", self.set, name=self.prosody) / "prosody.tsv"
            stage, name = "extract-prosody", self.prosody
        return work.require(path, command_line(stage, set=data.name, name=name))


def hard_folder(root: Path, given: str) -> Path:
    """The folder of hard pairs that is meant: a path, or a name under ``exp/hard``.

    Raises:
        UserError: it is not there.
    """
    for folder in (Path(given), root / given, root / "exp" / "hard" / given):
        if (folder / "thresholds.tsv").is_file():
            return folder
    raise UserError(
        f"There are no hard pairs in '{given}'.", "Make them with: speechkit mine-hard --param ..."
    )


def hard_files(folder: Path) -> list[Path]:
    """The files of a folder of hard pairs that a sampler reads."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".tsv", ".npy"))
