"""Audio of phones and browsers: lengths to the sample, parts, and files that are not whole."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import numpy as np
import pytest
from media_files import KINDS, encode, video, with_itunes

from speechkit.base import audio, log, media
from speechkit.base.errors import AudioError

pytest.importorskip("av")
EXACT = ("m4a", "mp4", "3gp", "mov", "webm", "mkv")  # these say what the encoder added


@pytest.fixture(autouse=True)
def hear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("speechkit"), "propagate", True)
    log.forget_notes()


def speech(count: int, rate: int) -> np.ndarray:
    """Filtered noise with a rising level ``[count]``: no two parts of it are alike."""
    noise = np.random.default_rng(count).standard_normal(count + 64)
    smooth = np.convolve(noise, np.hanning(max(3, rate // 2000)), "same")[:count]
    return (0.2 * smooth / np.abs(smooth).max() * np.linspace(0.5, 1, count)).astype(np.float32)


def written(tmp_path: Path, data: bytes, name: str) -> Path:
    path = tmp_path / f"a.{name}"
    path.write_bytes(data)
    return path


def delay(found: np.ndarray, wanted: np.ndarray) -> int:
    """Samples by which one lies behind the other, where both are most alike."""
    size = 1 << (len(found) + len(wanted)).bit_length()
    alike = np.fft.irfft(np.fft.rfft(found, size) * np.conj(np.fft.rfft(wanted, size)), size)
    place = int(np.argmax(alike))
    return place if place < size // 2 else place - size


@pytest.mark.parametrize("more", [0, 1, 777])
@pytest.mark.parametrize("name", EXACT)
def test_lengths_to_the_sample(tmp_path: Path, name: str, more: int) -> None:
    rate = KINDS[name][2]
    sound = speech(rate + more, rate)
    path = written(tmp_path, encode(sound, name), name)
    about = audio.info(path)
    assert (about.sample_rate, about.frames, about.channels) == (rate, len(sound), 1)
    found, _ = audio.read(path)
    assert found.dtype == np.float32 and found.shape == sound.shape
    assert delay(found, sound) == 0
    part = slice(rate // 10, -rate // 10)
    error = np.linalg.norm(found[part] - sound[part]) / np.linalg.norm(sound[part])
    assert error < (1e-3 if name in ("mov", "mkv") else 0.6)


@pytest.mark.parametrize(("name", "rate"), [("amr", 8000), ("aac", 16000)])
def test_lengths_of_all_blocks_where_nothing_is_said(tmp_path: Path, name: str, rate: int) -> None:
    sound = speech(rate, rate)
    path = written(tmp_path, encode(sound, name), name)
    found, _ = audio.read(path)
    assert (
        0 <= len(found) - len(sound) < 2048 and len(found) % (160 if name == "amr" else 1024) == 0
    )
    assert len(found) == audio.info(path).frames
    assert 0 <= delay(found, sound) <= 1024


def test_two_channels_and_parts(tmp_path: Path) -> None:
    sound = np.stack([speech(30_000, 44100), speech(30_001, 44100)[1:]])
    path = written(tmp_path, encode(sound, "mov"), "mov")
    with audio.AudioFile(path) as file:
        whole = file.read(40_000)
        file.seek(10_000)
        later = file.read(5000)
        file.seek(100)
        earlier = file.read(200)
    assert whole.shape == (30_000, 2) and np.abs(whole - sound.T).max() < 1e-3
    assert (later == whole[10_000:15_000]).all() and (earlier == whole[100:300]).all()
    mono, rate = audio.read(path, 22050, 0.1, 0.5)
    assert rate == 22050 and len(mono) == round(0.4 * 22050)
    blocks = np.concatenate(list(audio.read_blocks(path, 0.1)))
    assert (blocks == whole.mean(axis=1)).all()


def test_number_of_samples_of_itunes(tmp_path: Path) -> None:
    sound = speech(40_000, 44100)
    data = with_itunes(encode(sound, "m4a"), 1024, 39_500)
    found, _ = audio.read(written(tmp_path, data, "m4a"))
    assert len(found) == 39_500 and delay(found, sound) == 0


def test_the_container_counts_and_not_the_name(tmp_path: Path) -> None:
    sound = speech(16_000, 16_000)
    path = tmp_path / "a.wav"
    path.write_bytes(encode(sound, "mp4"))
    assert audio.info(path).frames == len(sound)


def test_a_fragmented_file_as_browsers_stream_it(tmp_path: Path) -> None:
    sound = speech(16_000, 16_000)
    data = encode(sound, "mp4", movflags="frag_keyframe+empty_moov")
    assert 0 <= audio.info(written(tmp_path, data, "mp4")).frames - len(sound) <= 1024
    with pytest.raises(AudioError, match="is cut short"):
        audio.info(written(tmp_path, data[: len(data) * 6 // 10], "mp4"))


@pytest.mark.parametrize("name", KINDS)
def test_files_that_are_cut(tmp_path: Path, name: str) -> None:
    data = encode(speech(2 * KINDS[name][2], KINDS[name][2]), name)
    for kept in (len(data) * 6 // 10, len(data) - 5):
        with pytest.raises(AudioError, match="cut short") as caught:
            audio.info(written(tmp_path, data[:kept], name))
        assert caught.value.kind == "cut" and "Copy it again" in caught.value.remedy


def test_a_stream_of_open_length_is_as_long_as_it_is(tmp_path: Path) -> None:
    data = encode(speech(48_000, 48_000), "webm", live="1")
    assert audio.info(written(tmp_path, data, "webm")).frames == 48_000
    kept = audio.info(written(tmp_path, data[: len(data) // 2], "webm")).frames
    assert 0 < kept < 48_000


def test_a_header_that_promises_hours(tmp_path: Path) -> None:
    data = bytearray(encode(speech(16_000, 16_000), "mp4"))
    at = data.rindex(b"stts") + 16  # of the first run of blocks: how long each lasts
    data[at : at + 4] = (10**9).to_bytes(4, "big")
    with pytest.raises(AudioError, match=r"cut short|holds no samples|cannot be decoded") as caught:
        audio.read(written(tmp_path, bytes(data), "mp4"), None, 0, 5000)
    assert caught.value.kind in ("cut", "empty", "outside")


def test_pictures_without_sound(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"has no audio \(streams: video\)"):
        audio.info(written(tmp_path, video(), "mp4"))


def test_several_streams(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sound = speech(16_000, 16_000)
    path = written(tmp_path, encode(sound, "mp4", streams=2), "mp4")
    assert audio.info(path).frames == len(sound)
    assert "of its 2 audio streams number 0 is read" in caplog.text


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0\x20ftypM4A ", b"\x1aE\xdf\xa3" + b"x" * 100, b"#!AMR\n" + b"\xff" * 100,
     b"\xff\xf1" + b"\0" * 90, b"#!AMR\n", b"\0\0\0\x08ftyp" + b"\0" * 64],
)  # fmt: skip
def test_what_is_no_audio(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(AudioError) as caught:
        audio.info(written(tmp_path, data, "m4a"))
    assert str(tmp_path) in str(caught.value) and caught.value.remedy


def test_no_play_list_is_followed(tmp_path: Path) -> None:
    secret = written(tmp_path, encode(speech(8000, 16_000), "mp4"), "mp4")
    lists = (
        f"#EXTM3U\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret.name}\n",
    )
    for text in lists:
        with pytest.raises(AudioError, match="cannot be decoded as audio"):
            audio.info(written(tmp_path, text.encode(), "m4a"))


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, encode(speech(8000, 16_000), "mp4"), "m4a")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: find(name) if name != "av" else None
    )
    assert not media.installed()
    with pytest.raises(AudioError, match="the package 'av', which is not installed") as caught:
        audio.read(path)
    assert "python -m pip install" in caught.value.remedy and "av" in caught.value.remedy


def test_names_in_another_encoding(tmp_path: Path) -> None:
    sound = speech(8000, 16_000)
    data = encode(sound, "mp4")
    assert b"SoundHandler" in data
    path = written(tmp_path, data.replace(b"SoundHandler", b"S\xf6undHandler"), "mp4")
    assert audio.info(path).frames == len(sound)


def test_damaged_bytes_are_an_error_or_audio(tmp_path: Path) -> None:
    rng, good = np.random.default_rng(0), 0
    whole = {name: encode(speech(4000, KINDS[name][2]), name) for name in KINDS}
    for number in range(15 * len(whole)):
        name = list(whole)[number % len(whole)]
        data = bytearray(whole[name])
        for place in rng.integers(0, min(len(data), (600, len(data))[number % 2]), 4):
            data[place] = rng.integers(0, 256)
        path = tmp_path / f"{number}.{name}"
        path.write_bytes(data)
        try:
            samples, _ = audio.read(path)
        except AudioError as error:
            assert str(path) in str(error)
        else:
            good += 1
            assert len(samples) == audio.info(path).frames
    assert 0 < good < 15 * len(whole)
