"""Conv-TasNet checkpoints of Asteroid and SpeechBrain, as our configuration and weights.

Both are read without running anything of theirs: weights with ``weights_only=True``, and
SpeechBrain's ``hyperparams.yaml`` as plain data. The forward pass on the same weights is the
same up to rounding. Where a layer of ours has a parameter that theirs lacks, it gets the
value that changes nothing: SpeechBrain has no biases (zero) and no PReLU before the masks
(slope 1), and its causal convolution never sees the present frame (a last tap of zero).
Fine-tuning trains these, too.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.torch_version import TorchVersion

from speechkit.base.errors import UserError
from speechkit.base.yaml_files import HYPERPARAMS, class_name, read_hyperpyyaml
from speechkit.separation.conv_tasnet import ConvTasNet, ConvTasNetConfig
from speechkit.training.weights import read_checkpoint, require_fit

Loaded = tuple[ConvTasNetConfig, dict[str, Tensor], int | None]
ACCEPTED = (
    "Accepted: a file of Asteroid (torch.save of model.serialize()), or a folder of SpeechBrain "
    "with hyperparams.yaml, encoder.ckpt, masknet.ckpt and decoder.ckpt."
)


def load_foreign(path: Path) -> Loaded:
    """A pretrained Conv-TasNet of Asteroid or SpeechBrain.

    Args:
        path: Asteroid's file, or a folder with it (``best_model.pth``, ``pytorch_model.bin``);
            or SpeechBrain's folder: ``encoder.ckpt``, ``masknet.ckpt`` and ``decoder.ckpt``,
            with ``hyperparams.yaml`` there or up to two folders above (as in ``save/CKPT+...``).

    Returns:
        The configuration, the weights under the names of our :class:`ConvTasNet`, and the
        sample rate in Hz where the checkpoint states it.

    Raises:
        UserError: there is no such checkpoint, or it is of a model that ours cannot be.
    """
    if not path.exists():
        raise UserError(f"There is no checkpoint at {path}.", ACCEPTED)
    for file in (path, *(path / name for name in ASTEROID)):
        if file.is_file():
            return load_asteroid(file)
    missing = [name for name in SPEECHBRAIN if not (path / name).is_file()]
    if not missing:
        return load_speechbrain(path)
    saved = sorted(path.glob("save/*/masknet.ckpt"))
    where = f"Checkpoints lie in folders below; give one: {saved[-1].parent}" if saved else ACCEPTED
    raise UserError(f"{path} has no {missing[0]}.", where)


ASTEROID = ("best_model.pth", "pytorch_model.bin")  # of a recipe, of the hub
# Its cLN normalises each frame by itself; the paper's cLN is its cgLN.
_ASTEROID_NORMS = {
    "gLN": "gLN", "GlobLN": "gLN", "cLN": "chLN", "ChanLN": "chLN", "cgLN": "cLN", "CumLN": "cLN",
}  # fmt: skip
_ENCODERS = {None: False, "linear": False, "relu": True}
_MASKS = {name: name for name in ("relu", "sigmoid", "softmax", "linear")}
_ASTEROID_DEFAULTS: dict[str, Any] = {
    "n_blocks": 8, "n_repeats": 3, "bn_chan": 128, "hid_chan": 512, "skip_chan": 128,
    "conv_kernel_size": 3, "norm_type": "gLN", "mask_act": "sigmoid", "causal": False,
    "fb_name": "free", "kernel_size": 16, "n_filters": 512, "stride": 8,
    "encoder_activation": None, "in_chan": None, "out_chan": None, "sample_rate": None,
}  # fmt: skip
# Our names of sizes, of layers of a block and of other parts -> Asteroid's.
ASTEROID_SIZES = {
    "filters": "n_filters", "kernel": "kernel_size", "stride": "stride", "bottleneck": "bn_chan",
    "skip": "skip_chan", "hidden": "hid_chan", "conv_kernel": "conv_kernel_size",
    "blocks": "n_blocks", "repeats": "n_repeats", "speakers": "n_src",
}  # fmt: skip
ASTEROID_LAYERS = {
    "widen": "shared_block.0", "act1": "shared_block.1", "norm1": "shared_block.2",
    "depthwise": "shared_block.3", "act2": "shared_block.4", "norm2": "shared_block.5",
    "residual": "res_conv", "skip": "skip_conv",
}  # fmt: skip
ASTEROID_PARTS = {
    "norm": "bottleneck.0", "bottleneck": "bottleneck.1", "mask_act": "mask_net.0",
    "masks": "mask_net.1",
}  # fmt: skip
_ASTEROID_NAMES = (
    (r"(encoder|decoder)\.filterbank\._filters", r"\1"),
    *(
        (rf"masker\.TCN\.(\d+)\.{theirs}\.(?:0\.)?(\w+)", rf"blocks.\1.{ours}.\2")
        for ours, theirs in ASTEROID_LAYERS.items()
    ),
    *((rf"masker\.{theirs}\.(\w+)", rf"{ours}.\1") for ours, theirs in ASTEROID_PARTS.items()),
)


def load_asteroid(path: Path) -> Loaded:
    """Asteroid's ConvTasNet: a file of ``torch.save(model.serialize(), FILE)``."""
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
    args = {**_ASTEROID_DEFAULTS, **saved["model_args"]}
    sizes: dict[str, Any] = {a: whole(path, args, b) for a, b in ASTEROID_SIZES.items()}
    causal = bool(args["causal"])
    norm = known_value(path, args, "norm_type", _ASTEROID_NORMS)
    known_value(path, args, "fb_name", {"free": "", "FreeFB": ""})
    for name in ("in_chan", "out_chan"):
        known_value(path, {name: args[name] or sizes["filters"]}, name, {sizes["filters"]: ""})
    config = ConvTasNetConfig(
        **sizes,
        norm="chLN" if causal and norm == "gLN" else norm,  # as Asteroid does, with a warning
        mask=known_value(path, args, "mask_act", _MASKS),
        encoder_relu=known_value(path, args, "encoder_activation", _ENCODERS),
        causal=causal,
    )
    weights = tensors(path, saved["state_dict"])
    state = {_asteroid_name(path, name): value for name, value in weights.items()}
    require_fit(lambda: ConvTasNet(config), state, path)
    return config, state, whole(path, args, "sample_rate") or None


