"""Tokens in groups (phones in words, words in utterances): attention within them, their means.

Most words have two or three phones, and few have ten: of a padded grid of phones nine tenths
of the pairs are empty. Here only the pairs that there are are computed, all in one. For phones
``a b`` of one word and ``c`` of the next (lengths 2, 1) these are five, not nine::

    pair      0   1   2   3   4
    query     a   a   b   b   c
    key       a   b   a   b   c     one after another for each query
    mirrored  0   2   1   3   4     the place of the pair (key, query)

Sums over the keys of a query are sums of adjacent pairs (bags of ``embedding_bag``), beginning at
0, 2 and 4. The gradients of attention are written out: what a key gets is the sum over its queries,
which are the same pairs in the order of ``mirrored``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Pairs:
    """All pairs of tokens of the same group, by query.

    Args:
        query, key: flat numbers of tokens ``[P]``.
        mirrored: place of the pair (key, query) ``[P]``.
        counts: keys of each of the S * T tokens.
        starts: first pair of each of the S * T tokens.
        all: numbers of the pairs ``[P]``.
    """

    query: Tensor
    key: Tensor
    mirrored: Tensor
    counts: Tensor
    starts: Tensor
    all: Tensor


class Groups:
    """Groups of S models; the tokens of a model lie one after another, filling at the end.

    Args:
        lengths: tokens of each group, 0 in filling: int64 ``[S, G]``.
        tokens: T, the room for the tokens of a model; 0: as many as the longest has.

    Attributes:
        token: flat numbers of the F tokens that are not filling ``[F]``.
        group: flat number of the group of each ``[F]``.
    """

    def __init__(self, lengths: Tensor, tokens: int = 0) -> None:
        models, groups = lengths.shape
        used = lengths.sum(1)
        self.lengths, self.used = lengths.flatten(), used
        self.models, self.groups = models, groups
        self.tokens = tokens or int(used.max())
        numbers = torch.arange(models * groups, device=lengths.device)
        self.group = torch.repeat_interleave(numbers, self.lengths)
        # Between the tokens of two models is the filling of the first.
        moved = torch.arange(models, device=lengths.device) * self.tokens + used - used.cumsum(0)
        self.token = torch.arange(len(self.group), device=lengths.device)
        if models > 1:
            self.token = self.token + moved[self.group // groups]

    @cached_property
    def starts(self) -> Tensor:
        """First of the F tokens of each group ``[S * G]``."""
        return self.lengths.cumsum(0) - self.lengths

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs within the groups."""
        own = self.lengths[self.group]  # tokens of the group of each token
        first = self.token[self.starts[self.group]]
        counts = own.new_zeros(self.models * self.tokens).index_copy_(0, self.token, own)
        starts = counts.cumsum(0) - counts
        numbers = torch.arange(len(own), device=own.device)
        which = torch.repeat_interleave(numbers, own)
        query, first = self.token[which], first[which]
        every = torch.arange(len(query), device=own.device)
        key = first + every - starts[query]
        return Pairs(query, key, starts[key] + query - first, counts, starts, every)

    def means(self, x: Tensor) -> Tensor:
        """Mean of each group, ``[S, T, W]`` -> ``[S, G, W]``; zeros for a group of filling."""
        found = functional.embedding_bag(self.token, x.flatten(0, 1), self.starts, mode="mean")
        return found.view(self.models, self.groups, -1)

    def attention(self, qkv: Tensor, heads: int) -> Tensor:
        """Scaled dot-product attention of every token to those of its group.

        Args:
            qkv: queries, keys and values side by side, ``[S, T, 3 * W]``.
            heads: that W is divided among.

        Returns:
            ``[S, T, W]``; zeros in filling.
        """
        return _Attention.apply(qkv, self.pairs, heads)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, pairs: Pairs, heads: int) -> Tensor:
        models, tokens, width = *qkv.shape[:2], qkv.shape[2] // 3
        flat = qkv.reshape(-1, 3, width)
        q, k, v = flat.unbind(1)
        scores = _dots(q, k, pairs, heads).mul_((width // heads) ** -0.5)
        most = torch.segment_reduce(scores, "max", lengths=pairs.counts, unsafe=True)
        shares = scores.sub_(most.index_select(0, pairs.query)).exp_()
        whole = _sums(shares, pairs.all, pairs.starts)
        shares /= whole.index_select(0, pairs.query)
        ctx.save_for_backward(flat, shares)
        ctx.pairs = pairs
        return _weighted(v, shares, pairs).view(models, tokens, width)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        flat, shares = ctx.saved_tensors
        pairs: Pairs = ctx.pairs
        width, heads, (q, k, v) = flat.shape[2], shares.shape[1], flat.unbind(1)
        grad = grads[0].reshape(-1, width)
        of_scores = _dots(grad, v, pairs, heads).mul_(shares)
        whole = _sums(of_scores, pairs.all, pairs.starts)
        of_scores -= whole.index_select(0, pairs.query).mul_(shares)
        of_scores *= (width // heads) ** -0.5
        of_q = _weighted(k, of_scores, pairs)
        of_k = _weighted(q, of_scores.index_select(0, pairs.mirrored), pairs)
        of_v = _weighted(grad, shares.index_select(0, pairs.mirrored), pairs)
        return torch.cat([of_q, of_k, of_v], 1).view(*grads[0].shape[:2], -1), None, None


def _dots(x: Tensor, y: Tensor, pairs: Pairs, heads: int) -> Tensor:
    """Products of the head of x at each query with that of y at its key ``[P, heads]``."""
    product = x.index_select(0, pairs.query).mul_(y.index_select(0, pairs.key))
    rows = product.view(-1, x.shape[1] // heads)
    return torch.mv(rows, rows.new_ones(rows.shape[1])).view(-1, heads)  # faster than sum(1)


def _weighted(values: Tensor, shares: Tensor, pairs: Pairs) -> Tensor:
    """Sum over the keys of each token of their values ``[S * T, W]`` by ``[P, heads]``."""
    (tokens, width), (count, heads) = values.shape, shares.shape
    head = torch.arange(heads, device=values.device)[:, None]
    index = (pairs.key * heads + head).flatten()
    starts = (pairs.starts + head * count).flatten()
    rows = values.reshape(-1, width // heads)  # a row for each head of each token
    found = _sums(rows, index, starts, shares.t().flatten())
    return found.view(heads, tokens, -1).transpose(0, 1).reshape(tokens, width)


def _sums(rows: Tensor, index: Tensor, starts: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted sums of rows; a sum begins at each of ``starts``."""
    return torch._embedding_bag(rows, index, starts, False, 0, False, weights)[0]
