"""Reading audio: parts, rates, several channels; levels."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import voice
from scipy.signal import resample_poly

from speechkit.base import audio, log, resampler
from speechkit.base.audio import CANCELLED, FLOOR_DB, centred, level_db, louder, power, read_blocks
from speechkit.base.errors import AudioError

RATE = 16000


@pytest.fixture(autouse=True)
def hear(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("speechkit"), "propagate", True)
    log.forget_notes()


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "a.wav", voice(120, 1.0), RATE)
    return tmp_path / "a.wav"


@pytest.mark.parametrize(
    ("suffix", "form", "subtype", "tolerance"),
    [
        ("wav", "WAV", "PCM_16", 2**-15),
        ("wav", "WAV", "PCM_24", 2**-23),
        ("wav", "WAV", "FLOAT", 0),
        ("wav", "WAV", "ULAW", 0.02),
        ("flac", "FLAC", "PCM_16", 2**-15),
        ("ogg", "OGG", "VORBIS", None),
        ("opus", "OGG", "OPUS", None),
        ("mp3", "MP3", "MPEG_LAYER_III", None),
    ],
)
def test_formats(
    tmp_path: Path, suffix: str, form: str, subtype: str, tolerance: float | None
) -> None:
    sound = voice(150, 1.0)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, sound, RATE, format=form, subtype=subtype)
    found, rate = audio.read(path)
    header = audio.info(path)
    assert rate == header.sample_rate == RATE
    assert found.dtype == np.float32 and found.shape == (header.frames,)
    assert header.seconds == pytest.approx(1.0, abs=0.1) and header.channels == 1
    if tolerance is None:  # lossy: the same sound, perhaps with a little silence around it
        lag = np.correlate(found, sound, "full")
        assert lag.max() / (np.linalg.norm(found) * np.linalg.norm(sound)) > 0.9
    else:
        np.testing.assert_allclose(found, sound, rtol=0, atol=tolerance)


def test_channels_are_averaged_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stereo = np.stack([voice(120, 0.5), voice(200, 0.5, seed=1)], axis=1)
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, stereo, RATE, subtype="FLOAT")
        found, _ = audio.read(tmp_path / name)
        np.testing.assert_allclose(found, np.mean(stereo, axis=1), atol=1e-7)
    said = [r.getMessage() for r in caplog.records]
    assert len(said) == 1 and "2 channels" in said[0] and "a.wav" in said[0]


@pytest.mark.parametrize(("rate", "new_rate"), [(192000, 16000), (44100, 16000), (8000, 16000)])
def test_resampling_agrees_with_scipy(tmp_path: Path, rate: int, new_rate: int) -> None:
    time = np.arange(rate) / rate
    sine = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sine, rate, subtype="FLOAT")
    found, got = audio.read(tmp_path / "a.wav", sample_rate=new_rate)
    assert got == new_rate and len(found) == new_rate
    divisor = np.gcd(rate, new_rate)
    wanted = resample_poly(sine, new_rate // divisor, rate // divisor)
    inner = slice(new_rate // 10, -new_rate // 10)  # both filters know no samples beyond the ends
    np.testing.assert_allclose(found[inner], wanted[inner], atol=2e-3)
    np.testing.assert_allclose(
        found[inner],
        0.5 * np.sin(2 * np.pi * 440 * np.arange(new_rate) / new_rate)[inner],
        atol=2e-3,
    )


def test_kernels_are_kept_and_can_carry_gradients() -> None:
    import torch

    resampler.kernel.cache_clear()
    audio.resample(np.ones(100, np.float32), 8000, 16000)
    audio.resample(np.ones(200, np.float32), 8000, 16000)
    assert resampler.kernel.cache_info()[:2] == (1, 1)
    samples = torch.ones(100, requires_grad=True)
    resampler.kernel(8000, 16000)(samples).sum().backward()
    assert samples.grad is not None and samples.grad.abs().sum() > 0


def test_resampling_keeps_leading_axes() -> None:
    batch = np.stack([voice(120, 0.1), voice(200, 0.1)])
    found = audio.resample(batch, RATE, 8000)
    np.testing.assert_allclose(found[1], audio.resample(batch[1], RATE, 8000), atol=1e-6)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_segment_is_a_slice_of_the_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, voice(120, 2.0), RATE)
    whole, _ = audio.read(path)
    for start, end in ((0.0, 0.5), (0.25, 1.75), (1.5, None), (1.9, 2.005)):
        part, _ = audio.read(path, start=start, end=end)
        last = len(whole) if end is None else round(end * RATE)
        np.testing.assert_allclose(part, whole[round(start * RATE) : last], atol=1e-6)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (0.0, 1.02, "the recording at 1.000 s"),
        (1.0, None, "no samples between 1.0 s and the end"),
        (0.5, 0.5, "no samples between 0.5 s and 0.5 s"),
        (-0.5, 0.5, "no samples between -0.5 s"),
    ],
)
def test_segment_outside(wav: Path, start: float, end: float | None, message: str) -> None:
    with pytest.raises(AudioError, match=message) as error:
        audio.read(wav, start=start, end=end)
    assert error.value.kind == "outside"


def make_bad(folder: Path, what: str) -> Path:
    path = folder / "bad.wav"
    sound = voice(120, 0.5)
    if what == "folder":
        path.mkdir()
    elif what == "zero bytes":
        path.write_bytes(b"")
    elif what == "text":
        path.write_text("to be or not to be")
    elif what == "no samples":
        soundfile.write(path, np.zeros(0), RATE)
    elif what == "header only":
        soundfile.write(path, sound, RATE)
        path.write_bytes(path.read_bytes()[:44])
    elif what == "truncated":
        soundfile.write(path, sound, RATE)
        path.write_bytes(path.read_bytes()[:-2])
    elif what in ("nan", "inf", "1e30", "3e38"):
        sound[5] = float(what)
        soundfile.write(path, sound, RATE, subtype="FLOAT")
    elif what == "cut flac":
        path = folder / "bad.flac"
        soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 16000), RATE)
        path.write_bytes(path.read_bytes()[:20000])
    elif what == "raw":
        path = folder / "bad.raw"
        path.write_bytes(bytes(1000))
    elif what == "wav without suffix":
        soundfile.write(path, sound, RATE)
        path = folder / "bad"
        path.write_bytes((folder / "bad.wav").read_bytes()[:3000])
    return path


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ("missing", "missing", "No such file"),
        ("folder", "unreadable", "is a folder"),
        ("zero bytes", "empty", r"is empty \(0 bytes\)"),
        ("text", "unreadable", "cannot be decoded as audio"),
        ("no samples", None, "no samples"),
        ("header only", "cut", "cut short"),
        ("truncated", "cut", "header promises 16044 bytes, there are 16042"),
        ("nan", "nan", "has 1 of 8,000 samples NaN"),
        ("inf", "nan", "has 1 of 8,000 samples NaN or infinite"),
        ("1e30", "nan", r"has 1 of 8,000 samples .* or beyond 1e\+10 times full scale"),
        ("3e38", "nan", "1 of 8,000 samples"),
        ("cut flac", None, "cut short|cannot be decoded"),
        ("raw", "unreadable", "cannot be decoded"),
        ("wav without suffix", "cut", "cut short"),
    ],
)
def test_bad_files(tmp_path: Path, what: str, kind: str | None, message: str) -> None:
    path = make_bad(tmp_path, what)
    with pytest.raises(AudioError, match=message) as error:
        audio.read(path)
    assert str(path) in error.value.problem
    assert kind in (None, error.value.kind)
    if what not in ("nan", "inf", "1e30", "3e38", "cut flac"):  # seen only by decoding
        with pytest.raises(AudioError):
            audio.info(path)


def test_one_sample(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.5]), RATE, subtype="FLOAT")
    found, _ = audio.read(tmp_path / "a.wav")
    np.testing.assert_array_equal(found, np.array([0.5], np.float32))
    resampled, _ = audio.read(tmp_path / "a.wav", sample_rate=8000)
    assert len(resampled) == 1 and np.isfinite(resampled).all()


def test_streamed_wav_has_no_length_to_break(wav: Path, tmp_path: Path) -> None:
    content = bytearray(wav.read_bytes())
    assert content[36:40] == b"data"
    for length in (0xFFFFFFFF, 0x7FFFFFFF):
        content[40:44] = struct.pack("<I", length)
        streamed = tmp_path / "streamed.wav"
        streamed.write_bytes(content)
        np.testing.assert_array_equal(audio.read(streamed)[0], audio.read(wav)[0])
        np.testing.assert_array_equal(
            audio.read(audio.Pipe(f"cat '{streamed}'"))[0], audio.read(wav)[0]
        )


def test_chunks_before_the_data(wav: Path) -> None:
    content = wav.read_bytes()
    extra = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    wav.write_bytes(content[:12] + extra + content[12:])
    assert len(audio.read(wav)[0]) == RATE
    wav.write_bytes(wav.read_bytes()[:-100])
    with pytest.raises(AudioError, match="cut short"):
        audio.read(wav)


def test_real_speech(real_data: Path) -> None:
    path = next((real_data / "speechocean762" / "WAVE").rglob("*.flac"))
    samples, rate = audio.read(path)
    reference, reference_rate = soundfile.read(path, dtype="float32")
    assert rate == reference_rate
    np.testing.assert_array_equal(samples, reference)


def opposite(seconds: float = 1.0, share: float = -0.8) -> np.ndarray:
    """A voice that is quieter and turned over in the second channel, with an offset in each."""
    sound = voice(120, seconds)
    noise = 1e-3 * np.random.default_rng(0).standard_normal((len(sound), 2))
    return (np.stack([sound, share * sound], axis=1) + noise + [0.02, -0.05]).astype(np.float32)


@pytest.mark.parametrize(("share", "channel"), [(-0.8, 0), (-1.25, 1), (-1.0, None)])
def test_the_louder_channel_is_taken_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, share: float, channel: int | None
) -> None:
    stereo = opposite(share=share)
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, stereo, RATE, subtype="FLOAT")
        found, _ = audio.read(tmp_path / name)
        assert any(np.array_equal(found, stereo[:, k]) for k in (0, 1))
        if channel is not None:
            np.testing.assert_array_equal(found, stereo[:, channel])
    said = [r.getMessage() for r in caplog.records]
    assert len(said) == 1 and "opposite phase" in said[0] and "a.wav" in said[0]


def test_parts_and_blocks_are_as_the_whole(tmp_path: Path) -> None:
    """The first half of the file is in phase; its second half, which is louder, is not."""
    half, other = voice(200, 1.0), 5 * voice(120, 2.0)
    stereo = np.concatenate([np.stack([half, half], 1), np.stack([other, -0.9 * other], 1)])
    path = tmp_path / "a.wav"
    soundfile.write(path, stereo, RATE, subtype="FLOAT")
    whole, _ = audio.read(path)
    np.testing.assert_array_equal(whole, stereo[:, 0].astype(np.float32))
    np.testing.assert_array_equal(audio.read(path, start=0.1, end=0.7)[0], whole[1600:11200])
    np.testing.assert_array_equal(np.concatenate(list(read_blocks(path, 0.3))), whole)
    piped, _ = audio.read(audio.Pipe(f"cat {path}"), start=0.1, end=0.7)  # it has no name to open
    np.testing.assert_array_equal(piped, whole[1600:11200])


def test_what_does_not_cancel_is_averaged(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    for channels in (2, 3, 6):
        unrelated = 0.1 * draw.standard_normal((RATE, channels))
        assert louder([unrelated]) is None
    assert louder([np.full((100, 2), [0.1, -0.1])]) is None  # offsets alone are silence
    assert louder([np.zeros((100, 2))]) is None
    assert louder([np.full((100, 2), np.nan)]) is None
    assert louder([]) is None


@pytest.mark.parametrize("channels", [2, 3])
def test_the_threshold_is_a_loss_of_ten_decibels(channels: int) -> None:
    """Each channel has noise of its own: what averaging gains or loses is measured directly."""
    draw = np.random.default_rng(2)
    voiced = draw.standard_normal(20000)
    for factor in np.linspace(-1.0, 0.2, 61):
        gains = np.ones(channels)
        gains[0] = factor * (channels - 1)  # the sum of the others, turned over
        kept = gains.mean() ** 2 * channels / np.mean(gains**2)  # of the signal-to-noise ratio
        if abs(kept / CANCELLED - 1) > 0.05:
            found = louder([np.outer(voiced[:7000], gains), np.outer(voiced[7000:], gains)])
            assert (found is not None) == (kept < 0.1), factor
            assert found in (None, int(np.argmax(np.abs(gains))))


def test_a_file_that_breaks_later_is_judged_by_what_decodes(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    soundfile.write(path, opposite(10.0), RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    part, _ = audio.read(path, start=0.5, end=1.0)
    np.testing.assert_allclose(part, opposite(10.0)[8000:16000, 0], atol=2e-4)


def test_without_a_mean_it_is_the_mean_square() -> None:
    sound = voice(120, 1.0).astype(np.float64)
    sound -= sound.mean()
    assert power(sound) == pytest.approx(float(np.mean(sound**2)), rel=1e-12)
    assert level_db(sound) == pytest.approx(10 * np.log10(np.mean(sound**2)), abs=1e-9)


@pytest.mark.parametrize("offset", [-0.5, 0.01, 0.1, 0.9])
def test_an_offset_is_no_sound(offset: float) -> None:
    sound = voice(120, 1.0)
    assert level_db(sound + np.float32(offset)) == pytest.approx(level_db(sound), abs=1e-3)
    assert level_db(np.full(16000, offset, np.float32)) == FLOOR_DB
    padded = np.pad(sound + np.float32(offset), (3000, 16000))
    share = 10 * np.log10(16000 / 35000)
    assert level_db(padded) == pytest.approx(level_db(sound) + share, abs=1e-3)
    assert not centred(padded)[:3000].any() and not centred(padded)[19000:].any()


def test_silence_has_the_lowest_level() -> None:
    assert level_db(np.zeros(100)) == level_db(np.ones(1)) == FLOOR_DB
