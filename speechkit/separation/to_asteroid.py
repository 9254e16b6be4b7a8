"""A trained Conv-TasNet as the file that Asteroid's ``model.serialize()`` gives.

``ConvTasNet.from_pretrained(FILE)`` there loads it; :mod:`speechkit.separation.foreign` reads it
back. Names and settings are those of Asteroid 0.7.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from speechkit.base.errors import UserError
from speechkit.base.files import atomic_write, make_dirs
from speechkit.separation import model_folder
from speechkit.separation.config import ConvTasNetConfig
from speechkit.separation.foreign import ASTEROID_LAYERS, ASTEROID_PARTS, ASTEROID_SIZES

WEIGHTS = "pytorch_model.bin"
# Its cLN normalises each frame by itself; the paper's cLN is its cgLN.
_NORMS = {"gLN": "gLN", "chLN": "cLN", "cLN": "cgLN"}


def write(folder: Path, target: Path) -> None:
    """Write a trained model for Asteroid: ``pytorch_model.bin``, its name on the hub.

    Args:
        folder: ``exp/separation/<name>/seed<N>``; the weights are those of its own choice.
        target: a folder; it is made.

    Raises:
        UserError: Asteroid's Conv-TasNet has not what the model has.
    """
    separator = model_folder.load(folder)
    config = separator.net.config
    _refuse(config)
    saved = {
        "model_name": "ConvTasNet",
        "state_dict": {
            _name(name, config.causal): value for name, value in separator.net.state_dict().items()
        },
        "model_args": _arguments(config, separator.sample_rate),
        "infos": {"software_versions": {"torch_version": str(torch.__version__)}},
    }
    make_dirs(target)
    with atomic_write(target / WEIGHTS, "wb") as file:
        torch.save(saved, file)


def _arguments(config: ConvTasNetConfig, sample_rate: int) -> dict[str, Any]:
    """What ``get_model_args()`` gives there."""
    return {
        **{theirs: getattr(config, ours) for ours, theirs in ASTEROID_SIZES.items()},
        "fb_name": "FreeFB",
        "stride": config.hop,
        "sample_rate": float(sample_rate),
        "in_chan": config.filters,
        "out_chan": config.filters,
        "norm_type": _NORMS[config.norm],
        "mask_act": config.mask,
        "causal": config.causal,
        "encoder_activation": "relu" if config.encoder_relu else None,
    }


def _name(ours: str, causal: bool) -> str:
    """``blocks.3.widen.weight`` -> ``masker.TCN.3.shared_block.0.weight``."""
    if ours in ("encoder", "decoder"):
        return f"{ours}.filterbank._filters"
    if found := re.fullmatch(r"blocks\.(\d+)\.(\w+)\.(\w+)", ours):
        number, layer, part = found.groups()
        chopped = ".0" if causal and layer == "depthwise" else ""
        return f"masker.TCN.{number}.{ASTEROID_LAYERS[layer]}{chopped}.{part}"
    layer, _, part = ours.partition(".")
    return f"masker.{ASTEROID_PARTS[layer]}.{part}"


def _refuse(config: ConvTasNetConfig) -> None:
    odd = {
        "`input_norm` that is not `norm`": config.input_norm not in ("", config.norm),
        "reflect `padding`": config.padding != "zeros",
        "gLN in a causal network": config.causal and config.norm == "gLN",
    }
    for what, present in odd.items():
        if present:
            raise UserError(
                f"Asteroid's ConvTasNet has not what this model has: {what}.",
                "Leave out `format`: the file that is written then holds any model.",
            )
