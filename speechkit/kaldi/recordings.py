"""What the recordings of a set are like, every file opened once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from speechkit import audio
from speechkit.errors import AudioError
from speechkit.kaldi.lenient import Row
from speechkit.names import on_disk
from speechkit.parallel import map_items

_AUDIO_KINDS = {"missing", "empty", "cut", "nan"}


@dataclass(frozen=True)
class AudioFacts:
    """What was found out about a recording: its header, or why it cannot be used."""

    info: audio.Info | None
    kind: str = ""
    reason: str = ""


def look_at(
    rows: Iterable[Row], root: Path, decode: bool, allow_pipes: bool, jobs: int
) -> dict[str, AudioFacts]:
    """Recording -> what its audio is like; every file is opened once, in parallel."""
    source: dict[str, str] = {}
    for row in rows:
        if not row.value.endswith("|"):
            source[row.key] = str(on_disk(root / row.value))
        elif allow_pipes and decode:
            source[row.key] = row.value
    items = sorted({value for value in source.values() if value})
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


def _facts(path: str, decode: bool) -> AudioFacts:
    try:
        if path.endswith("|"):
            samples, rate = audio.read(path)
            return AudioFacts(audio.Info(rate, len(samples), 1))
        info = audio.info(path)
        if decode:
            audio.read(path)
        return AudioFacts(info)
    except AudioError as error:
        kind = error.kind if error.kind in _AUDIO_KINDS else "unreadable"
        return AudioFacts(None, f"{kind}-audio", error.problem.rstrip("."))
