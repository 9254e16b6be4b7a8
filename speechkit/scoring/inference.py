"""Scores of a whole set by several models at once."""

from __future__ import annotations

import numpy as np
import torch

from speechkit.scoring.batches import Batches
from speechkit.scoring.models import Scorer

CHUNK = 64  # utterances computed at once: what stays in the cache


def score(net: Scorer, batches: Batches) -> np.ndarray:
    """Scores from 0 to 1, float64 ``[S, U]``; the models are in eval mode afterwards."""
    net.eval()
    before, net.dropout.generators = net.dropout.generators, ()
    order = torch.argsort(batches.length, stable=True)
    found = torch.empty(net.models, len(batches), device=batches.device)
    with torch.inference_mode():
        for chosen in order.split(CHUNK):
            found[:, chosen] = net(batches.batch(chosen.expand(net.models, -1)))
    net.dropout.generators = before
    return found.double().cpu().numpy()
