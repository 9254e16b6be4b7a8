"""The two steps of a transformer block that PyTorch takes apart into too many small ones.

A step of such a small model is a few hundred operations of a few microseconds. Here the
gradients are written out, which halves their number; they are checked by finite differences.
Every tensor has a leading dimension of S models.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_EPS = 1e-5
_norm_backward = torch.ops.aten.native_layer_norm_backward
_softmax_backward = torch.ops.aten._softmax_backward_data


def normed_linear(
    x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """A linear layer of the layer norm of x.

    Scale and shift of the norm are moved into the layer, where they cost next to nothing:
    with x normalised, (x * g + b) W = x (g W) + b W.

    Args:
        x: ``[S, T, in]``.
        scale, shift: of the norm, ``[S, in]``.
        weight, bias: of the layer, ``[S, out, in]`` and ``[S, out]``.

    Returns:
        ``[S, T, out]``.
    """
    return _NormedLinear.apply(x, scale, shift, weight, bias)


class _NormedLinear(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        normed, mean, rstd = torch.native_layer_norm(x, (x.shape[-1],), None, None, _EPS)
        whole = weight * scale[:, None]  # [S, out, in]
        moved = torch.bmm(shift[:, None], weight.transpose(1, 2))
        if bias is not None:
            moved += bias[:, None]
        ctx.save_for_backward(x, normed, mean, rstd, whole, scale, shift, weight)
        ctx.biased = bias is not None
        return torch.baddbmm(moved, normed, whole.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        x, normed, mean, rstd, whole, scale, shift, weight = ctx.saved_tensors
        of_whole = torch.bmm(grad.transpose(1, 2), normed)  # [S, out, in]
        of_moved = grad.sum(1)[:, None]  # [S, 1, out]
        of_normed = torch.bmm(grad, whole)
        mask = [True, False, False]
        of_x, _, _ = _norm_backward(of_normed, x, x.shape[-1:], mean, rstd, None, None, mask)
        of_scale = (of_whole * weight).sum(1)
        of_weight = (of_whole * scale[:, None]).baddbmm_(of_moved.transpose(1, 2), shift[:, None])
        of_shift = torch.bmm(of_moved, weight)[:, 0]
        return of_x, of_scale, of_shift, of_weight, of_moved[:, 0] if ctx.biased else None


def attention(qkv: Tensor, grid: Tensor, cells: Tensor, mask: Tensor, heads: int = 1) -> Tensor:
    """Attention within each sequence of packed tokens.

    Args:
        qkv: queries, keys and values side by side, packed, ``[S, T, 3 * width]``.
        grid: packed token in each cell of the grid ``[S, B, L]``, flat (see ``Layout``).
        cells: cell of each packed token, flat.
        mask: added to the scores of keys, ``[S * B, 1, L]``.
        heads: that the width is divided among.

    Returns:
        ``[S, T, width]``, packed; undefined in filling.
    """
    return _Attention.apply(qkv, grid, cells, mask, heads)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, grid: Tensor, cells: Tensor, mask: Tensor, heads: int
    ) -> Tensor:
        rows, _, length = mask.shape
        flat = qkv.flatten(0, 1).index_select(0, grid).view(rows, length, -1)
        q, k, v = _split(flat, heads)
        if heads > 1:
            mask = mask.repeat_interleave(heads, 0)
        factor = q.shape[-1] ** -0.5
        shares = torch.baddbmm(mask, q, k.transpose(1, 2), alpha=factor).softmax(-1)
        found = _merge(torch.bmm(shares, v), heads)
        ctx.save_for_backward(flat, shares, grid, cells)
        ctx.heads, ctx.factor = heads, factor
        return found.flatten(0, 1).index_select(0, cells).view(*qkv.shape[:2], -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,) = grads
        flat, shares, grid, cells = ctx.saved_tensors
        heads, (rows, length, _) = ctx.heads, flat.shape
        q, k, v = _split(flat, heads)
        of_found = grad.flatten(0, 1).index_select(0, grid).view(rows, length, -1)
        of_found = of_found if heads == 1 else _split_one(of_found, heads)
        of_v = torch.bmm(shares.transpose(1, 2), of_found)
        of_shares = torch.bmm(of_found, v.transpose(1, 2))
        of_scores = _softmax_backward(of_shares, shares, -1, shares.dtype)
        of_scores *= ctx.factor
        of_q, of_k = torch.bmm(of_scores, k), torch.bmm(of_scores.transpose(1, 2), q)
        of_flat = torch.cat([_merge(part, heads) for part in (of_q, of_k, of_v)], dim=-1)
        of_qkv = of_flat.flatten(0, 1).index_select(0, cells).view(*grad.shape[:2], -1)
        return of_qkv, None, None, None, None


def _split(flat: Tensor, heads: int) -> tuple[Tensor, ...]:
    """``[R, L, 3 * width]`` -> three of ``[R * heads, L, width / heads]``."""
    parts = flat.chunk(3, dim=-1)
    return parts if heads == 1 else tuple(_split_one(part, heads) for part in parts)


def _split_one(part: Tensor, heads: int) -> Tensor:
    rows, length, width = part.shape
    return part.reshape(rows, length, heads, width // heads).transpose(1, 2).flatten(0, 1)


def _merge(part: Tensor, heads: int) -> Tensor:
    """``[R * heads, L, width / heads]`` -> ``[R, L, width]``."""
    if heads == 1:
        return part
    _, length, width = part.shape
    return part.view(-1, heads, length, width).transpose(1, 2).flatten(2)
