"""LibriSpeech's layout, on a generated tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from conftest import voice

from speechkit.kaldi import data

SPEAKERS = """;ID  |SEX| SUBSET           |MINUTES| NAME
14   | F | dev-clean        | 25.03 | Anna | Bee
116  | M | train-clean-100  | 25.00 | Ben
1116 | F | train-clean-100  | 25.00 | Cleo
260  | M | train-clean-360  | 25.00 | Dan
"""
UTTERANCES = {
    "dev-clean": {"14-208": 2},
    "train-clean-100": {"116-5": 2, "1116-7": 1},
    "train-clean-360": {"260-1": 1},
}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "LibriSpeech"
    for subset, chapters in UTTERANCES.items():
        for chapter, count in chapters.items():
            folder = root / subset / chapter.replace("-", "/")
            folder.mkdir(parents=True)
            ids = [f"{chapter}-{k:04d}" for k in range(count)]
            for name in ids:
                soundfile.write(folder / f"{name}.flac", voice(150, 0.1), 16000)
            (folder / f"{chapter}.trans.txt").write_text(
                "".join(f"{name} THIS IS {name[-1]}\n" for name in ids)
            )
    (root / "SPEAKERS.TXT").write_text(SPEAKERS)
    return root


def test_every_subset_is_a_set(corpus: Path, tmp_path: Path, run) -> None:
    ran = run("prepare", "librispeech", tmp_path, "-C", tmp_path / "w", "--json")
    assert ran.code == 0, ran.err
    rows = {row.pop("set"): row for row in json.loads(ran.out)}
    assert {name: (r["utterances"], r["female"], r["male"]) for name, r in rows.items()} == {
        "dev_clean": (2, 1, 0),
        "train_clean_100": (3, 1, 1),
        "train_clean_360": (1, 0, 1),
    }
    loaded = data.load(tmp_path / "w" / "data" / "train_clean_100", tmp_path / "w")
    # Byte order of the ids: '1116-...' before '116-...', and so are the speakers.
    assert [u.id for u in loaded.utterances] == ["1116-7-0000", "116-5-0000", "116-5-0001"]
    assert loaded.text["116-5-0001"] == "THIS IS 1"
    assert loaded.gender == {"1116": "f", "116": "m"}
    assert "not sorted" not in ran.err


def test_subsets_are_joined_with_to(corpus: Path, tmp_path: Path, run) -> None:
    command = (
        *("prepare", "librispeech", corpus, "-C", tmp_path / "w"),
        *("--to", "train=train-clean-100,train-clean-360", "--to", "dev=dev-clean"),
    )
    assert run(*command).code == 0
    assert sorted(p.name for p in (tmp_path / "w" / "data").iterdir()) == ["dev", "train"]
    loaded = data.load(tmp_path / "w" / "data" / "train", tmp_path)
    assert loaded.speakers == ["1116", "116", "260"] and len(loaded.utterances) == 4
    table = corpus / "train-clean-360" / "260" / "1" / "260-1.trans.txt"
    table.write_text("260-1-0000 ANOTHER TEXT\n")
    ran = run(*command)
    assert "data/dev is up to date" in ran.err and "data/train is up to date" not in ran.err
    assert data.load(tmp_path / "w" / "data" / "train", tmp_path).text["260-1-0000"] == (
        "ANOTHER TEXT"
    )


def test_without_transcripts_and_genders(corpus: Path, tmp_path: Path, run) -> None:
    """As in LibriTTS: other file names, no transcripts of chapters."""
    (corpus / "SPEAKERS.TXT").unlink()
    folder = corpus / "dev-clean" / "14" / "208"
    (folder / "14-208.trans.txt").unlink()
    (folder / "14-208-0000.flac").rename(folder / "14_208_000000_000000.flac")
    ran = run("prepare", "librispeech", corpus, "-C", tmp_path / "w", "--to", "dev=dev-clean")
    assert ran.code == 0 and "genders are unknown" in ran.err
    loaded = data.load(tmp_path / "w" / "data" / "dev", tmp_path)
    assert [u.id for u in loaded.utterances] == ["14-14_208_000000_000000", "14-208-0001"]
    assert loaded.text == {} and loaded.gender == {}


def test_loose_ends_are_said(corpus: Path, tmp_path: Path, run) -> None:
    (corpus / "dev-clean" / "14" / "208" / "14-208-0001.flac").unlink()
    folder = corpus / "train-clean-100" / "116" / "5"
    (folder / "116-5.trans.txt").write_text("116-5-0000 ONLY ONE\n")
    ran = run("prepare", "librispeech", corpus, "-C", tmp_path / "w")
    assert ran.code == 0
    assert "1 transcript has no audio (14-208-0001)" in ran.err
    assert "train_clean_100: no transcript of 1 utterance." in ran.err


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("train", "is not SET=SUBSET"),
        ("train=train-clean-10", "Did you mean 'train-clean-100'?"),
        ("train=dev-clean,dev-clean", "names a subset twice"),
        ("=dev-clean", "is not SET=SUBSET"),
        ("a/b=dev-clean", "cannot be the name of a set"),
    ],
)
def test_bad_to(corpus: Path, tmp_path: Path, run, to: str, said: str) -> None:
    ran = run("prepare", "librispeech", corpus, "-C", tmp_path / "w", "--to", to)
    assert ran.code == 2 and said in ran.err, ran.err


def test_bad_layouts(corpus: Path, tmp_path: Path, run) -> None:
    def fails(path: Path, said: str) -> None:
        ran = run("prepare", "librispeech", path, "-C", tmp_path / "w")
        assert ran.code == 2 and said in ran.err, ran.err

    fails(tmp_path / "none", "does not exist")
    fails(corpus / "SPEAKERS.TXT", "is a file, not a folder")
    fails(corpus / "dev-clean", "is one subset")
    fails(corpus / "dev-clean" / "14", "No subset of LibriSpeech was found")
    chapter = corpus / "dev-clean" / "14" / "208"
    soundfile.write(chapter / "14-208-0000.wav", voice(150, 0.1), 16000)
    fails(corpus, "'14-208-0000' comes twice")
    (chapter / "14-208-0000.wav").unlink()
    (chapter / "14-208.trans.txt").write_text("14-208-0000 A\n14-208-0000 B\n")
    fails(corpus, "14-208.trans.txt:2: the utterance '14-208-0000' comes twice")
    (corpus / "SPEAKERS.TXT").write_text("14 | F | dev-clean\nfourteen F\n")
    fails(corpus, "SPEAKERS.TXT:2: expected 'ID | SEX | SUBSET")
    (corpus / "SPEAKERS.TXT").write_text("14 | Q | dev-clean | 1 | Anna\n")
    fails(corpus, "the gender 'Q' is not known")
