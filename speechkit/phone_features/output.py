"""What ``extract-gop`` and ``extract-deep`` write: features, rows, phones, and a summary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import msgpack

from speechkit.acoustic.align.stage import warn_of_mismatches
from speechkit.acoustic.lexicon.readings import write_readings
from speechkit.base.errors import UserError, one_line
from speechkit.base.files import atomic_write
from speechkit.base.schema import Damaged, regular_file
from speechkit.base.tables import write_json, write_skipped, write_tsv
from speechkit.kaldi.ark import ArkWriter
from speechkit.labels import score_files as labels
from speechkit.labels.phones import KALDI_PHONES
from speechkit.phone_features.feature_folder import (
    ROW_COLUMNS,
    archive,
    write_confidence,
    write_config,
    write_insertions,
)
from speechkit.phone_features.gop import label_ids
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.workdir import Output, WorkDir


@dataclass
class UtteranceFeatures:
    """Features of one utterance, as a worker sends them and a part keeps them.

    Args:
        features: float32 ``[P, D]`` (``[T, D]`` of frames).
        rows: its lines of ``rows.tsv``.
        confidence: of the alignment; None of imported features.
        matches: whether text and audio belong together.
        seconds: of audio.
        ctm: lines of ``phones.ctm`` without the utterance; none where not wanted.
        readings: lines of ``readings.tsv`` without the utterance.
        insertions: lines of ``insertions.tsv`` without the utterance; None where words are not
            verified.
    """

    utterance: str
    features: np.ndarray
    rows: list[list[str]]
    confidence: float | None = None
    matches: bool = True
    seconds: float = 0.0
    ctm: list[str] = field(default_factory=list)
    readings: list[list[str]] = field(default_factory=list)
    insertions: list[list[str]] | None = None


def keep_part(path: Path, found: Sequence[UtteranceFeatures]) -> None:
    """Keep a finished part of a run."""
    with atomic_write(path, "wb") as file:
        file.write(msgpack.encode(found, enc_hook=lambda array: (array.shape, array.tobytes())))


def read_part(path: Path) -> list[UtteranceFeatures]:
    """A part that an earlier run kept.

    Raises:
        Damaged: it cannot be read.
    """

    def as_array(kind: type, stored: Any) -> np.ndarray:
        return np.frombuffer(stored[1], np.float32).reshape(stored[0])

    try:
        content = regular_file(path).read_bytes()
        return msgpack.decode(content, type=list[UtteranceFeatures], dec_hook=as_array)
    except (OSError, msgspec.MsgspecError, ValueError, TypeError, LookupError) as error:
        raise Damaged(f"{path} cannot be read: {one_line(error)}.", "Give `force`.") from error


def write(
    out: Output,
    workdir: WorkDir,
    config: Mapping[str, Any],
    found: Sequence[UtteranceFeatures],
    skipped: Sequence[Sequence[str]],
) -> None:
    """Write the features, ``rows.tsv``, ``phones.ctm``, ``features.json``, ``skipped.tsv``."""
    if not found:
        raise UserError("No utterance could be read.", "See the reasons above.")
    ark, scp = (f"{archive(config)}{ending}" for ending in (".ark", ".scp"))
    named = (out.final / ark).relative_to(workdir.root)
    with ArkWriter(out.path / ark, out.path / scp, str(named)) as writer:
        for one in found:
            writer.write(one.utterance, one.features)
    write_tsv(out.path / "rows.tsv", ROW_COLUMNS, [row for one in found for row in one.rows])
    if any(one.ctm for one in found):
        lines = [f"{one.utterance} {line}\n" for one in found for line in one.ctm]
        (out.path / "phones.ctm").write_text("".join(lines), encoding="utf-8")
    write_readings(out.path, [[one.utterance, *row] for one in found for row in one.readings])
    verified = [(one.utterance, one.insertions) for one in found if one.insertions is not None]
    if verified:
        write_insertions(out.path, [[name, *row] for name, rows in verified for row in rows])
    write_config(out.path, config)
    write_skipped(out.path, skipped)


def write_phone_map(folder: Path, pipeline: FeaturePipeline) -> None:
    """``phones.txt``: every label of every model with the pure phone that it counts for."""
    names = [block["name"] for block in pipeline.blocks if block["am"]]
    rows = []
    for name, model in zip(names, pipeline.models, strict=False):
        ids = dict(zip(model.labels, label_ids(model.labels, model.blank), strict=True))
        # A model may have put labels of its own together before.
        for label, column in getattr(model, "label_map", {k: k for k in ids}).items():
            rows.append((name, label, KALDI_PHONES[ids[column]], ids[column]))
    write_tsv(folder / "phones.txt", ("am", "label", "phone", "id"), rows)


def summarise(
    out: Output,
    folder: Path,
    dimension: int,
    found: Sequence[UtteranceFeatures],
    skipped: int,
) -> None:
    """``summary.json``, and ``mismatches.tsv`` with a warning where text and audio disagree."""
    gops = np.array([float(row[-1]) for one in found for row in one.rows])
    odd = [[one.utterance, f"{one.confidence:.3f}"] for one in found if not one.matches]
    if odd:
        write_tsv(out.path / "mismatches.tsv", ("utt", "confidence"), odd)
        names = [utterance for utterance, _ in odd]
        warn_of_mismatches(names, len(found), "all in mismatches.tsv")
    summary: dict[str, Any] = {
        "utterances": len(found),
        "skipped": skipped,
        "mismatches": len(odd),
        "phones": len(gops),
        "dimension": dimension,
        "audio_s": round(math.fsum(one.seconds for one in found), 2),
        "gop_mean": float(gops.mean()) if np.isfinite(gops).all() else None,
    }
    known = [(one.utterance, one.confidence) for one in found if one.confidence is not None]
    if known:
        summary["confidence_mean"] = float(np.mean([confidence for _, confidence in known]))
        write_confidence(out.path, known)
    correlation = gop_correlation(folder, found)
    if correlation is not None:
        summary["gop_phone_accuracy_pcc"] = correlation
    write_json(out.path / "summary.json", summary)
    out.counts.update({k: summary[k] for k in ("utterances", "skipped", "mismatches", "phones")})


def gop_correlation(folder: Path, found: Sequence[UtteranceFeatures]) -> float | None:
    """Pearson correlation of the scalar GOP with the phone scores of a set, where it has them."""
    if not (folder / "phone_scores.tsv").is_file():
        return None
    scores = labels.read_scores(folder).phones
    pairs = [
        (float(line[-1]), phone.accuracy)
        for one in found
        if len(scores.get(one.utterance, ())) == len(one.rows)
        for line, phone in zip(one.rows, scores[one.utterance], strict=True)
    ]
    table = np.array([pair for pair in pairs if np.isfinite(pair).all()])
    if len(table) < 2 or np.any(table.std(0) == 0):
        return None
    return float(np.corrcoef(table.T)[0, 1])
