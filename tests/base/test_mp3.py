"""MP3: every frame is read, whatever is written around them; what is missing is refused."""

from __future__ import annotations

import logging
import struct

import numpy as np
import pytest
import soundfile
from conftest import voice
from mp3_files import RATES, TAGGINGS, encode, id3v1, samples_per_frame, split

from speechkit.base import audio, log
from speechkit.base.audio import read_blocks
from speechkit.base.errors import AudioError

DELAY = 1105  # of LAME and the decoder, which a file with a number of frames has cut off


@pytest.fixture(autouse=True)
def hear(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("speechkit"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("speechkit"), "handlers", [])
    log.forget_notes()
    yield
    log.forget_notes()


def uneven(seconds: float, rate: int, channels: int) -> np.ndarray:
    """A sound ``[T]`` or ``[T, 2]`` whose beginning takes few bits and whose end takes many."""
    sound = voice(150, seconds, rate) + 0.1 * np.random.default_rng(0).standard_normal(
        round(seconds * rate)
    )
    sound[: len(sound) // 2] *= 1e-4
    sound = sound.astype(np.float32)
    return sound if channels == 1 else np.stack([sound, np.roll(sound, 50)], axis=1)


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", RATES)
def test_all_of_every_variant_is_read(tmp_path, capfd, rate, channels, mode):
    sound = uneven(0.7, rate, channels)
    number, *frames = encode(sound, rate, mode)
    whole = len(frames) * samples_per_frame(rate)
    path = tmp_path / "a.mp3"
    for name, tag in TAGGINGS.items():
        path.write_bytes(tag(number + b"".join(frames)))
        known, _ = audio.read(path)
        assert len(known) == audio.info(path).frames == len(sound), name
        path.write_bytes(tag(b"".join(frames)))
        found, found_rate = audio.read(path)
        assert found_rate == rate and len(found) == audio.info(path).frames == whole, name
        np.testing.assert_allclose(found[DELAY : DELAY + len(known)], known, atol=1e-6)
        np.testing.assert_allclose(np.concatenate(list(read_blocks(path, 0.1))), found, atol=1e-6)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_a_part_is_a_part_of_the_whole(tmp_path, rate, mode):
    _, *frames = encode(uneven(2.0, rate, 1), rate, mode)
    path = tmp_path / "a.mp3"
    path.write_bytes(b"".join(frames))
    whole, _ = audio.read(path)
    for start, end in ((0.5, 0.75), (1.3, None), (1.9, 2.0)):
        part, _ = audio.read(path, start=start, end=end)
        last = len(whole) if end is None else round(end * rate)
        np.testing.assert_allclose(part, whole[round(start * rate) : last], atol=1e-4)


def test_fewer_frames_than_promised_are_refused(tmp_path):
    path = tmp_path / "a.mp3"
    for mode in ("CONSTANT", "VARIABLE"):
        frames = encode(uneven(1.0, 16000, 1), 16000, mode)
        for kept, tag in (
            (frames[:-1], id3v1()),
            (frames[:10], id3v1()),
            ([*frames[:-1], frames[-1][:-1]], b""),
        ):
            path.write_bytes(b"".join(kept) + tag)
            for read in (audio.read, audio.info, lambda name: list(read_blocks(name))):
                with pytest.raises(AudioError, match=r"promises 30 MP3 frames, there are") as error:
                    read(path)
                assert error.value.kind == "cut"


def test_a_number_left_out_or_of_another_form(tmp_path):
    number, *frames = encode(uneven(1.0, 16000, 1), 16000, "VARIABLE")
    at = max(number.find(b"Xing"), number.find(b"Info"))
    without = number[: at + 4] + bytes(4) + number[at + 8 :]
    path = tmp_path / "a.mp3"
    path.write_bytes(without + b"".join(frames))
    assert audio.info(path).frames == len(audio.read(path)[0]) == len(frames) * 576
    for count in (len(frames), len(frames) + 1):
        vbri = number[:4] + bytes(32) + b"VBRI" + struct.pack(">HHHII", 1, 0, 75, 9999, count)
        path.write_bytes(vbri.ljust(len(number), b"\0") + b"".join(frames))
        if count == len(frames):
            assert audio.info(path).frames == len(audio.read(path)[0]) == count * 576
        else:
            with pytest.raises(AudioError, match="cut short"):
                audio.info(path)


def said(caplog, path):
    """What was said about a file that can be read."""
    caplog.clear()
    log.forget_notes()
    audio.read(path)
    return " ".join(record.getMessage() for record in caplog.records)


def test_what_is_not_heard_is_said(tmp_path, caplog, capfd):
    one, two = (encode(uneven(s, 16000, 1), 16000, "CONSTANT") for s in (1.0, 0.5))
    other = encode(uneven(0.5, 44100, 1), 44100, "CONSTANT")
    path = tmp_path / "a.mp3"
    for first, second in ((one, two), (one, two[1:]), (one, other), (one[1:], two)):
        for between in (b"", id3v1()):
            path.write_bytes(b"".join(first) + between + b"".join(second))
            assert "a second MP3 stream begins behind the first" in said(caplog, path)
            assert len(audio.read(path)[0]) == (16000 if first is one else 30 * 576)
    path.write_bytes(b"".join(one[1:20]) + bytes(2000) + b"".join(one[20:]))
    assert "2000 bytes between MP3 frames" in said(caplog, path)
    assert len(audio.read(path)[0]) == 30 * 576
    path.write_bytes(b"".join(one[1:20]) + one[20][:-3])
    assert "ends within an MP3 frame" in said(caplog, path)
    assert len(audio.read(path)[0]) == 19 * 576
    noise = np.random.default_rng(0).integers(0, 255, 500, np.uint8)
    broken = [frame[:4] + noise[: len(frame) - 4].tobytes() for frame in one[5:12]]
    path.write_bytes(b"".join([*one[1:5], *broken, *one[12:]]))
    assert "parts of this MP3" in said(caplog, path)
    path.write_bytes(b"".join(one))
    assert said(caplog, path) == ""
    assert capfd.readouterr().err == ""


def test_layers_one_and_two(tmp_path):
    """Frames of zeros are frames of silence."""
    path = tmp_path / "a.mp2"
    path.write_bytes(20 * (b"\xff\xfd\x84\xc0" + bytes(380)))  # layer 2, 128 kbit/s, 48 kHz, mono
    assert audio.info(path) == audio.Info(48000, 20 * 1152, 1)
    assert len(audio.read(path)[0]) == 20 * 1152
    path.write_bytes(20 * (b"\xff\xff\x44\xc0" + bytes(124)) + id3v1())  # layer 1, 128 kbit/s
    assert audio.info(path) == audio.Info(48000, 20 * 384, 1)


def test_what_is_no_mp3(tmp_path):
    path = tmp_path / "a.mp3"
    for content in (b"ID3", b"\xff\xfb", b"\xff" * 4000, b"ID3\3\0\0\0\0\x7f\x7f", b"text" * 500):
        path.write_bytes(content)
        with pytest.raises(AudioError, match="cannot be decoded"):
            audio.info(path)


def test_a_jump_is_no_damage(tmp_path, caplog):
    """What the first frames behind a jump borrow from those before them is only not there."""
    words = [np.append(voice(100 + 20 * k, 0.7, 16000, seed=k), np.zeros(3000)) for k in range(9)]
    soundfile.write(tmp_path / "a.mp3", np.concatenate(words), 16000)
    whole = audio.read(tmp_path / "a.mp3")[0]
    for tenth in range(75):
        found = audio.read(tmp_path / "a.mp3", start=tenth / 10, end=tenth / 10 + 0.2)[0]
        first = 1600 * tenth
        np.testing.assert_allclose(found, whole[first : first + len(found)], atol=1e-6)
    assert "damaged" not in caplog.text
    frames = split((tmp_path / "a.mp3").read_bytes(), 16000)
    for number in range(20, 60):
        frames[number] = frames[number][:30] + bytes(len(frames[number]) - 30)
    (tmp_path / "a.mp3").write_bytes(b"".join(frames))
    audio.read(tmp_path / "a.mp3")
    assert "parts of this MP3 are damaged" in caplog.text
