"""A scorer with the acoustic models it needs, in one folder: to give away, and to ship.

    scorer/seedN/     config.yaml, model.safetensors (float16)
    acoustic/NAME/    of `train acoustic`, float16
    README.md         the model card

The package ships one, ``speechkit/pronunciation/pretrained``, so that prediction works right
after the installation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechkit.errors import UserError, closest
from speechkit.trained import refuse_path, seeds_in
from speechkit.workdir import WorkDir

if TYPE_CHECKING:
    from speechkit.pronunciation.features import FeaturePipeline
    from speechkit.pronunciation.model_folder import Assessor

PRETRAINED = Path(__file__).parent / "pretrained"
DEFAULT = "default"
SCORER, ACOUSTIC, CARD = "scorer", "acoustic", "README.md"


@dataclass
class Ready:
    """Everything that scores a recording.

    Args:
        name: of the model, for people.
        assessor: the scorer.
        pipeline: makes the features that it takes.
        seeds: folders that the scorer was loaded from.
    """

    name: str
    assessor: Assessor
    pipeline: FeaturePipeline
    seeds: Sequence[Path] = ()


def is_bundle(folder: Path) -> bool:
    """Whether a folder holds a scorer with its acoustic models."""
    return (folder / SCORER).is_dir()


def load(spec: str, workdir: WorkDir, device: str = "cpu") -> Ready:
    """Find and load a model.

    Args:
        spec: ``default`` or empty for the one that the package ships; a name under
            ``exp/pronunciation``; a folder of an experiment or of :func:`write`.
        workdir: where names, and the acoustic models of an experiment, are looked up.
        device: cpu or cuda.

    Raises:
        UserError: there is no such model, or its features cannot be made of a recording.
    """
    from speechkit.pronunciation import model_folder
    from speechkit.pronunciation.features import FeaturePipeline

    folder = find_model(spec, workdir, "pronunciation", PRETRAINED)
    seeds = seed_folders(folder)
    assessor = model_folder.load(seeds, device)
    configs = assessor.features_of
    if len(configs) > 1:
        raise UserError(
            f"'{spec}' was trained on {len(configs)} folders of features side by side, which "
            "cannot be made of a recording in one go.",
            "Extract them in one folder (several --am for `speechkit extract-gop`), and train "
            "on that.",
        )
    places = acoustic_places(folder, configs[0])
    pipeline = FeaturePipeline.from_config(configs[0], workdir, device, places)
    return Ready(spec or DEFAULT, assessor, pipeline, seeds)


def find_model(spec: str, workdir: WorkDir, task: str, shipped: Path | None = None) -> Path:
    """The folder of an experiment or of :func:`write`.

    Args:
        spec: a name under ``exp/<task>``, or a folder.
        workdir: where names are looked up.
        task: pronunciation or scoring.
        shipped: the model that ``default``, or an empty name, stands for.

    Raises:
        UserError: there is no such model.
    """
    if shipped is not None and spec in ("", DEFAULT):
        if not is_bundle(shipped):
            raise UserError(
                f"This installation lacks the default model ({shipped}).",
                "Install speechkit again, or name a model of your own with --model.",
            )
        return shipped
    parent = workdir.root / "exp" / task
    for folder in (parent / spec, Path(spec)):
        if is_bundle(folder) or seeds_in(folder):
            return folder
    refuse_path(spec, f"Give the folder of a {task} model, or a name under exp/{task}.")
    own = (p.name for p in parent.glob("[!.]*") if is_bundle(p) or seeds_in(p))
    known = [*([DEFAULT] if shipped is not None else []), *sorted(own)]
    there = f"Known here: {', '.join(known)}." if known else "There are none yet."
    raise UserError(
        f"There is no {task} model '{spec}': neither in {parent} nor as a folder."
        f"{closest(spec, known)}",
        f"{there} Train one with `speechkit train {task}`.",
    )


def acoustic_specs(features: Mapping[str, Any]) -> list[str]:
    """The acoustic models that features are made with, each once."""
    named = (*features.get("am", ()), features.get("align_with", ""))
    return [spec for spec in dict.fromkeys(named) if spec]


def acoustic_places(folder: Path, features: Mapping[str, Any]) -> dict[str, str] | None:
    """Where the acoustic models that lie beside a scorer are; None where none do."""
    if not is_bundle(folder):
        return None
    return {
        spec: str(place)
        for spec in acoustic_specs(features)
        if (place := folder / ACOUSTIC / Path(spec).name).is_dir()
    }


def seed_folders(folder: Path) -> list[Path]:
    """The seeds of a model, sorted."""
    folder = folder / SCORER if is_bundle(folder) else folder
    return [path for _, path in seeds_in(folder)]


def write(
    workdir: WorkDir,
    name: str,
    target: Path,
    seeds: Sequence[int] = (),
    card: str = "",
) -> Path:
    """Copy an experiment and its acoustic models, weights in float16.

    Args:
        workdir: that holds ``exp/pronunciation/<name>`` and the acoustic models.
        name: of the experiment.
        target: the folder to write, which must not exist.
        seeds: which to copy; default all.
        card: text of the model card.

    Raises:
        UserError: no such experiment or seed, or the target exists.
    """
    from speechkit.acoustic import models, tdnn_folder
    from speechkit.files import make_dirs
    from speechkit.pronunciation import model_folder

    if target.exists():
        raise UserError(f"{target} exists.", "Name a folder that does not exist yet.")
    found = dict(model_folder.find_models(workdir, name))
    if missing := sorted(set(seeds) - set(found)):
        raise UserError(f"'{name}' has no seed {missing[0]}; it has {sorted(found)}.")
    wanted = sorted(seeds or found)
    config = model_folder.read_card(found[wanted[0]])["features"][0]
    make_dirs(target)
    for seed in wanted:
        _copy_half(found[seed], target / SCORER / f"seed{seed}")
    for spec in acoustic_specs(config):
        if spec != models.SPHINX:
            source = models.find_folder(spec, workdir)
            tdnn_folder.export(source, target / ACOUSTIC / Path(spec).name)
    if card:
        (target / CARD).write_text(card, encoding="utf-8")
    return target


def _copy_half(source: Path, target: Path) -> None:
    """A seed's card, and its weights in float16 (the normalisation stays as it is)."""
    from safetensors.torch import save

    from speechkit.files import make_dirs
    from speechkit.pronunciation import model_folder
    from speechkit.training.weights import read_weights

    make_dirs(target)
    state = {
        name: value if name.startswith("normalise.") else value.half()
        for name, value in read_weights(source / model_folder.WEIGHTS).items()
    }
    (target / model_folder.WEIGHTS).write_bytes(save(state))
    (target / model_folder.CARD).write_bytes((source / model_folder.CARD).read_bytes())
