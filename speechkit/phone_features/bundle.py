"""A scorer with the acoustic models it needs, in one folder: where its parts are.

    scorer/seedN/     config.yaml, model.safetensors
    acoustic/NAME/    of `train acoustic`

An experiment under ``exp/`` has its seeds only; its acoustic models lie under ``exp/`` too. The
package ships scorers that share theirs, in ``speechkit/pronunciation/pretrained``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechkit.base.errors import UserError, closest
from speechkit.base.files import make_dirs
from speechkit.phone_features.config import DEEP
from speechkit.task import trained
from speechkit.task.trained import refuse_path, seeds_in
from speechkit.workdir import WorkDir

SCORER, ACOUSTIC = "scorer", "acoustic"
DEFAULT = "default"


def is_bundle(folder: Path) -> bool:
    """Whether a folder holds a scorer with its acoustic models."""
    return (folder / SCORER).is_dir()


def find_model(
    spec: str, workdir: WorkDir, task: str, shipped: Mapping[str, Path] | None = None
) -> Path:
    """The folder of an experiment or of :func:`write`.

    Args:
        spec: a name under ``exp/<task>``, or a folder.
        workdir: where names are looked up.
        task: pronunciation or scoring.
        shipped: models that come with the package, by name. An empty name is ``default``; an
            experiment may have the name of any other, and is found first.

    Raises:
        UserError: there is no such model.
    """
    shipped = shipped or {}
    if DEFAULT in shipped and spec in ("", DEFAULT):
        return _shipped(shipped[DEFAULT])
    parent = workdir.root / "exp" / task
    for folder in (parent / spec, Path(spec)):
        if is_bundle(folder) or seeds_in(folder):
            return folder
    if spec in shipped:
        return _shipped(shipped[spec])
    if (Path(spec) / "config.json").is_file():
        raise UserError(
            f"{spec} is a model of Hugging Face, which hears phones and gives no scores.",
            "It can be the acoustic model of one that does: give it as `am` to `speechkit "
            f"extract-gop`, and train with `speechkit train {task}` on these features.",
        )
    refuse_path(spec, f"Give the folder of a {task} model, or a name under exp/{task}.")
    own = (p.name for p in parent.glob("[!.]*") if is_bundle(p) or seeds_in(p))
    known = [*shipped, *sorted(own)]
    there = f"Known here: {', '.join(known)}." if known else "There are none yet."
    raise UserError(
        f"There is no {task} model '{spec}': neither in {parent} nor as a folder."
        f"{closest(spec, known)}",
        f"{there} Train one with `speechkit train {task}`.",
    )


def _shipped(folder: Path) -> Path:
    if not is_bundle(folder):
        raise UserError(
            f"This installation lacks the model {folder.name} ({folder}).",
            "Install speechkit again, or name a model of your own with --model.",
        )
    return folder


def acoustic_specs(features: Mapping[str, Any]) -> list[str]:
    """The acoustic models that features are made with, each once."""
    named = (*features.get("am", ()), features.get("align_with", ""))
    return [spec for spec in dict.fromkeys(named) if spec]


def acoustic_places(
    folder: Path, features: Mapping[str, Any], shared: Path | None = None
) -> dict[str, str] | None:
    """Where the acoustic models that lie beside a scorer are; None where none do.

    Args:
        folder: of the scorer.
        features: their configuration.
        shared: the folder that holds ``acoustic/``, where it is not the scorer's own.
    """
    if not is_bundle(folder):
        return None
    return {
        spec: str(place)
        for spec in acoustic_specs(features)
        if (place := (shared or folder) / ACOUSTIC / Path(spec).name).is_dir()
    }


def seed_folders(folder: Path) -> list[Path]:
    """The seeds of a model, sorted."""
    folder = folder / SCORER if is_bundle(folder) else folder
    return [path for _, path in seeds_in(folder)]


def write(
    workdir: WorkDir,
    task: str,
    name: str,
    target: Path,
    copy: Callable[[Path, Path], dict[str, Any]],
    seeds: Sequence[int] = (),
) -> Path:
    """Copy an experiment and its acoustic models (those in float16).

    Args:
        workdir: that holds ``exp/<task>/<name>`` and the acoustic models.
        task: pronunciation or scoring.
        target: the folder to write, which must not exist.
        copy: copies the folder of a seed to an empty one, and gives its card.
        seeds: which to copy; default all.

    Raises:
        UserError: no such experiment or seed, or the target exists.
    """
    from speechkit.acoustic import models
    from speechkit.acoustic.tdnn import folder as tdnn_folder

    if target.exists():
        raise UserError(f"{target} exists.", "Name a folder that does not exist yet.")
    found = dict(trained.find(workdir, task, name))
    if missing := sorted(set(seeds) - set(found)):
        raise UserError(f"'{name}' has no seed {missing[0]}; it has {sorted(found)}.")
    cards = [
        copy(found[seed], make_dirs(target / SCORER / f"seed{seed}"))
        for seed in sorted(seeds or found)
    ]
    hidden: dict[str, bool] = {}
    for features in cards[0]["features"]:
        for spec in acoustic_specs(features):
            hidden[spec] = hidden.get(spec, False) or features.get("method") == DEEP
    for spec, deep in hidden.items():
        if spec != models.SPHINX:
            source, place = models.find_folder(spec, workdir), target / ACOUSTIC / Path(spec).name
            tdnn_folder.export(source, place, hidden=deep)
    return target
