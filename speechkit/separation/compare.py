"""The stage ``compare separation``: experiments against a baseline on the same mixtures.

Or each experiment on hard mixtures against itself on their random counterparts. Mixture 7 of the
hard set is one of speakers a and c, its counterpart one of a and b: the difference of the two is of
three speakers, and counts as often as the bootstrap drew a times b times c.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.separation.inference_config import ComparisonConfig
from speechkit.separation.results import TABLE, Measure, find_measure, read_utterances
from speechkit.stats.bootstrap import LEVELS, draw_speakers, entry, mixture_weights
from speechkit.task import evaluation
from speechkit.task.evaluation import warn_few_speakers
from speechkit.workdir import WorkDir

NOBODY = ""  # stands for no speaker
CHANGE_DB = 1.0  # of SI-SNRi, from which a mixture counts as better or worse
BLOCK = 250  # bootstrap samples at a time
SAME_DB = 0.01  # by which the SI-SNR of a mixture before separation may differ by rounding
Check = Callable[[pd.DataFrame, pd.DataFrame, str, str], None]
COMPARISON = evaluation.Comparison(
    "separation",
    (TABLE,),
    ("baseline", "value", "estimate", "low", "high", "seed_std", "seeds", "mixtures"),
    "95 %, over speakers of the mixtures; the seeds are fixed",
    found_by=TABLE,
    measures="measures",
)


def compare(
    work: WorkDir, config: ComparisonConfig, out_name: str = "", force: bool = False
) -> Path:
    """Write ``exp/compare/separation/<set>/`` and return it.

    With a baseline set it is ``exp/compare/separation/<set>-vs_<baseline set>/``.

    Raises:
        UserError: an experiment was not evaluated on the set, or on other mixtures.
    """
    params, target = config.params(), config.baseline or config.baseline_set
    check: Check = _check_counterparts if config.baseline_set else _check_same
    if config.baseline_set:
        own = evaluation.evaluated(work, COMPARISON, config.set, config.names)
        base = evaluation.evaluated(work, COMPARISON, config.baseline_set, config.names)
        names = [name for name in own if name in base]
        if not names:
            raise UserError(
                f"No experiment was evaluated on '{config.set}' and on '{target}'.",
                "Run: speechkit evaluate separation --name NAME --set SET, for both sets.",
            )
        out_name = out_name or f"vs_{target}"
    else:
        own = evaluation.find_evaluations(work, COMPARISON, config)
        names = [name for name in own if name != target]
        base = dict.fromkeys(names, own[target])
    read = cache(read_utterances)

    def differences() -> dict[str, Any]:
        return {
            name: against(read(own[name]), read(base[name]), name, target, config, check)
            for name in names
        }

    params.update(names=names, baseline=target)
    every = list(dict.fromkeys(folder[name] for folder in (base, own) for name in names))
    return evaluation.write_comparison(
        work, COMPARISON, params, every, differences, out_name, force
    )


def against(
    own: pd.DataFrame,
    base: pd.DataFrame,
    name: str,
    target: str,
    config: ComparisonConfig,
    check: Check,
) -> dict[str, Any]:
    """Differences of one experiment to the baseline.

    Args:
        own: ``utterances.tsv`` of the experiment.
        base: that of the baseline, or of the experiment on the baseline set.
        name: the experiment.
        target: the baseline, or the baseline set.
        config: measures, bootstrap.
        check: refuses mixtures that do not belong together.
    """
    pair = pair_up(own, base, "si_snri_db", name, target, check)
    _warn_left_out(own, base, pair, name, target)
    measures = {}
    for measure in map(find_measure, config.measures):
        other = pair
        if measure.column != "si_snri_db":
            other = pair_up(own, base, measure.column, name, target, check)
        measures[measure.name] = difference(other, measure, config)
    for what, sign in (("better", 1.0), ("worse", -1.0)):
        measures[f"{what}_by_1db_percent"] = share(pair, sign, config)
    speakers = len(set(pair.speakers.ravel()) - {NOBODY})
    warn_few_speakers(name, speakers)
    return {
        "seeds": pair.seeds,
        "mixtures": pair.value.shape[1],
        "speakers": speakers,
        "measures": measures,
    }


def difference(pair: Pair, measure: Measure, config: ComparisonConfig) -> dict[str, Any]:
    """Value minus baseline, averaged over the seeds, with its interval."""

    def sampled(weights: np.ndarray) -> np.ndarray:
        return measure(pair.value, weights) - measure(pair.baseline, weights)

    once = np.ones((1, pair.value.shape[1]))
    value, baseline = measure(pair.value, once)[0], measure(pair.baseline, once)[0]
    found = entry(value, baseline, value - baseline, _interval(sampled, pair, config))
    return {**found, "mixtures": pair.value.shape[1]}


def share(pair: Pair, sign: float, config: ComparisonConfig) -> dict[str, Any]:
    """Percent of mixtures whose SI-SNRi changes by more than 1 dB in one direction."""
    changed = 100.0 * (sign * (pair.value - pair.baseline) > CHANGE_DB)
    mean = partial(Measure("", ""), changed)
    estimate = mean(np.ones((1, changed.shape[1])))[0]
    found = entry(None, None, estimate, _interval(mean, pair, config))
    return {**found, "mixtures": pair.value.shape[1]}


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
    nobody = int(names[0] == NOBODY)  # the first in order; always there, once
    drawn = draw_speakers(len(names) - nobody, config.samples, config.seed)
    drawn = np.pad(drawn, ((0, 0), (nobody, 0)), constant_values=1)
    means = []
    for first in range(0, config.samples, BLOCK):
        weights = mixture_weights(drawn[first : first + BLOCK], members)
        if len(weights):
            means.append(sampled(weights).mean(axis=1))
    low, high = np.percentile(np.concatenate(means), LEVELS)
    return float(low), float(high)


@dataclass
class Pair:
    """Values of an experiment and of the baseline on the same mixtures.

    Args:
        seeds: that both have.
        value: of the experiment, ``[seeds, mixtures]``.
        baseline: ``[seeds, mixtures]``.
        speakers: of each mixture (of the two that are compared), each once,
            ``[mixtures, speakers]``; ``NOBODY`` fills shorter lists.
    """

    seeds: list[int]
    value: np.ndarray
    baseline: np.ndarray
    speakers: np.ndarray


def pair_up(
    own: pd.DataFrame, base: pd.DataFrame, column: str, name: str, baseline: str, check: Check
) -> Pair:
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
    check(wide[0].loc[common], wide[1].loc[common], name, baseline)
    matrices = [v.loc[common, seeds].to_numpy(float).T for v in values]
    speakers = _speakers((own, base), common)
    return Pair([int(s) for s in seeds], matrices[0], matrices[1], speakers)


def _speakers(tables: Sequence[pd.DataFrame], mixtures: pd.Index) -> np.ndarray:
    """Speakers of the mixtures in all tables, each once a row: ``[mixtures, speakers]``."""
    once = [t.drop_duplicates("mixture").set_index("mixture").loc[mixtures] for t in tables]
    every = np.hstack([t.filter(regex="^speaker").to_numpy(str) for t in once]).astype(object)
    for k in range(1, every.shape[1]):
        again = (every[:, :k] == every[:, k : k + 1]).any(axis=1)
        every[again, k] = NOBODY
    return every[:, (every != NOBODY).any(axis=0)].astype(str)


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


def _check_counterparts(own: pd.DataFrame, base: pd.DataFrame, name: str, target: str) -> None:
    """UserError unless the first speakers and the lengths of the mixtures are the same."""
    pairs = {c: (own[c].to_numpy(), base[c].to_numpy()) for c in ("speaker1", "samples")}
    differing = [c for c, (one, other) in pairs.items() if not (one == other).all()]
    if differing:
        raise UserError(
            f"{name}: mixtures of '{target}' are no counterparts of those with the same names "
            f"({', '.join(differing)} differ).",
            "Make the two sets with the same settings: speechkit mix, and mix --hard FOLDER.",
        )


def _warn_left_out(
    own: pd.DataFrame, base: pd.DataFrame, pair: Pair, name: str, baseline: str
) -> None:
    """Warn of mixtures and seeds that only one of two experiments has."""
    every = set(own["mixture"]) | set(base["mixture"])
    if left := len(every) - pair.value.shape[1]:
        logger.warning(f"{name}: left out {counted(left, 'mixture')} that lack some value.")
    if set(own["seed"]) != set(base["seed"]):
        logger.warning(
            f"{name} has {_listed(own)}, {baseline} {_listed(base)}: compared on "
            f"{','.join(map(str, pair.seeds))}."
        )