def _asteroid_name(path: Path, name: str) -> str:
    for pattern, ours in _ASTEROID_NAMES:
        if match := re.fullmatch(pattern, name):
            return match.expand(ours)
    raise UserError(f"{path} has weights '{name}', which no Conv-TasNet of Asteroid has.")


SPEECHBRAIN = ("encoder.ckpt", "masknet.ckpt", "decoder.ckpt")
_SPEECHBRAIN_NORMS = {"gLN": "gLN", "cLN": "chLN"}  # its cLN normalises each frame by itself
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
_SPEECHBRAIN_NAMES = {
    "layer_norm.gamma": "norm.gamma",
    "layer_norm.beta": "norm.beta",
    "bottleneck_conv1x1.conv.weight": "bottleneck.weight",
    "mask_conv1x1.conv.weight": "masks.weight",
}


def load_speechbrain(folder: Path) -> Loaded:
    """SpeechBrain's Conv-TasNet: a folder of its separation recipes."""
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
    known_value(folder, options, "stride", {None: 0, kernel // 2: 0})
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
    require_fit(lambda: ConvTasNet(config), state, folder)
    rate = hyper.get("sample_rate")
    return config, state, int(rate) if isinstance(rate, int | float) else None


def _options(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """``hyperparams.yaml``, and what the weights do not tell."""
    near = (f / HYPERPARAMS for f in (folder, folder.parent, folder.parent.parent))
    found = next((path for path in near if path.is_file()), None)
    if found is None:
        raise UserError(
            f"There is no {HYPERPARAMS} in {folder} or two folders above it.",
            "Copy it from the folder of the experiment: it says which norm the model has.",
        )
    hyper = read_hyperpyyaml(found)
    modules: Any = hyper.get("modules")
    modules = modules if isinstance(modules, dict) else {}
    node, decoder = modules.get("masknet"), modules.get("decoder")
    if not isinstance(node, dict) or class_name(node) != "MaskNet":
        kind = class_name(node) or node
        raise UserError(
            f"{found}: the mask network is '{kind}'.",
            "Accepted: speechbrain.lobes.models.conv_tasnet.MaskNet.",
        )
    options = {"norm_type": "gLN", "causal": False, "mask_nonlinear": "relu", **node}
    return hyper, {
        "norm": known_value(found, options, "norm_type", _SPEECHBRAIN_NORMS),
        "causal": known_value(found, options, "causal", {True: True, False: False}),
        # Its softmax runs over filters instead of speakers.
        "mask": known_value(found, options, "mask_nonlinear", {"relu": "relu"}),
        "stride": decoder.get("stride") if isinstance(decoder, dict) else None,
    }


def _masknet(path: Path, causal: bool) -> tuple[int, int, dict[str, Tensor]]:
    """Blocks, repeats and weights of SpeechBrain's MaskNet under our names."""
    weights = tensors(path, load_weights(path))
    found = [re.match(_BLOCK, name) for name in weights]
    numbers = [(int(m[1]), int(m[2])) for m in found if m] or [(0, 0)]
    repeats, blocks = (1 + max(of) for of in zip(*numbers, strict=True))
    expected = set(_SPEECHBRAIN_NAMES) | {
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
        ours = _SPEECHBRAIN_NAMES.get(name, "")
        if match:
            number = int(match[1]) * blocks + int(match[2])
            ours = f"blocks.{number}.{_LAYERS[name[match.end() :]]}"
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


def load_weights(path: Path) -> Any:
    """A checkpoint, without running code that it may carry."""
    # Asteroid stores its version of PyTorch, and metrics as NumPy numbers; both are harmless.
    scalar = np.float64(0).__reduce__()[0]
    numbers: list[Any] = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    kinds = [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "bool")]
    with torch.serialization.safe_globals([TorchVersion, np.dtype, *numbers, *kinds]):
        try:
            return read_checkpoint(path, "Is it cut short? Copy it again.")
        except pickle.UnpicklingError as error:
            more: list[str] = []
            with suppress(ValueError):  # the old form, no zip file
                more = torch.serialization.get_unsafe_globals_in_checkpoint(path)
            if more:
                raise UserError(
                    f"{path} has Python objects besides weights ({more[0]}); they are not loaded.",
                    'If you trust the file, convert it once: python -c "import torch; '
                    f"s = torch.load('{path}', map_location='cpu', weights_only=False); "
                    "torch.save({k: s[k] for k in ('model_name', 'model_args', 'state_dict')}, "
                    "'converted.pth')\"",
                ) from error
            raise UserError(f"{path} is not a checkpoint of weights.", ACCEPTED) from error


def tensors(path: Path, found: Any) -> dict[str, Tensor]:
    """``found``, which must be weights by name."""
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise UserError(f"{path} does not hold weights by name.", ACCEPTED)
    return found


def known_value(path: Path, args: Mapping[str, Any], name: str, known: Mapping[Any, Any]) -> Any:
    """What a setting means in our terms; UserError if it is not among ``known``."""
    value = args[name]
    if isinstance(value, dict | list) or value not in known:
        accepted = ", ".join(str(key) for key in known)
        raise UserError(f"{path}: '{name}' is {value}.", f"Our Conv-TasNet has: {accepted}.")
    return known[value]


def whole(path: Path, args: Mapping[str, Any], name: str) -> int:
    """A setting as a whole number; 0 for None."""
    value = args.get(name) or 0
    if not isinstance(value, int | float) or not math.isfinite(value) or value != int(value):
        raise UserError(f"{path}: '{name}' is {value}; expected a whole number.")
    return int(value)
