"""Sequences of different lengths without padding between them.

Half of a padded batch of texts is padding. Here the phones of the B sequences of a batch lie
one after the other (*packed*), and so does all that works phone by phone; attention and
recurrence see them as rows of a *grid*, padded to the longest. Batches of S models that are
trained together have the same B, but other sequences: the packed rows of each are filled up
to the longest.

Worked example, S = 1: sequences of 1, 3 and 2 phones (six tokens: a, bcd, ef), no tokens of their
own. Packed they are ``a b c d e f .`` with one filling; the grid has 3 rows of 3 columns::

    a . .        ``grid``: the packed token of each cell    0 6 6 | 1 2 3 | 4 5 6
    b c d        ``cells``: the cell of each packed token   0 3 4 5 6 7 1
    e f .

Empty cells hold the filling (6), and the filling the first empty cell (1). Layers that work phone
by phone multiply 7 rows in place of 9; attention sees the grid with a mask over the empty cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Where the tokens of S batches of B sequences lie.

    A sequence has ``extra`` tokens of its own (those of the utterance), then its phones. The
    packed order ``[S, T]`` has the extra tokens of all sequences first (``T = B * extra + N``),
    then all phones, then filling (one token at least); the grid is ``[S, B, L]``. Filling and
    empty cells point at each other. Nothing that is not filling depends on them, so that they
    have no gradient as long as the loss does not count them.

    Args:
        lengths: phones of each sequence ``[S, B]``.
        extra: tokens before the phones.
        sequences: of each phone, its sequence ``[S, N]`` (the last one in filling).
        columns: of each phone, its place in the sequence ``[S, N]`` (0 in filling).
        filled: True for phones, False for filling ``[S, N]``.
        grid: packed token (of all S * T) in each cell, flat.
        cells: cell of each packed token, flat.
        mask: what is added to the scores of keys: 0, and -inf in empty cells ``[S * B, 1, L]``.
    """

    lengths: Tensor
    extra: int
    sequences: Tensor
    columns: Tensor
    filled: Tensor
    grid: Tensor
    cells: Tensor
    mask: Tensor

    @property
    def batch(self) -> int:
        """Sequences of a batch, B."""
        return self.lengths.shape[1]

    @property
    def length(self) -> int:
        """Columns of the grid, L."""
        return self.mask.shape[-1]

    def to_grid(self, packed: Tensor) -> Tensor:
        """``[S, T, W]`` -> ``[S * B, L, W]``; what is in empty cells is undefined."""
        found = _Move.apply(packed.flatten(0, 1), self.grid, self.cells)
        return found.view(len(self.mask), self.length, -1)

    def to_packed(self, grid: Tensor) -> Tensor:
        """``[S * B, L, W]`` -> ``[S, T, W]``; what is in filling is undefined."""
        found = _Move.apply(grid.flatten(0, 1), self.cells, self.grid)
        return found.view(len(self.lengths), -1, grid.shape[-1])

    def last(self) -> Tensor:
        """Packed position (within its S) of the last phone of each sequence ``[S, B]``."""
        return self.batch * self.extra + self.lengths.cumsum(1) - 1


def make_layout(lengths: Tensor, extra: int = 0) -> Layout:
    """The layout of sequences of these lengths.

    Args:
        lengths: phones of each sequence, 1 or more, int64 ``[S, B]``.
        extra: tokens before the phones of each.
    """
    (models, batch), device = lengths.shape, lengths.device
    ends = lengths.cumsum(1)
    begins, tokens = ends - lengths, batch * extra
    total = int(ends[:, -1].max()) + 1
    place = torch.arange(total, device=device).expand(models, total).contiguous()
    sequences = torch.searchsorted(ends, place, right=True).clamp_(max=batch - 1)
    filled = place < ends[:, -1:]
    columns = (place - begins.gather(1, sequences)) * filled
    # Where nothing is shorter than the longest, one more column has the empty cells.
    longest = int(lengths.max()) + extra + int(bool((lengths == lengths[:1, :1]).all()))
    base = torch.arange(models, device=device)[:, None]

    column = torch.arange(longest, device=device)
    row = torch.arange(batch, device=device)[:, None]
    in_phones = tokens + begins[:, :, None] + column - extra
    grid = torch.where(column < extra, row * extra + column, in_phones)  # [S, B, L]
    empty = column >= lengths[:, :, None] + extra
    grid = grid.masked_fill(empty, tokens + total - 1) + base[:, :, None] * (tokens + total)

    of_token = torch.arange(tokens, device=device)
    token_cells = of_token // max(extra, 1) * longest + of_token % max(extra, 1)
    cells = torch.cat(
        [token_cells.expand(models, -1), sequences * longest + columns + extra], 1
    ) + base * (batch * longest)
    some_empty = empty.flatten().int().argmax()
    cells[:, tokens:] = torch.where(filled, cells[:, tokens:], some_empty)
    mask = torch.zeros(models * batch, 1, longest, device=device)
    mask.masked_fill_(empty.view(mask.shape), -torch.inf)
    return Layout(lengths, extra, sequences, columns, filled, grid.flatten(), cells.flatten(), mask)


class _Move(torch.autograd.Function):
    """Rows moved to other places; the gradient moves back the same way.

    Every row with a gradient has exactly one place that has one, so that the gradient is a
    selection too, several times faster than the addition that PyTorch would do.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, to: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        return rows.index_select(0, to)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0].index_select(0, ctx.saved_tensors[0]), None, None
