"""The stage ``compare pronunciation``: experiments against a baseline on the same items."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.errors import UserError
from speechkit.log import logger
from speechkit.pronunciation import intervals
from speechkit.pronunciation.results import SUMMARY, TABLES, read_table
from speechkit.pronunciation.scores import ASPECTS
from speechkit.text import write_tsv
from speechkit.workdir import Output, WorkDir, check_name

if TYPE_CHECKING:
    import pandas as pd

COMMAND = "compare pronunciation"
STATISTICS = {"pcc": intervals.pcc_of, "mse": intervals.mse_of}
MEASURES = tuple(f"{aspect}_{kind}" for aspect in ASPECTS for kind in STATISTICS)
_NUMBERS = ("baseline", "value", "estimate", "low", "high", "seed_std", "seeds", "items")
COLUMNS = ("experiment", "measure", *_NUMBERS)
_KEYS = {
    "phone": ["utt", "index", "phone"],
    "word": ["utt", "index", "word"],
    "utterance": ["utt"],
}


@dataclass(frozen=True)
class Settings:
    """What determines a comparison.

    Args:
        set: of the evaluations, with their suffix: a folder ``eval/<set>``.
        baseline: experiment that the others are compared to.
        names: experiments; empty for all that were evaluated on the set.
        measures: names as in ``summary.json``; empty for all that both have.
        samples: bootstrap samples.
        seed: of their draws.

    Raises:
        UserError: a value that is not accepted.
    """

    set: str
    baseline: str
    names: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    samples: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 100:
            raise UserError(
                f"--samples {self.samples} is too few for a 95 % interval.", "Give 100 or more."
            )
        for name in self.measures:
            if name not in MEASURES:
                raise UserError(
                    f"--measure '{name}' is not known.", f"Accepted: {', '.join(MEASURES)}."
                )
        if self.names == (self.baseline,):
            raise UserError(f"--name {self.baseline} is the baseline itself.", "Name another.")


def compare(work: WorkDir, settings: Settings, out_name: str = "", force: bool = False) -> Path:
    """Write ``exp/compare/pronunciation/<set>/`` and return it.

    Raises:
        UserError: an experiment was not evaluated on the set, or on other items.
    """
    names, folders = _find(work, settings)
    every = [folders[name] / table for name in folders for table in TABLES.values()]
    with Output(
        work.exp("compare", "pronunciation", settings.set, name=out_name),
        COMMAND,
        {**asdict(settings), "names": names},
        [path for path in every if path.is_file()],
        force=force,
        beside="write beside it with --out-name",
    ) as out:
        if not out.up_to_date:
            found = {name: against(folders, name, settings) for name in names}
            _write(out.path, settings, found)
            out.counts.update(experiments=len(found), samples=settings.samples)
    return out.final


def _find(work: WorkDir, settings: Settings) -> tuple[list[str], dict[str, Path]]:
    """Names to be compared, and the folders of their evaluations, the baseline's first."""
    check_name("set", settings.set)
    base = work.exp("pronunciation")
    there = {p.parents[2].name for p in base.glob(f"*/eval/{settings.set}/{SUMMARY}")}
    names = list(settings.names) or sorted(there - {settings.baseline})
    names = [name for name in dict.fromkeys(names) if name != settings.baseline]
    for name in (settings.baseline, *names):
        if name not in there:
            raise UserError(
                f"The experiment '{name}' was not evaluated on '{settings.set}'. "
                f"Evaluated: {', '.join(sorted(there)) or 'none'}.",
                f"Run: speechkit evaluate pronunciation --name {name} --set {settings.set}",
            )
    if not names:
        raise UserError(
            f"Only '{settings.baseline}' was evaluated on '{settings.set}'.",
            "Evaluate another experiment on it.",
        )
    every = (settings.baseline, *names)
    return names, {name: base / name / "eval" / settings.set for name in every}


def against(folders: dict[str, Path], name: str, settings: Settings) -> dict[str, Any]:
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


def _wanted(measure: str, settings: Settings) -> bool:
    return not settings.measures or measure in settings.measures


def _differences(
    own: pd.DataFrame, base: pd.DataFrame, aspect: str, kinds: Sequence[str], settings: Settings
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
    if len(names) < intervals.FEW_SPEAKERS and aspect == ASPECTS[0]:
        logger.warning(f"An interval from {len(names)} speakers is rough.")
    labels = own[aspect].to_numpy(float)
    sums = [
        intervals.moments(t[seeds].to_numpy(float).T, labels, places, len(names))
        for t in (own, base)
    ]
    drawn = intervals.draw(len(names), settings.samples, settings.seed)
    found = {}
    for kind in kinds:
        statistic = STATISTICS[kind]
        value, baseline = (statistic(one.sum(axis=1)) for one in sums)
        sampled = [intervals.sample(statistic, one, drawn) for one in sums]
        low, high = intervals.interval(sampled[0] - sampled[1])
        each = value - baseline
        found[f"{aspect}_{kind}"] = {
            "baseline": _number(baseline.mean()),
            "value": _number(value.mean()),
            "estimate": _number(each.mean()),
            "low": _number(low),
            "high": _number(high),
            "seed_std": _number(each.std(ddof=1)) if len(seeds) > 1 else None,
            "per_seed": [_number(one) for one in each],
            "seeds": len(seeds),
            "items": int((~np.isnan(labels)).sum()),
        }
    return found


def _number(value: float | None) -> float | None:
    """Rounded, as summing in another order leaves 1e-16; None where undefined."""
    return None if value is None or np.isnan(value) else round(float(value), 12) + 0.0


def _write(folder: Path, settings: Settings, found: dict[str, dict[str, Any]]) -> None:
    shown = [
        ["" if v is None else f"{v:.4f}" if isinstance(v, float) else str(v) for v in row]
        for row in rows(found)
    ]
    write_tsv(folder / "differences.tsv", COLUMNS, shown)
    summary = {
        "set": settings.set,
        "baseline": settings.baseline,
        "bootstrap_samples": settings.samples,
        "interval": "95 %, over speakers; the seeds are fixed",
        "experiments": found,
    }
    text = json.dumps(summary, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / SUMMARY).write_text(text + "\n", encoding="utf-8")


def rows(experiments: dict[str, dict[str, Any]]) -> list[list[Any]]:
    """Rows of ``differences.tsv`` from the experiments of ``summary.json``."""
    return [
        [name, measure, *(values[column] for column in _NUMBERS)]
        for name, one in experiments.items()
        for measure, values in one.items()
    ]
