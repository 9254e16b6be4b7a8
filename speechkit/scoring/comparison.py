"""The stage ``compare scoring``: experiments against a baseline on the same utterances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from speechkit.base.errors import UserError
from speechkit.labels.scores import LEVELS
from speechkit.task import comparison, scores
from speechkit.workdir import WorkDir

COMPARISON = scores.comparison_of("scoring", "utterance")
ASPECTS = tuple(f"utterance_{name}" for name in LEVELS["utterance"])


@dataclass(frozen=True)
class ComparisonConfig(comparison.ComparisonConfig):
    """As :class:`speechkit.task.comparison.ComparisonConfig`; without names all that predict what
    the baseline predicts, without measures its PCC and MSE (of scores from 0 to 1)."""

    accepted = tuple(f"{aspect}_{kind}" for aspect in ASPECTS for kind in scores.STATISTICS)


def compare(
    work: WorkDir, config: ComparisonConfig, out_name: str = "", force: bool = False
) -> Path:
    """Write ``exp/compare/scoring/<set>/`` and return it.

    Raises:
        UserError: an experiment was not evaluated on the set, on other utterances, or
            predicts another score than the baseline.
    """
    if not config.names:
        config = replace(config, names=_same_target(work, config))

    def differences(folders: Mapping[str, Path], name: str) -> dict[str, Any]:
        own, base = (_target(folders[one]) for one in (name, config.baseline))
        if own != base:
            raise UserError(
                f"'{name}' predicts {own or 'nothing'}, '{config.baseline}' {base or 'nothing'}.",
                "Compare experiments with the same --target.",
            )
        return scores.differences(folders, name, config)

    return comparison.compare(work, COMPARISON, config, differences, out_name, force)


def _same_target(work: WorkDir, config: ComparisonConfig) -> tuple[str, ...]:
    """Experiments that were evaluated on the set and predict the score of the baseline."""
    folders = comparison.find_evaluations(work, COMPARISON, config)
    wanted = _target(folders.pop(config.baseline))
    found = tuple(name for name, folder in folders.items() if _target(folder) == wanted)
    if not found:
        raise UserError(
            f"No other experiment that predicts {wanted} was evaluated on '{config.set}'.",
            "Train one with the same --target, and evaluate it.",
        )
    return found


def _target(folder: Path) -> str:
    """Column of the label in ``utterances.tsv``."""
    with (folder / scores.TABLES["utterance"]).open(encoding="utf-8") as file:
        columns = file.readline().rstrip("\n").split("\t")
    return next((name for name in columns if name in ASPECTS), "")
