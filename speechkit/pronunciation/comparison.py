"""The stage ``compare pronunciation``: experiments against a baseline on the same items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit import comparison
from speechkit.errors import UserError
from speechkit.log import logger
from speechkit.pronunciation import intervals
from speechkit.pronunciation.results import SUMMARY, TABLES, read_table
from speechkit.pronunciation.scores import ASPECTS
from speechkit.workdir import WorkDir

if TYPE_CHECKING:
    import pandas as pd

STATISTICS = {"pcc": intervals.pcc_of, "mse": intervals.mse_of}
MEASURES = tuple(f"{aspect}_{kind}" for aspect in ASPECTS for kind in STATISTICS)
TASK = comparison.Task(
    "pronunciation",
    SUMMARY,
    ("baseline", "value", "estimate", "low", "high", "seed_std", "seeds", "items"),
    "95 %, over speakers; the seeds are fixed",
)
COLUMNS = TASK.columns
_KEYS = {
    "phone": ["utt", "index", "phone"],
    "word": ["utt", "index", "word"],
    "utterance": ["utt"],
}


@dataclass(frozen=True)
class Settings(comparison.Settings):
    """As :class:`speechkit.comparison.Settings`; without measures all that both have."""

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


def against(folders: dict[str, Path], name: str, settings: comparison.Settings) -> dict[str, Any]:
    """Differences of one experiment to the baseline, by measure."""
    found: dict[str, Any] = {}
    for level, file in TABLES.items():
        pair = (folders[name], folders[settings.baseline])
        if not all((folder / file).is_file() for folder in pair):
            continue
        own, base = (read_table(folder, level) for folder in pair)
        if not own[_KEYS[level]].equals(base[_KEYS[level]]):
            raise UserError(
                f"'{name}' and '{settings.baseline}' were evaluated on different {level}s.",
                "The set was made again in between: evaluate both again.",
            )
        for aspect in ASPECTS:
            if aspect in own and aspect in base and own[aspect].notna().any():
                if not own[aspect].equals(base[aspect]):
                    raise UserError(
                        f"The scores of {aspect} differ between '{name}' and "
                        f"'{settings.baseline}'.",
                        "The set was made again in between: evaluate both again.",
                    )
                wanted = [k for k in STATISTICS if _wanted(f"{aspect}_{k}", settings)]
                if wanted:
                    found.update(_differences(own, base, aspect, wanted, settings))
    return found


def _wanted(measure: str, settings: comparison.Settings) -> bool:
    return not settings.measures or measure in settings.measures


def _differences(
    own: pd.DataFrame,
    base: pd.DataFrame,
    aspect: str,
    kinds: Sequence[str],
    settings: comparison.Settings,
) -> dict[str, Any]:
    """Value minus baseline of an aspect: mean of the common seeds, and its interval."""
    head = f"{aspect}_seed"
    seeds = [c for c in own.columns if c.startswith(head) and c in base.columns]
    if not seeds:
        raise UserError(
            f"The experiments have no seed of {aspect} in common.",
            "Train and evaluate the same seeds of both: differences are paired by seed.",
        )
    names, places = np.unique(own["speaker"].to_numpy(str), return_inverse=True)
    if len(names) < comparison.FEW_SPEAKERS and aspect == ASPECTS[0]:
        logger.warning(f"An interval from {len(names)} speakers is rough.")
    labels = own[aspect].to_numpy(float)
    sums = [
        intervals.moments(t[seeds].to_numpy(float).T, labels, places, len(names))
        for t in (own, base)
    ]
    drawn = intervals.draw(len(names), settings.samples, settings.seed)
    items = int((~np.isnan(labels)).sum())
    return {
        f"{aspect}_{kind}": {
            **intervals.paired(STATISTICS[kind], sums[0], sums[1], drawn),
            "items": items,
        }
        for kind in kinds
    }


def rows(experiments: dict[str, dict[str, Any]]) -> list[list[Any]]:
    """Rows of ``differences.tsv`` from the experiments of ``summary.json``."""
    return TASK.rows(experiments)
