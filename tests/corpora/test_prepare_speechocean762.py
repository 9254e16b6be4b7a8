"""speechocean762's layout, generated and real."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import soundfile
from conftest import voice

from speechkit.corpora.config import SpeechoceanConfig
from speechkit.corpora.speechocean762 import read_corpus
from speechkit.kaldi import data
from speechkit.labels.score_files import canonical_phones, read_scores
from speechkit.labels.scores import ASPECTS


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "speechocean762"
    for part, speakers in (("train", ("0001", "0012")), ("test", ("0003",))):
        (root / part).mkdir(parents=True)
        tables: dict[str, list[str]] = {}
        for speaker in speakers:
            folder = root / "WAVE" / f"SPEAKER{speaker}"
            folder.mkdir(parents=True)
            for k in range(2):
                name = f"0{speaker}000{k}"
                soundfile.write(folder / f"{name}.WAV", voice(100, 0.1), 16000, format="WAV")
                path = f"WAVE/SPEAKER{speaker}/{name}.WAV"
                tables.setdefault("wav.scp", []).append(f"{name}\t{path}")
                tables.setdefault("text", []).append(f"{name}\tWORD {k}")
                tables.setdefault("utt2spk", []).append(f"{name}\t{speaker}")
            tables.setdefault("spk2gender", []).append(f"{speaker}\tf")
            tables.setdefault("spk2age", []).append(f"{speaker}\t{int(speaker)}")
        for name, lines in tables.items():
            (root / part / name).write_text("\n".join(lines) + "\n")
    return root


def test_published_layout(corpus: Path, tmp_path: Path, run) -> None:
    command = ("prepare", "speechocean762", tmp_path, "-C", tmp_path / "w", "--dev-share", 0)
    ran = run(*command, "--json")
    assert ran.code == 0, ran.err
    assert "scores.json does not exist: the sets have no scores" in ran.err
    assert [(r["set"], r["speakers"], r["utterances"]) for r in json.loads(ran.out)] == [
        ("train", 2, 4),
        ("test", 1, 2),
    ]
    loaded = data.load(tmp_path / "w" / "data" / "train", tmp_path / "w")
    assert [u.id for u in loaded.utterances][::2] == ["000010000", "000120000"]
    assert loaded.text["000120001"] == "WORD 1"
    assert loaded.age == {"0001": "1", "0012": "12"} and loaded.gender["0012"] == "f"
    assert loaded.durations["000010000"] == 0.1


def test_copies_with_other_case_or_flac(corpus: Path, tmp_path: Path) -> None:
    published = corpus / "WAVE" / "SPEAKER0003" / "000030000.WAV"
    published.rename(published.with_suffix(".wav"))
    (corpus / "WAVE" / "SPEAKER0001" / "000010000.WAV").unlink()
    flac = corpus / "WAVE" / "SPEAKER0001" / "000010000.flac"
    soundfile.write(flac, voice(100, 0.1), 16000)
    (corpus / "WAVE").rename(corpus / "wave")
    train, test = read_corpus(corpus, SpeechoceanConfig(dev_share=0)).sets
    assert train.items[0].audio == corpus / "wave" / "SPEAKER0001" / "000010000.flac"
    assert test.items[0].audio == corpus / "wave" / "SPEAKER0003" / "000030000.wav"
    assert all(item.audio.is_file() for item in train.items + test.items)


def test_bad_layouts(corpus: Path, tmp_path: Path, run) -> None:
    def fails(path: Path, said: str) -> None:
        command = ("prepare", "speechocean762", path, "-C", tmp_path / "w", "--dev-share", 0)
        ran = run(*command)
        assert ran.code == 2 and said in ran.err, ran.err

    fails(tmp_path / "none", "does not exist")
    fails(corpus / "train", "is not speechocean762: it has no train/wav.scp")
    fails(corpus / "train" / "text", "is a file, not a folder")
    lost = corpus / "WAVE" / "SPEAKER0012" / "000120001.WAV"
    lost.rename(tmp_path / "lost.WAV")
    fails(corpus, "000120001.WAV: No such file")
    (tmp_path / "lost.WAV").rename(lost)
    text = (corpus / "test" / "text").read_text()
    (corpus / "test" / "text").write_text(text.splitlines()[0] + "\n")
    fails(corpus, "wav.scp and text disagree on 1 utterance (000030001)")
    (corpus / "test" / "text").write_text(text)
    (corpus / "test" / "wav.scp").write_text("000030000\tcat x |\n000030001\tcat y |\n")
    fails(corpus, "is a shell command, which is not run")


def test_real_corpus(real_data: Path, tmp_path: Path, run) -> None:
    source = real_data / "speechocean762"
    ran = run("prepare", "speechocean762", source, "-C", tmp_path, "--json")
    assert ran.code == 0, ran.err
    for name in ("train", "test"):
        loaded = data.load(tmp_path / "data" / name, tmp_path)
        assert {u.id: u.speaker for u in loaded.utterances} == data.read_table(
            source / name / "utt2spk"
        )
        assert loaded.gender == data.read_table(source / name / "spk2gender")
        assert data.order_clashes({u.id: u.speaker for u in loaded.utterances}) == []
        first = loaded.utterances[0]
        samples, rate = soundfile.read(first.wav)
        assert loaded.durations[first.id] == pytest.approx(len(samples) / rate, abs=1e-4)
        scores = read_scores(tmp_path / "data" / name)
        assert scores.aspects() == ASPECTS and scores.names() == set(loaded.text)
        assert canonical_phones(tmp_path / "data" / name) is not None
    with (source / "resource" / "scores.json").open() as file:
        published = json.load(file)
    word = published["000010011"]["words"][1]
    scores = read_scores(tmp_path / "data" / name_of(tmp_path, "000010011"))
    assert scores.words["000010011"][1].word == word["text"]
    assert [p.accuracy for p in scores.phones["000010011"] if p.word_index == 1] == (
        word["phones-accuracy"]
    )
    parts = [data.load(tmp_path / "data" / name, tmp_path) for name in ("train_nodev", "dev")]
    assert [len(part.speakers) for part in parts] == [80, 20]
    assert not set(parts[0].speakers) & set(parts[1].speakers)
    groups = Counter((int(parts[1].age[s]) < 18, parts[1].gender[s]) for s in parts[1].speakers)
    assert groups == {(False, "f"): 7, (False, "m"): 4, (True, "f"): 4, (True, "m"): 5}
    again = run("prepare", "speechocean762", source, "-C", tmp_path)
    assert again.err.count("is up to date") == 4


def name_of(work: Path, utterance: str) -> str:
    """The set, of train and test, that an utterance is in."""
    train = data.read_table(work / "data" / "train" / "utt2spk")
    return "train" if utterance in train else "test"
