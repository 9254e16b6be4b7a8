"""A scored set in memory: features of every phone, and the scores at each level."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from speechkit.base.errors import UserError, command_line
from speechkit.base.log import counted, logger
from speechkit.base.text import some
from speechkit.kaldi import data
from speechkit.kaldi.ark import finite
from speechkit.labels.miscues import TABLE, Miscue, read_miscues, statuses
from speechkit.labels.phones import pure
from speechkit.labels.score_files import read_scores, score_files
from speechkit.labels.scores import ASPECTS, Scores, split_aspect
from speechkit.phone_features.feature_folder import CONFIG, GopFolder, PhoneRow, read_features
from speechkit.phone_features.scored_set import SCALE, PhoneSet, ScoredSet
from speechkit.workdir import WorkDir


def gop_folders(work: WorkDir, set_name: str, names: Sequence[str]) -> list[Path]:
    """``exp/gop/<set>[-name]`` for each name."""
    return [
        work.require(
            work.exp("gop", set_name, name=name),
            command_line("extract-gop", set=set_name, name=name),
        )
        for name in names
    ]


def input_files(work: WorkDir, set_name: str, names: Sequence[str]) -> list[Path]:
    """Files that :func:`load` reads."""
    folder = work.data(set_name)
    found = [folder / "utt2spk", *score_files(folder)]
    found += [folder / TABLE] if (folder / TABLE).is_file() else []
    for gop in gop_folders(work, set_name, names):
        found += [gop / CONFIG, gop / "gop.scp", gop / "gop.ark", gop / "rows.tsv"]
    return found


def load(work: WorkDir, set_name: str, names: Sequence[str]) -> ScoredSet:
    """Read a set with its scores and features.

    Args:
        names: suffixes of its folders of features; their columns stand side by side.

    Raises:
        UserError: something is missing, nothing is left, or features and scores disagree on
            the phones or words of utterances (all of them are listed).
    """
    folder = work.data(set_name)
    speakers = data.read_table(folder / "utt2spk")
    scores = read_scores(folder)
    gops = [read_features(path, work.root) for path in gop_folders(work, set_name, names)]
    found = ScoredSet(set_name, scales=scores.scales, features_of=[g.config for g in gops])
    scored, faults, kept = scores.names(), [], []
    for name in speakers:
        if name not in scored:
            found.skipped.append((name, "no scores"))
        elif not all(name in gop.rows for gop in gops):
            found.skipped.append((name, "no features"))
        elif fault := disagreement(name, scores, gops):
            faults.append(fault)
        else:
            kept.append(name)
    check_read(found, len(kept), faults, "both scores and features")
    found.fill(
        (name, speakers[name], gops[0].rows[name], _matrix(name, len(gops[0].rows[name]), gops))
        for name in kept
    )
    found.texts = [text for name in kept for text in _texts(name, scores, gops[0])]
    found.labels = {aspect: _labels(found, scores, aspect) for aspect in ASPECTS}
    found.statuses = _statuses(found, read_miscues(folder))
    return found


def check_read(found: PhoneSet, kept: int, faults: Sequence[str], needed: str) -> None:
    """Warn of utterances that are left out.

    Args:
        found: with the skipped ones.
        kept: number of the others.
        faults: of utterances, from :func:`disagreement`.
        needed: what an utterance must have, for the message.

    Raises:
        UserError: there are faults (all are listed), or no utterance is left.
    """
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise UserError(
            f"Features and scores of '{found.name}' disagree in "
            f"{counted(len(faults), 'utterance')}:{listed}\n",
            "Extract the features again from the phones of the scores.",
        )
    if not kept:
        raise UserError(
            f"No utterance of '{found.name}' has {needed}.",
            "Extract the features with `speechkit extract-gop` or `speechkit extract-deep`.",
        )
    for reason in sorted({reason for _, reason in found.skipped}):
        names = [name for name, why in found.skipped if why == reason]
        logger.warning(
            f"{found.name}: left out {len(names)} of "
            f"{counted(kept + len(found.skipped), 'utterance')} ({reason}): {some(names)}"
        )


def disagreement(name: str, scores: Scores, gops: Sequence[GopFolder]) -> str:
    """What does not fit in an utterance; empty if everything does."""
    rows = gops[0].rows[name]
    for gop in gops[1:]:
        other = gop.rows[name]
        if [pure(row.phone) for row in rows] != [pure(row.phone) for row in other]:
            return f"{name}: phones of folders of features: {len(rows)}, {_of(rows, other)}"
    phones = scores.phones.get(name)
    if phones is not None:
        if len(phones) != len(rows):
            return f"{name}: features of {counted(len(rows), 'phone')}, scores of {len(phones)}"
        for row, phone in zip(rows, phones, strict=True):
            if pure(row.phone) != pure(phone.phone) or row.word_index != phone.word_index:
                return (
                    f"{name}: phone {row.index} is {row.phone} of word {row.word_index} in the "
                    f"features, {phone.phone} of word {phone.word_index} in the scores"
                )
    words = scores.words.get(name)
    if words is not None and len(words) != rows[-1].word_index + 1:
        return f"{name}: words with features: {rows[-1].word_index + 1}, with scores: {len(words)}"
    return ""


def _statuses(found: ScoredSet, miscues: Mapping[str, Sequence[Miscue]]) -> np.ndarray:
    """What became of each word of the set."""
    counts = np.diff(found.first_word).tolist()
    given = [
        statuses(count, miscues.get(name, ()))
        for name, count in zip(found.utterances, counts, strict=True)
    ]
    return np.array([status for of_text in given for status in of_text], np.int64)


def _of(rows: Sequence[PhoneRow], other: Sequence[PhoneRow]) -> str:
    if len(rows) != len(other):
        return f"{len(other)} in another"
    which = next((a, b) for a, b in zip(rows, other, strict=True) if pure(a.phone) != pure(b.phone))
    return f"of which {which[0].index} is {which[0].phone}, in another {which[1].phone}"


def _texts(name: str, scores: Scores, gop: GopFolder) -> list[str]:
    """The words of an utterance, as its scores have them, or its features."""
    if (words := scores.words.get(name)) is not None:
        return [word.word for word in words]
    texts = {row.word_index: row.word for row in gop.rows[name]}
    return [texts.get(index, "") for index in range(gop.rows[name][-1].word_index + 1)]


def _matrix(name: str, count: int, gops: Sequence[GopFolder]) -> np.ndarray:
    """Features of an utterance, all folders side by side, ``[P, D]``."""
    parts = []
    for gop in gops:
        part = gop.table[name]
        if part.shape != (count, len(gop.columns)):
            raise UserError(
                f"{gop.table.scp}: '{name}' has a matrix {part.shape}, expected "
                f"({count}, {len(gop.columns)}).",
                "Extract the features again with: speechkit extract-gop",
            )
        if not finite(part):
            raise UserError(
                f"{gop.table.scp}: features of '{name}' are not finite, or beyond 1e15."
            )
        parts.append(part)
    return np.concatenate(parts, axis=1).astype(np.float32, copy=False)


def _labels(found: ScoredSet, scores: Scores, aspect: str) -> np.ndarray:
    """Labels of an aspect from 0 to 2, in the order of the set; NaN: not scored."""
    level, key = split_aspect(aspect)
    low, high = scores.scales[level][key]
    values: list[float] = []
    for u, name in enumerate(found.utterances):
        if level == "utterance":
            values.append(scores.utterances.get(name, {}).get(key, math.nan))
            continue
        starts = found.first if level == "phone" else found.first_word
        count = int(starts[u + 1] - starts[u])
        if level == "phone":
            given = [phone.accuracy for phone in scores.phones.get(name, ())]
        else:
            given = [word.scores.get(key, math.nan) for word in scores.words.get(name, ())]
        values += given or [math.nan] * count
    scaled = (np.array(values, dtype=np.float64) - low) / (high - low) * SCALE
    return scaled.astype(np.float32)
