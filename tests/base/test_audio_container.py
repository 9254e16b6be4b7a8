"""Headers and what is there: streams, cut files, and samples that no header names."""

from __future__ import annotations

import logging
import struct

import numpy as np
import pytest
import soundfile
from conftest import voice

from speechkit.base import audio, log
from speechkit.base.audio import read_blocks
from speechkit.base.errors import AudioError

STREAMED = (
    0, 0x7FFFF000, 0x7FFFEFDC, 0x7FFFF000 + 36, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x80000000, 0x7F000000,
    0xFFFFFFFF, 0xFFFFFFFF - 36, 0xFFFFFFFE, 0xFFFFF000,
)  # fmt: skip


@pytest.fixture(autouse=True)
def hear(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("speechkit"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("speechkit"), "handlers", [])
    log.forget_notes()
    yield
    log.forget_notes()


def written(path, form, subtype, sound, rate=8000):
    soundfile.write(path, sound, rate, format=form, subtype=subtype)
    return path.read_bytes()


def read_everyhow(path):
    """Samples, the same whole, by blocks and by parts, and as long as is said."""
    found, rate = audio.read(path)
    assert audio.info(path).frames == len(found)
    np.testing.assert_array_equal(np.concatenate(list(read_blocks(path, 0.13))), found)
    part, _ = audio.read(path, start=0.3, end=0.5)
    np.testing.assert_array_equal(part, found[round(0.3 * rate) : round(0.5 * rate)])
    return found


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "ULAW", "IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_streams_are_read_to_their_end(tmp_path, caplog, subtype):
    path = tmp_path / "a.wav"
    content = bytearray(written(path, "WAV", subtype, voice(120, 1.0, 8000)))
    whole = read_everyhow(path)
    at = content.index(b"data") + 4
    content[at + 4 :] = content[at + 4 :][: struct.unpack("<I", content[at : at + 4])[0]]
    for length in STREAMED:
        content[at : at + 4] = struct.pack("<I", length)
        for riff in {length, min(length + at - 4, 0xFFFFFFFF), 0}:
            content[4:8] = struct.pack("<I", riff)
            path.write_bytes(content)
            np.testing.assert_array_equal(read_everyhow(path), whole)
    assert not caplog.records


def test_an_empty_file_is_no_stream(tmp_path):
    path = tmp_path / "a.wav"
    content = written(path, "WAV", "PCM_16", np.zeros(0))
    more = b"LIST" + struct.pack("<I", 100) + bytes(100)
    content = content[:4] + struct.pack("<I", len(content) + len(more) - 8) + content[8:]
    path.write_bytes(content + more)
    with pytest.raises(AudioError, match="no samples") as error:
        audio.info(path)
    assert error.value.kind == "empty"


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "AIFF", "AU", "W64", "CAF", "RIFX"])
def test_a_file_shorter_than_its_header_says_is_cut(tmp_path, form):
    path, sound = tmp_path / "a.wav", voice(120, 1.0, 8000)
    if form == "RIFX":
        soundfile.write(path, sound, 8000, format="WAV", subtype="PCM_16", endian="BIG")
        content = path.read_bytes()
        assert content[:4] == b"RIFX"
    else:
        content = written(path, form, "PCM_16", sound)
    assert len(read_everyhow(path)) == 8000
    for kept in (len(content) - 2, len(content) // 2):
        path.write_bytes(content[:kept])
        for read in (audio.read, audio.info, lambda name: list(read_blocks(name))):
            with pytest.raises(AudioError, match="cut short: the header promises") as error:
                read(path)
            assert error.value.kind == "cut"


def test_large_but_honest_lengths_are_cut(tmp_path):
    """What a long recording has (1.5 GB, 3 GB) is no sign of a stream."""
    path = tmp_path / "a.wav"
    content = bytearray(written(path, "WAV", "PCM_16", voice(120, 1.0, 8000)))
    for length in (1_500_000_000, 3_000_000_000):
        content[40:44] = struct.pack("<I", length)
        path.write_bytes(content)
        with pytest.raises(AudioError, match=f"promises {length + 44} bytes"):
            audio.info(path)


@pytest.mark.parametrize(
    ("form", "length"), [("AU", 0xFFFFFFFF), ("AIFF", 0x7F000000), ("CAF", -1)]
)
def test_streams_in_other_containers(tmp_path, form, length):
    path = tmp_path / "a"
    content = bytearray(written(path, form, "PCM_16", voice(120, 1.0, 8000)))
    whole = audio.read(path)[0]
    if form == "CAF":
        at = content.index(b"data") + 4
        content[at : at + 8] = struct.pack(">q", length)
    else:
        at = 8 if form == "AU" else content.index(b"SSND") + 4
        content[at : at + 4] = struct.pack(">I", length)
    path.write_bytes(content)
    np.testing.assert_array_equal(read_everyhow(path), whole)


def test_samples_that_the_header_does_not_name_are_said(tmp_path, caplog):
    path = tmp_path / "a.wav"
    content = bytearray(written(path, "WAV", "PCM_16", voice(120, 1.0, 8000)))
    content[40:44] = struct.pack("<I", 8000)
    path.write_bytes(content)
    assert audio.info(path).seconds == 0.5
    (record,) = caplog.records
    assert "8000 bytes lie behind the 8000 bytes of samples" in record.getMessage()
    assert str(path) in record.getMessage()


@pytest.mark.parametrize("odd", [False, True])
def test_chunks_and_a_tag_behind_the_samples_are_nothing_new(tmp_path, caplog, odd):
    path, sound = tmp_path / "a.wav", voice(120, 1.0, 8000)[: 7999 if odd else 8000]
    content = written(path, "WAV", "PCM_U8", sound)
    chunk = b"LIST" + struct.pack("<I", 1001) + bytes(1002)
    tag = b"TAG" + bytes(125)
    for more in (chunk, chunk + b"id3 " + struct.pack("<I", 4) + b"abcd"):
        path.write_bytes(content.rstrip(b"\0") + more if odd else content + more)
        assert audio.info(path).frames == len(sound)
    assert not caplog.records
    path.write_bytes(written(path, "WAV", "FLOAT", sound) + tag)
    assert audio.info(path).frames == len(sound)
    assert not caplog.records


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", "GSM610"), ("WAV", "G721_32"), ("WAV", "NMS_ADPCM_16"), ("WAV", "NMS_ADPCM_24"),
        ("WAV", "NMS_ADPCM_32"), ("AU", "G721_32"), ("AU", "G723_24"), ("AU", "G723_40"),
        ("AIFF", "GSM610"), ("W64", "GSM610"),
    ],
)  # fmt: skip
def test_codecs_that_cannot_be_sought(tmp_path, form, subtype):
    path, sound = tmp_path / "a.wav", voice(120, 3.0, 8000)
    written(path, form, subtype, sound)
    found = read_everyhow(path)
    assert len(sound) <= len(found) < len(sound) + 320  # whole blocks
    assert np.corrcoef(found[: len(sound)], sound)[0, 1] > 0.9
    last, _ = audio.read(path, start=2.75)
    np.testing.assert_array_equal(last, found[22000:])


@pytest.mark.parametrize("form", ["VORBIS", "OPUS"])
def test_blocks_of_lossy_files_are_the_whole(tmp_path, form):
    path = tmp_path / "a.ogg"
    soundfile.write(path, voice(120, 2.0, 48000), 48000, format="OGG", subtype=form)
    blocks = np.concatenate(list(read_blocks(path, 0.13)))
    np.testing.assert_array_equal(blocks, audio.read(path)[0])


def test_what_is_no_file(tmp_path):
    for path, said in (
        ("/dev/zero", "is a device"),
        (tmp_path, "is a folder"),
        ("a\0", "the name"),
    ):
        with pytest.raises(AudioError, match=said):
            audio.read(path)
