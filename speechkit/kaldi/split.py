"""Divide a set into two sets with different speakers (the stage ``split``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.base.random_draws import rng
from speechkit.base.tables import grouped
from speechkit.kaldi.config import SplitConfig
from speechkit.kaldi.data import DataDir, load
from speechkit.kaldi.subset import label_files, write_subset
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.manifest import read_manifest

COLUMNS = ("set", "speakers", "female", "male", "utterances", "hours")


def split(work: WorkDir, config: SplitConfig, force: bool = False) -> tuple[Path, Path]:
    """Divide a set by speaker and return the two folders, ``data/<rest>`` and ``data/<held>``.

    Both are written before either is put in place. A run that is killed between the two
    leaves one whole set, and the same command adds the other.

    Raises:
        UserError: the set has fewer than two speakers, or one side would be empty.
    """
    path = work.data(config.set)
    if (path / "mixtures.tsv").is_file():
        raise UserError(
            f"The set '{config.set}' is a list of mixtures, whose speakers cannot be parted.",
            "Split the set that they were made of, and mix each part with `speechkit mix`.",
        )
    source = load(path, work.root, allow_pipes=True)  # they are copied, not run
    held = held_out(source, config)
    folders = tuple(work.root / "data" / name for name in config.into)
    with ExitStack() as stack:
        outs = [
            stack.enter_context(
                Output(
                    folder,
                    "split",
                    {**asdict(config), "part": part},
                    label_files(path),
                    force,
                    beside="choose other names with `into`",
                )
            )
            for part, folder in zip(("rest", "held out"), folders, strict=True)
        ]
        for out, held_side in zip(outs, (False, True), strict=True):
            if not out.up_to_date:
                kept = {u.id for u in source.utterances if (u.speaker in held) == held_side}
                write_subset(source, out.path, kept)
                out.counts.update(_counts(source, kept))
    return folders[0], folders[1]


def held_out(source: DataDir, config: SplitConfig) -> set[str]:
    """Speakers of the held-out part, drawn with the gender proportions of the whole.

    Raises:
        UserError: one side would have no speaker.
    """
    total = len(source.speakers)
    if total < 2:
        raise UserError(
            f"The set '{config.set}' has {total} speaker, which cannot be divided.",
            "Check utt2spk, or take a set with two speakers or more.",
        )
    number = config.speakers or round(config.share * total)
    if not 0 < number < total:
        side = "would have no speakers" if number <= 0 else "would have all of them"
        raise UserError(
            f"Holding out {number} of the {total} speakers of '{config.set}': the set "
            f"'{config.into[1]}' {side}.",
            f"Accepted: 1 to {total - 1}.",
        )
    groups = grouped(source.speakers, lambda speaker: source.gender.get(speaker, "?"))
    quotas = _quotas({gender: len(group) for gender, group in groups.items()}, number)
    held: set[str] = set()
    for stream, (gender, group) in enumerate(sorted(groups.items())):
        order = rng(config.seed, stream).permutation(len(group))
        held.update(group[k] for k in order[: quotas[gender]])
    return held


def _quotas(sizes: dict[str, int], number: int) -> dict[str, int]:
    """How many of each group make ``number`` in all, in proportion (largest remainders).

    3 of 4 women and 3 men: 12/7 and 9/7, so 1 and 1; the third goes where more is left, 5/7.
    """
    total = sum(sizes.values())
    quotas = {name: number * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(number * sizes[name] % total), name))
    for name in by_remainder[: number - sum(quotas.values())]:
        quotas[name] += 1
    return quotas


def _counts(source: DataDir, kept: set[str]) -> dict[str, float]:
    speakers = {u.speaker for u in source.utterances if u.id in kept}
    gender = Counter(source.gender.get(speaker) for speaker in speakers)
    counts: dict[str, float] = {
        "speakers": len(speakers),
        "female": gender["f"],
        "male": gender["m"],
        "utterances": len(kept),
    }
    if kept <= source.durations.keys():
        counts["hours"] = round(sum(source.durations[name] for name in kept) / 3600, 4)
    return counts


def answer(folders: Sequence[Path]) -> Answer:
    """The sets that were made, a row each; without gender where nobody's is known."""
    rows = []
    for folder in folders:
        counts = dict((read_manifest(folder) or {}).get("counts", {}))
        if not (counts.get("female") or counts.get("male")):
            counts |= {"female": None, "male": None}
        rows.append([folder.name, *(counts.get(name) for name in COLUMNS[1:])])
    return answers.rows(f"Sets in {folders[0].parent}", COLUMNS, rows)
