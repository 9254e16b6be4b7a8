"""`predict pronunciation`: recordings and texts in, scores and what was heard out."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tone_models import LABELS, RATE, ToneModel, say

from speechkit.base.errors import UserError
from speechkit.labels.phones import ipa
from speechkit.labels.scores import default_scales
from speechkit.phone_features import recordings
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.phone_features.request import Request
from speechkit.phone_features.settings import FeatureSettings
from speechkit.pronunciation import model_folder, predict
from speechkit.pronunciation.models import ModelConfig, build
from speechkit.training.normaliser import Normaliser
from speechkit.workdir import WorkDir

CAT_BEE = ["K", "AA", "T", "B", "IY"]
LEXICON = "CAT K AA T\nBEE B IY\nSEA S IY\n"


def pipeline() -> FeaturePipeline:
    return FeaturePipeline(FeatureSettings(am=("tones",), prosody=True), [ToneModel()])


def further_pipeline() -> FeaturePipeline:
    return FeaturePipeline(FeatureSettings(am=("tones",), method="ctc"), [ToneModel()])


def write_scorer(
    root: Path, seeds: int = 2, name: str = "tiny", beside: bool = False, **card: object
) -> Path:
    """Random scorers of tone features under ``exp/pronunciation/<name>``; of two folders
    ``beside`` each other."""
    pipelines = [pipeline(), *([further_pipeline()] if beside else [])]
    features = [{**each.config(), **card} for each in pipelines]
    width = sum(len(each.columns) for each in pipelines)
    config = ModelConfig(inputs=width)
    folder = root / "exp" / "pronunciation" / name
    for seed in range(seeds):
        weights = {key: value[0] for key, value in build(config, [seed]).state_dict().items()}
        written = model_folder.make_card(config, features, default_scales(), [], seed=seed)
        target = folder / f"seed{seed}"
        target.mkdir(parents=True)
        normaliser = Normaliser(np.zeros((1, width), np.float32), np.ones((1, width), np.float32))
        model_folder.write(target, written, weights, normaliser, [])
    return folder


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a scorer of tones, a lexicon and a recording of "cat bee"."""
    from speechkit.acoustic import models

    monkeypatch.setattr(models, "load_model", lambda spec, *_: ToneModel())
    write_scorer(tmp_path)
    (tmp_path / "lexicon.txt").write_text(LEXICON)
    soundfile.write(tmp_path / "good.wav", say(CAT_BEE), RATE, subtype="FLOAT")
    return tmp_path


def score(run, work: Path, *arguments: object):
    return run("predict", "pronunciation", "-C", work, "--model", "tiny", "--device", "cpu",
               "--lexicon", work / "lexicon.txt", *arguments)  # fmt: skip


def test_scores_are_the_mean_of_the_seeds_on_their_scales(run, work: Path) -> None:
    done = score(run, work, work / "good.wav", "--text", "Cat, bee!", "--json")
    assert done.code == 0, done.err
    (found,) = json.loads(done.out)
    assert [word["word"] for word in found["words"]] == ["CAT", "BEE"]
    phones = [phone for word in found["words"] for phone in word["phones"]]
    assert [phone["phone"] for phone in phones] == CAT_BEE
    assert all(a["end"] <= b["start"] + 1e-6 for a, b in pairwise(phones))
    assert phones[0]["start"] == pytest.approx(0.1, abs=0.02)

    extracted = pipeline().extract(say(CAT_BEE), [[("K", "AA", "T")], [("B", "IY")]])
    seeds = [work / "exp" / "pronunciation" / "tiny" / f"seed{k}" for k in range(2)]
    for k, phone in enumerate(phones):
        single = [
            model_folder.load([seed]).assess(extracted.features, CAT_BEE, [0, 0, 0, 1, 1])
            for seed in seeds
        ]
        value = np.mean([np.clip(s.scores["phone_accuracy"][0, k], 0, 2) for s in single])
        assert phone["accuracy"] == pytest.approx(value, abs=0.006)
    totals = [np.clip(5 * s.scores["utterance_total"][0, 0], 0, 10) for s in single]
    assert found["utterance"]["total"] == pytest.approx(np.mean(totals), abs=0.006)
    assert found["spread_over_seeds"]["total"] == pytest.approx(np.std(totals), abs=0.006)
    assert found["scales"]["word"]["stress"] == [0, 10]


