"""SpeechBrain's Conv-TasNet: a folder of its separation recipes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechkit.base.errors import UserError
from speechkit.base.yaml_files import HYPERPARAMS, class_name, read_hyperpyyaml
from speechkit.separation.conv_tasnet import ConvTasNetConfig
from speechkit.separation.foreign.checks import (
    ACCEPTED,
    Loaded,
    fits,
    load_weights,
    one_of,
    tensors,
)

FILES = ("encoder.ckpt", "masknet.ckpt", "decoder.ckpt")

_NORMS = {"gLN": "gLN", "cLN": "chLN"}  # its cLN normalises each frame by itself
_BLOCK = r"temporal_conv_net\.temporalblock_(\d+)_(\d+)\.layers\."
_LAYERS = {
    "conv.conv.weight": "widen.weight",
    "act.weight": "act1.weight",
    "norm.gamma": "norm1.gamma",
    "norm.beta": "norm1.beta",
    "DSconv.conv_0.conv.weight": "depthwise.weight",
    "DSconv.act.weight": "act2.weight",
    "DSconv.act_0.gamma": "norm2.gamma",
    "DSconv.act_0.beta": "norm2.beta",
    "DSconv.conv_1.conv.weight": "residual.weight",
}
_NAMES = {
    "layer_norm.gamma": "norm.gamma",
    "layer_norm.beta": "norm.beta",
    "bottleneck_conv1x1.conv.weight": "bottleneck.weight",
    "mask_conv1x1.conv.weight": "masks.weight",
}


def load(folder: Path) -> Loaded:
    """See :func:`speechkit.separation.foreign.load_foreign`."""
    hyper, options = _options(folder)
    coders = {}
    for part, name in (("encoder", "conv1d.weight"), ("decoder", "weight")):
        weights = tensors(folder, load_weights(folder / f"{part}.ckpt"))
        if list(weights) != [name]:
            raise UserError(
                f"{folder / part}.ckpt is not that of speechbrain.lobes.models.dual_path."
                f"{part.title()} without bias.",
                f"Expected: one tensor '{name}', as in SpeechBrain's separation recipes.",
            )
        coders[part] = weights[name]
    kernel = coders["encoder"].shape[2]
    one_of(folder, options, "stride", {None: 0, kernel // 2: 0})
    blocks, repeats, masknet = _masknet(folder / "masknet.ckpt", options["causal"])
    state = {**coders, **masknet}
    filters = len(coders["encoder"])
    hidden, _, taps = state["blocks.0.depthwise.weight"].shape
    config = ConvTasNetConfig(
        filters=filters,
        kernel=kernel,
        stride=kernel // 2,
        bottleneck=state["bottleneck.weight"].shape[0],
        skip=0,
        hidden=hidden,
        conv_kernel=taps,
        blocks=blocks,
        repeats=repeats,
        input_norm="chLN",
        padding="zeros" if options["causal"] else "reflect",
        encoder_relu=True,
        speakers=state["masks.weight"].shape[0] // filters,
        norm=options["norm"],
        mask=options["mask"],
        causal=options["causal"],
    )
    fits(folder, config, state)
    rate = hyper.get("sample_rate")
    return config, state, int(rate) if isinstance(rate, int | float) else None


def _options(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """``hyperparams.yaml``, and what the weights do not tell."""
    near = [f / HYPERPARAMS for f in (folder, folder.parent, folder.parent.parent)]
    found = [path for path in near if path.is_file()]
    if not found:
        raise UserError(
            f"There is no {HYPERPARAMS} in {folder} or two folders above it.",
            "Copy it from the folder of the experiment: it says which norm the model has.",
        )
    hyper = read_hyperpyyaml(found[0])
    modules = hyper.get("modules")
    modules = modules if isinstance(modules, dict) else {}
    node, decoder = modules.get("masknet"), modules.get("decoder")
    if not isinstance(node, dict) or class_name(node) != "MaskNet":
        kind = class_name(node) or node
        raise UserError(
            f"{found[0]}: the mask network is '{kind}'.",
            "Accepted: speechbrain.lobes.models.conv_tasnet.MaskNet.",
        )
    options = {"norm_type": "gLN", "causal": False, "mask_nonlinear": "relu", **node}
    return hyper, {
        "norm": one_of(found[0], options, "norm_type", _NORMS),
        "causal": one_of(found[0], options, "causal", {True: True, False: False}),
        # Its softmax runs over filters instead of speakers.
        "mask": one_of(found[0], options, "mask_nonlinear", {"relu": "relu"}),
        "stride": decoder.get("stride") if isinstance(decoder, dict) else None,
    }


def _masknet(path: Path, causal: bool) -> tuple[int, int, dict[str, Tensor]]:
    """Blocks, repeats and weights of SpeechBrain's MaskNet under our names."""
    weights = tensors(path, load_weights(path))
    found = [re.match(_BLOCK, name) for name in weights]
    numbers = [(int(m[1]), int(m[2])) for m in found if m] or [(0, 0)]
    repeats, blocks = (1 + max(of) for of in zip(*numbers, strict=True))
    expected = set(_NAMES) | {
        f"temporal_conv_net.temporalblock_{r}_{x}.layers.{layer}"
        for r in range(repeats)
        for x in range(blocks)
        for layer in _LAYERS
    }
    if wrong := sorted(expected ^ set(weights)):
        what = "has no" if wrong[0] in expected else "has"
        raise UserError(
            f"{path} {what} weights '{wrong[0]}', unlike SpeechBrain's Conv-TasNet.", ACCEPTED
        )
    state: dict[str, Tensor] = {}
    for name, value in weights.items():
        match = re.match(_BLOCK, name)
        if match:
            number = int(match[1]) * blocks + int(match[2])
            ours = f"blocks.{number}.{_LAYERS[name[match.end() :]]}"
        else:
            ours = _NAMES[name]
        if ours.endswith(("gamma", "beta")):
            value = value.flatten()
        elif ours.endswith("depthwise.weight") and causal:
            # Padded twice and cut once, the taps lie (P - 1) / 2 dilations before the present.
            value = torch.nn.functional.pad(value, (0, value.shape[2] // 2))
        state[ours] = value
        if value.dim() == 3:
            state[ours.replace("weight", "bias")] = value.new_zeros(value.shape[0])
    state["mask_act.weight"] = torch.ones(1)
    return blocks, repeats, state
