"""Reading weights without running code that a file may hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from speechkit.errors import UserError

if TYPE_CHECKING:
    import torch


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file.

    Raises:
        UserError: it is missing, cut short or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        reason = "it is not there" if not path.exists() else str(error)
        raise UserError(
            f"{path} cannot be read: {reason}.", "Copy it again, or train again."
        ) from error
