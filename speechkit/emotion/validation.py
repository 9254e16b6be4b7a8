"""What all kinds of training measure on the validation clips, and how they begin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from speechkit.base.random_draws import rng

_START = 0x51  # stream of draws of the first weights

Tell = Callable[[int, dict[str, float]], None]


def seed_start(seed: int) -> None:
    """Seed torch's generator for the first weights of a run."""
    torch.manual_seed(int(rng(seed, _START).integers(2**31)))


def measures(logits: Tensor, targets: np.ndarray) -> dict[str, float]:
    """Loss, accuracy and UAR (mean recall of the classes that occur) of logits ``[N, C]``."""
    wanted = torch.from_numpy(targets)
    right = (logits.argmax(1) == wanted).numpy()
    recalls = [right[targets == label].mean() for label in np.unique(targets)]
    return {
        "valid_loss": float(torch.nn.functional.cross_entropy(logits, wanted)),
        "valid_accuracy": float(right.mean()),
        "valid_uar": float(np.mean(recalls)),
    }
