"""Phones, triphones and their senones: the file ``mdef`` of a Sphinx acoustic model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from speechkit.acoustic.base import PhoneInContext
from speechkit.acoustic.sphinx.files import broken, read

_POSITION = {"I": 0, "B": 1, "E": 2, "S": 3}  # inside, first and last of a word, the only one
_NODE_BYTES = 8
_PHONE = np.dtype(
    [
        ("sequence", "<i4"),
        ("matrix", "<i4"),
        ("position", "u1"),  # of a context-independent phone: whether it is a filler
        ("base", "u1"),
        ("left", "u1"),
        ("right", "u1"),
    ]
)


@dataclass(frozen=True)
class Inventory:
    """What ``mdef`` says.

    Args:
        labels: the P context-independent phones.
        fillers: which of them are silence and noises, ``[P]`` bool.
        silence: index of silence.
        table: all phones, first the P context-independent ones (``_PHONE``).
        sequences: senones of each sequence, ``[n, 3]``.
        senones: how many there are; the first 3 P are context independent.
    """

    labels: tuple[str, ...]
    fillers: np.ndarray
    silence: int
    table: np.ndarray
    sequences: np.ndarray
    senones: int

    @cached_property
    def _index(self) -> dict[str, int]:
        return {label: number for number, label in enumerate(self.labels)}

    @cached_property
    def _keys(self) -> tuple[np.ndarray, np.ndarray]:
        """Sorted keys of the triphones, and their places in ``table``."""
        size = len(self.labels)
        rows = self.table[size:]
        keys = rows["position"].astype(np.int64)
        for field in ("base", "left", "right"):
            keys = keys * size + rows[field]
        order = np.argsort(keys, kind="stable")
        return keys[order], order + size

    def number(self, phone: str) -> int | None:
        """Index of a context-independent phone, None if there is no such phone."""
        return self._index.get(phone)

    def find(self, phone: PhoneInContext) -> int | None:
        """Row of ``table`` for a phone in context; None if its base phone does not exist.

        As pocketsphinx backs off: the triphone in this position of the word; in any position;
        with silence in place of the phone in the neighbouring word; the phone without context.
        Unknown neighbours and noises count as silence.
        """
        base = self.number(phone.phone)
        if base is None or self.fillers[base]:
            return base
        left, right = self._context(phone.left), self._context(phone.right)
        outer = (
            self.silence if phone.position in "BS" else left,
            self.silence if phone.position in "ES" else right,
        )
        here = _POSITION[phone.position]
        for neighbours in ((left, right), outer):
            for position in (here, *(p for p in range(len(_POSITION)) if p != here)):
                row = self._triphone(position, base, *neighbours)
                if row is not None:
                    return row
        return base

    def _context(self, phone: str) -> int:
        number = self.number(phone)
        return self.silence if number is None or self.fillers[number] else number

    def _triphone(self, position: int, base: int, left: int, right: int) -> int | None:
        keys, rows = self._keys
        size = len(self.labels)
        key = ((position * size + base) * size + left) * size + right
        at = int(np.searchsorted(keys, key))
        return int(rows[at]) if at < len(keys) and keys[at] == key else None

    def states(self, row: int) -> tuple[int, ...]:
        """Senones of a row of ``table``, in order."""
        return tuple(int(s) for s in self.sequences[self.table["sequence"][row]])

    @cached_property
    def plain(self) -> np.ndarray:
        """``3 * phone + state`` of every senone, int32 ``[senones]``."""
        size, states = len(self.labels), self.sequences.shape[1]
        base = self.table["base"].astype(np.int32)
        base[:size] = np.arange(size)
        plain = np.full(self.senones, -1, np.int32)
        for state in range(states):
            plain[self.sequences[self.table["sequence"], state]] = states * base + state
        return plain


def read_inventory(path: Path) -> Inventory:
    """Read a binary ``mdef``.

    Raises:
        UserError: the file is missing, cut, or not a binary ``mdef``.
    """
    content = read(path)
    if not content.startswith(b"BMDF"):
        raise broken(path, "it does not start with 'BMDF'")
    header = np.frombuffer(content[4:12], "<i4")
    at = 12 + int(header[1])
    counts = np.frombuffer(content[at : at + 40], "<i4")
    if len(counts) != 10:
        raise broken(path, "it ends within its header")
    phones, total, states, _, senones, _, sequences, _, nodes, silence = counts.tolist()
    at += 40
    names, end = [], at
    for _ in range(phones):
        stop = content.find(b"\0", end)
        names.append(content[end:stop].decode("ascii", errors="replace"))
        end = stop + 1
    at = at + (end - at + 3) // 4 * 4 + nodes * _NODE_BYTES
    need = total * _PHONE.itemsize + 4 + 2 * sequences * states
    if states < 1 or len(content) < at + need:
        raise broken(path, "it is cut, or its phones do not all have as many states")
    table = np.frombuffer(content, _PHONE, total, at)
    at += total * _PHONE.itemsize + 4
    sequence = np.frombuffer(content, "<u2", sequences * states, at).reshape(sequences, states)
    fillers = table["position"][:phones] != 0
    return Inventory(tuple(names), fillers, silence, table, sequence.astype(np.int32), senones)
