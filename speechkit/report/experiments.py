"""What the report reads of ``exp/separation``: trained seeds and evaluations."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base import schema
from speechkit.report import runs
from speechkit.report.reader import DAMAGED, read_log, readable
from speechkit.separation import model_folder, results
from speechkit.separation.paper import Recipe
from speechkit.task.evaluation import SUMMARY, read_summary
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_json, read_manifest

if TYPE_CHECKING:
    import pandas as pd

_HARD = re.compile(r"(pitch|energy|xvector)_pm(\d+(?:\.\d+)?)")  # names that mine-hard gives
_ORDER = ("", "pitch", "energy", "xvector")


@dataclass
class Seed:
    """One trained seed.

    Args:
        number: the seed.
        card: ``config.yaml``.
        log: columns of ``log.tsv``; empty where there is none.
        summary: the selected epochs.
        manifest: of the training.
    """

    number: int
    card: dict[str, Any]
    log: dict[str, list[float]]
    summary: dict[str, int]
    manifest: dict[str, Any]

    @property
    def training(self) -> dict[str, Any]:
        """Its configuration; empty for a model that was not trained here."""
        return dict(self.card.get("training") or {})


@dataclass
class Evaluation:
    """One folder ``eval/<set>[-<variant>]``.

    Args:
        folder: where it is.
        set: the set of mixtures.
        weighted: it used the weights that the weighted loss selected.
        seeds: that were evaluated.
        summary: measure -> mean, std, n.
        table: one line per seed and mixture.
    """

    folder: Path
    set: str
    weighted: bool
    seeds: tuple[int, ...]
    summary: dict[str, dict[str, Any]]
    table: pd.DataFrame

    @property
    def variant(self) -> str:
        """What follows the name of the set."""
        return self.folder.name.removeprefix(self.set).removeprefix("-")

    def value(self, measure: str) -> tuple[float, float | None] | None:
        """Mean and standard deviation over the seeds; None where it was not measured."""
        found = self.summary.get(measure)
        return None if found is None else (found["mean"], found["std"])


@dataclass
class Experiment:
    """All seeds and evaluations of one name.

    Args:
        name: folder of ``exp/separation``.
        seeds: trained ones.
        evaluations: finished ones.
    """

    name: str
    seeds: list[Seed] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    settings: Recipe | None = None

    @property
    def network(self) -> dict[str, Any]:
        """Hyperparameters of the first seed; empty without a model."""
        return dict(self.seeds[0].card["network"]) if self.seeds else {}

    def on(self, set_name: str) -> list[Evaluation]:
        """Evaluations on a set: the model's own choice first, then variants."""
        found = [e for e in self.evaluations if e.set == set_name]
        return sorted(found, key=lambda e: e.variant)

    def settings_of(self, evaluation: Evaluation) -> Recipe | None:
        """How the evaluated model was trained and selected."""
        own = self.settings
        if own is None:
            return None
        return Recipe(own.dm, own.wtl, evaluation.weighted, own.param, own.pm, own.ps)


def collect(workdir: WorkDir) -> list[Experiment]:
    """All experiments in the order of the paper's tables; damaged parts are left out."""
    found = list(runs.collect(workdir, "separation", Experiment, _seed, _evaluation, SUMMARY))
    for one in found:
        if one.seeds and one.seeds[0].training:
            settings = readable(
                lambda _, o=one: settings_of(workdir, o.seeds[0]),
                workdir.exp("separation", one.name),
            )
            one.settings = settings[0] if settings else None
    return sorted(found, key=_place)


def _place(one: Experiment) -> tuple[Any, ...]:
    s = one.settings or Recipe(False)
    param = _ORDER.index(s.param) if s.param in _ORDER else len(_ORDER)
    weights = (s.wtl + s.wvl, s.wvl)
    mined = (s.pm or 0.0, s.ps or 0.0)
    return (parameters(one.network), param, s.dm, weights, mined, one.name)


def _seed(folder: Path) -> Seed:
    card = model_folder.read_card(folder)
    card["network"] = dict(card["network"])
    log = folder / "log.tsv"
    return Seed(
        int(folder.name[4:]),
        card,
        read_log(log) if log.is_file() else {},
        read_json(folder / "summary.json") or {},
        read_manifest(folder) or {},
    )


def _evaluation(folder: Path) -> Evaluation:
    manifest = read_manifest(folder) or {}
    params = manifest.get("params", {})
    table = results.read_utterances(folder)
    seeds = tuple(sorted(int(seed) for seed in table["seed"].unique()))
    summary = read_summary(folder)
    if not summary["si_snri_db"]["n"] == len(seeds):
        raise ValueError("summary.json and utterances.tsv are of different seeds")
    return Evaluation(
        folder,
        str(params.get("set", folder.name)),
        params.get("checkpoint") == "weighted",
        seeds,
        summary,
        table,
    )


def settings_of(workdir: WorkDir, seed: Seed) -> Recipe:
    """How a seed was trained, from its configuration and the hard pairs that it names."""
    training = seed.training
    param, pm, ps = "", None, None
    if hard := str(training.get("hard") or ""):
        param, pm = _mined(workdir, hard)
        ps = round(100 * float(training["mixing"]["ps"]), 2)
    return Recipe(
        bool(training["dynamic"]),
        training["loss"] == "wsi-snr",
        seed.card.get("selection") == "weighted",
        param,
        pm,
        ps,
    )


def _mined(workdir: WorkDir, hard: str) -> tuple[str, float | None]:
    """Parameter and P_M in percent of a folder of hard pairs; from its name if it is gone."""
    path = Path(hard)
    for folder in (path, workdir.root / hard, workdir.root / "exp" / "hard" / hard):
        params = (read_manifest(folder) or {}).get("params", {})
        if "param" in params and "pm" in params:
            return str(params["param"]), round(100 * float(params["pm"]), 4)
    if named := _HARD.match(path.name):
        return named[1], round(100 * float(named[2]), 4)
    return path.name, None


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


def baseline(workdir: WorkDir, set_name: str, experiments: Sequence[Experiment]) -> Experiment:
    """The experiment that others are compared to: that of `compare`, else ``dm``, else the first.

    Args:
        workdir: the working directory.
        set_name: the set of mixtures.
        experiments: evaluated on it, at least one.
    """
    asked = read_json(workdir.exp("compare", "separation") / set_name / SUMMARY)
    wanted = asked.get("baseline") if isinstance(asked, dict) else None
    for name in (wanted, "dm"):
        for one in experiments:
            if one.name == name:
                return one
    return experiments[0]


def quantiles(evaluation: Evaluation, percent: np.ndarray) -> np.ndarray:
    """Percentiles of SI-SNRi in dB, averaged over the seeds.

    Args:
        evaluation: of an experiment.
        percent: which, 0 to 100.
    """
    table = evaluation.table
    own = table[table["si_snri_db"].notna()]
    each = [np.percentile(part["si_snri_db"], percent) for _, part in own.groupby("seed")]
    return np.asarray(np.mean(each, axis=0))


def key(network: dict[str, Any]) -> str:
    """The same text for the same network."""
    return json.dumps(network, sort_keys=True)
