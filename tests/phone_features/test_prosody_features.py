"""The prosodic block on sounds whose pitch, energy and pauses are known."""

from __future__ import annotations

import numpy as np
import pytest

from speechkit.phone_features import prosody
from speechkit.phone_features.prosody import COLUMNS, PITCH, prosody_block

RATE = 16000


def tone(f0: float, seconds: float, level: float = 0.1, end: float | None = None) -> np.ndarray:
    """Harmonics of a pitch that glides from ``f0`` to ``end``."""
    count = round(seconds * RATE)
    pitch = np.geomspace(f0, end or f0, count)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return level * sum(np.sin(k * phase) / k for k in (1, 2, 3, 4))


def noise(seconds: float, level: float = 0.01) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal(round(seconds * RATE))


def block(samples, spans, words=None, rate: int = RATE) -> dict[str, np.ndarray]:
    starts, ends = np.array(spans, dtype=float).T
    words = np.array(words or [0] * len(spans))
    found = prosody_block(np.asarray(samples, dtype=np.float32), rate, starts, ends, words)
    assert found.shape == (len(spans), len(COLUMNS)) and np.isfinite(found).all()
    return dict(zip(COLUMNS, found.T, strict=True))


def test_durations_rate_and_pauses():
    spans = [(0.2, 0.3), (0.3, 0.5), (0.8, 1.0)]
    found = block(noise(1.2), spans, [0, 0, 1])
    assert found["log_duration"] == pytest.approx(np.log([0.1, 0.2, 0.2]))
    relative = np.log([0.1, 0.2, 0.2])
    assert found["relative_duration"] == pytest.approx(relative - relative.mean())
    assert found["rate"] == pytest.approx([np.log(3 / 0.5)] * 3)
    assert found["speech_share"] == pytest.approx([np.log(0.5 / 0.8)] * 3)
    assert found["pause_before"] == pytest.approx(np.log1p([2, 0, 3]))
    assert found["pause_after"] == pytest.approx(np.log1p([0, 3, 2]))
    assert found["place_in_word"].tolist() == [0, 1, 0.5]
    assert found["word_length"] == pytest.approx(np.log([2, 2, 1]))


def test_without_pitch_the_other_columns_stay_and_praat_is_not_asked(monkeypatch):
    samples, spans = np.concatenate([tone(200, 0.4), noise(0.2)]), [(0.0, 0.2), (0.2, 0.4)]
    whole = block(samples, spans)
    monkeypatch.setattr(prosody, "praat", lambda: pytest.fail("Praat was asked"))
    starts, ends = np.array(spans).T
    found = prosody_block(samples, RATE, starts, ends, np.array([0, 1]), pitch=False)
    names = prosody.columns(pitch=False)
    assert len(names) == 9 and set(COLUMNS) - set(names) == set(PITCH)
    expected = whole | {"place_in_word": [0.5, 0.5], "word_length": [0.0, 0.0]}
    for name, column in zip(names, found.T, strict=True):
        assert column == pytest.approx(expected[name], abs=1e-6), name


def test_energy_is_in_tens_of_decibels_about_the_mean():
    samples = np.concatenate([tone(200, 0.2, 0.1), tone(200, 0.2, 0.01)])
    found = block(samples, [(0, 0.2), (0.2, 0.4)])
    assert found["energy"] == pytest.approx([1, -1], abs=1e-3)
    louder = block(3 * samples, [(0, 0.2), (0.2, 0.4)])
    for name, values in found.items():
        assert louder[name] == pytest.approx(values, abs=1e-3), name


def test_pitch_in_octaves_about_the_median():
    samples = np.concatenate([tone(200, 0.4), noise(0.3), tone(400, 0.3), tone(150, 0.4, end=300)])
    spans = [(0.05, 0.35), (0.45, 0.65), (0.75, 0.95), (1.05, 1.35)]
    found = block(samples, spans)
    assert found["f0"][2] - found["f0"][0] == pytest.approx(1, abs=0.03)
    assert found["voiced"] == pytest.approx([1, 0, 1, 1])
    assert found["f0"][1] == found["f0_slope"][1] == found["f0_range"][1] == 0
    assert found["f0_slope"][0] == pytest.approx(0, abs=0.03)
    assert found["f0_slope"][3] == pytest.approx(0.75, abs=0.06)  # 0.3 of 0.4 s of an octave
    assert found["f0_range"][3] == pytest.approx(0.72, abs=0.06)


def test_silence_short_audio_and_low_rates():
    found = block(np.zeros(RATE), [(0.1, 0.2), (0.2, 0.9)])
    assert not found["f0"].any() and not found["voiced"].any() and not found["energy"].any()
    block(noise(0.03), [(0.0, 0.03)])
    block(noise(0.5)[::8], [(0.1, 0.2), (0.2, 0.5)], rate=2000)


def test_nothing_depends_on_what_follows_but_the_last_pause():
    samples, spans = noise(1.0), [(0.1, 0.3), (0.3, 0.6)]
    short = block(samples, spans)
    long = block(np.concatenate([samples, np.zeros(RATE)]), spans)
    for name, values in short.items():
        kept = values[:-1] if name == "pause_after" else values
        assert long[name][: len(kept)] == pytest.approx(kept, abs=1e-6), name


def test_an_offset_is_no_energy():
    samples = np.concatenate([tone(200, 0.2, 0.1), tone(200, 0.2, 0.01)])
    spans = [(0, 0.2), (0.2, 0.4)]
    plain = block(samples, spans)["energy"]
    assert block(samples + 0.3, spans)["energy"] == pytest.approx(plain, abs=1e-3)
    assert not block(np.full(RATE, 0.3), spans)["energy"].any()
