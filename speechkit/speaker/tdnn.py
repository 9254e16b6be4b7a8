"""The TDNN x-vector network (Snyder et al., ICASSP 2018), deterministic and padding-free.

Layers, shapes and parameter names are those of ``speechbrain.lobes.models.Xvector``, so
that weights travel both ways. Two things differ. The statistics pooling of SpeechBrain
adds noise even at inference; this one does not. And with ``frames`` given, every layer
reflects each utterance at its own end instead of the batch's: a vector does not depend
on what else is in the batch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from speechkit.base.errors import UserError
from speechkit.speaker.config import TDNNConfig


class TDNNLayer(nn.Module):
    """Dilated convolution, LeakyReLU, batch normalisation on ``[B, T, C]``."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int) -> None:
        super().__init__()
        # 2-D with channels last: on CPU about twice as fast as Conv1d, same numbers.
        self.conv = nn.Conv2d(inputs, outputs, (1, kernel), dilation=(1, dilation))
        self.norm = nn.BatchNorm1d(outputs)
        self.reach = (kernel - 1) * dilation // 2

    def forward(self, x: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        if self.reach:
            x = reflect(x, self.reach, frames)
        x = self.conv(x.transpose(1, 2).unsqueeze(2)).squeeze(2)
        x = self.norm(nn.functional.leaky_relu(x, 0.01))
        return x.transpose(1, 2)


def reflect(x: Tensor, reach: int, frames: Sequence[int] | None) -> Tensor:
    """Reflect ``[B, T, C]`` by ``reach`` frames at both ends of each utterance.

    Args:
        x: features; utterance b is ``x[b, :frames[b]]``, the rest is padding.
        reach: frames to add on each side.
        frames: lengths, or None if all are T.

    Returns:
        ``[B, T + 2 reach, C]``; behind an utterance's own reflection, anything.
    """
    batch, time, width = x.shape
    padded = x.new_zeros(batch, time + 2 * reach, width)
    padded[:, reach : reach + time] = x
    padded[:, :reach] = x[:, 1 : reach + 1].flip(1)
    if frames is None:
        padded[:, reach + time :] = x[:, time - 1 - reach : time - 1].flip(1)
        return padded
    for row, length in enumerate(frames):
        tail = x[row, length - 1 - reach : length - 1].flip(0)
        padded[row, reach + length : reach + length + reach] = tail
    return padded


def statistics(x: Tensor, frames: Sequence[int] | None = None) -> Tensor:
    """Mean and standard deviation over time (plus SpeechBrain's 1e-5), ``[B, T, C] -> [B, 2C]``."""
    if frames is None:
        return torch.cat([x.mean(1), x.std(1) + 1e-5], dim=1)
    rows = []
    for row, length in enumerate(frames):
        one = x[row, :length]
        mean = one.mean(0, dtype=torch.float32)
        deviation = (one - mean).square_().sum(0).div_(length - 1).sqrt_()
        rows.append(torch.cat([mean, deviation + 1e-5]))
    return torch.stack(rows)


class TDNN(nn.Module):
    """Features to x-vectors.

    Shape:
        - Input: features ``[B, T, n_mels]``; optional ``frames``, B lengths.
        - Output: ``[B, embedding]``, the affine layer after pooling, before a nonlinearity.
    """

    def __init__(self, config: TDNNConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.n_mels, *config.channels]
        self.layers: Any = nn.ModuleList(
            TDNNLayer(widths[i], widths[i + 1], config.kernels[i], config.dilations[i])
            for i in range(len(config.channels))
        )
        self.embedding = nn.Linear(2 * config.channels[-1], config.embedding)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, frames: Sequence[int] | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, frames)
        return self.embedding(statistics(x, frames))

    def of_speechbrain(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a SpeechBrain ``Xvector`` under our names and shapes.

        Raises:
            UserError: they do not fit this configuration.
        """
        own = self.state_dict()
        names = self._speechbrain_names()
        if missing := sorted(set(names.values()) - set(state)):
            raise UserError(
                f"These are not the weights of a SpeechBrain Xvector with {len(self.layers)} "
                f"layers: '{missing[0]}' is missing."
            )
        for name, theirs in names.items():
            value = state[theirs]
            if name.endswith("conv.weight"):
                value = value.unsqueeze(2)
            if value.shape != own[name].shape:
                raise UserError(
                    f"'{theirs}' has the shape {tuple(value.shape)}, "
                    f"the configuration asks for {tuple(own[name].shape)}."
                )
            own[name] = value
        return own

    def speechbrain_state(self) -> dict[str, Tensor]:
        """Weights under the names and shapes of SpeechBrain's ``Xvector``."""
        own = self.state_dict()
        return {
            theirs: own[name].squeeze(2) if name.endswith("conv.weight") else own[name]
            for name, theirs in self._speechbrain_names().items()
        }

    def _speechbrain_names(self) -> dict[str, str]:
        """Own parameter name -> SpeechBrain's (blocks: conv, activation, norm per layer)."""
        names = {}
        for i in range(len(self.layers)):
            for part in ("weight", "bias"):
                names[f"layers.{i}.conv.{part}"] = f"blocks.{3 * i}.conv.{part}"
            for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                names[f"layers.{i}.norm.{part}"] = f"blocks.{3 * i + 2}.norm.{part}"
        for part in ("weight", "bias"):
            names[f"embedding.{part}"] = f"blocks.{3 * len(self.layers) + 1}.w.{part}"
        return names


class FoldedTDNN(nn.Module):
    """A trained TDNN for inference: each batch normalisation folded into the next layer.

    The same numbers as ``network.eval()`` up to rounding, about twice as fast on CPU.
    (Reflection commutes with an affine map of each channel, so the ends stay right.)

    Args:
        network: the trained network; it is not changed.
        dtype: of the convolutions; bfloat16 trades about three digits for speed.
    """

    def __init__(self, network: TDNN, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config, self.dtype = network.config, dtype
        self.convolutions = nn.ModuleList()
        self.scale: Tensor
        self.shift: Tensor
        scale, shift = torch.ones(network.config.n_mels), torch.zeros(network.config.n_mels)
        for layer in network.layers:
            folded: Any = copy.deepcopy(layer.conv)
            weight, norm = folded.weight.detach(), layer.norm
            folded.bias.data = folded.bias + (weight * shift[:, None, None]).sum((1, 2, 3))
            folded.weight.data = weight * scale[:, None, None]
            self.convolutions.append(folded.to(dtype, memory_format=torch.channels_last))
            scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
            shift = (norm.bias - norm.running_mean * scale).detach()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)
        self.embedding = network.embedding

    def forward(self, x: Tensor, frames: Sequence[int]) -> Tensor:
        """``[B, T, n_mels]`` with B lengths -> ``[B, embedding]``."""
        x = x.to(self.dtype)
        for conv, kernel, dilation in zip(
            self.convolutions, self.config.kernels, self.config.dilations, strict=True
        ):
            if reach := (kernel - 1) * dilation // 2:
                x = reflect(x, reach, frames)
            x = conv(x.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
            x = nn.functional.leaky_relu_(x, 0.01)
        mean, deviation = statistics(x, frames).chunk(2, dim=1)
        mean = mean * self.scale + self.shift
        deviation = (deviation - 1e-5) * self.scale.abs() + 1e-5
        return self.embedding(torch.cat([mean, deviation], dim=1))


class Classifier(nn.Module):
    """Speaker classifier on x-vectors, used in training only (as SpeechBrain's).

    Shape:
        - Input: ``[B, embedding]``; output: logits ``[B, speakers]``.
    """

    def __init__(self, embedding: int, speakers: int, hidden: int = 512) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LeakyReLU(0.01),
            nn.BatchNorm1d(embedding),
            nn.Linear(embedding, hidden),
            nn.LeakyReLU(0.01),
            nn.BatchNorm1d(hidden),
            nn.Linear(hidden, speakers),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
