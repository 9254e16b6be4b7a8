"""The stage ``compare pronunciation``: experiments against a baseline on the same items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from speechkit.labels.scores import ASPECTS
from speechkit.task import comparison, scores
from speechkit.workdir import WorkDir

COMPARISON = scores.comparison_of("pronunciation", "phone", "word", "utterance")


@dataclass(frozen=True)
class ComparisonConfig(comparison.ComparisonConfig):
    """As :class:`speechkit.task.comparison.ComparisonConfig`; without measures all that both
    have."""

    accepted = tuple(f"{aspect}_{kind}" for aspect in ASPECTS for kind in scores.STATISTICS)


def compare(
    work: WorkDir, config: ComparisonConfig, out_name: str = "", force: bool = False
) -> Path:
    """Write ``exp/compare/pronunciation/<set>/`` and return it.

    Raises:
        UserError: an experiment was not evaluated on the set, or on other items.
    """
    return comparison.compare(
        work,
        COMPARISON,
        config,
        lambda folders, name: scores.differences(folders, name, config),
        out_name,
        force,
    )
