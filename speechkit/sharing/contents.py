"""The files of a model that others need: no logs of machines, no speakers, no pickles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechkit.base.log import logger
from speechkit.base.schema import Object
from speechkit.base.yaml_files import read_yaml, write_yaml
from speechkit.sharing.model_search import CARD, Found, models_in
from speechkit.workdir import WorkDir

_LEFT_OUT = ("manifest.json", "last.safetensors", "README.md")
_TAKEN = (".yaml", ".json", ".safetensors")
_LOG = "log.tsv"


def collect(
    workdir: WorkDir, found: Found, staging: Path
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Name in the file -> file to read, and the models' folders.

    Args:
        workdir: the working directory.
        found: what is to be shared.
        staging: an empty folder for files that are made for the purpose.

    Raises:
        UserError: a part of the model that lies elsewhere is not there.
    """
    if found.task in ("pronunciation", "scoring") and (made := _bundle(workdir, found, staging)):
        return made
    sources: dict[str, Path] = {}
    for model in found.models:
        for path in sorted((found.base / model).iterdir()):
            known = path.suffix in _TAKEN or path.name == _LOG
            if path.is_file() and known and path.name not in _LEFT_OUT:
                sources[(model / path.name).as_posix()] = path
    if found.task == "emotion":
        _emotion(found, staging, sources)
    return sources, tuple(model.as_posix() for model in found.models)


def read_card(folder: Path) -> dict[str, Any]:
    """``config.yaml`` of a folder."""
    return read_yaml(folder / CARD, Object)


def _emotion(found: Found, staging: Path, sources: dict[str, Path]) -> None:
    """Add the encoder of a model: its configuration, or all of one that was frozen."""
    from speechkit.emotion import encoder_files, encoder_network

    written: dict[str, str] = {}
    for model in found.models:
        folder = found.base / model
        card = read_card(folder)
        if card.get("model") != "encoder":
            continue
        sources[(model / CARD).as_posix()] = _without_paths(card, staging / model / CARD)
        if not card["network"]["frozen"]:
            for path in sorted((folder / encoder_network.FOLDER).glob("*.json")):
                sources[(model / encoder_network.FOLDER / path.name).as_posix()] = path
            continue
        # One encoder for all folds and seeds, beside them; further ones in their models.
        digest = str(card["network"]["encoder_digest"])
        if digest in written:
            continue
        place = Path(encoder_network.FOLDER) if not written else model / encoder_network.FOLDER
        written[digest] = place.as_posix()
        encoder_files.write_copy(encoder_network.find_frozen(folder, card), staging / place)
        for path in sorted((staging / place).iterdir()):
            sources[(place / path.name).as_posix()] = path


def _without_paths(card: Mapping[str, Any], target: Path) -> Path:
    """The card with a name in place of a local folder of the encoder."""
    from speechkit.emotion import encoder_files

    spec = str(card["upstream"])
    plain = encoder_files.short_name(spec) if encoder_files.is_local(spec) else spec
    training = dict(card["training"])
    if "upstream" in training:
        training["upstream"] = plain
    network = {k: v for k, v in card["network"].items() if k != "encoder_folder"}
    stripped = {**card, "upstream": plain, "network": network, "training": training}
    target.parent.mkdir(parents=True, exist_ok=True)
    write_yaml(target, stripped)
    return target


def _bundle(
    workdir: WorkDir, found: Found, staging: Path
) -> tuple[dict[str, Path], tuple[str, ...]] | None:
    """A scorer with its acoustic models, where they are of this working directory."""
    from speechkit.acoustic import models
    from speechkit.acoustic.tdnn import folder as tdnn_folder
    from speechkit.base.errors import UserError
    from speechkit.phone_features.bundle import acoustic_specs, is_bundle, write
    from speechkit.pronunciation import model_folder as pronunciation
    from speechkit.scoring import model_folder as scoring

    copy = scoring.copy if found.task == "scoring" else pronunciation.copy
    if is_bundle(found.base):
        return None
    features = read_card(found.base / found.models[0]).get("features") or [{}]
    specs = [spec for spec in acoustic_specs(features[0]) if spec != models.SPHINX]
    seeds = [int(m.name[4:]) for m in found.models if re.fullmatch(r"seed\d+", m.name)]
    try:
        for spec in specs:
            tdnn_folder.read_card(models.find_folder(spec, workdir))
    except UserError as error:
        logger.warning(
            f"The acoustic models ({', '.join(specs)}) are not put into the file, whoever uses it "
            f"needs them: {error.problem}"
        )
        return None
    target = write(workdir, found.task, found.name, staging / "bundle", copy, seeds)
    sources = {
        path.relative_to(target).as_posix(): path
        for path in sorted(target.rglob("*"))
        if path.is_file() and path.suffix in _TAKEN
    }
    return sources, tuple(model.as_posix() for model in models_in(target))
