"""One recording as it was sent to what is answered: the plain data of JSON, and its types."""

from __future__ import annotations

import base64
import io
from typing import Any, NotRequired, Optional

import numpy as np
from typing_extensions import TypedDict  # Pydantic asks for it below Python 3.12

from speechkit.base import audio
from speechkit.base.audio_container import WavWriter
from speechkit.base.errors import AudioError, SharedError, UserError
from speechkit.phone_features.prosody import F0_STEP, pitch_track
from speechkit.pronunciation.result import in_ipa
from speechkit.sharing.load import NAME, EmotionRecogniser, Scorer, SpeechSeparator

MOST_CHANNELS = 8
MOST_TEXT = 1000  # characters
_CURVE_RATE = 16000  # Hz
_FRAME, _HOP = 400, 160  # samples, of the energy
_SILENCE = 1e-10  # power, -100 dB
Ends = list[float]
"""Lowest and highest value of a score."""


def decode(data: bytes, max_seconds: float) -> tuple[np.ndarray, int]:
    """Mono float32 samples ``[N]`` of an audio file in memory, and their rate in Hz.

    Args:
        data: the file; its length is read from its header before it is decoded.
        max_seconds: of the longest that is taken.

    Raises:
        UserError: it is too long, has too many channels, or is no audio.
    """
    held = audio.Held(data, NAME)
    found = audio.info(held)
    if found.seconds > max_seconds:
        raise AudioError(
            f"The {NAME} is {found.seconds:.1f} s long; at most {max_seconds:g} s are taken.",
            "Send a part of it.",
        )
    if found.channels > MOST_CHANNELS:
        raise AudioError(f"The {NAME} has {found.channels} channels.", "Send one or two.")
    return audio.read(held)


def pronunciation(
    scorer: Scorer, data: bytes, text: str, ipa: bool, max_seconds: float
) -> dict[str, Any]:
    """What ``predict pronunciation --json`` says of the file, and its curves.

    Raises:
        UserError: it cannot be scored.
    """
    if len(text) > MOST_TEXT:
        raise UserError(f"The text has {len(text)} characters.", f"At most {MOST_TEXT} are taken.")
    samples, rate = decode(data, max_seconds)
    result = scorer.score(samples, rate, text)
    found = (in_ipa(result) if ipa else result).as_dict()
    del found["file"]
    return {**found, "curves": curves(samples, rate)}


def separation(separator: SpeechSeparator, data: bytes, max_seconds: float) -> dict[str, Any]:
    """The speakers as WAV files of 16 bits in base64.

    Raises:
        UserError: it cannot be separated.
    """
    samples, rate = decode(data, max_seconds)
    sources = separator.separate(samples, rate)
    return {
        "seconds": round(len(samples) / rate, 3),
        "sample_rate": rate,
        "sources": [
            {"name": f"speaker {number}", "wav": base64.b64encode(wav(source, rate)).decode()}
            for number, source in enumerate(sources, 1)
        ],
    }


def emotion(recogniser: EmotionRecogniser, data: bytes, max_seconds: float) -> dict[str, Any]:
    """What ``predict emotion --json`` says of the file.

    Raises:
        UserError: it cannot be judged.
    """
    found = recogniser.emotions(*decode(data, max_seconds)).row()
    return {name: value for name, value in found.items() if name not in ("input", "files")}


def wav(samples: np.ndarray, rate: int) -> bytes:
    """A WAV file of 16 bits of samples ``[N]``."""
    file = io.BytesIO()
    with WavWriter(file, rate) as writer:
        writer.write(samples)
    return file.getvalue()


