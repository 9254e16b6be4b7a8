"""Asteroid's ConvTasNet: a file of ``torch.save(model.serialize(), FILE)``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from speechkit.base.errors import UserError
from speechkit.separation.conv_tasnet import ConvTasNetConfig
from speechkit.separation.foreign.checks import (
    ACCEPTED,
    Loaded,
    fits,
    load_weights,
    one_of,
    tensors,
    whole,
)

FILES = ("best_model.pth", "pytorch_model.bin")  # of a recipe, of the hub

# Its cLN normalises each frame by itself; the paper's cLN is its cgLN.
_NORMS = {
    "gLN": "gLN", "GlobLN": "gLN", "cLN": "chLN", "ChanLN": "chLN", "cgLN": "cLN", "CumLN": "cLN",
}  # fmt: skip
_MASKS = {name: name for name in ("relu", "sigmoid", "softmax", "linear")}
_ENCODERS = {None: False, "linear": False, "relu": True}
_DEFAULTS: dict[str, Any] = {
    "n_blocks": 8, "n_repeats": 3, "bn_chan": 128, "hid_chan": 512, "skip_chan": 128,
    "conv_kernel_size": 3, "norm_type": "gLN", "mask_act": "sigmoid", "causal": False,
    "fb_name": "free", "kernel_size": 16, "n_filters": 512, "stride": 8,
    "encoder_activation": None, "in_chan": None, "out_chan": None, "sample_rate": None,
}  # fmt: skip
_NAMES = (
    (r"(encoder|decoder)\.filterbank\._filters", r"\1"),
    (r"masker\.bottleneck\.0\.(\w+)", r"norm.\1"),
    (r"masker\.bottleneck\.1\.(\w+)", r"bottleneck.\1"),
    (r"masker\.TCN\.(\d+)\.shared_block\.0\.(\w+)", r"blocks.\1.widen.\2"),
    (r"masker\.TCN\.(\d+)\.shared_block\.1\.(\w+)", r"blocks.\1.act1.\2"),
    (r"masker\.TCN\.(\d+)\.shared_block\.2\.(\w+)", r"blocks.\1.norm1.\2"),
    (r"masker\.TCN\.(\d+)\.shared_block\.3\.(?:0\.)?(\w+)", r"blocks.\1.depthwise.\2"),
    (r"masker\.TCN\.(\d+)\.shared_block\.4\.(\w+)", r"blocks.\1.act2.\2"),
    (r"masker\.TCN\.(\d+)\.shared_block\.5\.(\w+)", r"blocks.\1.norm2.\2"),
    (r"masker\.TCN\.(\d+)\.res_conv\.(\w+)", r"blocks.\1.residual.\2"),
    (r"masker\.TCN\.(\d+)\.skip_conv\.(\w+)", r"blocks.\1.skip.\2"),
    (r"masker\.mask_net\.0\.(\w+)", r"mask_act.\1"),
    (r"masker\.mask_net\.1\.(\w+)", r"masks.\1"),
)


def load(path: Path) -> Loaded:
    """See :func:`speechkit.separation.foreign.load_foreign`."""
    saved = load_weights(path)
    keys = ("model_name", "model_args", "state_dict")
    if not isinstance(saved, dict) or any(key not in saved for key in keys):
        raise UserError(
            f"{path} is not a model that Asteroid serialised (a dict with {', '.join(keys)}).",
            "For a training checkpoint, load it there and torch.save(model.serialize(), FILE). "
            + ACCEPTED,
        )
    if saved["model_name"] != "ConvTasNet":
        raise UserError(f"{path} holds a {saved['model_name']}.", "Accepted: ConvTasNet.")
    if not isinstance(saved["model_args"], dict):
        raise UserError(f"{path}: model_args is {saved['model_args']}; expected a dict.")
    args = {**_DEFAULTS, **saved["model_args"]}
    filters = whole(path, args, "n_filters")
    causal = bool(args["causal"])
    norm = one_of(path, args, "norm_type", _NORMS)
    one_of(path, args, "fb_name", {"free": "", "FreeFB": ""})
    for name in ("in_chan", "out_chan"):
        one_of(path, {name: args[name] or filters}, name, {filters: ""})
    config = ConvTasNetConfig(
        filters=filters,
        kernel=whole(path, args, "kernel_size"),
        stride=whole(path, args, "stride"),
        bottleneck=whole(path, args, "bn_chan"),
        skip=whole(path, args, "skip_chan"),
        hidden=whole(path, args, "hid_chan"),
        conv_kernel=whole(path, args, "conv_kernel_size"),
        blocks=whole(path, args, "n_blocks"),
        repeats=whole(path, args, "n_repeats"),
        norm="chLN" if causal and norm == "gLN" else norm,  # as Asteroid does, with a warning
        mask=one_of(path, args, "mask_act", _MASKS),
        encoder_relu=one_of(path, args, "encoder_activation", _ENCODERS),
        causal=causal,
        speakers=whole(path, args, "n_src"),
    )
    weights = tensors(path, saved["state_dict"])
    state = {_rename(path, name): value for name, value in weights.items()}
    fits(path, config, state)
    rate = whole(path, args, "sample_rate")
    return config, state, rate or None


def _rename(path: Path, name: str) -> str:
    for pattern, ours in _NAMES:
        if match := re.fullmatch(pattern, name):
            return match.expand(ours)
    raise UserError(f"{path} has weights '{name}', which no Conv-TasNet of Asteroid has.")
