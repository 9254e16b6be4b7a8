"""What the acoustic network is trained on: features and aligned states, by fold of speakers."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.features import (
    SHIFT_S,
    WINDOW_S,
    FeatureConfig,
    count_frames,
    frame_centres,
    log_mel,
)
from speechkit.acoustic.tdnn.network import padded
from speechkit.base import audio, parallel
from speechkit.base.errors import ConfigError, DataError, UserError
from speechkit.base.log import counted
from speechkit.base.text import composed
from speechkit.kaldi import data

IGNORED = -1  # target of frames that do not count
MAX_FRAMES_APART = 3  # between an alignment and our own count


@dataclass(frozen=True)
class Utterance:
    """An utterance with its targets.

    Args:
        source: where its audio is.
        fold: fold of its speaker; networks of that fold are not trained on it.
        states: ``[T]`` int16, state ids 3 label + state, or ``IGNORED``.
        phones: its canonical phones, without stress.
    """

    source: data.Utterance
    fold: int
    states: np.ndarray
    phones: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stream:
    """Utterances one after another, each surrounded by copies of its end frames.

    Args:
        features: float16 ``[N, M]``.
        targets: int16 ``[N]``.
        parts: the frames of each utterance, without what surrounds them.
        blocks: fold -> first and last (exclusive) frame; utterances are sorted by fold.
        utterances: of each part.
    """

    features: Tensor
    targets: Tensor
    parts: list[slice]
    blocks: dict[int, tuple[int, int]]
    utterances: Sequence[Utterance] = ()

    def inside(self, fold: int | None) -> range:
        """Numbers of the parts of a fold; of all for None."""
        if fold is None:
            return range(len(self.parts))
        first, last = self.blocks.get(fold, (0, 0))
        own = [n for n, part in enumerate(self.parts) if first <= part.start < last]
        return range(own[0], own[-1] + 1) if own else range(0)

    def outside(self, fold: int | None) -> Tensor:
        """Targets without those of a fold."""
        first, last = self.blocks.get(-1 if fold is None else fold, (0, 0))
        return torch.cat([self.targets[:first], self.targets[last:]])


def speaker_folds(speakers: Sequence[str], gender: Mapping[str, str], folds: int) -> dict[str, int]:
    """Speaker -> fold: within each gender dealt out in the order of a hash of the name.

    Raises:
        UserError: fewer speakers than folds.
    """
    if len(set(speakers)) < folds:
        raise ConfigError(
            "folds",
            f"{folds}: the alignment has {counted(len(set(speakers)), 'speaker')} only.",
            "Every fold needs one.",
        )

    def order(speaker: str) -> tuple[str, str]:
        return gender.get(speaker, ""), hashlib.sha256(speaker.encode()).hexdigest()

    return {s: number % folds for number, s in enumerate(sorted(set(speakers), key=order))}


def read_ctm(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """Utterance -> (start, duration, phone) in seconds of a Kaldi ctm file.

    Raises:
        DataError: a line has fewer than five columns, or no numbers where they belong.
    """
    found: dict[str, list[tuple[float, float, str]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            utterance, _, start, duration, phone = line.split()[:5]
            found.setdefault(composed(utterance), []).append((float(start), float(duration), phone))
        except ValueError:
            raise DataError(f"{path}:{number}: expected 'utt 1 start duration phone'.") from None
    return found


def mismatches(path: Path) -> set[str]:
    """Utterances of an alignment's ``utterances.tsv`` whose text is probably not what is said.

    Raises:
        DataError: the table has no columns ``utt`` and ``matches``.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if not {"utt", "matches"} <= set(rows.fieldnames or ()):
            raise DataError(f"{path}: expected the columns utt and matches.")
        return {composed(row["utt"]) for row in rows if row["matches"] == "no"}


def mask_low(
    states: np.ndarray,
    segments: Sequence[tuple[float, float, str]],
    scores: Sequence[float],
    least: float,
) -> np.ndarray:
    """A copy of ``states`` without the frames of phones that were scored below ``least``.

    Args:
        states: ``[T]``.
        segments: start, duration and name of the canonical phones, in order.
        scores: of the same phones (NaN: not scored).
        least: the lowest score to learn from.
    """
    assert len(segments) == len(scores)
    kept = states.copy()
    for (start, duration, _), score in zip(segments, scores, strict=True):
        if score < least:
            kept[round(start / SHIFT_S) : round((start + duration) / SHIFT_S)] = IGNORED
    return kept


def states_at(
    states: np.ndarray, frames: int, config: FeatureConfig, speed: float = 1.0
) -> np.ndarray:
    """States for our frames: those of the aligned frames with the nearest centres.

    Args:
        states: ``[T]`` at 10 ms, the first frame centred at half a window of 25 ms.
        frames: to give.
        config: of our features.
        speed: of the perturbed audio.
    """
    aligned = (frame_centres(frames, config, speed) - WINDOW_S / 2) / SHIFT_S
    index = np.clip(np.floor(aligned + 0.5).astype(np.int64), 0, len(states) - 1)
    return states[index]


def build_streams(
    utterances: Sequence[Utterance],
    config: FeatureConfig,
    speeds: Sequence[float],
    reach: int,
    jobs: int = 1,
) -> list[Stream]:
    """One stream for each speed; utterances in the order of their folds.

    Args:
        utterances: what to train on and to measure.
        config: of the features.
        speeds: factors of speed perturbation.
        reach: copies of the end frames around an utterance.
        jobs: processes that compute features.

    Raises:
        UserError: audio cannot be read, is too short, or does not fit its alignment.
    """
    ordered = sorted(utterances, key=lambda u: u.fold)
    run = partial(_features, config=config, speeds=tuple(speeds))
    named = partial(
        parallel.map_items, jobs=jobs, chunk=8, name=lambda u: u.source.id, label="features"
    )
    found = [done.value or [] for done in named(run, ordered)]
    streams = []
    for number in range(len(speeds)):
        features, targets, parts, at = [], [], [], 0
        blocks: dict[int, tuple[int, int]] = {}
        for utterance, versions in zip(ordered, found, strict=True):
            matrix, states = versions[number]
            features.append(padded(torch.from_numpy(matrix), reach))
            targets.append(np.pad(states, reach, constant_values=IGNORED))
            parts.append(slice(at + reach, at + reach + len(states)))
            first = blocks.get(utterance.fold, (at, at))[0]
            at += len(states) + 2 * reach
            blocks[utterance.fold] = (first, at)
        joined = torch.from_numpy(np.concatenate(targets))
        streams.append(Stream(torch.cat(features), joined, parts, blocks, ordered))
    return streams


def _features(
    utterance: Utterance, config: FeatureConfig, speeds: Sequence[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features (float16) and targets of an utterance at each speed."""
    source = utterance.source
    samples, _ = audio.read(source.wav, config.sample_rate, source.start, source.end)
    versions = []
    for speed in speeds:
        features = log_mel(samples, config, speed).half().numpy()
        versions.append((features, states_at(utterance.states, len(features), config, speed)))
    apart = abs(len(utterance.states) - count_frames(len(samples), config))
    if apart > MAX_FRAMES_APART:
        raise UserError(
            f"its alignment has {counted(len(utterance.states), 'frame')}, its audio "
            f"{count_frames(len(samples), config)}.",
            "Align the set again.",
        )
    return versions
