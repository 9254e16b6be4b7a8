"""A scorer with the acoustic models it needs, in one folder: to give away, and to ship.

    scorer/seedN/     config.yaml, model.safetensors (float16)
    acoustic/NAME/    of `train acoustic`, float16
    README.md         the model card

The package ships one, ``speechkit/pronunciation/pretrained``, so that prediction works right
after the installation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from speechkit.base.errors import UserError
from speechkit.phone_features.bundle import (
    ACOUSTIC,
    DEFAULT,
    SCORER,
    acoustic_places,
    acoustic_specs,
    find_model,
    seed_folders,
)
from speechkit.workdir import WorkDir

if TYPE_CHECKING:
    from speechkit.phone_features.pipeline import FeaturePipeline
    from speechkit.pronunciation.model_folder import Assessor

PRETRAINED = Path(__file__).parent / "pretrained"
CARD = "README.md"


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
    from speechkit.phone_features.pipeline import FeaturePipeline
    from speechkit.pronunciation import model_folder

    folder = find_model(spec, workdir, "pronunciation", PRETRAINED)
    seeds = seed_folders(folder)
    assessor = model_folder.load(seeds, device)
    configs = assessor.features_of
    if len(configs) > 1:
        raise UserError(
            f"'{spec}' was trained on {len(configs)} folders of features side by side, which "
            "cannot be made of a recording in one go.",
            "Extract them in one folder (several `am` for `speechkit extract-gop`), and train "
            "on that.",
        )
    places = acoustic_places(folder, configs[0])
    pipeline = FeaturePipeline.from_config(configs[0], workdir, device, places)
    return Ready(spec or DEFAULT, assessor, pipeline, seeds)


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
    from speechkit.acoustic import models
    from speechkit.acoustic.tdnn import folder as tdnn_folder
    from speechkit.base.files import make_dirs
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
    from speechkit.base.files import make_dirs
    from speechkit.pronunciation import model_folder
    from speechkit.training.weights import read_weights, write_weights

    make_dirs(target)
    state = {
        name: value if name.startswith("normalise.") else value.half()
        for name, value in read_weights(source / model_folder.WEIGHTS).items()
    }
    write_weights(target / model_folder.WEIGHTS, state)
    (target / model_folder.CARD).write_bytes((source / model_folder.CARD).read_bytes())
