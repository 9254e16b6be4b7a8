"""One run, two rows: taking over a run that differs only in how its epoch is selected."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from speechkit.base.log import logger
from speechkit.base.yaml_files import write_yaml
from speechkit.separation import model_folder
from speechkit.separation.config import SeparationConfig
from speechkit.task.trained import CARD
from speechkit.training.devices import ranks
from speechkit.workdir import Output
from speechkit.workdir.manifest import read_manifest


def take_twin(out: Output, config: SeparationConfig) -> bool:
    """Take over a finished run that differs in ``weighted_validation`` alone."""
    if ranks().world > 1:
        return False  # the processes would have to agree
    if out.resumed:
        return False
    for other in sorted(out.final.parent.parent.glob(f"*/{out.final.name}")):
        manifest = read_manifest(other)
        if manifest is None:
            continue
        differing = out.key.other_params(manifest)
        only = len(differing) == 1 and differing[0].startswith("weighted_validation")
        if not only or out.key.inputs.changed(manifest.get("inputs", {})):
            continue
        logger.info(f"{other} is the same run but for the selection: taking its checkpoints.")
        for path in other.iterdir():
            if path.suffix == ".safetensors" or path.name == "log.tsv":
                _link(path, out.path / path.name)
        card = model_folder.read_card(other)
        card["selection"] = "weighted" if config.weighted_validation else "plain"
        card["training"] = config.params()
        write_yaml(out.path / CARD, card)
        shutil.copy2(other / "summary.json", out.path / "summary.json")
        out.notes["trained_as"] = other.parent.name
        return True
    return False


def _link(path: Path, new: Path) -> None:
    try:
        os.link(path, new)
    except OSError:
        shutil.copy2(path, new)
