"""Pieces of tables that several tasks have."""

from __future__ import annotations

from collections.abc import Sequence


def comparable(reasons: Sequence[Sequence[str]]) -> tuple[str, list[str]]:
    """What our rows have otherwise than the paper's: a sentence for what all have in common, and
    a text for each row.

    Args:
        reasons: of each row, see :meth:`speechkit.task.paper.PublishedRow.differences`.
    """
    common = [why for why in (reasons or [[]])[0] if all(why in one for one in reasons)]
    said = f"Not comparable with the paper, in all rows: {'; '.join(common)}. " if common else ""
    rest = [[why for why in one if why not in common] for one in reasons]
    texts = [
        "; ".join(["no"] * bool(one) + own) or "yes" for one, own in zip(reasons, rest, strict=True)
    ]
    return said, texts
