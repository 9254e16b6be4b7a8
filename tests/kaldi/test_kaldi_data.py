"""Data directories: reading, writing, and what stops at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechkit.base import audio
from speechkit.base.errors import AudioError, DataError
from speechkit.kaldi import data


@pytest.fixture
def folder(workdir: Path) -> Path:
    return workdir / "data" / "train"


def test_round_trip(workdir: Path, folder: Path) -> None:
    found = data.load(folder, workdir)
    assert found.speakers == ["s0", "s1", "s2", "s3"]
    assert [u.id for u in found.utterances] == [f"s{k}-u{j}" for k in range(4) for j in range(3)]
    first = found.utterances[0]
    assert first.wav == str(workdir / "data/train/wav/s0-u0.wav")
    assert (first.start, first.end) == (0.0, None)
    assert found.gender == {"s0": "f", "s1": "m", "s2": "f", "s3": "m"}
    assert found.text["s0-u0"] == "AH"
    assert [p.name for p in found.files()] == [
        *("wav.scp", "text", "utt2spk", "spk2utt", "spk2gender"),
    ]
    assert len(found.audio_files()) == 12
    assert (folder / "spk2utt").read_text().startswith("s0 s0-u0 s0-u1 s0-u2\n")


def test_segments(workdir: Path, folder: Path) -> None:
    (folder / "wav.scp").write_text("rec data/train/wav/s0-u0.wav\n")
    (folder / "segments").write_text("a rec 0.25 0.5\nb rec 0.5 -1\n")
    (folder / "utt2spk").write_text("a s0\nb s1\n")
    one, two = data.load(folder, workdir).utterances
    assert (one.id, one.start, one.end, one.speaker) == ("a", 0.25, 0.5, "s0")
    assert (two.start, two.end) == (0.5, None)
    whole, rate = audio.read(one.wav)
    part, _ = audio.read(one.wav, start=one.start, end=one.end)
    np.testing.assert_array_equal(part, whole[rate // 4 : rate // 2])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a other 0 1", "recording 'other' is not in wav.scp"),
        ("a rec 0.5 0.5", "ends .* before it starts"),
        ("a rec nan 0.5", "starts at nan"),
        ("a rec -1 0.5", "starts at -1"),
        ("a rec 0", "expected 'utterance recording start end'"),
        ("a rec zero 1", "expected 'utterance recording start end'"),
    ],
)
def test_broken_segments(workdir: Path, folder: Path, line: str, message: str) -> None:
    (folder / "wav.scp").write_text("rec data/train/wav/s0-u0.wav\n")
    (folder / "segments").write_text(f"{line}\n")
    (folder / "utt2spk").write_text("a s0\n")
    with pytest.raises(DataError, match=f"segments:1: .*{message}"):
        data.load(folder, workdir)


def test_crlf_and_tabs_are_read(workdir: Path, folder: Path) -> None:
    before = data.load(folder, workdir)
    for name in ("wav.scp", "utt2spk", "text"):
        lines = (folder / name).read_text().replace(" ", "\t", 1)
        (folder / name).write_bytes(lines.replace("\n", "\r\n").encode())
    assert data.load(folder, workdir) == before


def test_pipes_are_refused_or_run(workdir: Path, folder: Path) -> None:
    wav = folder / "wav" / "s0-u0.wav"
    (folder / "wav.scp").write_text(f"s0-u0 cat '{wav}' |\ns0-u1 echo no >&2; exit 3 |\n")
    (folder / "utt2spk").write_text("s0-u0 s0\ns0-u1 s0\n")
    with pytest.raises(DataError, match="'s0-u0' is a pipe") as refused:
        data.load(folder, workdir)
    assert "`allow_pipes`" in refused.value.remedy
    one, two = data.load(folder, workdir, allow_pipes=True).utterances
    np.testing.assert_array_equal(audio.read(one.wav)[0], audio.read(wav)[0])
    with pytest.raises(AudioError, match=r"failed \(3\): no"):
        audio.read(two.wav)


@pytest.mark.parametrize("name", ["wav.scp", "utt2spk"])
def test_missing_table(workdir: Path, folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"has no {name}"):
        data.load(folder, workdir)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("utt2spk", b"s0-u0 s0\nnobody s1\n", "are in wav.scp but not in utt2spk|not in wav.scp"),
        ("utt2spk", b"s0-u0 s0\ns0-u0 s1\n", "utt2spk:2: the key 's0-u0' comes twice"),
        ("utt2spk", b"s0-u0\n", "utt2spk:1: expected 'key value'"),
        ("utt2spk", b"\ns0-u0 s0\n", "utt2spk:1: expected 'key value'"),
        ("utt2spk", b"", "no utterances"),
        ("text", b"s0-u0 gr\xfcn\n", r"text is not UTF-8 text \(byte 8\)"),
        ("utt2dur", b"s0-u0 long\n", "expected 'utterance seconds'"),
    ],
)
def test_broken_tables(
    workdir: Path, folder: Path, name: str, content: bytes, message: str
) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        data.load(folder, workdir)


def test_unknown_utterance_is_named(workdir: Path, folder: Path) -> None:
    with (folder / "utt2spk").open("a") as file:
        file.write("zz s0\n")
    with pytest.raises(DataError, match=r"1 utterance is in utt2spk but not in wav.scp \(zz\)"):
        data.load(folder, workdir)


def test_tables_are_sorted_in_byte_order(tmp_path: Path) -> None:
    data.write_table(tmp_path / "text", {"b": "x", "B": "y", "é": "z", "a-1": "", "a": "q"})
    assert (tmp_path / "text").read_text() == "B y\na q\na-1\nb x\né z\n"
    assert data.read_table(tmp_path / "text")["a-1"] == ""


@pytest.mark.parametrize("row", [("a b", "x"), ("", "x"), ("a", "x\ny")])
def test_lines_that_would_break_a_table_are_refused(tmp_path: Path, row: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="cannot be a line"):
        data.write_table(tmp_path / "text", [row])


def test_absolute_and_relative_audio(workdir: Path, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "x.wav"
    soundfile.write(elsewhere, np.zeros(10), 8000)
    (folder / "wav.scp").write_text(f"s0-u0 {elsewhere}\n")
    (folder / "utt2spk").write_text("s0-u0 s0\n")
    assert data.load(folder, workdir).utterances[0].wav == str(elsewhere)
