"""Encoders whose output does not depend on what a clip is batched with.

The attention of Hugging Face's encoders is masked, but three layers before it are not:

- the group norm of the first convolution (wav2vec2-base, hubert-base, wavlm-base) takes
  mean and variance over the padding too;
- the stacked positional convolutions of data2vec-audio see, from the second on, what the
  first made of the padding;
- the batch norm before the positional convolution of some HuBERT models shifts the zeros.

Here the first takes its statistics over each clip alone, and the others' outputs are set to
zero beyond each clip, which is what they see at the end of a clip that is alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


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
