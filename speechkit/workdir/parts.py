"""A long map in parts, each of which the caller keeps for a resumed run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from speechkit.base.parallel import Done, Item, Result, map_items
from speechkit.workdir.unfinished import note_finished


def split(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Parts of ``size`` items; the last may be shorter."""
    return [items[first : first + size] for first in range(0, len(items), size)]


def map_parts(
    function: Callable[[Item], Result],
    parts: Sequence[Sequence[Item]],
    kept: Sequence[bool],
    kept_in: Path | None = None,
    **how: Any,
) -> Iterator[list[Done[Item, Result]] | None]:
    """Map the items of the parts that are not kept yet, and yield what became of each part.

    It is one map: processes start once, and go on with the next part while the caller
    writes the last one. Exhaust it (``zip(..., strict=True)`` does): that ends the map.

    Args:
        function: item -> result.
        parts: the items, part by part.
        kept: for each part, whether an earlier run has kept it; such a part yields None.
        kept_in: folder of the caller's parts, where it is noted how far the map is.
        how: see :func:`speechkit.base.parallel.map_items`.
    """
    items = [item for part, old in zip(parts, kept, strict=True) if not old for item in part]
    if not items:
        how["label"] = ""
    done: Any = map_items(function, items, **how)
    size = how.get("size", lambda item: 1)
    sizes = [sum(map(size, part)) for part in parts]
    units = "utterances" if how.get("unit", "utt") == "utt" else f"{how['unit']}s"
    with closing(done):
        for number, (part, old) in enumerate(zip(parts, kept, strict=True), start=1):
            yield None if old else list(islice(done, len(part)))
            if kept_in is not None and not old:  # by now the caller has kept it
                finished = sum(sizes[:number])
                note_finished(kept_in / "part", f"{finished:,} of {sum(sizes):,} {units}")
        for _ in done:  # lets the map end its progress and its workers
            pass
