"""WSJ0's layout, on a generated tree with SPHERE files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import voice

from speechkit.base.errors import AudioError
from speechkit.corpora.sphere import read_header, to_wav
from speechkit.kaldi import data


def write_sphere(path: Path, samples: np.ndarray, coding: str = "pcm", order: str = "01") -> None:
    """A SPHERE file by hand, as the format's description says (order 01: low byte first)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = (
        "NIST_1A\n   1024\nchannel_count -i 1\nsample_rate -i 16000\nsample_n_bytes -i 2\n"
        f"sample_count -i {len(samples)}\nsample_sig_bits -i 16\nsample_byte_format -s2 {order}\n"
        f"sample_coding -s{len(coding)} {coding}\nend_head\n"
    )
    kind = "<i2" if order == "01" else ">i2"
    path.write_bytes(fields.encode().ljust(1024) + samples.astype(kind).tobytes())


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "csr" / "wsj0"
    for part, speaker in (("si_tr_s", "01a"), ("si_tr_s", "011"), ("si_dt_05", "050")):
        for k in range(2):
            write_sphere(root / part / speaker / f"{speaker}c020{k}.wv1", tone(k))
            write_sphere(root / part / speaker / f"{speaker}c020{k}.wv2", tone(k))
    write_sphere(root / "SI_ET_05" / "440" / "440C0201.WV1", tone(5))
    (root / "doc").mkdir()
    (root / "doc" / "spkrinfo.txt").write_text(
        "; ID  sex\nSee the manual for more.\n01A  F  ...\n011  M\n050  f\n440  --\n"
    )
    return root.parent


def tone(seed: int) -> np.ndarray:
    return np.rint(20000 * voice(120, 0.2, seed=seed)).astype(np.int16)


def test_parts_become_sets_and_sphere_becomes_wav(corpus: Path, tmp_path: Path, run) -> None:
    work = tmp_path / "w"
    ran = run("prepare", "wsj0", corpus, "-C", work, "--json", "-j", 2)
    assert ran.code == 0, ran.err
    rows = {row["set"]: row for row in json.loads(ran.out)}
    assert {name: row["utterances"] for name, row in rows.items()} == {
        "train": 4,
        "dev": 2,
        "test": 1,
    }
    assert (work / "data" / "train" / "wav.scp").read_text().splitlines()[2] == (
        "01ac0200 data/train/wav/01ac0200.wav"
    )
    loaded = data.load(work / "data" / "train", work)
    assert loaded.gender == {"011": "m", "01a": "f"} and rows["test"]["male"] is None
    assert loaded.durations == dict.fromkeys(loaded.durations, 0.2)
    for k in range(2):
        samples, rate = soundfile.read(work / f"data/train/wav/01ac020{k}.wav", dtype="int16")
        assert rate == 16000
        np.testing.assert_array_equal(samples, tone(k))
    assert "data/test is up to date" in run("prepare", "wsj0", corpus, "-C", work).err


def test_wav_is_preferred_and_stays_where_it_is(corpus: Path, tmp_path: Path, run) -> None:
    folder = corpus / "wsj0" / "si_dt_05" / "050"
    soundfile.write(folder / "050c0200.wav", tone(0), 16000)
    assert run("prepare", "wsj0", corpus, "-C", tmp_path / "w").code == 0
    scp = data.read_table(tmp_path / "w" / "data" / "dev" / "wav.scp")
    assert scp == {
        "050c0200": str(folder / "050c0200.wav"),
        "050c0201": "data/dev/wav/050c0201.wav",
    }
    assert not (tmp_path / "w" / "data" / "dev" / "wav" / "050c0200.wav").exists()


def test_missing_parts_and_gender_file(corpus: Path, tmp_path: Path, run) -> None:
    (corpus / "wsj0" / "SI_ET_05").rename(corpus / "other")
    (corpus / "wsj0" / "doc" / "spkrinfo.txt").unlink()
    genders = tmp_path / "genders.tsv"
    genders.write_text("01A\tf\n")
    ran = run("prepare", "wsj0", corpus, "-C", tmp_path / "w", "--gender", genders, "--json")
    assert ran.code == 0 and "the set 'test' is not made" in ran.err
    assert [(row["set"], row["female"]) for row in json.loads(ran.out)] == [
        ("train", 1),
        ("dev", None),
    ]


