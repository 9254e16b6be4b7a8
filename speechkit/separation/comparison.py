"""The stage ``compare separation``: experiments against a baseline on the same mixtures."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from speechkit.errors import UserError
from speechkit.log import logger
from speechkit.separation.bootstrap import (
    Measure,
    draw_speakers,
    find_measure,
    mixture_weights,
)
from speechkit.separation.pairing import Pair, pair_up, say_left_out
from speechkit.separation.results import SUMMARY, TABLE, read_utterances
from speechkit.text import write_tsv
from speechkit.workdir import Output, WorkDir, check_name

COMMAND = "compare separation"
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
FEW_SPEAKERS = 10
LEVELS = (2.5, 97.5)
COLUMNS = (
    "experiment",
    "measure",
    "baseline",
    "value",
    "estimate",
    "low",
    "high",
    "seed_std",
    "seeds",
    "mixtures",
)


@dataclass(frozen=True)
class Settings:
    """What determines a comparison.

    Args:
        set: of the evaluations, with their suffix: a folder ``eval/<set>``.
        baseline: experiment that the others are compared to.
        names: experiments; empty for all that were evaluated on the set.
        measures: names as in ``summary.json``.
        samples: bootstrap samples.
        seed: of their draws.

    Raises:
        UserError: a value that is not accepted.
    """

    set: str
    baseline: str
    names: tuple[str, ...] = ()
    measures: tuple[str, ...] = DEFAULT_MEASURES
    samples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 100:
            raise UserError(
                f"--samples {self.samples} is too few for a 95 % interval.", "Give 100 or more."
            )
        if not self.measures:
            raise UserError("--measure is empty.", "Leave it out for the usual measures.")
        for name in self.measures:
            find_measure(name)
        if self.names == (self.baseline,):
            raise UserError(f"--name {self.baseline} is the baseline itself.", "Name another.")


def compare(work: WorkDir, settings: Settings, out_name: str = "", force: bool = False) -> Path:
    """Write ``exp/compare/separation/<set>/`` and return it.

    Raises:
        UserError: an experiment was not evaluated on the set, or on other mixtures.
    """
    names, folders = _find(work, settings)
    with Output(
        work.exp("compare", "separation", settings.set, name=out_name),
        COMMAND,
        {**asdict(settings), "names": names},
        [folders[name] / TABLE for name in (settings.baseline, *names)],
        force=force,
        beside="write beside it with --out-name",
    ) as out:
        if not out.up_to_date:
            tables = {name: read_utterances(folder) for name, folder in folders.items()}
            found = {name: against(tables, name, settings) for name in names}
            _write(out.path, settings, found)
            out.counts.update(experiments=len(found), samples=settings.samples)
    return out.final


def _find(work: WorkDir, settings: Settings) -> tuple[list[str], dict[str, Path]]:
    """Names to be compared, and the folders of their evaluations and the baseline's."""
    check_name("set", settings.set)
    base = work.exp("separation")
    there = {p.parent.parent.parent.name for p in base.glob(f"*/eval/{settings.set}/{TABLE}")}
    names = list(settings.names) or sorted(there - {settings.baseline})
    names = [name for name in dict.fromkeys(names) if name != settings.baseline]
    for name in (settings.baseline, *names):
        if name not in there:
            raise UserError(
                f"The experiment '{name}' was not evaluated on '{settings.set}'. "
                f"Evaluated: {', '.join(sorted(there)) or 'none'}.",
                f"Run: speechkit evaluate separation --name {name} --set {settings.set}",
            )
    if not names:
        raise UserError(
            f"Only '{settings.baseline}' was evaluated on '{settings.set}'.",
            "Evaluate another experiment on it.",
        )
    return names, {
        name: base / name / "eval" / settings.set for name in (settings.baseline, *names)
    }


