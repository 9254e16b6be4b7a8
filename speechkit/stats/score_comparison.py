"""Predicted scores of an experiment against those of a baseline on the same items."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.labels.scores import ASPECTS
from speechkit.stats import comparison, intervals
from speechkit.stats.score_tables import TABLES, read_table

if TYPE_CHECKING:
    import pandas as pd

STATISTICS = {"pcc": intervals.pcc_of, "mse": intervals.mse_of}
NUMBERS = ("baseline", "value", "estimate", "low", "high", "seed_std", "seeds", "items")
INTERVAL = "95 %, over speakers; the seeds are fixed"
_KEYS = {
    "phone": ["utt", "index", "phone"],
    "word": ["utt", "index", "word"],
    "utterance": ["utt"],
}


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
