"""What the report reads of ``exp/scoring``: how each run was trained, and what it stands on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from speechkit.report import experiments
from speechkit.report.experiments import Evaluation
from speechkit.report.reader import contents, params_of, utterances
from speechkit.scoring import model_folder, paper
from speechkit.scoring.paper import OURS, Recipe
from speechkit.task.paper import PublishedRow
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_json, read_manifest

_RECIPE = ("model", "input", "pretrain", "finetune")
_FREE = ("features", "set_name", "labelled", "target", "init", "track", *_RECIPE)
_FRAMES_AN_HOUR = 360_000
FROM_OTHER = "other"  # pre-training of a run that starts from another experiment


class Experiment(experiments.Experiment[Evaluation]):
    """All seeds and evaluations of one name."""

    @property
    def recipe(self) -> Recipe:
        """The row of the paper's tables that the training answers to."""
        plain = Recipe(*(str(self.setting(name)) for name in _RECIPE))
        return replace(plain, pretrain=FROM_OTHER) if self.setting("init") else plain

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
        if not values or len(values) < len(self.seeds):
            return None
        return mean(values), stdev(values) if len(values) > 1 else None

    def parameters(self, part: str) -> int | None:
        """Of the ``scorer`` or the ``acoustic`` model, as the training counted them."""
        count = self.seeds[0].summary.get(f"{part}_parameters") if self.seeds else None
        return int(count) if count else None

    def otherwise(self, other: Experiment) -> int:
        """How many further settings are not those of another experiment."""
        return len(self.differing(other, _FREE))


Found = Sequence[tuple[Experiment, Evaluation]]


def collect(workdir: WorkDir) -> list[Experiment]:
    """All experiments, the proposed recipe first; damaged parts are left out."""
    every = experiments.collect(workdir, "scoring", Experiment, _card)
    found = [one for one in every if one.seeds]
    if not found:
        return []
    main = main_experiment(found)

    def place(one: Experiment) -> tuple[Any, ...]:
        recipe = one.recipe
        same = sum(getattr(recipe, name) != getattr(OURS, name) for name in _RECIPE)
        foreign = (one.target != main.target, one.target, one.acoustic != main.acoustic)
        return *foreign, one.acoustic, bool(one.setting("labelled", 0)), same, one.name

    return sorted(found, key=place)


def _card(folder: Path) -> dict[str, Any]:
    card = model_folder.read_card(folder)
    if not isinstance(card.get("training"), dict) or len(card["scale"]) != 2:
        raise ValueError("config.yaml has another form")
    return card


@dataclass(frozen=True)
class Acoustic:
    """An acoustic model of ``train acoustic``.

    Args:
        name: folder of ``exp/acoustic``.
        summary: what the training counted and measured.
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
    params = params_of(folder)
    sets = params.get("sets") or params.get("set_name") or ""
    return Acoustic(name, summary, sets if isinstance(sets, str) else ", ".join(map(str, sets)))


def main_experiment(found: Iterable[Experiment]) -> Experiment:
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


def differences_to_paper(
    workdir: WorkDir, one: Experiment, evaluation: Evaluation, row: PublishedRow
) -> list[str]:
    """What was otherwise than in the paper; empty if the numbers can be compared."""
    facts = {
        "tested on": contents(workdir, evaluation.set, evaluation.count("utterances")),
        "trained on": contents(workdir, str(one.setting("set_name")), one.labelled(workdir)),
        "acoustic model": _acoustic(workdir, one, str(row.facts["acoustic model"])),
        "synthetic scores": synthetic_utterances(workdir, one),
    }
    return row.differences(one.card.get("training") or {}, facts)


def _acoustic(workdir: WorkDir, one: Experiment, theirs: str) -> str:
    """The acoustic model that the features are of; ``theirs`` if it is as large as the paper's and
    has learned from as much speech."""
    known = acoustic(workdir, one.acoustic)
    if known is None or known.hours is None:
        return one.acoustic or "not known"
    count = int(known.summary.get("parameters") or 0)
    size = paper.ACOUSTIC_PARAMETERS
    if abs(known.hours - paper.ACOUSTIC_HOURS) < 50 and abs(count - size) <= 0.01 * size:
        return theirs
    return f"{one.acoustic}, {known.hours:.1f} h of speech, {count / 1e6:.2f} M parameters"


def synthetic_utterances(workdir: WorkDir, one: Experiment) -> int | None:
    """How many utterances with synthetic scores it was pre-trained on."""
    set_name, name = str(one.setting("pretrain_set")), str(one.setting("synthetic") or "")
    folder = workdir.root / "exp" / "synthetic" / (f"{set_name}-{name}" if name else set_name)
    counts = (read_manifest(folder) or {}).get("counts", {})
    summary = read_json(folder / "summary.json")
    found = counts.get("utterances", summary.get("utterances") if isinstance(summary, dict) else 0)
    return int(found) if isinstance(found, int) and found else utterances(workdir, set_name)