def curves(samples: np.ndarray, rate: int) -> dict[str, Any]:
    """Pitch and energy over time, to be drawn.

    Args:
        samples: ``[N]``, full scale 1.
        rate: in Hz.

    Returns:
        ``pitch_hz`` and ``energy_db``, each with ``start`` and ``step`` in seconds and ``values``,
        one a frame: f0 by Praat's autocorrelation, None where unvoiced (without Praat no values);
        power about the mean of 25 ms in dB of full scale.
    """
    wide = audio.resample(samples, rate, _CURVE_RATE)
    try:
        times, octaves = pitch_track(wide, _CURVE_RATE)
    except SharedError:  # Praat is not there: no pitch is drawn
        times = octaves = np.empty(0)
    pitch = [None if np.isnan(each) else round(float(2**each), 1) for each in octaves]
    frames = np.lib.stride_tricks.sliding_window_view(
        np.pad(wide, (0, max(0, _FRAME - len(wide)))), _FRAME
    )
    level = 10 * np.log10(frames[::_HOP].var(axis=1) + _SILENCE)
    start = float(times[0]) if len(times) else 0.0
    return {
        "pitch_hz": {"start": round(start, 4), "step": F0_STEP, "values": pitch},
        "energy_db": {
            "start": _FRAME / 2 / _CURVE_RATE,
            "step": _HOP / _CURVE_RATE,
            "values": np.round(level, 1).tolist(),
        },
    }


class Failure(TypedDict):
    """Why there is no answer: one sentence, and what to do."""

    error: str
    remedy: str


class Phone(TypedDict):
    """A phone: times in seconds; of a suspect one what was heard in its place (null: nothing)."""

    phone: str
    start: float
    end: float
    suspect: bool
    accuracy: NotRequired[float]
    likely: NotRequired[str]
    heard: NotRequired[Optional[str]]  # noqa: UP045
    advantage_nats: NotRequired[float]
    heard_probability: NotRequired[float]


class Word(TypedDict):
    """A word: its scores, whether it was said (status), and its phones."""

    word: str
    start: float
    end: float
    accuracy: NotRequired[float]
    stress: NotRequired[float]
    total: NotRequired[float]
    pronunciation: str
    said_llr_nats: NotRequired[float]
    status: NotRequired[str]
    p_said: NotRequired[float]
    p_substitution: NotRequired[float]
    p_omission: NotRequired[float]
    raw: NotRequired[dict[str, float]]
    phones: list[Phone]


class Insertion(TypedDict):
    """What was said and stands in no text."""

    start: float
    end: float
    phones: list[str]


class Curve(TypedDict):
    """Values from ``start``, every ``step`` seconds; null where there is none."""

    start: float
    step: float
    values: list[Optional[float]]  # noqa: UP045


class Pronunciation(TypedDict):
    """The scores of a recording, on the scales that it states."""

    text: str
    seconds: float
    matches: bool
    confidence: float
    scales: dict[str, dict[str, Ends]]
    utterance: dict[str, float]
    spread_over_seeds: dict[str, float]
    words: list[Word]
    readings: NotRequired[list[dict]]
    insertions: NotRequired[list[Insertion]]
    curves: dict[str, Curve]


class Source(TypedDict):
    """A speaker: a WAV file of 16 bits in base64."""

    name: str
    wav: str


class Separation(TypedDict):
    """The speakers of a mixture, at its rate and length."""

    seconds: float
    sample_rate: int
    sources: list[Source]


class Part(TypedDict):
    """What was heard from ``start`` to ``end`` in seconds; null where it is silent."""

    start: float
    end: float
    label: Optional[str]  # noqa: UP045
    probabilities: Optional[dict[str, float]]  # noqa: UP045


class Emotion(TypedDict):
    """The emotion of a recording and of its windows."""

    seconds: float
    label: Optional[str]  # noqa: UP045
    silent: bool
    probabilities: Optional[dict[str, float]]  # noqa: UP045
    windows: list[Part]


class Model(TypedDict):
    """Whether a task can be asked, and else the command after which it can."""

    ready: bool
    model: str
    command: str


class About(TypedDict):
    """What is served."""

    version: str
    models: dict[str, Model]
    max_megabytes: float
    max_seconds: float
