"""Layers that PyTorch lacks: those of several models in one, and batch norm of several processes.

In layers of several models of the same shape every parameter has a leading dimension S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechkit.training.packing import Layout


class Linear(nn.Module):
    """S linear layers; weight ``[S, out, in]``, bias ``[S, out]``."""

    bias: nn.Parameter | None

    def __init__(self, models: int, size: int, out: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(models, out, size))
        self.bias = nn.Parameter(torch.empty(models, out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """``[S, T, in]`` -> ``[S, T, out]``."""
        if self.bias is None:
            return torch.bmm(x, self.weight.transpose(1, 2))
        return torch.baddbmm(self.bias[:, None], x, self.weight.transpose(1, 2))

    def of_each(self) -> Tensor:
        """What it makes of each one-hot input ``[S, in, out]``."""
        table = self.weight.transpose(1, 2)
        return table if self.bias is None else table + self.bias[:, None]


class Norm(nn.Module):
    """Scale and shift of S layer norms, ``[S, width]``."""

    def __init__(self, models: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(models, width))
        self.bias = nn.Parameter(torch.empty(models, width))

    def forward(self, x: Tensor) -> Tensor:
        """The norm of x, ``[S, T, width]``."""
        normed = functional.layer_norm(x, (x.shape[-1],))
        return torch.addcmul(self.bias[:, None], normed, self.weight[:, None])

    def then(self, layer: Linear, x: Tensor) -> Tensor:
        """``layer`` of the norm of x, ``[S, T, width]`` -> ``[S, T, out]``.

        Scale g and shift b of the norm are moved into the layer, where they cost next to nothing:
        with n the normalised x, (n * g + b) W = n (g W) + b W. (One number: n = 2, g = 3, b = 1 and
        W = 5 give 7 * 5 = 2 * 15 + 5.)
        """
        normed = functional.layer_norm(x, (x.shape[-1],))
        whole = layer.weight * self.weight[:, None]  # [S, out, in]
        moved = torch.bmm(self.bias[:, None], layer.weight.transpose(1, 2))
        if layer.bias is not None:
            moved = moved + layer.bias[:, None]
        return torch.baddbmm(moved, normed, whole.transpose(1, 2))


class Heads(nn.Module):
    """Layer norm and a linear layer to one score for each of A aspects; ``[S, A, width]``."""

    def __init__(self, models: int, width: int, aspects: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(models, aspects, width))
        self.shift = nn.Parameter(torch.empty(models, aspects, width))
        self.weight = nn.Parameter(torch.empty(models, aspects, width))
        self.bias = nn.Parameter(torch.empty(models, aspects))

    def forward(self, x: Tensor) -> Tensor:
        """``[S, N, A or 1, width]`` (1: all heads see the same) -> ``[S, N, A]``."""
        normed = functional.layer_norm(x, (x.shape[-1],))
        weight = self.scale * self.weight
        bias = ((self.shift * self.weight).sum(-1) + self.bias)[:, None]
        if x.shape[2] == 1:
            return torch.baddbmm(bias, normed[:, :, 0], weight.transpose(1, 2))
        return torch.einsum("snaw,saw->sna", normed, weight) + bias


@dataclass(eq=False)
class Dropout:
    """Dropout that each of S models draws from a generator of its own.

    Args:
        share: of the values that are zeroed.
        generators: one for each model while it is trained; empty: nothing is dropped.
    """

    share: float
    generators: Sequence[torch.Generator] = field(default_factory=tuple)

    def __call__(self, x: Tensor, layout: Layout) -> Tensor:
        """Packed ``[S, T, W]`` -> the same shape."""
        if not (self.share and self.generators):
            return x
        return self.of_first(x, layout.lengths.sum(1) + layout.batch * layout.extra)

    def of_first(self, x: Tensor, used: Tensor) -> Tensor:
        """The same, of the first ``used`` ``[S]`` tokens; the others are undefined."""
        if not (self.share and self.generators):
            return x
        drawn = torch.zeros_like(x)  # filling draws nothing: a seed never feels its company
        for values, count, generator in zip(drawn, used.tolist(), self.generators, strict=True):
            values[:count].uniform_(generator=generator)
        return x * (drawn >= self.share) / (1 - self.share)


def look_up(table: Tensor, index: Tensor) -> Tensor:
    """Rows ``[S, N, W]`` of tables ``[S, K, W]`` at ``[S, N]``."""
    first = torch.arange(len(table), device=index.device)[:, None] * table.shape[1]
    return functional.embedding(index + first, table.flatten(0, 1))


def attention(qkv: Tensor, layout: Layout, heads: int = 1) -> Tensor:
    """Attention of each token to those of its own sequence.

    Args:
        qkv: queries, keys and values side by side, packed, ``[S, T, 3 * width]``.
        layout: where the sequences lie.
        heads: that the width is divided among.

    Returns:
        ``[S, T, width]``, packed; undefined in filling.
    """
    cells = layout.to_grid(qkv)  # [S * B, L, 3 * width]
    rows, length, _ = cells.shape
    queries, keys, values = (  # [S * B * heads, L, width / heads]
        part.view(rows, length, heads, -1).transpose(1, 2).flatten(0, 1)
        for part in cells.chunk(3, dim=-1)
    )
    mask = layout.mask.to(qkv.dtype).repeat_interleave(heads, 0)
    factor = queries.shape[-1] ** -0.5
    shares = torch.baddbmm(mask, queries, keys.transpose(1, 2), alpha=factor).softmax(-1)
    found = torch.bmm(shares, values).view(rows, heads, length, -1).transpose(1, 2)
    return layout.to_packed(found.flatten(2))


class Block(nn.Module):
    """Pre-norm transformer block; query, key and value without bias."""

    def __init__(self, models: int, width: int, heads: int, dropout: Dropout) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm1, self.norm2 = Norm(models, width), Norm(models, width)
        self.qkv = Linear(models, width, 3 * width, bias=False)
        self.out = Linear(models, width, width)
        self.up = Linear(models, width, 4 * width)
        self.down = Linear(models, 4 * width, width)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """Packed ``[S, T, width]`` -> the same shape."""
        found = attention(self.norm1.then(self.qkv, x), layout, self.heads)
        x = x + self.dropout(self.out(found), layout)
        hidden = functional.gelu(self.norm2.then(self.up, x))
        return x + self.dropout(self.down(hidden), layout)


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """``BatchNorm2d`` whose statistics in training are those of the batch of all processes.

    Each process may have another share of it. PyTorch's ``SyncBatchNorm`` is for CUDA only;
    this one is for any device, and its tensors have the names of ``BatchNorm2d``.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        from torch.distributed.nn.functional import all_reduce  # a sum, also of gradients

        x = input.float()
        axes = (0, 2, 3)
        size = torch.tensor([x.numel() / x.shape[1]], device=x.device)
        totals = all_reduce(torch.cat([x.sum(axes), size]))
        count = totals[-1].detach()
        mean = totals[:-1] / count
        centred = x - mean[:, None, None]
        variance = all_reduce(centred.square().sum(axes)) / count
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
