"""What determines evaluations, comparisons and predictions, in every task."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from speechkit.base.config import Flag, Jobs, Seed
from speechkit.base.errors import ConfigError, require_range

SUFFIX, JSON, CSV, CTM, TEXTGRID = ".jsonl", ".json", ".csv", ".ctm", ".TextGrid"
SUFFIXES = (SUFFIX, JSON, CSV, CTM, TEXTGRID)
"""Of files of predictions (see :mod:`speechkit.task.prediction.written`)."""
STATISTICS = ("pcc", "mse")
"""Measures of the scores of an aspect that experiments are compared by."""


def require_samples(samples: int) -> None:
    """Raise UserError for too few samples of a bootstrap."""
    require_range("samples", samples, samples >= 100, "100 or more, for a 95 % interval")


@dataclass(frozen=True)
class EvaluationConfig:
    """What determines an evaluation on a scored set.

    Data:
        name: Experiment, a folder of exp/TASK; on the command line several, separated by commas.
        set: Scored set: a folder of data/.
        samples: Number of bootstrap samples of the intervals.

    Raises:
        UserError: a value that is not accepted.
    """

    name: Annotated[str, Flag(default="default")]
    set: Annotated[str, Flag("set", default="test")]
    samples: int = field(default=2000, kw_only=True)

    def __post_init__(self) -> None:
        require_samples(self.samples)


@dataclass(frozen=True)
class ComparisonConfig:
    """What determines a comparison.

    Data:
        baseline: Experiment that the others are compared to.
        set: Evaluations to compare: folders eval/SET.
        names: Experiments, separated by commas.
        measures: Measures of summary.json, separated by commas.
        samples: Number of bootstrap samples.
    Training:
        seed: Seed of every random draw.

    Raises:
        UserError: a value that is not accepted.
    """

    accepted: ClassVar[tuple[str, ...]] = ()  # measures; of none the task itself knows

    set: Annotated[str, Flag("set", default="test")]
    baseline: str
    names: Annotated[tuple[str, ...], Flag("name", shown="all evaluated on the set")] = ()
    measures: Annotated[tuple[str, ...], Flag("measure", shown="PCC and MSE of every aspect")] = ()
    samples: int = 2000
    seed: Seed = 0

    def __post_init__(self) -> None:
        require_samples(self.samples)
        self.check_measures()
        if self.names == (self.baseline,):
            raise ConfigError("name", f"{self.baseline} is the baseline itself.", "Name another.")

    def check_measures(self) -> None:
        """Raise UserError for measures that the task does not have."""
        for name in self.measures:
            if self.accepted and name not in self.accepted:
                raise ConfigError(
                    "measure", f"'{name}' is not known.", f"Accepted: {', '.join(self.accepted)}."
                )


def suffix_of(path: Path) -> str:
    """The format that a name asks for; a folder, or a name without a suffix, is of TextGrids.

    Raises:
        ConfigError: there is no such format.
    """
    found = next((each for each in SUFFIXES if each.lower() == path.suffix.lower()), "")
    if not found and (path.is_dir() or not path.suffix):
        return TEXTGRID
    if not found:
        raise ConfigError(
            "save",
            f"{path} has a name of an unknown format.",
            f"End it in {', '.join(SUFFIXES)}; a name without such an end is a folder of "
            "TextGrids.",
        )
    return found


@dataclass(frozen=True)
class StreamConfig:
    """How recordings are gone through.

    Machine:
        processes: Number of local processes; 0: one per CPU.
    Output:
        on_error: A broken recording: stop, or skip and name it.
        save: Write each result as it comes: .jsonl, with which the same command goes on after a
            stop, .json or .csv; with texts also .ctm, .TextGrid, or a folder of TextGrids.
        force: Start the file of `save` anew, and replace other outputs that exist.

    Raises:
        UserError: the file has an ending of no format.
    """

    on_error: str = "stop"
    processes: Jobs = 1
    save: Annotated[Path | None, Flag("save", metavar="FILE|DIR", shown="nothing is saved")] = None
    force: Annotated[bool, Flag("force")] = False

    def __post_init__(self) -> None:
        if self.save is not None:
            suffix_of(self.save)

    @property
    def resumed_from(self) -> Path | None:
        """The file that a stopped run goes on with."""
        return self.save if self.save is not None and suffix_of(self.save) == SUFFIX else None