def against(tables: dict[str, pd.DataFrame], name: str, settings: Settings) -> dict[str, Any]:
    """Differences of one experiment to the baseline.

    Args:
        tables: ``utterances.tsv`` by experiment.
        name: the experiment.
        settings: baseline, measures, bootstrap.
    """
    own, base = tables[name], tables[settings.baseline]
    pair = pair_up(own, base, "si_snri_db", name, settings.baseline)
    say_left_out(own, base, pair, name, settings.baseline)
    found: dict[str, Any] = {
        "seeds": pair.seeds,
        "mixtures": pair.value.shape[1],
        "speakers": len(np.unique(pair.speakers)),
        "measures": {},
    }
    if found["speakers"] < FEW_SPEAKERS:
        logger.warning(
            f"{name}: an interval from {found['speakers']} speakers is rough; with "
            f"{FEW_SPEAKERS} or more it can be relied on."
        )
    for measure in map(find_measure, settings.measures):
        if measure.column != "si_snri_db":
            other = pair_up(own, base, measure.column, name, settings.baseline)
        else:
            other = pair
        found["measures"][measure.name] = difference(other, measure, settings)
    for what, sign in (("better", 1.0), ("worse", -1.0)):
        found["measures"][f"{what}_by_1db_percent"] = share(pair, sign, settings)
    return found


def difference(pair: Pair, measure: Measure, settings: Settings) -> dict[str, Any]:
    """Value minus baseline, averaged over the seeds, with its interval."""
    one = np.ones((1, pair.value.shape[1]))
    value, baseline = measure(pair.value, one)[0], measure(pair.baseline, one)[0]

    def sampled(weights: np.ndarray) -> np.ndarray:
        return measure(pair.value, weights) - measure(pair.baseline, weights)

    means = {"baseline": float(baseline.mean()), "value": float(value.mean())}
    return {**means, **_with_interval(value - baseline, sampled, pair, settings)}


def share(pair: Pair, sign: float, settings: Settings) -> dict[str, Any]:
    """Percent of mixtures whose SI-SNRi changes by more than 1 dB in one direction."""
    changed = 100.0 * (sign * (pair.value - pair.baseline) > CHANGE_DB)
    mean = Measure("", "")
    one = mean(changed, np.ones((1, changed.shape[1])))[0]
    interval = _with_interval(one, lambda weights: mean(changed, weights), pair, settings)
    return {"baseline": None, "value": None, **interval}


def _with_interval(per_seed: np.ndarray, sampled: Any, pair: Pair, settings: Settings) -> dict:
    """Mean of the seeds, 95 % interval over speakers, and spread over seeds.

    Args:
        per_seed: the estimate of each seed ``[K]``.
        sampled: the same ``[B, K]`` for weights of the mixtures ``[B, N]``.
        pair: for the speakers of the mixtures.
        settings: samples and seed.
    """
    names, members = np.unique(pair.speakers, return_inverse=True)
    members = members.reshape(pair.speakers.shape)
    drawn = draw_speakers(len(names), settings.samples, settings.seed)
    means = []
    for first in range(0, settings.samples, BLOCK):
        weights = mixture_weights(drawn[first : first + BLOCK], members)
        if len(weights):
            means.append(sampled(weights).mean(axis=1))
    # Rounded: a difference of 1e-15 from summing in another order is no difference.
    low, high = np.percentile(np.concatenate(means), LEVELS).round(12) + 0.0
    return {
        "estimate": round(float(per_seed.mean()), 12) + 0.0,
        "low": float(low),
        "high": float(high),
        "seed_std": float(per_seed.std(ddof=1)) if len(per_seed) > 1 else None,
        "per_seed": [float(one) for one in per_seed],
        "seeds": len(per_seed),
        "mixtures": pair.value.shape[1],
    }


def _write(folder: Path, settings: Settings, found: dict[str, dict[str, Any]]) -> None:
    write_tsv(folder / "differences.tsv", COLUMNS, [_shown(row) for row in rows(found)])
    summary = {
        "set": settings.set,
        "baseline": settings.baseline,
        "bootstrap_samples": settings.samples,
        "interval": "95 %, over speakers of the mixtures; the seeds are fixed",
        "experiments": found,
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / SUMMARY).write_text(text + "\n", encoding="utf-8")


def rows(experiments: dict[str, dict[str, Any]]) -> list[list[Any]]:
    """Rows of ``differences.tsv`` from the experiments of ``summary.json``."""
    return [
        [name, measure, *(values[column] for column in COLUMNS[2:])]
        for name, one in experiments.items()
        for measure, values in one["measures"].items()
    ]


def _shown(row: list[Any]) -> list[str]:
    return ["" if v is None else f"{v:.4f}" if isinstance(v, float) else str(v) for v in row]


def read_comparison(folder: Path) -> dict[str, Any]:
    """``summary.json`` of a comparison."""
    return dict(json.loads((folder / SUMMARY).read_text(encoding="utf-8")))
