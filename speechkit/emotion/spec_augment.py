"""SpecAugment on hidden features, drawn from torch's generator (which a step seeds).

D. S. Park et al., "SpecAugment", Interspeech 2019; on the output of the convolutions as in
wav2vec 2.0. Hugging Face draws with NumPy's global state, which a resumed run cannot repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SpecAugment:
    """How much is masked.

    Args:
        time: share of the frames of a clip.
        time_length: frames of a mask.
        feature: share of the features.
        feature_length: features of a mask.
        least_time: fewest masks over time, of a clip that has room for them.
        least_feature: fewest masks over features.
    """

    time: float = 0.0
    time_length: int = 10
    feature: float = 0.0
    feature_length: int = 10
    least_time: int = 0
    least_feature: int = 0

    def __call__(self, hidden: Tensor, frames: Sequence[int], vector: Tensor | None) -> Tensor:
        """Mask ``[B, T, D]``; frames become ``vector`` (zeros if None), features zero."""
        batch, total, size = hidden.shape
        if self.time > 0:
            rows = [spans(n, self.time, self.time_length, self.least_time) for n in frames]
            mask = torch.zeros(batch, total, dtype=torch.bool)
            for row, found in enumerate(rows):
                mask[row, : len(found)] = found
            filler = hidden.new_zeros(size) if vector is None else vector.to(hidden.dtype)
            hidden = torch.where(mask.to(hidden.device)[..., None], filler, hidden)
        if self.feature > 0:
            rows = [
                spans(size, self.feature, self.feature_length, self.least_feature)
                for _ in range(batch)
            ]
            hidden = hidden * ~torch.stack(rows).to(hidden.device)[:, None]
        return hidden


def spans(total: int, share: float, length: int, least: int = 0) -> Tensor:
    """Random spans, bool ``[total]``: about ``share`` of all places before overlaps.

    The number is ``share * total / length``, rounded up or down at random; starts are drawn
    without repetition.
    """
    length = min(length, total)
    count = max(int(share * total / length + float(torch.rand(()))), least)
    places = total - length + 1
    count = min(count, places, max(1, total // length))
    mask = torch.zeros(total, dtype=torch.bool)
    for start in torch.randperm(places)[:count].tolist():
        mask[start : start + length] = True
    return mask
