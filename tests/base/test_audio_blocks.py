"""Audio by blocks is the same as audio read whole."""

from __future__ import annotations

import errno
import io
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import voice

from speechkit.base import audio
from speechkit.base.audio import read_blocks
from speechkit.base.audio_container import WavWriter, check_wav_length
from speechkit.base.errors import AudioError, UserError
from speechkit.base.resampler import resample_blocks


def pieces(samples: np.ndarray, seed: int) -> list[np.ndarray]:
    """A signal ``[..., T]`` in pieces of random lengths, some of a single sample."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(1, 3000, 4000) ** draw.integers(0, 2, 4000)
    cuts = np.cumsum(lengths)
    return np.split(samples, cuts[cuts < samples.shape[-1]], axis=-1)


@pytest.mark.parametrize(
    ("rate", "new_rate"),
    [(16000, 8000), (8000, 16000), (44100, 8000), (8000, 44100), (48000, 16000), (22050, 16000)],
)
def test_resampling_by_blocks_has_no_seams(rate: int, new_rate: int) -> None:
    noise = np.random.default_rng(1).standard_normal((2, 50021)).astype(np.float32)
    whole = audio.resample(noise, rate, new_rate)
    joined = np.concatenate(list(resample_blocks(pieces(noise, 2), rate, new_rate)), axis=-1)
    assert joined.shape == whole.shape
    assert np.abs(joined - whole).max() < 2e-6


@pytest.mark.parametrize("length", [1, 5, 440, 441, 442])
def test_resampling_of_very_short_signals(length: int) -> None:
    noise = np.random.default_rng(3).standard_normal(length).astype(np.float32)
    joined = np.concatenate(list(resample_blocks([noise[:1], noise[1:]], 44100, 8000)))
    np.testing.assert_allclose(joined, audio.resample(noise, 44100, 8000), atol=1e-6)


def test_resampling_needs_no_more_than_a_few_blocks() -> None:
    """The first blocks come out before the last ones are read."""
    read = 0

    def blocks():
        nonlocal read
        for _ in range(100):
            read += 1
            yield np.zeros(8000, np.float32)

    next(resample_blocks(blocks(), 8000, 16000))
    assert read <= 2


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_reading_by_blocks_is_reading(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    stereo = np.stack([voice(120, 2.3), voice(200, 2.3)], axis=1)
    soundfile.write(path, stereo, 16000)
    blocks = list(read_blocks(path, seconds=0.37))
    assert {len(block) for block in blocks[:-1]} == {5920}
    np.testing.assert_allclose(np.concatenate(blocks), audio.read(path)[0], atol=1e-7)


def test_broken_audio_is_refused_where_it_breaks(tmp_path: Path) -> None:
    samples = voice(120, 1.0)
    samples[12000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"nan.wav: a sample at 0.750 s is NaN"):
        list(read_blocks(tmp_path / "nan.wav", 0.2))
    (tmp_path / "no.wav").write_text("not audio")
    with pytest.raises(AudioError, match="cannot be decoded"):
        list(read_blocks(tmp_path / "no.wav"))
    soundfile.write(tmp_path / "cut.flac", voice(120, 3.0), 16000)
    whole = (tmp_path / "cut.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AudioError):
        list(read_blocks(tmp_path / "cut.flac", 0.5))


def test_wav_writer_rounds_and_clips(tmp_path: Path) -> None:
    with (tmp_path / "a.wav").open("wb") as raw, WavWriter(raw, 12345) as file:
        file.write(np.array([0, 0.5, -1]))
        file.write(np.array([1.0, -7, 0.6 / 32768]))
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 12345, 6)
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert samples.tolist() == [0, 16384, -32768, 32767, -32768, 1]


def test_a_full_disk_is_an_os_error() -> None:
    class Full(io.BytesIO):
        def write(self, data) -> int:
            if self.tell() + len(data) > 100:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    with pytest.raises(OSError, match="No space"), WavWriter(Full(), 8000) as file:
        file.write(np.zeros(10))
        file.write(np.zeros(100))


def test_too_long_for_a_wav_file() -> None:
    check_wav_length(Path("a.wav"), 3600 * 24 * 8000, 8000)
    with pytest.raises(UserError, match=r"a\.wav: is 24\.0 h long.*at most 6\.2 h"):
        check_wav_length(Path("a.wav"), 3600 * 24 * 48000, 48000)
