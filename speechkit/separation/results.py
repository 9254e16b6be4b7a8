"""What ``evaluate separation`` writes: utterances.tsv and summary.json."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from speechkit.base.errors import ConfigError
from speechkit.base.tables import write_tsv
from speechkit.separation.metrics import hsr
from speechkit.stats.bootstrap import percentile
from speechkit.task.evaluation import Summary, numbers, read_table

TABLE = "utterances.tsv"
PERCENTILES = (1, 5, 10, 50)
MEASURES = ("si_snr_db", "si_snri_db", "sdr_db", "sdri_db", "stoi", "estoi")
DIGITS = 4  # of values in the table; the summary is that of the table
_HSR = re.compile(r"hsr(\d+(?:\.\d+)?)_percent")
_PERCENTILE = re.compile(r"si_snri_p(\d+(?:\.\d+)?)_db")


@dataclass(frozen=True)
class Measure:
    """A statistic of one value per mixture.

    Args:
        name: as in ``summary.json``.
        column: of ``utterances.tsv``.
        kind: mean, below (percent of values strictly below ``at``) or percentile ``at``.
        at: threshold in dB, or percentile.
    """

    name: str
    column: str
    kind: str = "mean"
    at: float = 0.0

    def __call__(self, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Of values ``[K, N]`` under each row of whole-numbered weights ``[B, N]``: ``[B, K]``."""
        if self.kind == "percentile":
            each = [percentile(row, weights, self.at) for row in values]
            return np.stack(each, axis=1)
        counted = 100.0 * (values < self.at) if self.kind == "below" else values
        return weights @ counted.T / weights.sum(axis=1, keepdims=True)


def find_measure(name: str) -> Measure:
    """The measure of a name in ``summary.json``.

    Raises:
        UserError: there is none.
    """
    if name in MEASURES:
        return Measure(name, name)
    if found := _HSR.fullmatch(name):
        return Measure(name, "si_snri_db", "below", float(found[1]))
    if (found := _PERCENTILE.fullmatch(name)) and float(found[1]) <= 100:
        return Measure(name, "si_snri_db", "percentile", float(found[1]))
    raise ConfigError(
        "measure",
        f"'{name}' is not known.",
        f"Accepted: {', '.join(MEASURES)}, hsr<dB>_percent as hsr5_percent, and "
        "si_snri_p<percent>_db as si_snri_p05_db.",
    )


def columns(speakers: int, with_stoi: bool) -> list[str]:
    """Columns of ``utterances.tsv``."""
    named = [f"speaker{k}" for k in range(1, speakers + 1)]
    return ["mixture", "seed", "genders", *named, "samples", *MEASURES[: 6 if with_stoi else 4]]


def write_utterances(folder: Path, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the table; undefined values are empty."""
    cells = [[row.get(name) for name in names] for row in rows]
    write_tsv(folder / TABLE, names, cells, f".{DIGITS}f")


def read_utterances(folder: Path) -> pd.DataFrame:
    """``utterances.tsv`` of an evaluation; undefined values are NaN.

    Args:
        folder: ``exp/separation/<name>/eval/<set>``.

    Raises:
        DataError: it is not there, or not such a table.
    """

    def convert(table: pd.DataFrame) -> pd.DataFrame:
        for name in table.columns.intersection(["seed", "samples"]):
            table[name] = table[name].astype(int)
        for name in table.columns.intersection(list(MEASURES)):
            table[name] = numbers(table[name])
        missing = {"mixture", "seed", "genders", "speaker1", "si_snri_db"}.difference(table.columns)
        if missing:
            raise ValueError(f"no column {min(missing)}")
        return table

    return read_table(folder / TABLE, "evaluate separation", convert)


def summarize(
    table: pd.DataFrame, thresholds: Sequence[float], counts: Mapping[int, Mapping[str, float]]
) -> Summary:
    """Flat measures: the mean and standard deviation over the seeds of each.

    Args:
        table: see :func:`read_utterances`.
        thresholds: of the hard sample rates, in dB.
        counts: for each seed further numbers by name.
    """
    seeds = [
        {**counts.get(seed, {}), **_of_seed(table[table["seed"] == seed], thresholds)}
        for seed in sorted(table["seed"].unique().tolist())
    ]
    found: Summary = {}
    for name in seeds[0]:
        values = [seed[name] for seed in seeds]
        std = float(np.std(values, ddof=1)) if len(values) > 1 else None
        found[name] = {"mean": float(np.mean(values)), "std": std, "n": len(values)}
    return found


def _of_seed(table: pd.DataFrame, thresholds: Sequence[float]) -> dict[str, float]:
    """Measures of one seed."""
    own = table[table["si_snri_db"].notna()]
    values = own["si_snri_db"].to_numpy()
    measured = [name for name in MEASURES if name in own and own[name].notna().any()]
    found = {name: float(own[name].mean()) for name in measured}
    found.update({f"hsr{t:g}_percent": hsr(values, t) for t in thresholds})
    for p, value in zip(PERCENTILES, np.percentile(values, PERCENTILES), strict=True):
        found[f"si_snri_p{p:02d}_db"] = float(value)
    for genders, part in own.groupby("genders"):
        name = str(genders).lower()
        if "?" in name:
            continue
        inside = part["si_snri_db"].to_numpy()
        found[f"mixtures_{name}"] = len(inside)
        found[f"si_snri_{name}_db"] = float(inside.mean())
        found.update({f"hsr{t:g}_{name}_percent": hsr(inside, t) for t in thresholds})
    return found
