"""The stage ``compare scoring``: experiments against a baseline on the same utterances."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from speechkit.base.errors import UserError
from speechkit.labels.scores import LEVELS
from speechkit.scoring.results import SUMMARY, TABLE
from speechkit.stats import comparison
from speechkit.stats.score_comparison import INTERVAL, NUMBERS, against
from speechkit.workdir import WorkDir

TASK = comparison.Task("scoring", SUMMARY, NUMBERS, INTERVAL)
COLUMNS = TASK.columns
MEASURES = tuple(
    f"utterance_{name}_{kind}" for name in LEVELS["utterance"] for kind in ("pcc", "mse")
)


@dataclass(frozen=True)
class Settings(comparison.Settings):
    """As :class:`speechkit.stats.comparison.Settings`; without names all that predict what the
    baseline predicts, without measures its PCC and MSE (of scores from 0 to 1)."""

    def check_measures(self) -> None:
        for name in self.measures:
            if name not in MEASURES:
                raise UserError(
                    f"--measure '{name}' is not known.", f"Accepted: {', '.join(MEASURES)}."
                )


def compare(work: WorkDir, settings: Settings, out_name: str = "", force: bool = False) -> Path:
    """Write ``exp/compare/scoring/<set>/`` and return it.

    Raises:
        UserError: an experiment was not evaluated on the set, on other utterances, or
            predicts another score than the baseline.
    """
    if not settings.names:
        settings = replace(settings, names=_alike(work, settings))
    return comparison.run(
        work,
        TASK,
        settings,
        (TABLE,),
        lambda folders, name: _against(folders, name, settings),
        out_name=out_name,
        force=force,
    )


def _alike(work: WorkDir, settings: Settings) -> tuple[str, ...]:
    """Experiments that were evaluated on the set and predict the score of the baseline."""
    names, folders = comparison.find(work, TASK, settings)
    wanted = _target(folders[settings.baseline])
    found = tuple(name for name in names if _target(folders[name]) == wanted)
    if not found:
        raise UserError(
            f"No other experiment that predicts {wanted} was evaluated on '{settings.set}'.",
            "Train one with the same --target, and evaluate it.",
        )
    return found


def _target(folder: Path) -> str:
    """Column of the label in ``utterances.tsv``."""
    with (folder / TABLE).open(encoding="utf-8") as file:
        columns = file.readline().rstrip("\n").split("\t")
    known = [f"utterance_{name}" for name in LEVELS["utterance"]]
    return next((name for name in columns if name in known), "")


def _against(folders: dict[str, Path], name: str, settings: Settings) -> dict[str, Any]:
    own, base = (_target(folders[one]) for one in (name, settings.baseline))
    if own != base:
        raise UserError(
            f"'{name}' predicts {own or 'nothing'}, '{settings.baseline}' {base or 'nothing'}.",
            "Compare experiments with the same --target.",
        )
    return against(folders, name, settings)


def rows(experiments: dict[str, dict[str, Any]]) -> list[list[Any]]:
    """Rows of ``differences.tsv`` from the experiments of ``summary.json``."""
    return TASK.rows(experiments)
