"""Samples in memory are what a file of the same samples is read as, to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechkit.base import audio, audio_array
from speechkit.base.errors import AudioError

RATE = 16000


def sound(channels: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.uniform(-0.9, 0.9, (RATE, channels)) * np.linspace(0.1, 1, channels)


@pytest.mark.parametrize("kind", ["int16", "int32", "uint8", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_an_array_is_read_as_its_file(tmp_path: Path, kind: str, channels: int) -> None:
    given = sound(channels)
    if not kind.startswith("float"):
        ends = np.iinfo(kind)
        middle, half = (float(ends.max) + ends.min) / 2, (float(ends.max) - ends.min) / 2
        given = np.round(middle + given * half)
    given = given.astype(kind)
    subtype = {"int16": "PCM_16", "int32": "PCM_32", "uint8": "PCM_U8", "float32": "FLOAT"}
    file = tmp_path / "a.wav"
    written = ((given.astype(np.int16) - 128) * 256) if kind == "uint8" else given
    soundfile.write(file, written, RATE, subtype=subtype.get(kind, "DOUBLE"))
    read, rate = audio.read(file)
    found = audio_array.mono(given.T if channels > 1 else given[:, 0], RATE, "a")
    assert rate == RATE and found.dtype == np.float32
    np.testing.assert_array_equal(found, read)
    blocks = list(audio_array.blocks(np.tile(found, 21), RATE))
    assert [len(block) for block in blocks] == [10 * RATE, 10 * RATE, RATE]


def test_channels_in_opposite_phase_are_not_averaged(tmp_path: Path) -> None:
    wave = sound(1)[:, 0].astype(np.float32)
    both = np.stack([0.9 * wave, -wave])
    soundfile.write(tmp_path / "a.wav", both.T, RATE, subtype="FLOAT")
    found = audio_array.mono(both, RATE, "a")
    np.testing.assert_array_equal(found, audio.read(tmp_path / "a.wav")[0])
    np.testing.assert_array_equal(found, -wave)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(0, np.float32), RATE, "holds no samples"),
        (np.zeros((0, 9), np.float32), RATE, "holds no samples"),
        (np.zeros((RATE, 2), np.float32), RATE, r"shape \(16000, 2\)"),
        (np.zeros((2, 3, 4), np.float32), RATE, r"shape \(2, 3, 4\)"),
        (np.float32(1), RATE, r"shape \(\)"),
        (np.zeros(9, np.int64), RATE, "are int64"),
        (np.zeros(9, complex), RATE, "are complex128"),
        (np.zeros(9, bool), RATE, "are bool"),
        (torch.zeros(9, requires_grad=True), RATE, "are no array of numbers"),
        (b"RIFF", RATE, "a: a path is given"),
        ("my.wav", RATE, r"a path is given \('my.wav'\), not samples"),
        ([[0.0, 1.0], [0.0]], RATE, "are no array of numbers"),
        (np.array([0, np.nan, 1.0]), RATE, "has 1 of 3 samples NaN or infinite"),
        (np.array([0, 1e300, 1.0]), RATE, "has 1 of 3 samples NaN or infinite"),
        (np.zeros(9), 16000.5, "16000.5 is not a sample rate"),
        (np.zeros(9), "16k", "'16k' is not a sample rate"),
        (np.zeros(9), True, "True is not a sample rate"),
        (np.zeros(9), 0, "0 Hz cannot be resampled"),
    ],
)
def test_what_is_no_audio(samples: object, rate: object, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        audio_array.mono(samples, rate, "a")  # type: ignore[arg-type]


def test_samples_that_cannot_be_written_are_copied() -> None:
    given = np.frombuffer(np.ones(9, np.float32).tobytes(), np.float32)
    found = audio_array.mono(given, RATE, "a")
    assert found.flags.writeable and not np.shares_memory(found, given)
