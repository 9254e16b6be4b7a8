"""From frames to classes: masked pooling, the sum of layers, and the paper's head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from speechkit.base.errors import require_choice
from speechkit.emotion.config import HEADS, POOLINGS


class Pooling(nn.Module):
    """One vector per clip; frames beyond a clip never count.

    Args:
        kind: ``mean``, ``sum``, ``max``, or ``attentive`` (a learned weighted mean: the weights
            are the softmax over time of a linear score of each frame).
        size: D.

    Shape:
        ``[B, T, D]`` and B frame counts -> ``[B, D]``.
    """

    def __init__(self, kind: str, size: int) -> None:
        super().__init__()
        require_choice("pooling", kind, POOLINGS)
        self.kind = kind
        self.score = nn.Linear(size, 1) if kind == "attentive" else None

    def forward(self, frames: Tensor, counts: Sequence[int]) -> Tensor:
        n = torch.tensor(counts, device=frames.device)
        beyond = (torch.arange(frames.shape[1], device=frames.device) >= n[:, None])[..., None]
        if self.kind == "max":
            return frames.masked_fill(beyond, float("-inf")).amax(1)
        frames = frames.masked_fill(beyond, 0)
        if self.score is not None:
            scores = self.score(frames).float().masked_fill(beyond, float("-inf"))
            return (scores.softmax(1).to(frames.dtype) * frames).sum(1)
        total = frames.sum(1)
        return total if self.kind == "sum" else total / n[:, None].to(total.dtype)


class LayerSum(nn.Module):
    """A learned convex combination of layers: softmax weights, equal at the start.

    Shape:
        ``[B, L, ..., D]`` -> ``[B, ..., D]``.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(layers))

    def weights(self) -> Tensor:
        """``[L]``, adding up to one."""
        return self.logits.softmax(0)

    def forward(self, layers: Tensor) -> Tensor:
        return torch.einsum("bl...,l->b...", layers, self.weights().to(layers.dtype))


def make_head(kind: str, size: int, classes: int, dropout: float) -> nn.Sequential:
    """``paper``: dropout, dense, tanh, dropout, projection; ``linear``: dropout and projection."""
    if kind == "linear":
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(size, classes))
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(size, size),
        nn.Tanh(),
        nn.Dropout(dropout),
        nn.Linear(size, classes),
    )


class Classifier(nn.Module):
    """Layers, pooling and head: everything behind the encoder.

    Args:
        size: D.
        layers: L + 1 states of the encoder if they are summed, else 0.
        classes: C.
        pooling: see :class:`Pooling`.
        head: ``paper`` or ``linear``.
        dropout: of the head.

    Attributes:
        arguments: with which the same network can be made again.
        mean, std: with which vectors are normalised (for a frozen encoder, whose dimensions differ
            in size); 0 and 1 at first.

    Shape:
        frames ``[B, T, D]`` or ``[B, L + 1, T, D]`` with counts, or vectors that were pooled
        already (``counts=None``) ``[B, D]`` or ``[B, L + 1, D]`` -> logits ``[B, C]``.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        size: int,
        layers: int,
        classes: int,
        pooling: str = "mean",
        head: str = "paper",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        require_choice("head", head, HEADS)
        self.arguments = {
            "size": size, "layers": layers, "classes": classes, "pooling": pooling, "head": head,
            "dropout": dropout,
        }  # fmt: skip
        self.sum = LayerSum(layers) if layers else None
        self.pool = Pooling(pooling, size)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        self.head = make_head(head, size, classes, dropout)

    def forward(self, frames: Tensor, counts: Sequence[int] | None) -> Tensor:
        if self.sum is not None:
            frames = self.sum(frames)
        vectors = frames if counts is None else self.pool(frames, counts)
        return self.head((vectors - self.mean) / self.std)
