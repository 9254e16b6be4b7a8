"""One block of the distance matrix, in NumPy or on a CUDA device.

Entries are *keys*: distances up to a common constant, so that smaller is nearer. Both
kinds answer the same few questions, which is all that mining asks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from speechkit.base.errors import ConfigError, require_choice
from speechkit.mining.distance import Cosine, Difference

Columns = slice | np.ndarray
_COLUMNS_AT_ONCE = 4096


class Block(Protocol):
    """Keys ``[R, C]`` of pivots against candidates.

    Attributes:
        margin: keys that differ by more than this stand for distances in the same order.
        size: number of keys.
    """

    margin: float

    @property
    def size(self) -> int: ...

    def forbid(self, rows: slice, columns: Columns) -> None:
        """Make these entries infinite."""

    def smallest(self, rows: slice, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each row the smallest, m-th smallest and (m+1)-th smallest key (float64)."""

    def up_to(self, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Row, column and key of the entries with ``key <= high``, by row and column."""

    def count_up_to(self, high: np.ndarray) -> int:
        """How many entries those are."""


class NumpyBlock:
    """A block in memory."""

    def __init__(self, keys: np.ndarray, margin: float) -> None:
        self.keys, self.margin = keys, margin

    @property
    def size(self) -> int:
        return self.keys.size

    def forbid(self, rows: slice, columns: Columns) -> None:
        self.keys[rows, columns] = np.inf

    def smallest(self, rows: slice, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        keys = self.keys[rows].copy()
        keys.partition(m - 1, axis=1)
        after = keys[:, m:].min(axis=1, initial=np.inf)
        three = np.stack([keys[:, :m].min(axis=1), keys[:, m - 1], after]).astype(np.float64)
        return three[0], three[1], three[2]

    def up_to(self, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place = np.flatnonzero(self._mask(high))
        row, column = np.divmod(place, self.keys.shape[1])
        return row, column, self.keys.ravel()[place].astype(np.float64)

    def count_up_to(self, high: np.ndarray) -> int:
        return int(np.count_nonzero(self._mask(high)))

    def _mask(self, high: np.ndarray) -> np.ndarray:
        # In the keys' own type: comparing float32 with float64 would copy the block.
        return self.keys <= high.astype(self.keys.dtype)[:, None]


class TorchBlock:
    """A block on a device."""

    def __init__(self, keys: Any, margin: float) -> None:
        self.keys, self.margin = keys, margin

    @property
    def size(self) -> int:
        return int(self.keys.numel())

    def forbid(self, rows: slice, columns: Columns) -> None:
        import torch

        if isinstance(columns, np.ndarray):
            self.keys[rows, torch.as_tensor(columns, device=self.keys.device)] = float("inf")
        else:
            self.keys[rows, columns] = float("inf")

    def smallest(self, rows: slice, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        import torch

        keys = self.keys[rows]
        found = torch.topk(keys, min(m + 1, keys.shape[1]), largest=False).values
        if found.shape[1] == m:
            found = torch.nn.functional.pad(found, (0, 1), value=float("inf"))
        three = found[:, [0, m - 1, m]].double().cpu().numpy()
        return three[:, 0], three[:, 1], three[:, 2]

    def up_to(self, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        mask = self._mask(high)
        row, column = mask.nonzero().cpu().numpy().T
        return row, column, self.keys[mask].double().cpu().numpy()

    def count_up_to(self, high: np.ndarray) -> int:
        return int(self._mask(high).sum())

    def _mask(self, high: np.ndarray) -> Any:
        import torch

        bound = torch.as_tensor(high, device=self.keys.device).to(self.keys.dtype)
        return self.keys <= bound[:, None]


class Arranged:
    """The rows in some order, ready to give blocks of keys.

    Args:
        distance: between rows.
        order: ``[n]`` rows; blocks are addressed by position in it.
        device: ``numpy``, or a PyTorch device (which pays on CUDA only).
        unit: the vectors in this order, scaled to length 1, where they are made already.

    Attributes:
        unit: the same, on the device; None for numbers.
    """

    def __init__(
        self,
        distance: Difference | Cosine,
        order: np.ndarray,
        device: str = "numpy",
        unit: np.ndarray | None = None,
    ) -> None:
        self._distance, self._order = distance, order
        self.unit: Any = None
        if isinstance(distance, Difference):
            self.itemsize = 8
            return
        self.itemsize = 4
        self.unit = distance.unit(order) if unit is None else unit
        if device != "numpy":
            import torch

            self.unit = torch.from_numpy(self.unit).to(device)

    def block(self, start: int, stop: int, columns: Columns, precise: bool = False) -> Block:
        """Keys of positions [start, stop) against ``columns``; in float64 if ``precise``."""
        if isinstance(self._distance, Difference):
            rows, others = self._order[start:stop], self._order[columns]
            return NumpyBlock(self._distance.matrix(rows, others), 0.0)
        if precise:
            return _precise(self._distance, self._order[start:stop], self._order[columns])
        # Each key errs by up to the tolerance, and the bounds are rounded to float32.
        margin = 2 * self._distance.tolerance + 1e-7
        if isinstance(self.unit, np.ndarray):
            return NumpyBlock(-self.unit[start:stop] @ self.unit[columns].T, margin)
        import torch

        where: Any = columns
        if isinstance(columns, np.ndarray):
            where = torch.as_tensor(columns, device=self.unit.device)
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")  # the tolerance is float32's, not TF32's
        try:
            return TorchBlock(-self.unit[start:stop] @ self.unit[where].T, margin)
        finally:
            torch.set_float32_matmul_precision(precision)


def _precise(distance: Cosine, rows: np.ndarray, columns: np.ndarray) -> Block:
    """A float64 block, always in memory: few devices are fast at it, and it is seldom needed."""
    pivots, keys = -distance.unit(rows, "float64"), np.empty((len(rows), len(columns)))
    for start in range(0, len(columns), _COLUMNS_AT_ONCE):
        some = slice(start, start + _COLUMNS_AT_ONCE)
        np.matmul(pivots, distance.unit(columns[some], "float64").T, out=keys[:, some])
    return NumpyBlock(keys, 2 * distance.tolerance * 2.0**-29 + 1e-15)


def resolve_device(device: str) -> str:
    """``numpy`` for the CPU, ``cuda`` where it is asked for (``auto``: where there is one).

    Raises:
        UserError: an unknown device, or ``cuda`` without a usable one.
    """
    require_choice("device", device, ("auto", "cpu", "cuda"))
    if device == "cpu" or (device == "auto" and not _may_have_cuda()):
        return "numpy"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise ConfigError(
            "device",
            "cuda was asked for, but PyTorch finds no usable CUDA device.",
            "Use `device` cpu, or see `speechkit doctor`.",
        )
    return "numpy"


def _may_have_cuda() -> bool:
    """Whether a GPU driver is there; importing PyTorch to ask would take two seconds."""
    return any(Path(p).exists() for p in ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd"))
