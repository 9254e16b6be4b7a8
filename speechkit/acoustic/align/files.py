"""The files of an alignment: ctm, states, label table, utterances, summary."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.acoustic.align.alignment import Alignment, Segment
from speechkit.acoustic.base import AcousticModel, Evidence
from speechkit.acoustic.lexicon.readings import Reading, write_readings
from speechkit.base.tables import write_json, write_tsv
from speechkit.kaldi.ark import ArkWriter
from speechkit.labels.phones import SILENCE, kaldi_name

COLUMNS = ("utt", "frames", "confidence", "matches")
Row = dict[str, Any]


def make_row(
    utterance: str,
    texts: Sequence[str],
    model: AcousticModel,
    evidence: Evidence,
    alignment: Alignment,
    readings: Sequence[Reading] = (),
) -> Row:
    """What the files need of an utterance, as JSON can hold it."""
    return {
        "utt": utterance,
        "phones": list(phone_lines(model, evidence, alignment)),
        "words": list(_word_lines(model, texts, alignment.segments)),
        "states": alignment.states.tolist(),
        "confidence": round(alignment.confidence, 6),
        "matches": alignment.matches,
        "phone_frames": sum(segment.frames for segment in alignment.segments),
        "score": statistics.fmean(segment.score for segment in alignment.segments),
        "readings": [reading.cells() for reading in readings],
    }


def _line(model: AcousticModel, start: int, end: int, what: str, score: float) -> str:
    """A ctm line without its utterance: ``1 start duration what confidence``."""
    begin, length = start * model.frame_shift, (end - start) * model.frame_shift
    return f"1 {begin:.4f} {length:.4f} {what} {math.exp(score):.4f}"


def phone_lines(model: AcousticModel, evidence: Evidence, alignment: Alignment) -> Iterator[str]:
    """Lines of ``phones.ctm`` without their utterance: phones and silences in order of time."""
    blank = model.blank if model.topology == "ctc" else None
    silent = [
        i for i, label in enumerate(model.labels) if kaldi_name(label) == SILENCE or i == blank
    ]
    posteriors = evidence.log_posteriors[:, silent].logsumexp(1).cpu().numpy()
    parts = [(s.start_frame, s.end_frame, s.phone, s.score) for s in alignment.segments]
    for start, end in alignment.silences:
        parts.append((start, end, SILENCE, float(posteriors[start:end].mean())))
    for start, end, phone, score in sorted(parts):
        yield _line(model, start, end, phone, score)


def _word_lines(
    model: AcousticModel, texts: Sequence[str], segments: Sequence[Segment]
) -> Iterator[str]:
    for word, group in groupby(segments, key=lambda segment: segment.word):
        phones = list(group)
        score = statistics.fmean(phone.score for phone in phones)
        name = texts[word] or f"<word-{word}>"
        yield _line(model, phones[0].start_frame, phones[-1].end_frame, name, score)


def write_rows(folder: Path, ark: str, labels: Sequence[str], rows: Sequence[Row]) -> None:
    """Write everything but the summary.

    Args:
        folder: where.
        ark: how ``ali.scp`` names the archive.
        labels: of the acoustic model.
        rows: of :func:`make_row`.
    """
    for kind in ("phones", "words"):
        lines = [f"{row['utt']} {line}\n" for row in rows for line in row[kind]]
        (folder / f"{kind}.ctm").write_text("".join(lines), encoding="utf-8")
    with ArkWriter(folder / "ali.ark", folder / "ali.scp", ark) as writer:
        for row in rows:
            writer.write(row["utt"], np.array(row["states"], np.int32))
    table = "".join(f"{label} {number}\n" for number, label in enumerate(labels))
    (folder / "phones.txt").write_text(table, encoding="utf-8")
    cells = [
        [r["utt"], str(len(r["states"])), f"{r['confidence']:.4f}", "yes" if r["matches"] else "no"]
        for r in rows
    ]
    write_tsv(folder / "utterances.tsv", COLUMNS, cells)
    # Parts of runs before there were readings have none.
    lines_of = [[row["utt"], *line] for row in rows for line in row.get("readings", ())]
    write_readings(folder, lines_of)


def write_summary(folder: Path, shift: float, rows: Sequence[Row], skipped: int) -> dict[str, Any]:
    """Write ``summary.json`` and return its values."""
    frames = sum(len(row["states"]) for row in rows)
    confidences = sorted(row["confidence"] for row in rows)
    summary = {
        "utterances": len(rows),
        "skipped": skipped,
        "mismatches": sum(not row["matches"] for row in rows),
        "words": sum(len(row["words"]) for row in rows),
        "phones": sum(sum(" SIL " not in line for line in row["phones"]) for row in rows),
        "audio_s": round(frames * shift, 3),
        "frame_shift_s": shift,
        "silence_fraction": 1 - sum(row["phone_frames"] for row in rows) / frames,
        "confidence_median": statistics.median(confidences),
        "confidence_p05": float(np.percentile(confidences, 5)),
        "log_posterior_mean": statistics.fmean(row["score"] for row in rows),
    }
    write_json(folder / "summary.json", summary)
    return summary
