"""`prepare wsj0-2mix`: published folders become sets of mixtures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import voice

from speechkit.labels.mixtures import load_mixtures

NAMES = ("01to030v_0.76421_20ga010m_-0.76421", "22ha0104_1.2e-05_01to0305_-1.2e-05")


def make(
    root: Path, split: str = "tr", home: str = "wav8k/min", names=NAMES, sources: int = 2
) -> Path:
    """Tiny mixtures in the layout of the published scripts: 16-bit WAV at 8 kHz."""
    folder = root / home / split
    for part in ("mix", *(f"s{k + 1}" for k in range(sources))):
        (folder / part).mkdir(parents=True)
    for j, name in enumerate(names):
        rows = [0.3 * voice(100 + 30 * k, 0.2 + 0.1 * j, 8000, k) for k in range(sources)]
        for k, row in enumerate(rows, 1):
            soundfile.write(folder / f"s{k}" / f"{name}.wav", row, 8000)
        soundfile.write(folder / "mix" / f"{name}.wav", sum(rows), 8000)
    return folder


def test_published_layout(tmp_path: Path, run) -> None:
    make(tmp_path / "wsj")
    make(tmp_path / "wsj", "tt", names=NAMES[:1])
    gender = tmp_path / "gender.tsv"
    gender.write_text("01T\tf\n20g\tm\n")
    done = run(
        *("prepare", "wsj0-2mix", tmp_path / "wsj", "-C", tmp_path, "-j", 1),
        *("--gender", gender, "--json"),
    )
    assert done.code == 0, done.err
    rows = {row["set"]: row for row in json.loads(done.out)}
    assert rows.keys() == {"wsj0_2mix_tr", "wsj0_2mix_tt"}
    tr = rows["wsj0_2mix_tr"]
    assert (tr["mixtures"], tr["sources"], tr["speakers"], tr["rate"]) == (2, 4, 3, 8000)
    assert (tr["female"], tr["male"], tr["mode"]) == (1, 1, "min")
    assert "the gender of 1 speaker is not known" in done.err
    assert "unlike the sum" not in done.err
    found = load_mixtures(tmp_path / "data" / "wsj0_2mix_tr", tmp_path)
    assert [m.id for m in found.mixtures] == list(NAMES)
    assert [[s.utterance.speaker for s in m.sources] for m in found.mixtures] == [
        ["01t", "20g"],
        ["22h", "01t"],
    ]
    assert found.genders(found.mixtures[0]) == "FM"
    for mixture, name in zip(found.mixtures, NAMES, strict=True):
        mix, sources = found.read(mixture)
        home = tmp_path / "wsj/wav8k/min/tr"
        np.testing.assert_array_equal(
            mix, soundfile.read(home / "mix" / f"{name}.wav", dtype="float32")[0]
        )
        for k in (1, 2):
            expected = soundfile.read(home / f"s{k}" / f"{name}.wav", dtype="float32")[0]
            np.testing.assert_array_equal(sources[k - 1], expected)
    assert run("validate", "-C", tmp_path).code == 0


def test_three_sources_and_max(tmp_path: Path, run) -> None:
    name = "01to030v_0.7_20ga010m_-0.7_22ha0104_0"
    folder = make(tmp_path / "w", "cv", "wav8k/max", (name,), sources=3)
    assert run("prepare", "wsj0-2mix", folder, "-C", tmp_path, "-j", 1).code == 0
    found = load_mixtures(tmp_path / "data" / "wsj0_3mix_cv", tmp_path)
    assert (found.header.speakers, found.header.mode) == (3, "max")
    assert [s.utterance.speaker for s in found.mixtures[0].sources] == ["01t", "20g", "22h"]


def test_own_names_need_a_pattern(tmp_path: Path, run) -> None:
    folder = make(tmp_path, "Own-Set", "", ("anna-1_ben-7", "ben-2_cleo-1"))
    command = ("prepare", "wsj0-2mix", folder, "-C", tmp_path, "-j", 1)
    done = run(*command)
    assert done.code == 2
    assert "--speaker-pattern REGEX" in " ".join(done.err.split())
    for bad, message in (("(", "is not a pattern"), ("^(\\w+)-", "finds 1 group in")):
        done = run(*command, "--speaker-pattern", bad)
        assert done.code == 2
        assert message in " ".join(done.err.split())
    pattern = ("--speaker-pattern", "^([a-z]+)-.*_([a-z]+)-", "--prefix", "mine")
    done = run(*command, *pattern)
    assert done.code == 0, done.err
    found = load_mixtures(tmp_path / "data" / "mine_own_set", tmp_path)
    assert found.data.speakers == ["anna", "ben", "cleo"]


def test_oddities_are_counted(tmp_path: Path, run) -> None:
    folder = make(tmp_path / "w")
    path = folder / "mix" / f"{NAMES[0]}.wav"
    sound = soundfile.read(path)[0]
    sound[100] = 1.0
    soundfile.write(path, sound, 8000)
    done = run("prepare", "wsj0-2mix", tmp_path / "w", "-C", tmp_path, "-j", 1)
    assert done.code == 0
    assert "1 mixture clipped (samples at full scale)" in done.err
    assert "1 mixture unlike the sum of the sources by more than -40 dB" in done.err


@pytest.mark.parametrize("damage", ["missing", "length", "rate"])
def test_broken_mixtures(tmp_path: Path, run, damage: str) -> None:
    folder = make(tmp_path / "w")
    path = folder / "s2" / f"{NAMES[1]}.wav"
    if damage == "missing":
        path.unlink()
    else:
        seconds, rate = (0.1, 8000) if damage == "length" else (0.3, 16000)
        soundfile.write(path, voice(100, seconds, rate), rate)
    command = ("prepare", "wsj0-2mix", tmp_path / "w", "-C", tmp_path, "-j", 1)
    done = run(*command)
    assert done.code == 2
    assert NAMES[1] in done.err
    assert not (tmp_path / "data" / "wsj0_2mix_tr").exists()
    assert run(*command, "--on-error", "skip").code == 0
    assert len(load_mixtures(tmp_path / "data" / "wsj0_2mix_tr", tmp_path)) == 1
    assert NAMES[1] in (tmp_path / "data" / "wsj0_2mix_tr" / "skipped.tsv").read_text()


def test_two_versions_and_other_folders(tmp_path: Path, run) -> None:
    make(tmp_path / "w")
    make(tmp_path / "w", home="wav8k/max")
    done = run("prepare", "wsj0-2mix", tmp_path / "w", "-C", tmp_path, "-j", 1)
    assert done.code == 2
    assert "more than one version" in done.err
    assert run("prepare", "wsj0-2mix", tmp_path / "w/wav8k/min", "-C", tmp_path).code == 0
    (tmp_path / "empty" / "mix").mkdir(parents=True)
    done = run("prepare", "wsj0-2mix", tmp_path / "empty", "-C", tmp_path)
    assert done.code == 2
    assert "no s1 and s2" in done.err
    (tmp_path / "other" / "s1").mkdir(parents=True)
    done = run("prepare", "wsj0-2mix", tmp_path / "other", "-C", tmp_path)
    assert done.code == 2
    assert "no folder with mix, s1 and s2" in done.err
