"""What the report reads of ``exp/scoring``: trained seeds, evaluations, and what they stand on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechkit.report import runs
from speechkit.report.pronunciation_experiments import Evaluation
from speechkit.report.reader import utterances
from speechkit.report.runs import Runs
from speechkit.scoring import model_folder
from speechkit.scoring.paper import OURS, Recipe
from speechkit.task.evaluation import SUMMARY, read_summary
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_json, read_manifest

_RECIPE = ("model", "input", "pretrain", "finetune")
_FREE = ("features", "set_name", "labelled", "target", "init", "track", *_RECIPE)
_FRAMES_AN_HOUR = 360_000
FROM_OTHER = "other"  # pre-training of a run that starts from another experiment


@dataclass
class Seed:
    """One trained seed.

    Args:
        number: the seed.
        card: ``config.yaml``.
        summary: measures of the training, and counts of parameters.
    """

    number: int
    card: dict[str, Any]
    summary: dict[str, Any]


@dataclass
class Experiment(Runs):
    """All seeds and evaluations of one name.

    Args:
        name: folder of ``exp/scoring``.
        seeds: trained ones.
        evaluations: finished ones.
    """

    seeds: list[Seed] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)

    @property
    def recipe(self) -> Recipe:
        """The row of the paper's tables that the training answers to."""
        plain = Recipe(*(str(self.setting(name)) for name in _RECIPE))
        if self.setting("init"):
            return Recipe(plain.model, plain.input, FROM_OTHER, plain.finetune)
        return plain

    @property
    def target(self) -> str:
        """The score of an utterance that is predicted."""
        return str(self.card.get("target", ""))

    @property
    def aspect(self) -> str:
        """The target as the measures name it."""
        return f"utterance_{self.target}"

    @property
    def acoustic(self) -> str:
        """Names of the acoustic models that the features are of."""
        specs = [spec for one in self.card.get("features") or () for spec in one.get("am") or ()]
        return " + ".join(Path(str(spec)).name for spec in specs)

    @property
    def scale(self) -> tuple[float, float]:
        """Lowest and highest score of the target."""
        low, high = self.card["scale"]
        return float(low), float(high)

    def labelled(self, workdir: WorkDir) -> int | None:
        """Utterances with a human score that it learned from; None where it is not known."""
        if self.recipe.finetune == "none":
            return 0
        counted = self.seeds[0].summary.get("utterances") if self.seeds else None
        given = counted or self.setting("labelled", 0)
        return int(given) if given else utterances(workdir, str(self.setting("set_name")))

    def training_pcc(self) -> tuple[float, float | None] | None:
        """PCC on what it learned from: of an evaluation on that set, else as training left it."""
        if self.recipe.finetune == "none":
            return None
        if not self.setting("labelled", 0):
            evaluation = self.on(str(self.setting("set_name")))
            if evaluation and (found := evaluation.value(f"{self.aspect}_pcc")) is not None:
                return found
        left = [seed.summary.get("train_pcc") for seed in self.seeds]
        values = [float(value) for value in left if value is not None]
        return mean_std(values) if values and len(values) == len(self.seeds) else None

    def parameters(self, part: str) -> int | None:
        """Of the ``scorer`` or the ``acoustic`` model, as the training counted them."""
        count = self.seeds[0].summary.get(f"{part}_parameters") if self.seeds else None
        return int(count) if count else None

    def otherwise(self, other: Experiment) -> int:
        """How many further settings are not those of another experiment."""
        own, theirs = ((one.card.get("training") or {}) for one in (self, other))
        return sum(own[name] != theirs.get(name) for name in own if name not in _FREE)


def mean_std(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation (None of one value)."""
    mean = sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    return mean, (squares / (len(values) - 1)) ** 0.5 if len(values) > 1 else None


def collect(workdir: WorkDir) -> list[Experiment]:
    """All experiments, the proposed recipe first; damaged parts are left out."""
    every = runs.collect(workdir, "scoring", Experiment, _seed, _evaluation, SUMMARY)
    found = [one for one in every if one.seeds]
    if not found:
        return []
    main = main_of(found)

    def place(one: Experiment) -> tuple[Any, ...]:
        recipe = one.recipe
        same = sum(getattr(recipe, name) != getattr(OURS, name) for name in _RECIPE)
        foreign = (one.target != main.target, one.target, one.acoustic != main.acoustic)
        return *foreign, one.acoustic, bool(one.setting("labelled", 0)), same, one.name

    return sorted(found, key=place)


def _seed(folder: Path) -> Seed:
    card = model_folder.read_card(folder)
    if not isinstance(card.get("training"), dict) or len(card["scale"]) != 2:
        raise ValueError(f"{model_folder.CARD} has another form")
    return Seed(
        int(folder.name[4:]),
        card,
        read_json(folder / "summary.json") or {},
    )


def _evaluation(folder: Path) -> Evaluation:
    params = (read_manifest(folder) or {}).get("params", {})
    summary = read_summary(folder)
    if not all(isinstance(value, dict) for value in summary.values()):
        raise ValueError(f"{SUMMARY} has another form")
    return Evaluation(folder, str(params.get("set", folder.name)), summary)


@dataclass(frozen=True)
class Acoustic:
    """An acoustic model of ``train acoustic``.

    Args:
        name: folder of ``exp/acoustic``.
        summary: what the training counted and measured.
        sets: that it was trained on.
    """

    name: str
    summary: dict[str, Any]
    sets: str

    @property
    def hours(self) -> float | None:
        """Of the recordings that it was trained on, each counted once."""
        frames = self.summary.get("frames")
        return frames / _FRAMES_AN_HOUR if frames else None


def acoustic(workdir: WorkDir, name: str) -> Acoustic | None:
    """An acoustic model by its name; None where it is not of this working directory."""
    folder = workdir.root / "exp" / "acoustic" / name
    summary = read_json(folder / "summary.json") if name else None
    if not isinstance(summary, dict):
        return None
    params = (read_manifest(folder) or {}).get("params", {})
    sets = params.get("sets") or params.get("set_name") or ""
    return Acoustic(name, summary, sets if isinstance(sets, str) else ", ".join(map(str, sets)))


Found = Sequence[tuple[Experiment, Evaluation]]


def main_of(found: Iterable[Experiment]) -> Experiment:
    """One of the experiments whose target, acoustic model and labelled set are the commonest.

    Args:
        found: at least one.
    """
    every = list(found)
    keys = Counter((one.target, one.acoustic, one.setting("set_name")) for one in every)

    def rank(one: Experiment) -> tuple[int, bool, bool]:
        key = (one.target, one.acoustic, one.setting("set_name"))
        return keys[key], not one.setting("labelled", 0), one.recipe == OURS

    return max(every, key=rank)


def alike(found: Found, main: Experiment) -> list[tuple[Experiment, Evaluation]]:
    """Of each recipe the run that fits the others: with all labels, the same target, acoustic
    model and settings."""
    chosen: dict[Recipe, tuple[tuple[Any, ...], tuple[Experiment, Evaluation]]] = {}
    for one, evaluation in found:
        if one.target != main.target or one.recipe.pretrain == FROM_OTHER:
            continue
        rank = (
            one.acoustic != main.acoustic,
            bool(one.setting("labelled", 0)),
            one.setting("set_name") != main.setting("set_name"),
            one.otherwise(main),
            one.name,
        )
        if one.recipe not in chosen or rank < chosen[one.recipe][0]:
            chosen[one.recipe] = rank, (one, evaluation)
    return [pair for _, pair in chosen.values()]
