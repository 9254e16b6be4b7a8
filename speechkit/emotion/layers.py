"""Layers put into an encoder: exact padding, SpecAugment, and quick dropout.

Exact padding makes the output independent of what a clip is batched with. The attention of
Hugging Face's encoders is masked, but three layers before it are not:

- the group norm of the first convolution (wav2vec2-base, hubert-base, wavlm-base) takes
  mean and variance over the padding too;
- the stacked positional convolutions of data2vec-audio see, from the second on, what the
  first made of the padding;
- the batch norm before the positional convolution of some HuBERT models shifts the zeros.

Here the first takes its statistics over each clip alone, and the others' outputs are set to
zero beyond each clip, which is what they see at the end of a clip that is alone.

An example: a clip of 3 frames in a batch of 5 is (a, b, c, 0, 0). A batch norm that adds 1 makes it
(a', b', c', 1, 1), and a convolution of 3 taps then mixes the 1 into the frame of c, where the clip
alone has a 0. With (a', b', c', 0, 0) both give the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_LEVELS = 1 << 16  # 16 random bits decide about each element


class Lengths:
    """Lengths of the present batch, shared by the layers that need them.

    Attributes:
        convolved: steps after the first convolution, of each clip; None if all are whole.
        mask: frames that are of a clip, ``[B, 1, T]``; None if all are.
    """

    def __init__(self) -> None:
        self.convolved: Sequence[int] | None = None
        self.mask: Tensor | None = None


class ClipGroupNorm(nn.Module):
    """Group norm with one group per channel, over the true length of each clip.

    Args:
        norm: the layer whose place it takes (weights are shared).
        lengths: of the present batch.
    """

    def __init__(self, norm: nn.GroupNorm, lengths: Lengths) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self.groups, self.eps, self.lengths = norm.num_groups, norm.eps, lengths

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, T]`` -> the same shape; zeros beyond each clip."""
        steps = self.lengths.convolved
        if steps is None:
            return nn.functional.group_norm(x, self.groups, self.weight, self.bias, self.eps)
        rows = [
            nn.functional.group_norm(
                row[None, :, :n], self.groups, self.weight, self.bias, self.eps
            )
            for row, n in zip(x, steps, strict=True)
        ]
        out = rows[0].new_zeros(x.shape)
        for place, (row, n) in enumerate(zip(rows, steps, strict=True)):
            out[place, :, :n] = row[0]
        return out


def make_exact(model: Any) -> Lengths:
    """Put the layers above into a Hugging Face encoder; returns where lengths are to be set.

    Args:
        model: a wav2vec2, HuBERT, WavLM or data2vec-audio model.
    """
    lengths = Lengths()
    first = model.feature_extractor.conv_layers[0]
    norm = getattr(first, "layer_norm", None)
    if isinstance(norm, nn.GroupNorm):
        first.layer_norm = ClipGroupNorm(norm, lengths)

    def beyond_is_zero(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        return output if lengths.mask is None else output * lengths.mask.to(output.dtype)

    positions = model.encoder.pos_conv_embed
    stacked = getattr(positions, "layers", ())
    for layer in list(stacked)[:-1]:
        layer.register_forward_hook(beyond_is_zero)
    batch_norm = getattr(positions, "batch_norm", None)
    if batch_norm is not None:
        batch_norm.register_forward_hook(beyond_is_zero)
    return lengths


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


class Dropout(nn.Dropout):
    """As :class:`torch.nn.Dropout`; on a CPU one draw of 64 bits serves four elements.

    Each element has 16 of the bits, a whole number of -32768 to 32767, and is kept where that is
    not among the lowest: with a probability of 0.1, the lowest 6,554 of 65,536 are dropped. The
    probability is so rounded to a multiple of 1/65536, and what is kept is scaled to it, so
    that the mean stays. Draws are from torch's generator. Elsewhere it is PyTorch's own.
    """

    def forward(self, values: Tensor) -> Tensor:
        level = round(self.p * _LEVELS)
        if not self.training or values.device.type != "cpu" or not 0 < level < _LEVELS:
            return super().forward(values)
        bits = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        drawn = bits.view(torch.int16)[: values.numel()].view(values.shape)
        kept = drawn >= level - _LEVELS // 2
        return values * (kept * (_LEVELS / (_LEVELS - level))).to(values.dtype)


def use_quick_dropout(module: nn.Module) -> None:
    """Put this dropout in the place of PyTorch's (attention's own, a function, stays PyTorch's).

    Args:
        module: before any hook is set on its dropouts.
    """
    for part in list(module.modules()):
        for name, child in part.named_children():
            if type(child) is nn.Dropout:
                setattr(part, name, Dropout(child.p))
