"""The network of the trainable acoustic model: a time-delay neural network over HMM states.

Every convolution is "valid": a stretch of T + 2 reach input frames gives T output frames.
An utterance is preceded and followed by ``reach`` copies of its first and last frame, and
utterances follow one another in one stream, so that nothing of a batch is padding and no
frame of an utterance sees another utterance. Of utterances a b c and d e with a reach of 1::

    stream    a a b c c d d e e
    outputs     A B C - - D E     those at "-" belong to nobody
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from speechkit.acoustic.tdnn.config import TdnnConfig
from speechkit.training.devices import resolve_precision

STATES = 3  # of a phone
_BLOCK = 16_384  # frames computed together


class TdnnLayer(nn.Module):
    """Dilated convolution, batch normalisation, ReLU, and the input added on ``[B, C, 1, T]``."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int, skip: bool) -> None:
        super().__init__()
        # 2-D with channels last: on CPU about twice as fast as Conv1d or matrix products.
        self.conv = nn.Conv2d(inputs, outputs, (1, kernel), dilation=(1, dilation))
        self.norm: nn.Module = nn.BatchNorm2d(outputs)
        self.reach = (kernel - 1) * dilation // 2
        self.skip = skip and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu(self.norm(self.conv(x)))
        if not self.skip:
            return y
        # As [B, T, C], in the order of memory: otherwise gradients come in another order, and
        # a step takes half as long again.
        before = x.squeeze(2).transpose(1, 2)[:, self.reach : x.shape[3] - self.reach]
        return (y.squeeze(2).transpose(1, 2) + before).transpose(1, 2).unsqueeze(2)

    def fold(self) -> None:
        """Take the normalisation (of inference) into the convolution."""
        norm = self.norm
        if not isinstance(norm, nn.BatchNorm2d):
            return
        assert norm.running_var is not None and norm.running_mean is not None
        assert self.conv.bias is not None
        with torch.no_grad():
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            self.conv.weight.mul_(scale[:, None, None, None])
            self.conv.bias.copy_((self.conv.bias - norm.running_mean) * scale + norm.bias)
        self.norm = nn.Identity()


class Tdnn(nn.Module):
    """Features to logits of HMM states.

    Args:
        config: widths and contexts.

    Shape:
        - Input: features ``[B, T + 2 reach, n_mels]``.
        - Output: logits ``[B, T, outputs]``; with ``hidden``, also the hidden features
          ``[B, T, widths[layer - 1]]``.
    """

    def __init__(self, config: TdnnConfig) -> None:
        super().__init__()
        self.config = config
        inputs = (config.n_mels, *config.widths[:-1])
        shapes = zip(inputs, config.widths, config.kernels, config.dilations, strict=True)
        self.layers: Any = nn.ModuleList(
            TdnnLayer(*shape, skip=config.residual) for shape in shapes
        )
        self.dropout = nn.Dropout2d(config.dropout)
        self.output = nn.Conv2d(config.widths[-1], config.outputs, 1)
        self.log_prior: Tensor
        self.register_buffer("log_prior", torch.zeros(config.outputs))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, hidden: bool | int = False) -> Any:
        """Logits; with ``hidden`` also that layer (True: the last; else its number from 1)."""
        wanted, kept = self.config.layer(hidden) if hidden else 0, None
        x = x.transpose(1, 2).unsqueeze(2)
        for number, layer in enumerate(self.layers, 1):
            x = self.dropout(layer(x))
            if number == wanted:
                kept = x
        logits = self.output(x).squeeze(2).transpose(1, 2)
        if kept is None:
            return logits
        beyond = self.config.beyond(wanted)
        kept = kept.squeeze(2).transpose(1, 2)
        return logits, kept[:, beyond : kept.shape[1] - beyond]

    def hidden(self, x: Tensor, layer: bool | int = True) -> Tensor:
        """Hidden features ``[B, T, D]`` of one layer of ``[B, T + 2 reach, n_mels]``.

        The same as those of ``forward`` without the layers that follow, and differentiable:
        to train the network together with one that reads them.

        Args:
            x: features.
            layer: True for the last, or its number from 1.
        """
        wanted = self.config.layer(layer)
        beyond = self.config.beyond(wanted)
        x = x[:, beyond : x.shape[1] - beyond].transpose(1, 2).unsqueeze(2)
        for each in self.layers[:wanted]:
            x = self.dropout(each(x))
        return x.squeeze(2).transpose(1, 2)

    def folded(self) -> Tdnn:
        """A copy for inference, its normalisations taken into the convolutions."""
        network = copy.deepcopy(self).eval()
        for layer in network.layers:
            layer.fold()
        return network


def padded(features: Tensor, reach: int) -> Tensor:
    """``[T, M]`` with its first and last frame repeated ``reach`` times at the ends."""
    first, last = features[:1].expand(reach, -1), features[-1:].expand(reach, -1)
    return torch.cat([first, features, last])


def run_stream(
    network: Tdnn, utterances: Sequence[Tensor], hidden: bool | int = False
) -> list[tuple[Tensor, Tensor | None]]:
    """Log posteriors of the states ``[T, S]`` (and hidden features) of feature matrices.

    Args:
        network: in eval mode.
        utterances: features ``[T, M]`` each.
        hidden: also give a hidden layer ``[T, D]``: True for the last, or its number from 1.
    """
    reach = network.config.reach
    stream = torch.cat([padded(u, reach) for u in utterances])
    posteriors: list[Tensor] = []
    layers: list[Tensor] = []
    for first in range(0, len(stream) - 2 * reach, _BLOCK):
        block = stream[None, first : first + _BLOCK + 2 * reach]
        found = network(block.to(network.log_prior.device), hidden=hidden)
        logits, layer = found if hidden else (found, None)
        posteriors.append(torch.log_softmax(logits[0].float(), -1).cpu())
        if layer is not None:
            layers.append(layer[0].float().cpu())
    states, last = torch.cat(posteriors), torch.cat(layers) if hidden else None
    parts, start = [], 0
    for u in utterances:
        part = slice(start, start + len(u))
        parts.append((states[part], None if last is None else last[part]))
        start += len(u) + 2 * reach
    return parts


def resolve_acoustic_precision(precision: str, device: torch.device) -> str:
    """Lightning's name; ``auto`` is bf16 also on a CPU that multiplies bf16 by itself."""
    if precision == "auto" and device.type == "cpu" and _native_bf16():
        precision = "bf16"
    return resolve_precision(precision, device)


def _native_bf16() -> bool:
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)
