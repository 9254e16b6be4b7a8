"""Utterances that hold the very same audio."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from speechkit.base import audio
from speechkit.base.parallel import map_items
from speechkit.kaldi.data import Utterance

POOL_FROM = 500  # fewer files are read sooner than workers would start


def digest(utterance: Utterance) -> str:
    """SHA-256 of the decoded samples (channels averaged) and their rate."""
    samples, rate = audio.read(utterance.wav, start=utterance.start, end=utterance.end)
    found = hashlib.sha256(f"{rate}\n".encode())
    found.update(samples.astype("<f4", copy=False).tobytes())
    return found.hexdigest()


def groups(
    utterances: Sequence[Utterance], jobs: int = 1, label: str = ""
) -> tuple[tuple[str, ...], ...]:
    """Groups of two ids or more whose audio is the same, sample by sample.

    Utterances that cannot be read, which other stages name, are in no group; pipes are not run.
    """
    files = [u for u in utterances if not isinstance(u.wav, audio.Pipe)]
    same: dict[str, list[str]] = {}
    jobs = jobs if len(files) >= POOL_FROM else 1
    for done in map_items(
        digest_or_none, files, jobs=jobs, chunk=64, name=lambda u: u.id, label=label
    ):
        if done.value is not None:
            same.setdefault(done.value, []).append(done.item.id)
    return tuple(tuple(sorted(ids)) for ids in same.values() if len(ids) > 1)


def digest_or_none(utterance: Utterance) -> str | None:
    """Like :func:`digest`, but None for audio that cannot be read."""
    try:
        return digest(utterance)
    except audio.AudioError:
        return None