@pytest.mark.parametrize("times", [1, 2])
def test_a_text_that_is_read_twice(
    run, work: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    soundfile.write(work / "more.wav", say(CAT_BEE * times), RATE, subtype="FLOAT")
    done = score(run, work, work / "more.wav", "--text", "cat bee", "--json")
    (found,) = json.loads(done.out)
    assert found["matches"] and ("insertions" in found) == (times == 2)  # which tells it
    verify = predict.verify
    counts = []

    def without_insertions(*given: object):
        counts.append((whole := verify(*given)).heard)  # type: ignore[arg-type]
        return replace(whole, insertions=[])

    monkeypatch.setattr(predict, "verify", without_insertions)
    done = score(run, work, work / "more.wav", "--text", "cat bee", "--json")
    assert counts == [5 * times]
    assert json.loads(done.out)[0]["matches"] is (times == 1)
    assert ("read twice" in done.err) == (times == 2)


def test_features_of_several_folders_stand_side_by_side(run, work: Path) -> None:
    """Of the pronunciation that the first folder's model chose: S AA T."""
    folder = write_scorer(work, 1, "wide", beside=True)
    (work / "lexicon.txt").write_text("CAT K AA T\nCAT S AA T\nBEE B IY\n")
    said = ["S", "AA", "T", "B", "IY"]
    soundfile.write(work / "sat.wav", say(said), RATE, subtype="FLOAT")
    sat = work / "sat.wav", "--text", "cat bee", "--json", "--model", "wide"
    done = score(run, work, *sat)
    assert done.code == 0, done.err
    words = json.loads(done.out)[0]["words"]
    assert [phone["phone"] for word in words for phone in word["phones"]] == said
    given = [phone["accuracy"] for word in words for phone in word["phones"]]

    parts = [
        each.extract(say(said), [[("S", "AA", "T")], [("B", "IY")]]).features
        for each in (pipeline(), further_pipeline())
    ]
    assessor = model_folder.load([folder / "seed0"])
    found = assessor.assess(np.concatenate(parts, axis=1), said, [0, 0, 0, 1, 1])
    expected = np.clip(found.scores["phone_accuracy"][0], 0, 2)
    assert given == pytest.approx(expected.tolist(), abs=0.006)


NUMBERS = "ONE K AA\nA IY\nHUNDRED S IY\nAND T S\nFOUR B AA\nZERO T IY\nOH S\n"


def test_readings_are_named(run, work: Path) -> None:
    (work / "lexicon.txt").write_text(LEXICON + NUMBERS)
    soundfile.write(work / "oh.wav", say(["K", "AA", "T", "K", "AA", "S", "B", "AA"]), RATE)
    soundfile.write(
        work / "hundred.wav", say(["K", "AA", "T", *["K", "AA", "S", "IY", "B", "AA"]]), RATE
    )
    files = work / "oh.wav", work / "hundred.wav", work / "good.wav"
    (work / "t.tsv").write_text("oh.wav\tcat 104\nhundred.wav\tcat 104\ngood.wav\tcat bee\n")
    done = score(run, work, *files, "--trans", work / "t.tsv", "--json")
    assert done.code == 0, done.err
    oh, hundred, plain = json.loads(done.out)
    assert [word["word"] for word in oh["words"]] == ["CAT", "ONE", "OH", "FOUR"]
    assert [word["word"] for word in hundred["words"]] == ["CAT", "ONE", "HUNDRED", "FOUR"]
    (reading,) = oh["readings"]
    assert (reading["written"], reading["said"], reading["words"]) == ("104", "one oh four", [1, 3])
    assert "one hundred four" in reading["others"] and "readings" not in plain
    written = score(run, work, work / "oh.wav", "--text", "cat one oh four", "--json")
    (told,) = json.loads(written.out)
    assert {k: v for k, v in oh.items() if k not in ("readings", "text")} == {
        k: v for k, v in told.items() if k != "text"
    }
    shown = score(run, work, work / "oh.wav", "--text", "cat 104")
    assert "'104' read as: one oh four" in shown.out


def test_readings_and_marks_are_refused_or_dropped(run, work: Path) -> None:
    file = work / "good.wav"
    done = score(run, work, file, "--text", "cat 104", "--readings", "error")
    assert done.code == 2 and "'104'" in done.err and "one oh four" in done.err
    done = score(run, work, file, "--text", "cat [laughter] bee")
    assert done.code == 2 and "[laughter]" in done.err and "--drop-markup" in done.err
    done = score(run, work, file, "--text", "cat [laughter] bee", "--drop-markup", "--json")
    (found,) = json.loads(done.out)
    assert [word["word"] for word in found["words"]] == ["CAT", "BEE"]
    assert "[laughter] (1)" in done.err


def test_invisible_characters_change_nothing(run, work: Path) -> None:
    texts = "cat bee", "c\u00ada\u200bt\u00a0\u200fbe\ufeffe\u2060"
    results = [score(run, work, work / "good.wav", "--text", text, "--json") for text in texts]
    one, other = (json.loads(done.out)[0] for done in results)
    assert other.pop("text") == texts[1] and one.pop("text") == texts[0] and one == other


@pytest.mark.parametrize(
    ("said", "heard"), [(["S", "AA", "T"], "S"), (["AA", "T"], "-"), (["K", "AA", "B"], "B")]
)
def test_the_likeliest_alternative_is_what_was_said(said: list[str], heard: str) -> None:
    model = pipeline()
    words = [[("K", "AA", "T")]]
    (found,) = model.extract_many([Request(say(said), words, keep_evidence=True)])
    ready = predict.LoadedModel("", None, model)  # type: ignore[arg-type]
    alternatives = predict.likeliest(ready, found)
    place = 2 if heard == "B" else 0
    assert alternatives[place].heard == heard
    if heard != "-":
        others = [a.advantage for k, a in enumerate(alternatives) if k != place]
        assert max(others) < 1 < alternatives[place].advantage


def test_the_terminal_view_has_words_phones_and_scales(run, work: Path) -> None:
    done = score(run, work, work / "good.wav", "--text", "cat bee")
    assert done.code == 0, done.err
    for text in ("CAT", "BEE", "fluency", "stress", "Scales: phones 0 to 2, words 0 to 10"):
        assert text in done.out


def test_a_table_of_many(run, work: Path) -> None:
    soundfile.write(work / "sea.wav", say(["S", "IY"]), RATE, subtype="FLOAT")
    (work / "trans.tsv").write_text("path\ttext\ngood.wav\tcat bee\nsea.wav\tsea\n")
    done = score(run, work, "--trans", work / "trans.tsv", "--json")
    assert [f["text"] for f in json.loads(done.out)] == ["cat bee", "sea"]
    one = score(run, work, work / "sea.wav", "--trans", work / "trans.tsv", "--json")
    assert [f["text"] for f in json.loads(one.out)] == ["sea"]
    assert json.loads(one.out)[0]["utterance"] == json.loads(done.out)[1]["utterance"]


def test_sixty_words(run, work: Path) -> None:
    soundfile.write(work / "long.wav", say(["S", "IY"] * 60), RATE, subtype="FLOAT")
    done = score(run, work, work / "long.wav", "--text", "sea " * 60, "--json")
    assert done.code == 0, done.err
    assert len(json.loads(done.out)[0]["words"]) == 60


def test_a_word_that_no_lexicon_has(run, work: Path) -> None:
    soundfile.write(work / "b.wav", say(["B", "IY", "K", "IY", "T"]), RATE, subtype="FLOAT")
    refused = score(run, work, work / "b.wav", "--text", "bee keetz", "--no-g2p")
    assert refused.code == 2 and "KEETZ" in refused.err


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize(
    ("name", "samples", "text", "message"),
    [
        ("short", np.full(800, 0.1), "cat", "too short"),
        ("silent", np.zeros(RATE), "cat", "silent (-200 dB below full scale at most)"),
        ("constant", np.full(RATE, 0.1), "cat", "silent (-200 dB below full scale at most)"),
        ("cut", say(["K"]), "cat bee " * 20, "longer than the audio"),
        ("digits", say(CAT_BEE), "3/4/1990", "1990"),
        ("empty", say(CAT_BEE), "...", "no words"),
    ],
)
def test_what_cannot_be_scored(
    run, work: Path, name: str, samples: np.ndarray, text: str, message: str
) -> None:
    file = write(work / f"{name}.wav", samples.astype(np.float32))
    done = score(run, work, file, "--text", text)
    assert done.code == 2
    assert message in done.err.replace("\n", " ")
    assert "Traceback" not in done.err and not done.out


def test_skipping_goes_on(run, work: Path) -> None:
    silent = write(work / "silent.wav", np.zeros(RATE, np.float32))
    files = (silent, work / "good.wav")
    stopped = score(run, work, *files, "--text", "cat bee", "--json")
    assert stopped.code == 2 and not stopped.out
    done = score(run, work, *files, "--text", "cat bee", "--json", "--on-error", "skip")
    assert done.code == 0 and "silent.wav" in done.err
    assert [Path(f["file"]).name for f in json.loads(done.out)] == ["good.wav"]


def test_results_come_before_a_stop(run, work: Path) -> None:
    silent = write(work / "silent.wav", np.zeros(RATE, np.float32))
    files = (work / "good.wav", silent, work / "good.wav")
    stopped = score(run, work, *files, "--text", "cat bee", "--json")
    assert stopped.code == 2 and "silent" in stopped.err
    assert [Path(f["file"]).name for f in json.loads(stopped.out)] == ["good.wav"]
    shown = score(run, work, *files, "--text", "cat bee")
    assert shown.code == 2 and "CAT" in shown.out and "Scales: phones" in shown.out


def test_missing_recordings_are_told_before_the_model_is_loaded(run, work: Path) -> None:
    gone = [work / "gone1.wav", work / "gone2.wav"]
    done = score(run, work, *gone, work / "good.wav", "--text", "cat", "--model", "none")
    assert done.code == 2 and "2 of 3 recordings are not there" in done.err


def test_a_recording_with_several_texts(run, work: Path) -> None:
    lines = ["good.wav\tcat bee", "good.wav\tsea", "good.wav\tcat bee"]
    (work / "trans.tsv").write_text("\n".join(lines))
    done = score(run, work, "--trans", work / "trans.tsv", "--json")
    assert [f["text"] for f in json.loads(done.out)] == ["cat bee", "sea"]
    assert "1 of 3 are given twice" in done.err
    named = score(run, work, work / "good.wav", "--trans", work / "trans.tsv", "--json")
    assert named.out == done.out


def test_saved_scores_are_shown_again_and_not_made_again(
    run, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "trans.tsv").write_text("good.wav\tcat bee\ngood.wav\tsea\n")
    base = ("--trans", work / "trans.tsv")
    save = ("--save", work / "scores.jsonl")
    plain, first = score(run, work, *base, "--json"), score(run, work, *base, *save, "--json")
    assert first.code == 0 and first.out == plain.out
    saved = [json.loads(line) for line in (work / "scores.jsonl").read_text().splitlines()]
    extra = ("audio_sha256", "made_with")
    kept = [{k: v for k, v in row.items() if k not in extra} for row in saved]
    assert kept == json.loads(plain.out)
    (work / "scores.jsonl").unlink()
    view = score(run, work, *base, *save)
    monkeypatch.setattr(FeaturePipeline, "extract_many", None)  # nothing can be scored now
    again = score(run, work, *base, *save)
    assert again.code == 0 and again.out == view.out and "up to date: 2 recordings" in again.err
    assert score(run, work, *base, *save, "--json").out == plain.out
    (work / "more.txt").write_text(LEXICON + "DEE D IY\n")
    other = score(run, work, *base, *save, "--lexicon", work / "more.txt")
    assert other.code == 2 and "lexicon: " in other.err and "--force" in other.err


def test_scores_in_other_formats(run, work: Path) -> None:
    """The same numbers as --json, in the files that other programs read."""
    parselmouth = pytest.importorskip("parselmouth")
    (work / "trans.tsv").write_text("good.wav\tcat bee\ngood.wav\tsea\n")
    base = ("--trans", work / "trans.tsv", "--json")
    for name in ("all.csv", "words.ctm", "phones.ctm", "all.json", "grids"):
        done = score(run, work, *base, "--save", work / name)
        assert done.code == 0, done.err
    found = json.loads(done.out)
    assert json.loads((work / "all.json").read_text()) == found
    with (work / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["level"] for row in rows[:5]] == ["utterance", "word", *["phone"] * 3]
    assert float(rows[0]["total"]) == found[0]["utterance"]["total"]
    assert float(rows[1]["stress"]) == found[0]["words"][0]["stress"]
    assert [row["phone"] for row in rows[:8] if row["level"] == "phone"] == CAT_BEE
    assert {(row["word_index"], row["word"]) for row in rows[2:8]} == {("0", "CAT"), ("1", "BEE")}
    words = [line.split() for line in (work / "words.ctm").read_text().splitlines()]
    first = found[0]["words"][0]
    assert [line[4] for line in words] == ["CAT", "BEE", "SEA"] and words[2][0] == "good_2"
    assert float(words[0][2]) == first["start"]
    assert float(words[0][5]) == pytest.approx(first["total"] / 10, abs=1e-4)
    phones = [line.split() for line in (work / "phones.ctm").read_text().splitlines()]
    assert [line[4] for line in phones[:5]] == CAT_BEE
    assert float(phones[1][5]) == pytest.approx(first["phones"][1]["accuracy"] / 2, abs=1e-4)
    grid, call = parselmouth.read(str(work / "grids" / "good.TextGrid")), parselmouth.praat.call
    assert [call(grid, "Get tier name", k) for k in range(1, 5)] == [
        "words", "phones", "scores", "phone scores"]  # fmt: skip
    middle = (first["start"] + first["end"]) / 2
    place = [int(call(grid, "Get interval at time", tier, middle)) for tier in (1, 3)]
    assert call(grid, "Get label of interval", 1, place[0]) == "CAT"
    assert call(grid, "Get label of interval", 3, place[1]) == f"{first['total']:g}"


def test_phones_in_ipa(run, work: Path) -> None:
    base = (work / "good.wav", "--text", "cat bee")
    found = {
        name: json.loads(score(run, work, *base, "--json", *more).out)[0]
        for name, more in (("plain", ()), ("ipa", ("--ipa", "--save", work / "s.jsonl")))
    }
    phones = [phone["phone"] for word in found["ipa"]["words"] for phone in word["phones"]]
    assert phones == ["k", "ɑ", "t", "b", "i"]
    heard = {
        name: [p.get("heard") for word in row["words"] for p in word["phones"]]
        for name, row in found.items()
    }
    assert heard["ipa"] == [one and ipa(one) for one in heard["plain"]]
    assert found["ipa"]["utterance"] == found["plain"]["utterance"]
    shown, again = (
        score(run, work, *base, "--ipa", *more) for more in ((), ("--save", work / "s.jsonl"))
    )
    assert "ɑ:" in shown.out and shown.out == again.out
    other = score(run, work, *base, "--save", work / "s.jsonl")
    assert other.code == 2 and "ipa: True there" in other.err


def test_the_help_names_every_kind_of_model(run) -> None:
    said = " ".join(re.sub("[│╭╮╰╯─]", " ", run("predict", "pronunciation", "--help").out).split())
    for kind in ("exp/pronunciation", "a file of export", "CTC model", "torchaudio:BUNDLE"):
        assert kind in said


def test_standard_input(run, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (work / "good.wav").open() as sent:
        monkeypatch.setattr("sys.stdin", sent)
        done = score(run, work, "-", "--text", "cat bee", "--json")
    (found,) = json.loads(done.out)
    wanted = score(run, work, work / "good.wav", "--text", "cat bee", "--json")
    assert {**found, "file": ""} == {**json.loads(wanted.out)[0], "file": ""}
    assert found["file"] == "-"
    with (work / "lexicon.txt").open() as sent:
        monkeypatch.setattr("sys.stdin", sent)
        broken = score(run, work, "-", "--text", "cat bee")
    assert broken.code == 2 and "error: standard input: cannot be decoded" in broken.err
    write(work / "silent.wav", np.zeros(RATE), RATE)
    with (work / "silent.wav").open() as sent:
        monkeypatch.setattr("sys.stdin", sent)
        silent = score(run, work, "-", "--text", "cat bee")
    assert silent.code == 2 and "error: standard input is silent" in silent.err


def test_a_low_rate_is_resampled_and_said(run, work: Path) -> None:
    file = write(work / "low.wav", say(CAT_BEE)[::2], RATE // 2)
    done = score(run, work, file, "--text", "cat bee", "--json")
    assert done.code == 0 and "8000 Hz" in done.err


def test_text_and_model_must_be_given_right(run, work: Path) -> None:
    good = work / "good.wav"
    assert "No text" in score(run, work, good).err
    (work / "t.tsv").write_text("good.wav cat\n")
    assert "t.tsv:1" in score(run, work, "--trans", work / "t.tsv").err
    (work / "t.tsv").write_text("other.wav\tcat\n")
    assert "no text for" in score(run, work, good, "--trans", work / "t.tsv").err
    both = score(run, work, good, "--trans", work / "t.tsv", "--text", "cat")
    assert both.code == 2 and "both given" in both.err
    unknown = run("predict", "pronunciation", good, "-C", work, "--text", "cat", "--model", "tini")
    assert unknown.code == 2 and "Did you mean 'tiny'?" in unknown.err


def test_a_model_of_other_features_is_refused(run, work: Path) -> None:
    write_scorer(work, 1, "other", fingerprint="0" * 32)
    done = run("predict", "pronunciation", work / "good.wav", "-C", work, "--text", "cat bee",
               "--model", "other")  # fmt: skip
    assert done.code == 2 and "other acoustic models" in done.err


def test_trans_is_read_strictly(tmp_path: Path) -> None:
    table = tmp_path / "t.tsv"
    table.write_text("a.wav one\n")
    with pytest.raises(UserError, match=r"t\.tsv:1"):
        recordings.read_trans(table)
    table.write_text("path\ttext\n")
    with pytest.raises(UserError, match="lists no recordings"):
        recordings.read_trans(table)


def test_a_set_is_a_table_of_its_texts(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mine"
    folder.mkdir(parents=True)
    (folder / "wav.scp").write_text(f"a x/a.wav\nb {tmp_path}/b.wav\nc c.wav\n")
    (folder / "utt2spk").write_text("a anna\nb anna\nc anna\n")
    with pytest.raises(UserError, match="has no texts"):
        recordings.read_trans(folder)
    (folder / "text").write_text("a ONE TWO\nb THREE\n")
    assert recordings.read_trans(folder) == [
        (tmp_path / "x" / "a.wav", "ONE TWO"),
        (tmp_path / "b.wav", "THREE"),
    ]
    (folder / "segments").write_text("a a 0 1\nb b 0 1\nc c 0 1\n")
    with pytest.raises(UserError, match="has segments"):
        recordings.read_trans(folder)


def test_the_labels_of_the_tone_model_are_phones() -> None:
    assert set(LABELS[1:]) >= set(CAT_BEE)


def test_load_names_what_is_known(work: Path) -> None:
    with pytest.raises(UserError, match="nowhere") as error:
        predict.load_model("nowhere", WorkDir(work))
    assert "default, accurate, no-gpl, tiny" in error.value.remedy
