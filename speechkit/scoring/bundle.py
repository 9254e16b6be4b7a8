"""A scorer with everything that scores a recording; and both in one folder, to give away.

scorer/seedN/     config.yaml, model.safetensors; acoustic/ where the scorer has its own
acoustic/NAME/    of `train acoustic`, float16
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechkit.base.errors import UserError
from speechkit.phone_features.bundle import (
    ACOUSTIC,
    SCORER,
    acoustic_places,
    acoustic_specs,
    find_model,
    seed_folders,
)
from speechkit.workdir import WorkDir

if TYPE_CHECKING:
    from speechkit.phone_features.pipeline import FeaturePipeline
    from speechkit.scoring.data import Inputs
    from speechkit.scoring.model_folder import ScoringModel

_COPIED = (".yaml", ".json", ".safetensors", ".npz")


@dataclass
class Ready:
    """Everything that scores a recording.

    Args:
        name: of the model, for people.
        models: its S seeds.
        pipelines: what makes the features of each; mostly one and the same.
        inputs: what the models read of the features.
        features: ``features.json`` of them.
        seeds: folders that the models were loaded from.
    """

    name: str
    models: list[ScoringModel]
    pipelines: list[FeaturePipeline]
    inputs: Inputs
    features: dict[str, Any]
    seeds: Sequence[Path] = ()

    @property
    def card(self) -> dict[str, Any]:
        """``config.yaml`` of the first: what the models have in common."""
        return dict(self.models[0].card)


def load(spec: str, workdir: WorkDir, device: str = "cpu") -> Ready:
    """Find and load a model.

    Args:
        spec: a name under ``exp/scoring``, or a folder of an experiment or of :func:`write`.
        workdir: where names, and the acoustic models of an experiment, are looked up.
        device: cpu or cuda.

    Raises:
        UserError: there is no such model, or its features cannot be made of a recording.
    """
    from speechkit.phone_features.pipeline import FeaturePipeline
    from speechkit.scoring import joint_folder, model_folder

    folder = find_model(spec, workdir, "scoring")
    seeds = seed_folders(folder)
    models = [model_folder.read_model(seed, device) for seed in seeds]
    config = {**models[0].card["features"][0]}
    if config.get("level") == "frame":  # of frames come the same means of phones
        config["level"] = "phone"
    places = acoustic_places(folder, config)
    shared: FeaturePipeline | None = None
    pipelines = []
    for seed in seeds:
        if joint_folder.is_joint(seed):
            pipelines.append(joint_folder.pipeline(config, seed, workdir, device, places))
            continue
        shared = shared or FeaturePipeline.from_config(config, workdir, device, places)
        pipelines.append(shared)
    return Ready(spec, models, pipelines, inputs_of(models[0].card), config, seeds)


def inputs_of(card: Mapping[str, Any], features: str | None = None) -> Inputs:
    """Which features a model reads.

    Args:
        card: ``config.yaml`` of it.
        features: suffix of the folders; None: that of the training.
    """
    from speechkit.scoring.data import Inputs

    training = card.get("training") or {}
    name = str(training.get("features") or "") if features is None else features
    return Inputs(str(training["input"]), name)


def write(workdir: WorkDir, name: str, target: Path, seeds: Sequence[int] = ()) -> Path:
    """Copy an experiment and its acoustic models (those in float16).

    Args:
        workdir: that holds ``exp/scoring/<name>`` and the acoustic models.
        name: of the experiment.
        target: the folder to write, which must not exist.
        seeds: which to copy; default all.

    Raises:
        UserError: no such experiment or seed, or the target exists.
    """
    from speechkit.acoustic import models
    from speechkit.acoustic.tdnn import folder as tdnn_folder
    from speechkit.scoring import joint_folder, model_folder

    if target.exists():
        raise UserError(f"{target} exists.", "Name a folder that does not exist yet.")
    found = dict(model_folder.find_models(workdir, name))
    if missing := sorted(set(seeds) - set(found)):
        raise UserError(f"'{name}' has no seed {missing[0]}; it has {sorted(found)}.")
    wanted = sorted(seeds or found)
    config = model_folder.read_card(found[wanted[0]])["features"][0]
    for seed in wanted:
        _copy(found[seed], target / SCORER / f"seed{seed}")
        if joint_folder.is_joint(found[seed]):
            own = joint_folder.ACOUSTIC
            _copy(found[seed] / own, target / SCORER / f"seed{seed}" / own)
    for spec in acoustic_specs(config):
        if spec != models.SPHINX:
            source = models.find_folder(spec, workdir)
            tdnn_folder.export(source, target / ACOUSTIC / Path(spec).name)
    return target


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        if path.is_file() and path.suffix in _COPIED and path.name != "manifest.json":
            shutil.copyfile(path, target / path.name)
