"""Short audio clips for players, small enough for one page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from speechkit.base import audio
from speechkit.base.audio import centred
from speechkit.base.errors import UserError
from speechkit.kaldi import data
from speechkit.report.model import Player
from speechkit.workdir import WorkDir

SECONDS = 4.0
RATE = 16000


def encode(samples: np.ndarray, rate: int) -> tuple[bytes, str]:
    """MP3 where libsndfile writes it (every browser plays it), else WAV; with its MIME type."""
    import soundfile

    buffer = io.BytesIO()
    if "MP3" in soundfile.available_formats():
        soundfile.write(buffer, samples, rate, format="MP3")
        return buffer.getvalue(), "audio/mpeg"
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue(), "audio/wav"


def clip(utterance: data.Utterance, seconds: float = SECONDS) -> tuple[bytes, str]:
    """The beginning of an utterance, scaled to a common level."""
    end = utterance.start + seconds
    samples, rate = audio.read(utterance.wav, RATE, utterance.start)
    samples = samples[: round((end - utterance.start) * rate)]
    samples = centred(samples).astype(np.float32)
    peak = float(np.abs(samples).max()) or 1.0
    return encode(0.7 * samples / peak, rate)


def of_speaker_pairs(
    workdir: WorkDir, set_name: str, pairs: Sequence[dict[str, Any]]
) -> list[Player]:
    """One clip of each speaker of each pair; utterances that cannot be read are left out."""
    found = data.load(workdir.data(set_name), workdir.root, allow_pipes=True)  # none is run
    players = []
    for pair in pairs:
        for key in ("speaker_a", "speaker_b"):
            own = (u for u in found.utterances if u.speaker == pair[key])
            utterances = [u for u in own if not isinstance(u.wav, audio.Pipe)]
            try:
                sound, mime = clip(utterances[0])
            except (UserError, IndexError):
                continue
            other = pair["speaker_b" if key == "speaker_a" else "speaker_a"]
            players.append(Player(sound, mime, f"{pair[key]} (hard for {other})"))
    return players
