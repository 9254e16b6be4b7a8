"""What the recordings of a set are like, every file opened once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from speechkit.base import audio
from speechkit.base.errors import AudioError
from speechkit.base.parallel import map_items
from speechkit.base.resampler import check_rates
from speechkit.corpora.check.lenient import Row
from speechkit.kaldi.data import parse_source

_AUDIO_KINDS = {"missing", "empty", "cut", "nan"}


@dataclass(frozen=True)
class AudioFacts:
    """What was found out about a recording: its header, or why it cannot be used."""

    info: audio.Info | None
    kind: str = ""
    reason: str = ""
    opposite_phase: bool = False


def look_at(
    rows: Iterable[Row], root: Path, decode: bool, allow_pipes: bool, jobs: int
) -> dict[str, AudioFacts]:
    """Recording -> what its audio is like; every file is opened once, in parallel."""
    every = {row.key: parse_source(row.value, root) for row in rows}
    source = {
        key: value
        for key, value in every.items()
        if not isinstance(value, audio.Pipe) or (allow_pipes and decode)
    }
    items = sorted(set(source.values()), key=str)
    # A header takes some 0.1 ms, a new process half a second.
    jobs = jobs if decode or len(items) > 5000 else 1
    label = "reading audio" if decode else "reading audio headers"
    facts = {
        done.item: done.value
        for done in map_items(
            partial(_facts, decode=decode), items, jobs=jobs, chunk=64, label=label, unit="file"
        )
        if done.value is not None
    }
    return {key: facts[value] for key, value in source.items() if value in facts}


def _facts(path: str | audio.Pipe, decode: bool) -> AudioFacts:
    try:
        if isinstance(path, audio.Pipe):
            samples, rate = audio.read(path)
            return AudioFacts(audio.Info(rate, len(samples), 1))
        info = audio.info(path)
        check_rates(info.sample_rate)
        if decode:
            audio.read(path)
        opposite = decode and info.channels > 1 and audio.channel_of_path(Path(path)) is not None
        return AudioFacts(info, opposite_phase=opposite)
    except AudioError as error:
        kind = error.kind if error.kind in _AUDIO_KINDS else "unreadable"
        return AudioFacts(None, f"{kind}-audio", error.problem.rstrip("."))
