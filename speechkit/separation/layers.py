"""Layers of Conv-TasNet that are slow in PyTorch on the CPU, or that must know of padding.

On the CPU, PyTorch's own PReLU backward is not vectorised and its dilated depthwise
convolution falls back to a slow kernel; both are bound by memory here, so few passes over
contiguous rows win. On CUDA the library's kernels are used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-8


class _FastPReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        ctx.slope = float(slope)
        return functional.leaky_relu(x, ctx.slope)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        (x,), grad = ctx.saved_tensors, grads[0].contiguous()
        to_x = torch.ops.aten.leaky_relu_backward(grad, x, ctx.slope, False)
        to_slope = torch.linalg.vecdot(grad, x.clamp(max=0)).float().sum().view(1)
        return to_x, to_slope


class PReLU(nn.PReLU):
    """Leaky rectifier with one trained slope for all channels; ``[B, C, K]`` to the same."""

    def forward(self, input: Tensor) -> Tensor:
        if input.device.type == "cpu" and input.dim() == 3:
            return _FastPReLU.apply(input, self.weight)
        return super().forward(input)


class _FastDepthwise(torch.autograd.Function):
    """Three taps, padding equal to the dilation: y = w0 x[k - d] + w1 x[k] + w2 x[k + d] + b."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
        taps = weight[:, 0].to(x.dtype)
        ctx.save_for_backward(x, taps)
        ctx.dilation = dilation
        return _three_taps(x, taps, bias.to(x.dtype), dilation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        (x, taps), d, grad = ctx.saved_tensors, ctx.dilation, grads[0].contiguous()
        to_x = _three_taps(grad, taps.flip(1), None, d)
        dot = torch.linalg.vecdot
        to_weight = torch.stack(
            [
                dot(grad[..., d:], x[..., :-d]).float().sum(0),
                dot(grad, x).float().sum(0),
                dot(grad[..., :-d], x[..., d:]).float().sum(0),
            ],
            dim=1,
        )
        return to_x, to_weight[:, None], grad.sum(2).float().sum(0), None


def _three_taps(x: Tensor, taps: Tensor, bias: Tensor | None, d: int) -> Tensor:
    before, here, after = taps[:, 0:1], taps[:, 1:2], taps[:, 2:3]
    if x.dtype == torch.float32:
        y = x * here if bias is None else torch.addcmul(bias[:, None], x, here)
        y[..., d:].addcmul_(x[..., :-d], before)
        y[..., :-d].addcmul_(x[..., d:], after)
        return y
    y = x * here  # addcmul is slow for bfloat16
    if bias is not None:
        y += bias[:, None]
    y[..., d:] += x[..., :-d] * before
    y[..., :-d] += x[..., d:] * after
    return y


class Depthwise(nn.Conv1d):
    """One dilated filter per channel, ``[B, C, K]`` to the same.

    Args:
        channels: C.
        kernel: taps P.
        dilation: frames between taps.
        causal: see only frames up to the present one.
        reflect: mirror the signal at its ends instead of padding it with zeros.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        dilation: int,
        *,
        causal: bool = False,
        reflect: bool = False,
    ) -> None:
        super().__init__(channels, channels, kernel, dilation=dilation, groups=channels)
        reach = (kernel - 1) * dilation
        self.pads = (reach, 0) if causal else (reach // 2, reach - reach // 2)
        self.mirror = reflect
        self.fast = kernel == 3 and not causal and not reflect

    def forward(self, input: Tensor) -> Tensor:
        d = self.dilation[0]
        if self.fast and input.device.type == "cpu" and input.shape[-1] > 2 * d:
            return _FastDepthwise.apply(input, self.weight, self.bias, d)
        if self.mirror:
            return super().forward(functional.pad(input, self.pads, mode="reflect"))
        if self.pads[0] != self.pads[1]:
            return super().forward(functional.pad(input, self.pads))
        return functional.conv1d(
            input, self.weight, self.bias, 1, self.pads[0], d, self.in_channels
        )


class Pointwise(nn.Conv1d):
    """A linear map of the channels of each frame: ``[B, C, K]`` to ``[B, D, K]``."""

    def __init__(self, channels: int, outputs: int, bias: bool = True) -> None:
        super().__init__(channels, outputs, 1, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        return pointwise(input, self.weight, self.bias)


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``weight [D, C, 1]`` applied to ``x [B, C, K]``.

    In bfloat16 on the CPU a matrix product is faster than a convolution, in float32 slower.
    """
    half = x.dtype == torch.bfloat16 or torch.is_autocast_enabled(x.device.type)
    if x.device.type != "cpu" or not half:
        return functional.conv1d(x, weight, bias)
    # A stack of products with a repeated matrix: torch.matmul would transpose and copy x.
    y = torch.bmm(weight[..., 0].expand(len(x), -1, -1), x)
    return y if bias is None else y.add_(bias.to(y.dtype)[:, None])


class Norm(nn.Module):
    """The gain and the shift of each of C channels after a norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))


class GlobalNorm(Norm):
    """Global layer normalisation (gLN): mean and variance over channels and frames.

    Luo and Mesgarani, Conv-TasNet (2019), section II-D. Frames beyond ``frames`` do not
    count, and come out as zero.

    Args:
        channels: C.

    Shape:
        ``[B, C, K]`` to the same; ``frames [B]`` or None if all count.
    """

    def forward(self, x: Tensor, frames: Tensor | None = None) -> Tensor:
        if frames is None:
            return self._norm(x)
        if x.device.type != "cpu":
            return self._masked(x, frames.to(x.device))
        return one_by_one(self._norm, x, frames)

    def _norm(self, x: Tensor) -> Tensor:
        half = x.dtype == torch.bfloat16
        gamma = self.gamma.to(x.dtype) if half else self.gamma
        beta = self.beta.to(x.dtype) if half else self.beta
        return functional.group_norm(x, 1, gamma, beta, EPSILON)

    def _masked(self, x: Tensor, frames: Tensor) -> Tensor:
        """The same for all mixtures at once, in few kernels and without waiting for the GPU."""
        place = torch.arange(x.shape[-1], device=x.device)
        counts = (place < frames[:, None])[:, None]
        size = (frames * x.shape[1])[:, None, None]
        y = x.float() * counts
        y = (y - y.sum((1, 2), keepdim=True) / size) * counts
        variance = y.square().sum((1, 2), keepdim=True) / size
        y = y * torch.rsqrt(variance + EPSILON)
        y = (y * self.gamma[:, None] + self.beta[:, None]) * counts
        return y.to(x.dtype)


class CumulativeNorm(Norm):
    """Cumulative layer normalisation (cLN): mean and variance over all frames so far.

    Causal; section II-D of the same paper. Padding at the end changes nothing before it.
    """

    def forward(self, x: Tensor, frames: Tensor | None = None) -> Tensor:
        y = x.double() if x.shape[-1] > 100_000 else x.float()
        count = torch.arange(1, x.shape[-1] + 1, device=x.device, dtype=y.dtype) * x.shape[1]
        mean = y.sum(1).cumsum(-1) / count
        variance = (y.square().sum(1).cumsum(-1) / count - mean.square()).clamp(min=0)
        y = (y - mean[:, None]) * torch.rsqrt(variance + EPSILON)[:, None]
        return hide(y.to(x.dtype) * self.gamma[:, None] + self.beta[:, None], frames)


class ChannelNorm(Norm):
    """Layer normalisation of each frame by itself, over channels (causal)."""

    def forward(self, x: Tensor, frames: Tensor | None = None) -> Tensor:
        y = functional.layer_norm(
            x.transpose(1, 2), (x.shape[1],), self.gamma, self.beta, EPSILON
        ).transpose(1, 2)
        return hide(y, frames)


NORMS = {"gLN": GlobalNorm, "cLN": CumulativeNorm, "chLN": ChannelNorm}


def one_by_one(function: Callable[[Tensor], Tensor], x: Tensor, lengths: Tensor) -> Tensor:
    """``function`` of each item of ``x [B, ..., K]`` without its padding; zeros stand for that."""
    parts = [part[..., :n] for part, n in zip(x.split(1), lengths.tolist(), strict=True)]
    return torch.cat([functional.pad(function(p), (0, x.shape[-1] - p.shape[-1])) for p in parts])


def hide(x: Tensor, frames: Tensor | None) -> Tensor:
    """``x [B, C, K]`` with zeros from frame ``frames[b]`` on; as it is without frames."""
    if frames is None:
        return x
    place = torch.arange(x.shape[-1], device=x.device)
    return x * (place < frames.to(x.device)[:, None])[:, None].to(x.dtype)
