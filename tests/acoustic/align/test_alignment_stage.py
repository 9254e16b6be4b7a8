"""The stage `align` on generated speech."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from sphinx_reference import spoken

from speechkit.acoustic.align import stage as alignment_stage
from speechkit.acoustic.align.alignment import align
from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.acoustic.sphinx.model import SphinxModel
from speechkit.base.tables import write_tsv
from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkTable

TEXTS = {
    "s0-a": "We call it a bear.",
    "s0-b": "I have 3 green apples.",
    "s1-a": "Don't read that letter!",
    "s1-b": "My sister lives near the river.",
}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    waves = spoken(list(TEXTS.values()), tmp_path_factory.mktemp("espeak"))
    return dict(zip(TEXTS, waves, strict=True))


@pytest.fixture
def workdir(tmp_path, sounds):
    folder = tmp_path / "data" / "train"
    (folder / "wav").mkdir(parents=True)
    for name, samples in sounds.items():
        soundfile.write(folder / "wav" / f"{name}.wav", samples, 16000)
    data.write(
        folder,
        {name: f"data/train/wav/{name}.wav" for name in TEXTS},
        {name: name[:2] for name in TEXTS},
        text=TEXTS,
    )
    return tmp_path


def ctm(path):
    """Utterance -> (start, duration, name, confidence)."""
    found = {}
    for line in path.read_text().splitlines():
        utterance, channel, start, duration, name, confidence = line.split(" ")
        assert channel == "1"
        found.setdefault(utterance, []).append(
            (float(start), float(duration), name, float(confidence))
        )
    return found


def test_files_say_what_align_says(run, workdir):
    done = run("align", "-C", workdir, "-j", 1, "--json")
    assert done.code == 0, done.err
    folder = workdir / "exp/align/train"
    summary = json.loads(done.out)
    assert summary == json.loads((folder / "summary.json").read_text())
    assert summary["utterances"] == 4 and summary["mismatches"] == 0
    phones, words = ctm(folder / "phones.ctm"), ctm(folder / "words.ctm")
    states = ArkTable(folder / "ali.scp", workdir)
    labels = [line.split()[0] for line in (folder / "phones.txt").read_text().splitlines()]
    assert list(phones) == list(words) == list(states) == list(TEXTS)
    assert [row[2] for row in words["s0-b"]] == ["I", "HAVE", "THREE", "GREEN", "APPLES"]
    assert summary["phones"] == sum(row[2] != "SIL" for rows in phones.values() for row in rows)

    model = SphinxModel()
    samples, _ = soundfile.read(workdir / "data/train/wav/s0-a.wav", dtype="float32")
    evidence = model.evidence(samples)
    found = align(model, evidence, Lexicon().words(["WE", "CALL", "IT", "A", "BEAR"]))
    assert np.array_equal(states["s0-a"], found.states) and states["s0-a"].dtype == np.int32
    rows = phones["s0-a"]
    spoken_rows = [row for row in rows if row[2] != "SIL"]
    for segment, (start, duration, name, confidence) in zip(
        found.segments, spoken_rows, strict=True
    ):
        assert (name, round(100 * start), round(100 * duration)) == (
            segment.phone,
            segment.start_frame,
            segment.frames,
        )
        assert confidence == pytest.approx(np.exp(segment.score), abs=1e-4)
    at = 0.0
    for start, duration, name, _ in rows:  # nothing between the rows; the states agree
        assert start == pytest.approx(at)
        at = start + duration
        part = states["s0-a"][round(100 * start) : round(100 * at)]
        assert {labels[state // 3] for state in part} == {name}
    assert at == pytest.approx(len(found.states) / 100)


def test_processes_and_interruptions_do_not_change_the_files(run, workdir, monkeypatch):
    assert run("align", "-C", workdir, "-j", 2, "--name", "two").code == 0
    monkeypatch.setattr(alignment_stage, "PART", 2)
    calls = []
    real = alignment_stage.align

    def dying(*arguments, **how):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments, **how)

    monkeypatch.setattr(alignment_stage, "align", dying)
    assert run("align", "-C", workdir, "-j", 1, "--name", "cut").code == 130
    assert not (workdir / "exp/align/train-cut").exists()
    again = run("align", "-C", workdir, "-j", 1, "--name", "cut")
    assert again.code == 0 and "unfinished" in again.err
    assert len(calls) == 4 + 2  # the first part was kept
    for name in ("phones.ctm", "words.ctm", "ali.ark", "utterances.tsv", "summary.json"):
        two, cut = (workdir / f"exp/align/train-{n}" / name for n in ("two", "cut"))
        assert two.read_bytes() == cut.read_bytes(), name
    assert "up to date" in run("align", "-C", workdir, "-j", 1, "--name", "cut").err


def test_scored_phones_go_before_the_text(run, workdir):
    rows = []
    for name, phones in (("s0-a", "W IY0,K AO1 L,IH0 T,AH0,B EH0 R"), ("s1-a", "D OW0,R EH1 D")):
        index = 0
        for word, said in enumerate(phones.split(",")):
            for phone in said.split():
                rows.append([name, str(word), str(index), phone, ""])
                index += 1
    header = ("utt", "word", "index", "phone", "accuracy")
    write_tsv(workdir / "data/train/phone_scores.tsv", header, rows)
    done = run("align", "-C", workdir, "-j", 1)
    assert done.code == 2 and "s0-b" in done.err and "phone_scores.tsv" in done.err
    done = run("align", "-C", workdir, "-j", 1, "--on-error", "skip")
    assert done.code == 0
    folder = workdir / "exp/align/train"
    names = [row[2] for row in ctm(folder / "phones.ctm")["s0-a"] if row[2] != "SIL"]
    assert names == ["W", "IY0", "K", "AO1", "L", "IH0", "T", "AH0", "B", "EH0", "R"]
    assert [row[2] for row in ctm(folder / "words.ctm")["s0-a"]][-1].lower().strip(".") == "bear"
    assert (folder / "skipped.tsv").read_text().count("\n") == 3


def test_lexicon_and_guesses(run, workdir, tmp_path):
    table = dict(TEXTS, **{"s0-a": "We call it a blorfin."})
    data.write_table(workdir / "data/train/text", table)
    done = run("align", "-C", workdir, "-j", 1)
    assert done.code == 0 and "BLORFIN B L AO1" in done.err
    assert run("align", "-C", workdir, "-j", 1, "--no-g2p").code == 2  # other parameters
    done = run("align", "-C", workdir, "-j", 1, "--no-g2p", "--force")
    assert done.code == 2 and "BLORFIN" in done.err and "s0-a" in done.err
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("BLORFIN B EH1 R\nREAD R EH1 D\n")
    done = run("align", "-C", workdir, "-j", 1, "--no-g2p", "--lexicon", lexicon, "--name", "own")
    assert done.code == 0, done.err
    phones = [row[2] for row in ctm(workdir / "exp/align/train-own/phones.ctm")["s0-a"]]
    assert " ".join(phones).replace(" SIL", "").endswith("B EH1 R")
    lexicon.write_text("BLORFIN B AX\n")
    done = run("align", "-C", workdir, "-j", 1, "--lexicon", lexicon, "--name", "bad")
    assert done.code == 2 and "'AX'" in done.err


def test_texts_that_do_not_match_are_warned_of(run, workdir):
    table = dict(TEXTS, **{"s1-b": TEXTS["s0-b"]})
    data.write_table(workdir / "data/train/text", table)
    done = run("align", "-C", workdir, "-j", 1, "--json")
    assert done.code == 0 and json.loads(done.out)["mismatches"] == 1
    assert "does not match" in done.err and "s1-b" in done.err
    assert "more than half" not in done.err
    rows = (workdir / "exp/align/train/utterances.tsv").read_text().splitlines()
    assert [row.split("\t")[3] for row in rows] == ["matches", "yes", "yes", "yes", "no"]
    data.write_table(workdir / "data/train/text", dict.fromkeys(TEXTS, "seven blue umbrellas"))
    done = run("align", "-C", workdir, "-j", 1, "--name", "odd")
    assert done.code == 0 and "more than half" in done.err


@pytest.mark.parametrize(
    ("text", "seconds", "message"),
    [
        ("", None, "empty"),
        ("?!", None, "no words"),
        ("on 3/4/1990", None, "more ways than are known"),
        ("你好", None, "not a letter of English"),
        ("We call it a bear " * 40, None, "longer than the audio"),
        ("We call it a bear", 0.1, "longer than the audio"),
        ("We call it a bear", 0.01, "too few"),
    ],
)
def test_what_cannot_be_aligned_is_named_or_skipped(run, workdir, text, seconds, message):
    data.write_table(workdir / "data/train/text", dict(TEXTS, **{"s1-a": text}))
    if seconds:
        wave = 1e-3 * np.random.default_rng(0).standard_normal(round(16000 * seconds))
        soundfile.write(workdir / "data/train/wav/s1-a.wav", wave, 16000)
    stopped = run("align", "-C", workdir, "-j", 1)
    assert stopped.code == 2 and "s1-a" in stopped.err and message in stopped.err
    assert not (workdir / "exp/align/train").exists()
    skipped = run("align", "-C", workdir, "-j", 1, "--on-error", "skip")
    assert skipped.code == 0
    folder = workdir / "exp/align/train"
    assert message in (folder / "skipped.tsv").read_text()
    assert len(ctm(folder / "words.ctm")) == 3


def test_silence_is_aligned_with_a_warning(run, workdir):
    soundfile.write(workdir / "data/train/wav/s1-a.wav", np.zeros(32000), 16000)
    done = run("align", "-C", workdir, "-j", 1)
    assert done.code == 0 and "does not match" in done.err and "s1-a" in done.err


def test_another_sample_rate(run, workdir, sounds):
    from speechkit.base import audio

    slow = audio.resample(sounds["s0-a"].astype(np.float32) / 32768, 16000, 8000)
    soundfile.write(workdir / "data/train/wav/s0-a.wav", slow, 8000)
    assert run("align", "-C", workdir, "-j", 1).code == 0
    assert len(ctm(workdir / "exp/align/train/words.ctm")["s0-a"]) == 5


def test_the_model_of_a_speaker_is_asked_for(run, workdir, monkeypatch):
    """Cross-fitted models align a speaker with the network that has not seen them."""
    asked = []

    class Fitted(SphinxModel):
        def for_speaker(self, speaker):
            asked.append(speaker)
            return self

    alignment_stage._model.cache_clear()
    monkeypatch.setattr(alignment_stage, "load_model", lambda *_: Fitted())
    assert run("align", "-C", workdir, "-j", 1).code == 0
    alignment_stage._model.cache_clear()
    assert asked == ["s0", "s0", "s1", "s1"]


def test_unknown_model_and_set(run, workdir):
    done = run("align", "-C", workdir, "--am", "spinx")
    assert done.code == 2 and "Did you mean 'sphinx'" in done.err
    assert run("align", "-C", workdir, "--set", "tset").code == 2
