"""Reading a set for the scorer: features of every phone, and one score of each utterance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.errors import UserError, command_line, require_choice
from speechkit.kaldi import data
from speechkit.labels.score_files import read_scores, score_files
from speechkit.labels.scores import Scores
from speechkit.phone_features import feature_folder
from speechkit.phone_features.dataset import check_read, disagreement
from speechkit.phone_features.feature_folder import GopFolder, PhoneRow
from speechkit.phone_features.gop import STP_COLUMN
from speechkit.phone_features.scored_set import PhoneSet
from speechkit.scoring.config import TARGETS, Inputs
from speechkit.workdir import WorkDir

BEGIN, MIDDLE, END, SINGLE = 1, 2, 3, 4  # position of a phone in its word


@dataclass
class ScoringSet(PhoneSet):
    """Utterances with a score each.

    Args:
        gop: scalar GOP of each phone: float32 ``[N]``.
        starts: of each phone in seconds: float64 ``[N]`` (NaN: not known).
        durations: the same.
        labels: float32 ``[U]`` from 0 to 1; NaN: not scored.
        scale: lowest and highest score as given.
        target: which score of an utterance the labels are.
    """

    gop: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    starts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    durations: np.ndarray = field(default_factory=lambda: np.zeros(0))
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    scale: tuple[float, float] = (0.0, 10.0)
    target: str = ""

    def fill_phones(
        self, utterances: Iterable[tuple[str, str, Sequence[PhoneRow], np.ndarray]]
    ) -> None:
        """As :meth:`fill`, with scalar GOP and times of the phones."""
        rows = self.fill(utterances)
        self.gop = np.array([row.gop for row in rows], np.float32)
        self.starts = np.array([row.start for row in rows])
        self.durations = np.array([row.duration for row in rows])

    @property
    def positions(self) -> np.ndarray:
        """Of each phone in its word: 1 begin, 2 middle, 3 end, 4 the only one; int64 ``[N]``."""
        new = np.diff(self.words, prepend=-1) != 0
        last = np.diff(self.words, append=-1) != 0
        found = np.where(new, BEGIN, np.where(last, END, MIDDLE))
        return np.where(new & last, SINGLE, found).astype(np.int64)

    def with_features(self, features: np.ndarray) -> ScoringSet:
        """The same with other features ``[N, D]``."""
        assert len(features) == len(self.phones)
        return replace(self, features=features)

    def _items(self, rows: np.ndarray, words: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
        of_phones = {"gop": self.gop, "starts": self.starts, "durations": self.durations}
        chosen = {name: values[rows] for name, values in of_phones.items()}
        return {**chosen, "labels": self.labels[kept]}


def single(
    features: np.ndarray, rows: list[PhoneRow], inputs: Inputs, config: dict[str, Any]
) -> ScoringSet:
    """One recording without a score.

    Args:
        features: of its phones ``[P, D]``, as extracted.
        rows: the P phones.
        inputs: what of them is read.
        config: ``features.json`` of the features.
    """
    found = ScoringSet(features_of=[config])
    found.labels = np.full(1, np.nan, np.float32)
    columns: list[str] = config["columns"]
    read = _scalar(rows) if inputs.kind == "gop" else _chosen(features, inputs, columns)
    found.fill_phones([("", "", rows, read)])
    return found


def input_files(
    work: WorkDir, set_name: str, inputs: Inputs, synthetic: str | None = None
) -> list[Path]:
    """Files that :func:`load` reads."""
    folder = work.data(set_name)
    of_scores = folder if synthetic is None else _synthetic(work, set_name, synthetic)
    features = inputs.folder(work, set_name)
    stem = feature_folder.archive({"method": "deep"} if inputs.kind == "deep" else {})
    names = (feature_folder.CONFIG, "rows.tsv", f"{stem}.scp", f"{stem}.ark")
    return [folder / "utt2spk", *score_files(of_scores), *(features / name for name in names)]


def load(
    work: WorkDir,
    set_name: str,
    inputs: Inputs,
    target: str = "total",
    synthetic: str | None = None,
    need_scores: bool = True,
) -> ScoringSet:
    """Read a set with features of its phones and a score of each utterance.

    Args:
        work: the working directory.
        set_name: the set.
        inputs: which features.
        target: which score of an utterance.
        synthetic: take the scores from ``exp/synthetic/<set>[-synthetic]``; None: those of
            the set itself.
        need_scores: leave utterances without the score out; otherwise their label is NaN.

    Raises:
        UserError: something is missing, no utterance is left, or features and scores disagree
            on the phones or words of utterances (all of them are listed).
        DataError: a table of scores is broken, or holds a score outside its scale.
    """
    folder = work.data(set_name)
    speakers = data.read_table(folder / "utt2spk")
    scores = _read_scores(work, set_name, target, synthetic, need_scores)
    features = feature_folder.read_features(inputs.folder(work, set_name), work.root)
    found = ScoringSet(set_name, target=target, features_of=[features.config])
    found.scale = scores.scales["utterance"][target]
    labels, faults, kept = [], [], []
    for name in speakers:
        label = scores.utterances.get(name, {}).get(target, math.nan)
        if name not in features.rows:
            found.skipped.append((name, "no features"))
        elif math.isnan(label) and need_scores:
            found.skipped.append((name, f"no score of {target}"))
        elif fault := disagreement(name, scores, [features]):
            faults.append(fault)
        else:
            labels.append(label)
            kept.append(name)
    check_read(found, len(kept), faults, f"{'both a score and ' if need_scores else ''}features")
    low, high = found.scale
    found.labels = ((np.array(labels, np.float64) - low) / (high - low)).astype(np.float32)
    found.fill_phones(
        (name, speakers[name], features.rows[name], _read(features, name, inputs)) for name in kept
    )
    return found


def _synthetic(work: WorkDir, set_name: str, name: str) -> Path:
    made_by = command_line("synthesize-scores", set=set_name, train="SCORED_SET", name=name)
    return work.require(work.exp("synthetic", set_name, name=name), made_by)


def _read_scores(
    work: WorkDir, set_name: str, target: str, synthetic: str | None, need_scores: bool
) -> Scores:
    """The scores; with the phones and words of the set itself, for the comparison."""
    require_choice("target", target, TARGETS)
    folder = work.data(set_name)
    own = read_scores(folder) if score_files(folder) else Scores()
    scores = own
    if synthetic is not None:
        scores = read_scores(_synthetic(work, set_name, synthetic))
        scores.phones, scores.words = own.phones, own.words
    if need_scores and not len(scores.values(f"utterance_{target}")):
        there = [name for name in TARGETS if len(scores.values(f"utterance_{name}"))]
        kind = "" if synthetic is None else "synthetic "
        raise UserError(
            f"'{set_name}' has no {kind}scores of {target}.",
            f"Take one that it has: `target` {' or '.join(there)}."
            if there
            else "Make the set with `speechkit prepare speechocean762`, or of own data with "
            "`speechkit prepare folder PATH --scores SCORES`.",
        )
    return scores


def _read(folder: GopFolder, name: str, inputs: Inputs) -> np.ndarray:
    """Features of an utterance ``[P, D]``."""
    rows = folder.rows[name]
    if inputs.kind == "gop":
        return _scalar(rows)
    values = feature_folder.read_phone_features(folder, name)
    values = _chosen(values, inputs, folder.columns)
    if not np.isfinite(values).all():
        raise UserError(f"{folder.table.scp}: features of '{name}' are not finite.")
    return values


def _chosen(features: np.ndarray, inputs: Inputs, columns: Sequence[str]) -> np.ndarray:
    """The columns that the scorer reads."""
    if inputs.kind == "stp-gop":
        kept = [column.endswith(f":{STP_COLUMN}") for column in columns]
        if not any(kept):
            raise UserError(
                "The features have no column of STP-GOP.",
                "Extract it with: speechkit extract-gop --stp",
            )
        features = features[:, kept]
    return features.astype(np.float32, copy=False)


def _scalar(rows: list[PhoneRow]) -> np.ndarray:
    values = np.array([[row.gop] for row in rows], np.float32)
    if not np.isfinite(values).all():
        raise UserError(
            "The features have no scalar GOP.", "Take `input` gop-vector, or extract them again."
        )
    return values
