"""Batch normalisation over the batch of all processes that train together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Sum(torch.autograd.Function):
    """Sum over processes, of values forwards and of gradients backwards."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        torch.distributed.all_reduce(total)
        return total


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """``BatchNorm2d`` whose statistics in training are those of the batch of all processes.

    Each process may have another share of it. PyTorch's ``SyncBatchNorm`` is for CUDA only;
    this one is for any device, and its tensors have the names of ``BatchNorm2d``.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.float()
        axes = (0, 2, 3)
        size = torch.tensor([x.numel() / x.shape[1]], device=x.device)
        totals = _Sum.apply(torch.cat([x.sum(axes), size]))
        count = totals[-1].detach()
        mean = totals[:-1] / count
        centred = x - mean[:, None, None]
        variance = _Sum.apply(centred.square().sum(axes)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def synced(module: nn.Module) -> None:
    """Give every ``BatchNorm2d`` inside a module the statistics of all processes."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            made = SyncedBatchNorm2d(child.num_features, child.eps, child.momentum)
            made.load_state_dict(child.state_dict())
            setattr(module, name, made)
        else:
            synced(child)
