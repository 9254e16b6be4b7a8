"""Two evaluations side by side: the same mixtures and seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from speechkit.base.errors import UserError
from speechkit.base.log import logger

SAME_DB = 0.01  # by which the SI-SNR of a mixture before separation may differ by rounding


@dataclass
class Pair:
    """Values of an experiment and of the baseline on the same mixtures.

    Args:
        seeds: that both have.
        value: of the experiment, ``[seeds, mixtures]``.
        baseline: ``[seeds, mixtures]``.
        speakers: of each mixture, ``[mixtures, sources]``.
    """

    seeds: list[int]
    value: np.ndarray
    baseline: np.ndarray
    speakers: np.ndarray


def pair_up(own: pd.DataFrame, base: pd.DataFrame, column: str, name: str, baseline: str) -> Pair:
    """Both experiments on the mixtures that all their common seeds have a value of.

    Raises:
        UserError: nothing in common, or the mixtures differ.
    """
    for table, which in ((own, name), (base, baseline)):
        if column not in table:
            raise UserError(
                f"The evaluation of '{which}' has no {column}.",
                "Evaluate it again with the option that measures it.",
            )
    seeds = sorted(set(own["seed"]) & set(base["seed"]))
    if not seeds:
        raise UserError(
            f"'{name}' and '{baseline}' have no seed in common "
            f"({_listed(own)} and {_listed(base)}).",
            "Train and evaluate the same seeds of both: differences are paired by seed.",
        )
    wide = [t[t["seed"].isin(seeds)].pivot(index="mixture", columns="seed") for t in (own, base)]
    values = [t[column].dropna() for t in wide]
    common = values[0].index.intersection(values[1].index, sort=True)
    if common.empty:
        raise UserError(f"'{name}' and '{baseline}' have no mixture with {column} in common.")
    _check_same(wide[0].loc[common], wide[1].loc[common], name, baseline)
    named = [c for c in own.columns if c.startswith("speaker")]
    speakers = own.drop_duplicates("mixture").set_index("mixture").loc[common, named]
    matrices = [v.loc[common, seeds].to_numpy(float).T for v in values]
    return Pair([int(s) for s in seeds], matrices[0], matrices[1], speakers.to_numpy(str))


def _listed(table: pd.DataFrame) -> str:
    return "seeds " + ",".join(map(str, sorted(set(table["seed"]))))


def _check_same(own: pd.DataFrame, base: pd.DataFrame, name: str, baseline: str) -> None:
    """UserError unless speakers, lengths and levels of the mixtures are the same."""
    fixed = [
        c
        for c in own.columns.get_level_values(0).unique()
        if c.startswith("speaker") or c == "samples"
    ]
    differing = [c for c in fixed if not bool((own[c] == base[c]).all(axis=None))]
    before = [(t["si_snr_db"] - t["si_snri_db"]).to_numpy() for t in (own, base)]
    if differing or np.nanmax(np.abs(before[0] - before[1])) > SAME_DB:
        raise UserError(
            f"'{name}' and '{baseline}' were evaluated on different mixtures of the same name"
            f"{' (' + ', '.join(differing) + ' differ)' if differing else ''}.",
            "The set was made again in between, or resampled for one of them: evaluate both again.",
        )


def say_left_out(
    own: pd.DataFrame, base: pd.DataFrame, pair: Pair, name: str, baseline: str
) -> None:
    """Warn of mixtures and seeds that only one of two experiments has."""
    every = set(own["mixture"]) | set(base["mixture"])
    if left := len(every) - pair.value.shape[1]:
        logger.warning(f"{name}: {left} mixtures without a value in every seed are left out.")
    if set(own["seed"]) != set(base["seed"]):
        logger.warning(
            f"{name} has {_listed(own)}, {baseline} {_listed(base)}: compared on "
            f"{','.join(map(str, pair.seeds))}."
        )
