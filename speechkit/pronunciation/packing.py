"""Sequences of different lengths without padding between them.

Half of a padded batch of texts is padding. Here the phones of the B sequences of a batch lie
one after the other (*packed*), and so does all that works phone by phone; attention and
recurrence see them as rows of a *grid*, padded to the longest. Batches of S models that are
trained together have the same B, but other sequences: the packed rows of each are filled up
to the longest.
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
    then all phones; the grid is ``[S, B, L]``.

    Args:
        lengths: phones of each sequence ``[S, B]``.
        extra: tokens before the phones.
        sequences: of each phone, its sequence ``[S, N]`` (the last one in filling).
        columns: of each phone, its place in the sequence ``[S, N]`` (0 in filling).
        filled: True for phones, False for filling ``[S, N]``; None if there is no filling.
        grid: packed token (of all S * T) in each cell, flat.
        cells: cell of each packed token, flat.
        empty: cells of the grid without a token, bool ``[S * B * L, 1]``.
    """

    lengths: Tensor
    extra: int
    sequences: Tensor
    columns: Tensor
    filled: Tensor | None
    grid: Tensor
    cells: Tensor
    empty: Tensor

    @property
    def batch(self) -> int:
        """Sequences of a batch, B."""
        return self.lengths.shape[1]

    @property
    def length(self) -> int:
        """Columns of the grid, L."""
        return len(self.grid) // self.lengths.numel()

    def to_grid(self, packed: Tensor) -> Tensor:
        """``[S, T, W]`` -> ``[S * B, L, W]``; what is in empty cells is undefined."""
        flat = packed.flatten(0, 1)
        found = _Move.apply(flat, self.grid, self.cells, self._filling())
        return found.view(self.lengths.numel(), self.length, -1)

    def to_packed(self, grid: Tensor) -> Tensor:
        """``[S * B, L, W]`` -> ``[S, T, W]``; what is in filling is undefined."""
        flat = grid.flatten(0, 1)
        found = _Move.apply(flat, self.cells, self.grid, self.empty)
        return found.view(len(self.lengths), -1, grid.shape[-1])

    def key_mask(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """What is added to the scores of keys: 0, and -inf in empty cells ``[S * B, 1, L]``."""
        zero = torch.zeros(self.empty.shape, dtype=dtype, device=self.empty.device)
        return zero.masked_fill_(self.empty, -torch.inf).view(-1, 1, self.length)

    def last(self) -> Tensor:
        """Packed position (within its S) of the last phone of each sequence ``[S, B]``."""
        return self.batch * self.extra + self.lengths.cumsum(1) - 1

    def _filling(self) -> Tensor | None:
        """Packed tokens that are filling, bool ``[S * T, 1]``."""
        if self.filled is None:
            return None
        tokens = self.filled.new_ones(len(self.filled), self.batch * self.extra)
        return ~torch.cat([tokens, self.filled], 1).view(-1, 1)


def make_layout(lengths: Tensor, extra: int = 0, multiple: int = 1) -> Layout:
    """The layout of sequences of these lengths.

    Args:
        lengths: phones of each sequence, 1 or more, int64 ``[S, B]``.
        extra: tokens before the phones of each.
        multiple: of which the length of the grid is one.
    """
    models, batch = lengths.shape
    device = lengths.device
    ends = lengths.cumsum(1)
    total = int(ends[:, -1].max())
    place = torch.arange(total, device=device).expand(models, total).contiguous()
    sequences = torch.searchsorted(ends, place, right=True).clamp_(max=batch - 1)
    begins = ends - lengths
    filled = place < ends[:, -1:]
    columns = (place - begins.gather(1, sequences)) * filled
    tokens = batch * extra
    longest = -(-(int(lengths.max()) + extra) // multiple) * multiple
    base = torch.arange(models, device=device)[:, None]

    column = torch.arange(longest, device=device)
    row = torch.arange(batch, device=device)[:, None]
    grid = torch.where(  # [S, B, L]
        column < extra,
        row * extra + column,
        tokens + begins[:, :, None] + column - extra,
    )
    empty = column >= lengths[:, :, None] + extra
    grid = grid.masked_fill(empty, 0) + base[:, :, None] * (tokens + total)

    of_token = torch.arange(tokens, device=device)
    token_cells = of_token // max(extra, 1) * longest + of_token % max(extra, 1)
    phone_cells = sequences * longest + columns + extra
    cells = torch.cat([token_cells.expand(models, -1), phone_cells], 1) + base * batch * longest
    return Layout(
        lengths,
        extra,
        sequences,
        columns,
        None if bool(filled.all()) else filled,
        grid.flatten(),
        cells.flatten(),
        empty.reshape(-1, 1),
    )


class _Move(torch.autograd.Function):
    """Rows moved to other places; the gradient moves back the same way.

    Every row with a gradient has exactly one place that is not void, so that the gradient is
    a selection too, several times faster than the addition that PyTorch would do.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, to: Tensor, back: Tensor, void: Tensor | None) -> Tensor:
        ctx.save_for_backward(back, void)
        return rows.index_select(0, to)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        back, void = ctx.saved_tensors
        found = grads[0].index_select(0, back)
        return (found if void is None else found.masked_fill_(void, 0.0)), None, None, None
