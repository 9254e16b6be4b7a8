"""An alignment as TextGrids of Praat, one a recording: tiers of words, phones and confidences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechkit.base import audio
from speechkit.base.audio_file import Pipe
from speechkit.base.files import make_dirs
from speechkit.base.tables import grouped
from speechkit.base.textgrid import Interval, Tier, textgrid
from speechkit.kaldi.data import DataDir, Utterance, read_table
from speechkit.kaldi.segments import Segment
from speechkit.labels.phones import SILENCE

Row = Mapping[str, Any]


def write_textgrids(folder: Path, dataset: DataDir, rows: Sequence[Row], shift: float) -> None:
    """Write ``<recording>.TextGrid`` of every recording that has an aligned utterance.

    Args:
        folder: which is made.
        dataset: the set; its recordings are the keys of ``wav.scp``.
        rows: of :func:`speechkit.acoustic.align.stage.make_row`.
        shift: from frame to frame in seconds.
    """
    make_dirs(folder)
    row_of = {row["utt"]: row for row in rows}
    recording_of = _recordings(dataset)
    aligned = [utterance for utterance in dataset.utterances if utterance.id in row_of]
    together = grouped(aligned, lambda utterance: recording_of[utterance.id])
    for recording, members in together.items():
        members.sort(key=lambda utterance: utterance.start)
        seconds = _seconds(members, row_of, shift)
        text = textgrid(list(_tiers(members, row_of)), seconds)
        (folder / f"{recording.replace('/', '%2F')}.TextGrid").write_text(text, encoding="utf-8")


def _recordings(dataset: DataDir) -> dict[str, str]:
    """Utterance -> the recording that it is a part of."""
    segments = dataset.path / "segments"
    if not segments.is_file():
        return {utterance.id: utterance.id for utterance in dataset.utterances}
    return {utt: Segment.parse(line).recording for utt, line in read_table(segments).items()}


def _seconds(members: Sequence[Utterance], row_of: Mapping[str, Row], shift: float) -> float:
    wav = members[0].wav
    if not isinstance(wav, Pipe):
        return audio.info(wav).seconds
    return max(u.end or u.start + len(row_of[u.id]["states"]) * shift for u in members)


def _tiers(members: Sequence[Utterance], row_of: Mapping[str, Row]) -> Iterator[Tier]:
    """Those of each speaker; with the speaker's name where there are several."""
    speakers = list(dict.fromkeys(utterance.speaker for utterance in members))
    for speaker in speakers:
        words: list[Interval] = []
        phones: list[Interval] = []
        for utterance in members:
            if utterance.speaker == speaker:
                words += _intervals(row_of[utterance.id]["words"], utterance.start)
                phones += _intervals(row_of[utterance.id]["phones"], utterance.start)
        scores = [word._replace(label=f"{word.share:.2f}") for word in words]
        whose = f"{speaker} - " if len(speakers) > 1 else ""
        yield Tier(f"{whose}words", words)
        yield Tier(f"{whose}phones", [phone for phone in phones if phone.label != SILENCE])
        yield Tier(f"{whose}scores", scores)


def _intervals(lines: Sequence[str], offset: float) -> Iterator[Interval]:
    """Of lines ``1 start duration label confidence``."""
    for line in lines:
        _, start, length, label, confidence = line.split(" ")
        begin = offset + float(start)
        yield Interval(begin, begin + float(length), label, float(confidence))