def test_bad_layouts(corpus: Path, tmp_path: Path, run) -> None:
    def fails(path: Path, said: str) -> None:
        ran = run("prepare", "wsj0", path, "-C", tmp_path / "w")
        assert ran.code == 2 and said in ran.err, ran.err

    fails(tmp_path / "nowhere", "does not exist")
    fails(corpus / "wsj0" / "si_tr_s" / "01a", "is not WSJ0")
    (tmp_path / "bare" / "si_tr_s" / "01a").mkdir(parents=True)
    fails(tmp_path / "bare", "No audio was found")


def test_cut_and_wrong_sphere_are_named(corpus: Path, tmp_path: Path, run) -> None:
    file = corpus / "wsj0" / "si_tr_s" / "01a" / "01ac0201.wv1"
    file.write_bytes(file.read_bytes()[:3000])
    ran = run("prepare", "wsj0", corpus, "-C", tmp_path / "w")
    assert ran.code == 2 and "01ac0201.wv1: is cut short" in ran.err
    file.write_text("not speech")
    ran = run("prepare", "wsj0", corpus, "-C", tmp_path / "w", "--on-error", "skip", "--json")
    assert ran.code == 0 and json.loads(ran.out)[0]["skipped"] == 1
    assert "is not a NIST SPHERE file" in (tmp_path / "w/data/train/skipped.tsv").read_text()


def test_compressed_sphere_needs_a_program(corpus: Path, tmp_path: Path, run, monkeypatch) -> None:
    file = corpus / "wsj0" / "si_tr_s" / "01a" / "01ac0201.wv1"
    write_sphere(file, tone(1), coding="pcm,embedded-shorten-v2.00")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    ran = run("prepare", "wsj0", corpus, "-C", tmp_path / "w")
    assert ran.code == 2 and "sph2pipe" in ran.err and "01ac0201.wv1" in ran.err

    def program(body: str) -> None:
        (tmp_path / "bin").mkdir(exist_ok=True)
        script = tmp_path / "bin" / "sph2pipe"
        script.write_text("#!/bin/sh\nPATH=/bin:/usr/bin\n" + body)
        script.chmod(0o755)

    converted = tmp_path / "converted.wav"
    soundfile.write(converted, tone(7), 16000)
    program(f'[ "$1 $2 $3" = "-p -f wav" ] && [ -f "$4" ] && cp "{converted}" "$5"\n')
    spaced = tmp_path / "a folder; with $(signs)"
    os.rename(corpus, spaced)  # noqa: PTH104
    ran = run("prepare", "wsj0", spaced, "-C", tmp_path / "w")
    assert ran.code == 0, ran.err
    samples, _ = soundfile.read(tmp_path / "w/data/train/wav/01ac0201.wav", dtype="int16")
    np.testing.assert_array_equal(samples, tone(7))

    program('echo "bad checksum" >&2; exit 1\n')
    ran = run("prepare", "wsj0", spaced, "-C", tmp_path / "v")
    assert ran.code == 2 and "bad checksum" in ran.err


def test_sphere_header_and_both_byte_orders(tmp_path: Path) -> None:
    for order in ("01", "10"):
        write_sphere(tmp_path / "a.wv1", tone(3), order=order)
        assert read_header(tmp_path / "a.wv1")["sample_count"] == "3200"
        samples, _ = soundfile.read(to_wav(tmp_path / "a.wv1", tmp_path / "a.wav"), dtype="int16")
        np.testing.assert_array_equal(samples, tone(3))
    (tmp_path / "empty.wv1").write_bytes(b"")
    with pytest.raises(AudioError, match="is empty"):
        to_wav(tmp_path / "empty.wv1", tmp_path / "b.wav")
    with pytest.raises(AudioError, match="No such file"):
        to_wav(tmp_path / "none.wv1", tmp_path / "b.wav")
