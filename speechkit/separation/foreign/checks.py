"""What reading any foreign checkpoint needs: weights without code, settings checked."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speechkit.base.errors import UserError
from speechkit.separation.conv_tasnet import ConvTasNet, ConvTasNetConfig
from speechkit.training.weights import read_checkpoint, require_fit

Loaded = tuple[ConvTasNetConfig, dict[str, Tensor], int | None]

ACCEPTED = (
    "Accepted: a file of Asteroid (torch.save of model.serialize()), or a folder of SpeechBrain "
    "with hyperparams.yaml, encoder.ckpt, masknet.ckpt and decoder.ckpt."
)


def load_weights(path: Path) -> Any:
    """A checkpoint, without running code that it may carry."""
    import numpy as np
    from torch.torch_version import TorchVersion

    # Asteroid stores its version of PyTorch, and metrics as NumPy numbers; both are harmless.
    scalar = np.float64(0).__reduce__()[0]
    numbers: list[Any] = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    kinds = [type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "bool")]
    try:
        with torch.serialization.safe_globals([TorchVersion, np.dtype, *numbers, *kinds]):
            return read_checkpoint(path, "Is it cut short? Copy it again.")
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        if not found:
            raise UserError(f"{path} is not a checkpoint of weights.", ACCEPTED) from error
        raise UserError(
            f"{path} holds Python objects besides weights ({found[1]}); they are not loaded.",
            'If you trust the file, convert it once: python -c "import torch; '
            f"s = torch.load('{path}', map_location='cpu', weights_only=False); "
            "torch.save({k: s[k] for k in ('model_name', 'model_args', 'state_dict')}, "
            "'converted.pth')\"",
        ) from error


def tensors(path: Path, found: Any) -> dict[str, Tensor]:
    """``found``, which must be weights by name."""
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise UserError(f"{path} does not hold weights by name.", ACCEPTED)
    return found


def one_of(path: Path, args: Mapping[str, Any], name: str, known: Mapping[Any, Any]) -> Any:
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


def fits(path: Path, config: ConvTasNetConfig, state: Mapping[str, Tensor]) -> None:
    """Raises UserError unless the weights are those of the configured network."""
    require_fit(lambda: ConvTasNet(config), state, path)
