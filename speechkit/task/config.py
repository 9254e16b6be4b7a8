"""What determines evaluations and comparisons, in every task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from speechkit.base.config import Flag
from speechkit.base.errors import ConfigError


def require_samples(samples: int) -> None:
    """Raise UserError for too few samples of a bootstrap."""
    if samples < 100:
        raise ConfigError(
            "samples", f"{samples} is too few for a 95 % interval.", "Give 100 or more."
        )


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
    seed: Annotated[int, Flag(least=0, most=2**63 - 1)] = 0

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
