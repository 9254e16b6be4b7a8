"""`align --textgrids`: one TextGrid a recording, which Praat opens, with the times of the ctm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tone_models import RATE, ToneModel, say

from speechkit.acoustic.align import stage
from speechkit.kaldi import data

parselmouth = pytest.importorskip("parselmouth")
SAID = {"s0-a": ["K", "AA", "T"], "s0-b": ["B", "IY"], "s1-c": ["S", "IY", "B", "IY"]}
TEXTS = {"s0-a": "cat", "s0-b": "bee", "s1-c": "sea bee"}


def make_set(root: Path, name: str, together: bool) -> None:
    """Three utterances of two speakers: files, or parts of one recording, 0.3 s apart."""
    folder = root / "data" / name
    (folder / "wav").mkdir(parents=True)
    gap, parts, offset = np.zeros(round(0.3 * RATE), np.float32), [], 0.0
    wavs, segments = {}, {}
    for utterance, phones in SAID.items():
        wave = say(phones)
        segments[utterance] = f"rec/1 {offset:.4f} {offset + len(wave) / RATE:.4f}"
        wavs[utterance] = f"data/{name}/wav/{utterance}.wav"
        soundfile.write(root / wavs[utterance], wave, RATE, subtype="FLOAT")
        parts += [wave, gap]
        offset += (len(wave) + len(gap)) / RATE
    tables: dict[str, Any] = {"text": TEXTS}
    if together:
        wavs, tables["segments"] = {"rec/1": f"data/{name}/wav/all.wav"}, segments
        soundfile.write(folder / "wav" / "all.wav", np.concatenate(parts), RATE, subtype="FLOAT")
    data.write(folder, wavs, {name: name[:2] for name in SAID}, **tables)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stage, "load_model", lambda *_: ToneModel())
    stage.forget_model()
    (tmp_path / "lexicon.txt").write_text("CAT K AA T\nBEE B IY\nSEA S IY\n")
    return tmp_path


def align(run, work: Path, name: str, *more: str) -> Path:
    done = run("align", "--set", name, "-C", work, "--lexicon", work / "lexicon.txt", "-j", 1,
               "--device", "cpu", *more)  # fmt: skip
    assert done.code == 0, done.err
    return work / "exp" / "align" / name


def tiers(file: Path) -> dict[str, list[tuple[float, float, str]]]:
    """Tier -> (start, end, label) of those that are not empty, as Praat reads them."""
    grid, call = parselmouth.read(str(file)), parselmouth.praat.call
    found = {}
    for tier in range(1, int(call(grid, "Get number of tiers")) + 1):
        rows = []
        for k in range(1, int(call(grid, "Get number of intervals", tier)) + 1):
            if label := call(grid, "Get label of interval", tier, k):
                ends = [
                    call(grid, f"Get {end} time of interval", tier, k) for end in ("start", "end")
                ]
                rows.append((*ends, label))
        found[call(grid, "Get tier name", tier)] = rows
    return found


def ctm(file: Path) -> dict[str, list[tuple[float, float, str]]]:
    found: dict[str, list[tuple[float, float, str]]] = {}
    for line in file.read_text().splitlines():
        utterance, _, start, length, label, _ = line.split(" ")
        end = float(start) + float(length)
        found.setdefault(utterance, []).append((float(start), end, label))
    return found


def close(found: list[tuple], wanted: list[tuple]) -> None:
    assert [row[2] for row in found] == [row[2] for row in wanted]
    np.testing.assert_allclose([r[:2] for r in found], [r[:2] for r in wanted], atol=1e-6)


def test_a_file_each(run, work: Path) -> None:
    make_set(work, "train", together=False)
    folder = align(run, work, "train", "--textgrids")
    grids = {path.stem: tiers(path) for path in (folder / "textgrids").iterdir()}
    assert set(grids) == set(SAID)
    for utterance, found in grids.items():
        assert list(found) == ["words", "phones", "scores"]
        close(found["words"], ctm(folder / "words.ctm")[utterance])
        phones = [row for row in ctm(folder / "phones.ctm")[utterance] if row[2] != "SIL"]
        close(found["phones"], phones)
        assert [row[2] for row in found["phones"]] == SAID[utterance]
        assert all(0 <= float(row[2]) <= 1 for row in found["scores"])
    sound = parselmouth.Sound(str(work / "data/train/wav/s0-a.wav"))
    grid = parselmouth.read(str(folder / "textgrids" / "s0-a.TextGrid"))
    assert grid.xmax == pytest.approx(sound.xmax, abs=1e-5)


def test_segments_of_one_recording(run, work: Path) -> None:
    make_set(work, "talk", together=True)
    folder = align(run, work, "talk", "--textgrids")
    (file,) = (folder / "textgrids").iterdir()
    assert file.name == "rec%2F1.TextGrid"
    found, words = tiers(file), ctm(folder / "words.ctm")
    names = ("words", "phones", "scores")
    assert list(found) == [f"{speaker} - {name}" for speaker in ("s0", "s1") for name in names]
    offsets = {u.id: u.start for u in data.load(work / "data" / "talk", work).utterances}
    for speaker in ("s0", "s1"):
        wanted = [
            (start + offsets[utterance], end + offsets[utterance], word)
            for utterance in SAID
            if utterance[:2] == speaker
            for start, end, word in words[utterance]
        ]
        close(found[f"{speaker} - words"], wanted)


def test_without_the_flag_nothing_changes(run, work: Path) -> None:
    make_set(work, "train", together=False)
    folder = align(run, work, "train")
    assert not (folder / "textgrids").exists()
    assert "textgrids" not in (folder / "manifest.json").read_text()
    done = run("align", "--set", "train", "-C", work, "--lexicon", work / "lexicon.txt",
               "--textgrids")  # fmt: skip
    assert done.code == 2 and "textgrids" in done.err and "--force" in done.err
