"""The stage ``compare separation``: experiments against a baseline on the same mixtures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from speechkit.base.errors import UserError
from speechkit.separation.paired_evaluations import Pair, pair_up, say_left_out
from speechkit.separation.results import TABLE, Measure, find_measure, read_utterances
from speechkit.stats.bootstrap import draw_speakers, mixture_weights
from speechkit.stats.intervals import entry
from speechkit.task import comparison
from speechkit.task.evaluation import warn_few_speakers
from speechkit.workdir import WorkDir

DEFAULT_MEASURES = (
    "si_snri_db",
    "hsr5_percent",
    "hsr10_percent",
    "si_snri_p01_db",
    "si_snri_p05_db",
    "si_snri_p10_db",
)
CHANGE_DB = 1.0  # of SI-SNRi, from which a mixture counts as better or worse
BLOCK = 250  # bootstrap samples at a time
LEVELS = (2.5, 97.5)
COMPARISON = comparison.Comparison(
    "separation",
    (TABLE,),
    ("baseline", "value", "estimate", "low", "high", "seed_std", "seeds", "mixtures"),
    "95 %, over speakers of the mixtures; the seeds are fixed",
    found_by=TABLE,
    measures="measures",
)


@dataclass(frozen=True)
class ComparisonConfig(comparison.ComparisonConfig):
    """As :class:`speechkit.task.comparison.ComparisonConfig`, with the usual measures."""

    measures: tuple[str, ...] = DEFAULT_MEASURES

    def check_measures(self) -> None:
        if not self.measures:
            raise UserError("--measure is empty.", "Leave it out for the usual measures.")
        for name in self.measures:
            find_measure(name)


def compare(
    work: WorkDir, config: ComparisonConfig, out_name: str = "", force: bool = False
) -> Path:
    """Write ``exp/compare/separation/<set>/`` and return it.

    Raises:
        UserError: an experiment was not evaluated on the set, or on other mixtures.
    """
    tables: dict[Path, pd.DataFrame] = {}

    def differences(folders: Mapping[str, Path], name: str) -> dict[str, Any]:
        for folder in folders.values():
            if folder not in tables:
                tables[folder] = read_utterances(folder)
        return against({n: tables[f] for n, f in folders.items()}, name, config)

    return comparison.compare(work, COMPARISON, config, differences, out_name, force)


def against(tables: dict[str, pd.DataFrame], name: str, config: ComparisonConfig) -> dict[str, Any]:
    """Differences of one experiment to the baseline.

    Args:
        tables: ``utterances.tsv`` by experiment.
        name: the experiment.
        config: baseline, measures, bootstrap.
    """
    own, base = tables[name], tables[config.baseline]
    pair = pair_up(own, base, "si_snri_db", name, config.baseline)
    say_left_out(own, base, pair, name, config.baseline)
    found: dict[str, Any] = {
        "seeds": pair.seeds,
        "mixtures": pair.value.shape[1],
        "speakers": len(np.unique(pair.speakers)),
        "measures": {},
    }
    warn_few_speakers(name, found["speakers"])
    for measure in map(find_measure, config.measures):
        if measure.column != "si_snri_db":
            other = pair_up(own, base, measure.column, name, config.baseline)
        else:
            other = pair
        found["measures"][measure.name] = difference(other, measure, config)
    for what, sign in (("better", 1.0), ("worse", -1.0)):
        found["measures"][f"{what}_by_1db_percent"] = share(pair, sign, config)
    return found


def difference(pair: Pair, measure: Measure, config: ComparisonConfig) -> dict[str, Any]:
    """Value minus baseline, averaged over the seeds, with its interval."""
    one = np.ones((1, pair.value.shape[1]))
    value, baseline = measure(pair.value, one)[0], measure(pair.baseline, one)[0]

    def sampled(weights: np.ndarray) -> np.ndarray:
        return measure(pair.value, weights) - measure(pair.baseline, weights)

    interval = _interval(sampled, pair, config)
    return _counted(entry(value, baseline, value - baseline, interval), pair)


def share(pair: Pair, sign: float, config: ComparisonConfig) -> dict[str, Any]:
    """Percent of mixtures whose SI-SNRi changes by more than 1 dB in one direction."""
    changed = 100.0 * (sign * (pair.value - pair.baseline) > CHANGE_DB)
    mean = Measure("", "")
    one = mean(changed, np.ones((1, changed.shape[1])))[0]
    interval = _interval(lambda weights: mean(changed, weights), pair, config)
    return _counted(entry(None, None, one, interval), pair)


def _counted(numbers: dict[str, Any], pair: Pair) -> dict[str, Any]:
    return {**numbers, "mixtures": pair.value.shape[1]}


def _interval(
    sampled: Callable[[np.ndarray], np.ndarray], pair: Pair, config: ComparisonConfig
) -> tuple[float, float]:
    """95 % interval over speakers of the mean over seeds.

    Args:
        sampled: the estimate ``[B, K]`` for weights of the mixtures ``[B, N]``.
        pair: for the speakers of the mixtures.
        config: samples and seed.
    """
    names, members = np.unique(pair.speakers, return_inverse=True)
    members = members.reshape(pair.speakers.shape)
    drawn = draw_speakers(len(names), config.samples, config.seed)
    means = []
    for first in range(0, config.samples, BLOCK):
        weights = mixture_weights(drawn[first : first + BLOCK], members)
        if len(weights):
            means.append(sampled(weights).mean(axis=1))
    low, high = np.percentile(np.concatenate(means), LEVELS)
    return float(low), float(high)
