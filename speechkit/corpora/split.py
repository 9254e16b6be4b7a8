"""Division of a corpus into sets with different speakers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from speechkit.base.errors import UserError
from speechkit.corpora.common import CorpusSet


def parse_split(text: str) -> dict[str, float]:
    """``train=0.8,dev=0.2`` -> shares that sum to one; UserError for anything else."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = (value.strip() for value in part.partition("="))
        try:
            shares[name] = float(share) if name and name not in shares else -1.0
        except ValueError:
            shares[name] = -1.0
        if not 0 < shares[name] <= 1:
            raise UserError(
                f"--split '{text}': '{part.strip()}' is not NAME=SHARE, or comes twice.",
                "Example: --split train=0.8,dev=0.1,test=0.1",
            )
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise UserError(
            f"--split '{text}': the shares sum to {sum(shares.values()):g}, not to 1.",
            "Example: --split train=0.8,dev=0.1,test=0.1",
        )
    return shares


def split_speakers(
    whole: CorpusSet,
    shares: Mapping[str, float],
    seed: int,
    group: Callable[[str], str] | None = None,
    flag: str = "--split",
) -> list[CorpusSet]:
    """Divide a set by speaker, with about the same genders (or other groups) in every part.

    Speakers of a group follow each other in the order of a hash of seed and name; each goes
    to the part that lacks most of its share so far.

    Args:
        whole: the set.
        shares: part -> its share of the speakers; they sum to one.
        seed: which speakers go where.
        group: speaker -> its group; by default its gender.
        flag: how messages call the share.

    Raises:
        UserError: too few speakers for a part to get one.
    """
    if len(shares) == 1:
        whole.name = next(iter(shares))
        return [whole]
    group = group or (lambda name: whole.gender.get(name, ""))
    part_of: dict[str, str] = {}
    count = dict.fromkeys(shares, 0)
    order = _hashed_order({item.speaker for item in whole.items}, seed)
    for speaker in sorted(order, key=group):
        due = len(part_of) + 1
        part_of[speaker] = max(shares, key=lambda name: shares[name] * due - count[name])
        count[part_of[speaker]] += 1
    for name, speakers in count.items():
        if not speakers:
            raise UserError(
                f"{flag}: {len(part_of)} speakers are too few for a share of {shares[name]:g}; "
                f"'{name}' would have none.",
                "Give it a larger share, or use fewer sets.",
            )
    first = next(iter(shares))  # also of speakers of whom nothing can be read
    return [
        replace(
            whole,
            name=name,
            items=[i for i in whole.items if part_of[i.speaker] == name],
            unread=[i for i in whole.unread if part_of.get(i.speaker, first) == name],
        )
        for name in shares
    ]


def _hashed_order(speakers: Iterable[str], seed: int) -> list[str]:
    return sorted(speakers, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
