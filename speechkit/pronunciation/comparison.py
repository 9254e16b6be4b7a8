"""The stage ``compare pronunciation``: experiments against a baseline on the same items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechkit.base.errors import UserError
from speechkit.labels.scores import ASPECTS
from speechkit.pronunciation.results import SUMMARY
from speechkit.stats import comparison
from speechkit.stats.score_comparison import INTERVAL, NUMBERS, STATISTICS, against
from speechkit.stats.score_tables import TABLES
from speechkit.workdir import WorkDir

MEASURES = tuple(f"{aspect}_{kind}" for aspect in ASPECTS for kind in STATISTICS)
TASK = comparison.Task("pronunciation", SUMMARY, NUMBERS, INTERVAL)
COLUMNS = TASK.columns


@dataclass(frozen=True)
class Settings(comparison.Settings):
    """As :class:`speechkit.stats.comparison.Settings`; without measures all that both have."""

    def check_measures(self) -> None:
        for name in self.measures:
            if name not in MEASURES:
                raise UserError(
                    f"--measure '{name}' is not known.", f"Accepted: {', '.join(MEASURES)}."
                )


def compare(work: WorkDir, settings: Settings, out_name: str = "", force: bool = False) -> Path:
    """Write ``exp/compare/pronunciation/<set>/`` and return it.

    Raises:
        UserError: an experiment was not evaluated on the set, or on other items.
    """
    return comparison.run(
        work,
        TASK,
        settings,
        tuple(TABLES.values()),
        lambda folders, name: against(folders, name, settings),
        out_name=out_name,
        force=force,
    )


def rows(experiments: dict[str, dict[str, Any]]) -> list[list[Any]]:
    """Rows of ``differences.tsv`` from the experiments of ``summary.json``."""
    return TASK.rows(experiments)
