"""What the report reads of ``exp/separation``: how each model was trained, and its mixtures."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base import schema
from speechkit.report import experiments
from speechkit.report.experiments import Seed, read_evaluation
from speechkit.report.reader import DAMAGED, corpus, params_of, undamaged
from speechkit.separation import model_folder, results
from speechkit.separation.paper import CORPORA, Recipe
from speechkit.task.paper import PublishedRow
from speechkit.workdir import WorkDir

if TYPE_CHECKING:
    import pandas as pd

_HARD = re.compile(r"(pitch|energy|xvector)_pm(\d+(?:\.\d+)?)")  # names that mine-hard gives
_ORDER = ("", "pitch", "energy", "xvector")


@dataclass
class Evaluation(experiments.Evaluation):
    """One folder ``eval/<set>[-<variant>]``.

    Args:
        weighted: it used the weights that the weighted loss selected.
        table: one line per seed and mixture.
    """

    weighted: bool
    table: pd.DataFrame

    @property
    def seeds(self) -> list[int]:
        """That were evaluated."""
        return sorted(int(seed) for seed in self.table["seed"].unique())


@dataclass
class Experiment(experiments.Experiment[Evaluation]):
    """All of one name.

    Args:
        recipe: how it was trained, where that is known.
    """

    recipe: Recipe | None = None

    def recipe_of(self, evaluation: Evaluation) -> Recipe | None:
        """How the evaluated model was trained and selected."""
        return self.recipe and replace(self.recipe, wvl=evaluation.weighted)


Found = Sequence[tuple[Experiment, Evaluation]]


def collect(workdir: WorkDir) -> list[Experiment]:
    """All experiments in the order of the paper's tables; damaged parts are left out."""
    found = list(
        experiments.collect(workdir, "separation", Experiment, model_folder.read_card, _evaluation)
    )
    for one in found:
        if one.seeds and one.seeds[0].training:
            folder = workdir.exp("separation", one.name)
            read = partial(_recipe, workdir, one.seeds[0])
            one.recipe = next(iter(undamaged(str(folder), read)), None)
    return sorted(found, key=_place)


def _place(one: Experiment) -> tuple[Any, ...]:
    r = one.recipe or Recipe(False)
    param = _ORDER.index(r.param) if r.param in _ORDER else len(_ORDER)
    weights = (r.wtl + r.wvl, r.wvl)
    mined = (r.pm or 0.0, r.ps or 0.0)
    return (parameters(one.network), param, r.dm, weights, mined, one.name)


def _evaluation(folder: Path) -> Evaluation:
    plain, table = read_evaluation(folder), results.read_utterances(folder)
    weighted = params_of(folder).get("checkpoint") == "weighted"
    found = Evaluation(folder, plain.set, plain.summary, weighted, table)
    if found.summary["si_snri_db"]["n"] != len(found.seeds):
        raise ValueError("summary.json and utterances.tsv are of different seeds")
    return found


def _recipe(workdir: WorkDir, seed: Seed) -> Recipe:
    """How a seed was trained, from its configuration and the hard pairs that it names."""
    training = seed.training
    param, pm, ps = "", None, None
    if hard := str(training.get("hard") or ""):
        param, pm = _mined(workdir, hard)
        ps = round(100 * float(training["mixing"]["ps"]), 2)
    weighted = seed.card.get("selection") == "weighted"
    return Recipe(bool(training["dynamic"]), training["loss"] == "wsi-snr", weighted, param, pm, ps)


def _mined(workdir: WorkDir, hard: str) -> tuple[str, float | None]:
    """Parameter and P_M in percent of a folder of hard pairs; from its name if it is gone."""
    path = Path(hard)
    for folder in (path, workdir.root / hard, workdir.root / "exp" / "hard" / hard):
        params = params_of(folder)
        if "param" in params and "pm" in params:
            return str(params["param"]), round(100 * float(params["pm"]), 4)
    if named := _HARD.match(path.name):
        return named[1], round(100 * float(named[2]), 4)
    return path.name, None


def differences_to_paper(
    workdir: WorkDir, one: Experiment, evaluation: Evaluation, row: PublishedRow
) -> list[str]:
    """What was otherwise than in the paper; empty if the numbers can be compared."""
    recipe = one.recipe_of(evaluation)
    if recipe is None:
        return ["how it was trained is not known"]
    training, ends = one.seeds[0].training, sorted({min(one.lengths), max(one.lengths)})
    config = {
        **training,
        "epochs": ends[0] if len(ends) == 1 else f"{ends[0]} to {ends[1]}",
        "weighted_validation": evaluation.weighted,
        "network": one.network,
        "mixing": {**training.get("mixing", {}), "sample_rate": one.card.get("sample_rate")},
    }
    trained = corpus(workdir, str(training.get("set_name")))
    tested = corpus(workdir, evaluation.set)
    theirs = {"wsj0": "mixtures of WSJ0 of our own", "wsj0-2mix": row.facts["tested on"]}
    facts = {
        "trained on": "WSJ0" if trained in CORPORA else trained or "unknown data",
        "tested on": theirs.get(tested, tested or "unknown data"),
        **recipe.facts,
    }
    return row.differences(config, facts)


def parameters(network: dict[str, Any]) -> int:
    """Number of parameters of a network; 0 where it is unknown."""
    return _parameters(key(network)) if network else 0


@cache
def _parameters(network: str) -> int:
    import torch

    from speechkit.separation.conv_tasnet import ConvTasNet, ConvTasNetConfig

    try:
        with torch.device("meta"):
            net = ConvTasNet(schema.parse_json(network, ConvTasNetConfig, "network"))
    except DAMAGED:
        return 0
    return sum(p.numel() for p in net.parameters())


def quantiles(evaluation: Evaluation, percent: np.ndarray) -> np.ndarray:
    """Percentiles of SI-SNRi in dB, averaged over the seeds.

    Args:
        percent: which, 0 to 100.
    """
    table = evaluation.table
    own = table[table["si_snri_db"].notna()]
    each = [np.percentile(part["si_snri_db"], percent) for _, part in own.groupby("seed")]
    return np.asarray(np.mean(each, axis=0))


def key(network: dict[str, Any]) -> str:
    """The same text for the same network."""
    return json.dumps(network, sort_keys=True)
