"""What ``extract-gop`` and ``extract-deep`` write: features, rows, phones, and a summary."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.acoustic.lexicon.readings import write_readings
from speechkit.base.arrays import read_arrays
from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.base.schema import parse_json
from speechkit.base.tables import write_json, write_skipped, write_tsv
from speechkit.kaldi.ark import ArkWriter
from speechkit.labels import score_files as labels
from speechkit.labels.phones import KALDI_PHONES
from speechkit.phone_features.feature_folder import ROW_COLUMNS, archive, write_config
from speechkit.phone_features.gop import label_ids
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.workdir import Output, WorkDir


@dataclass
class Found:
    """Features of some utterances, as a worker sends them and a part keeps them.

    Args:
        ids: utterances.
        features: one ``[P, D]`` each (``[T, D]`` of frames).
        rows: lines of ``rows.tsv`` of each.
        ctm: lines of ``phones.ctm`` of each, without the utterance; none where not wanted.
        confidences: of the alignments.
        matches: whether text and audio belong together.
        seconds: of audio.
        skipped: (utterance, reason).
        readings: lines of ``readings.tsv`` of each, without the utterance.
    """

    ids: list[str]
    features: list[np.ndarray]
    rows: list[list[list[str]]]
    confidences: list[float]
    matches: list[bool]
    seconds: float
    skipped: list[list[str]]
    ctm: list[list[str]] = field(default_factory=list)
    readings: list[list[list[str]]] = field(default_factory=list)

    @classmethod
    def empty(cls) -> Found:
        return cls([], [], [], [], [], 0.0, [])

    def extend(self, other: Found) -> None:
        """Add those of another."""
        per_utterance = ("ids", "features", "rows", "confidences", "matches", "ctm", "readings")
        for name in (*per_utterance, "skipped"):
            getattr(self, name).extend(getattr(other, name))
        self.seconds += other.seconds

    def save(self, path: Path) -> None:
        """Keep a finished part."""
        measures = (self.confidences, self.matches, self.seconds)
        lines = json.dumps([self.ids, self.rows, *measures, self.ctm, self.readings])
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            lengths = [len(f) for f in self.features]
            np.savez(
                file, lines=np.array(lines), lengths=lengths, rows=np.concatenate(self.features)
            )
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> Found:
        """A part that an earlier run kept."""
        part = read_arrays(path, ("lines", "rows", "lengths"))
        lines = parse_json(str(part["lines"]), list[Any], str(path))
        ids, rows, confidences, matches, seconds, *more = lines
        features = np.split(part["rows"], np.cumsum(part["lengths"])[:-1])
        ctm, readings = (*more, [], [])[:2]
        readings = readings or [[] for _ in ids]  # a part of a run before there were readings
        return cls(ids, features, rows, confidences, matches, seconds, [], ctm, readings)


def write(out: Output, workdir: WorkDir, config: Mapping[str, Any], found: Found) -> None:
    """Write the features, ``rows.tsv``, ``phones.ctm``, ``features.json``, ``skipped.tsv``."""
    if not found.ids:
        raise UserError("No utterance could be read.", "See the reasons above.")
    ark, scp = (f"{archive(config)}{ending}" for ending in (".ark", ".scp"))
    named = (out.final / ark).relative_to(workdir.root)
    with ArkWriter(out.path / ark, out.path / scp, str(named)) as writer:
        for utterance, features in zip(found.ids, found.features, strict=True):
            writer.write(utterance, features)
    write_tsv(out.path / "rows.tsv", ROW_COLUMNS, [r for rows in found.rows for r in rows])
    if found.ctm:
        pairs = zip(found.ids, found.ctm, strict=True)
        text = "".join(f"{utterance} {line}\n" for utterance, lines in pairs for line in lines)
        (out.path / "phones.ctm").write_text(text, encoding="utf-8")
    read = zip(found.ids, found.readings, strict=bool(found.readings))  # none of imported ones
    write_readings(out.path, [[u, *row] for u, rows in read for row in rows])
    write_config(out.path, config)
    write_skipped(out.path, found.skipped)


def write_phone_map(folder: Path, pipeline: FeaturePipeline) -> None:
    """``phones.txt``: every label of every model with the pure phone that it counts for."""
    write_tsv(folder / "phones.txt", ("am", "label", "phone", "id"), list(_phone_map(pipeline)))


def _phone_map(pipeline: FeaturePipeline) -> Iterator[list[str]]:
    names = [block["name"] for block in pipeline.blocks if block["am"]]
    for name, model in zip(names, pipeline.models, strict=False):
        ids = dict(zip(model.labels, label_ids(model.labels, model.blank), strict=True))
        # A model may have put labels of its own together before.
        for label, column in getattr(model, "label_map", {k: k for k in ids}).items():
            yield [name, label, KALDI_PHONES[ids[column]], str(ids[column])]


def summarise(out: Output, folder: Path, dimension: int, found: Found) -> None:
    """``summary.json``, and ``mismatches.tsv`` with a warning where text and audio disagree.

    Args:
        out: the output.
        folder: of the set.
        dimension: number of columns.
        found: everything; imported features have no confidences.
    """
    gops = np.array([float(row[-1]) for rows in found.rows for row in rows])
    summary: dict[str, Any] = {
        "utterances": len(found.ids),
        "skipped": len(found.skipped),
        "mismatches": _report_mismatches(out, found),
        "phones": len(gops),
        "dimension": dimension,
        "audio_s": round(found.seconds, 2),
        "gop_mean": float(gops.mean()) if np.isfinite(gops).all() else None,
    }
    if found.confidences:
        summary["confidence_mean"] = float(np.mean(found.confidences))
    correlation = gop_correlation(folder, found.ids, found.rows)
    if correlation is not None:
        summary["gop_phone_accuracy_pcc"] = correlation
    write_json(out.path / "summary.json", summary)
    out.counts.update({k: summary[k] for k in ("utterances", "skipped", "mismatches", "phones")})


def _report_mismatches(out: Output, found: Found) -> int:
    odd = [
        [utterance, f"{confidence:.3f}"]
        for utterance, confidence, good in zip(
            found.ids, found.confidences, found.matches, strict=False
        )
        if not good
    ]
    if odd:
        write_tsv(out.path / "mismatches.tsv", ("utt", "confidence"), odd)
        some = ", ".join(row[0] for row in odd[:5])
        logger.warning(
            f"The text of {len(odd)} utterances probably does not match their audio: {some}"
            f"{', ...' if len(odd) > 5 else ''} (all in mismatches.tsv)."
        )
    return len(odd)


def gop_correlation(
    folder: Path, ids: Sequence[str], rows: Sequence[Sequence[Sequence[str]]]
) -> float | None:
    """Pearson correlation of the scalar GOP with the phone scores of a set, where it has them."""
    if not (folder / "phone_scores.tsv").is_file():
        return None
    scores = labels.read_scores(folder).phones
    pairs = [
        (float(line[-1]), phone.accuracy)
        for utterance, lines in zip(ids, rows, strict=True)
        if len(scores.get(utterance, ())) == len(lines)
        for line, phone in zip(lines, scores[utterance], strict=True)
    ]
    table = np.array([pair for pair in pairs if np.isfinite(pair).all()])
    if len(table) < 2 or np.any(table.std(0) == 0):
        return None
    return float(np.corrcoef(table.T)[0, 1])
