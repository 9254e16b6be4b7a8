"""evaluate pronunciation --miscues: texts changed, features extracted, words found."""

from __future__ import annotations

import json
import shutil

import dask_workers
import numpy as np
import pytest
import soundfile
from tone_models import RATE, ToneModel, say
from worded_sets import PHONES, make_worded

from speechkit.acoustic import models
from speechkit.base.errors import UserError
from speechkit.kaldi import data
from speechkit.labels.miscues import read_miscues, statuses
from speechkit.phone_features.extract import extract
from speechkit.phone_features.settings import FeatureSettings
from speechkit.pronunciation import miscue_evaluation, miscues
from speechkit.pronunciation import train as training
from speechkit.pronunciation.config import MiscueConfig, PronunciationConfig
from speechkit.pronunciation.evaluate import EvaluationConfig
from speechkit.report.reader import read_rows
from speechkit.task.evaluation import read_summary
from speechkit.workdir import WorkDir

TONES = {
    "CAT": "K AA T", "BAT": "B AA T", "SEA": "S IY", "BEE": "B IY", "KEY": "K IY", "TEA": "T IY",
    "BEAT": "B IY T", "SEAT": "S IY T", "TASK": "T AA S K", "BASK": "B AA S K", "EAST": "IY S T",
    "AS": "AA S", "SKI": "S K IY", "ASK": "AA S K",
}  # fmt: skip
TEXTS = (
    "CAT BEE", "SEA BAT KEY", "TEA TASK", "BEAT AS SEAT", "SKI EAST BEE", "ASK BASK", "CAT SEA",
    "KEY SEAT TASK", "EAST TEA", "BAT AS BEE CAT",
)  # fmt: skip
SETTINGS = FeatureSettings(("sphinx",), verification=True)
ASPECTS = ("phone_accuracy", "word_accuracy", "utterance_completeness")
SMALL = {
    "epochs": 20, "batch_size": 5, "width": 12, "depth": 1, "warm_up": 10, "gop": ("t",),
    "learning_rate": 5e-3, "aspects": ASPECTS,
}  # fmt: skip


def make_spoken(root, name: str, copies: int) -> None:
    """A scored set whose texts are said in tones."""
    with pytest.MonkeyPatch.context() as patch:
        for word, phones in TONES.items():
            patch.setitem(PHONES, word, phones)
        folder = make_worded(root, name, TEXTS, copies=copies, speakers=4)
    (folder / "audio").mkdir()
    text, wavs = data.read_table(folder / "text"), {}
    for utterance, words in text.items():
        said = [phone for word in words.split() for phone in TONES[word].split()]
        soundfile.write(folder / f"audio/{utterance}.wav", say(said), RATE, subtype="FLOAT")
        wavs[utterance] = f"data/{name}/audio/{utterance}.wav"
    data.write_table(folder / "wav.scp", wavs)
    (folder / "utt2dur").unlink()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("spoken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "load_model", lambda *_, **__: ToneModel())
        work = WorkDir(path)
        for name, copies in (("train", 3), ("test", 1)):
            make_spoken(path, name, copies)
            extract(work, name, SETTINGS, name="t")
        changed = miscues.make(work, MiscueConfig("train", texts=2))
        extract(work, changed.name, SETTINGS, name="t")
        training.train(work, "plain", PronunciationConfig(**SMALL), [0])
        training.train(work, "told", PronunciationConfig(**SMALL, negatives=0.5), [0, 1])
        for name in ("told", "plain"):
            miscue_evaluation.evaluate(work, EvaluationConfig(name, "test", samples=100))
        yield path


def test_words_that_nobody_said_are_found(root) -> None:
    folder = root / "exp/pronunciation/told/eval/test-miscues"
    found = read_summary(folder)
    for kind in ("far", "replaced", "omission"):
        one = found[f"{kind}_said_auc"]
        assert one["mean"] > 0.9 and one["low"] <= one["mean"] <= one["high"]
        assert found[f"{kind}_said_recall"]["mean"] > 0.5
        assert found[f"{kind}_word_accuracy"]["mean"] < 5
    assert found["text_said_recall"]["mean"] > 0.8
    assert 0 <= found["text_confidence_recall"]["mean"] <= 1
    assert found["substitution_recall"]["mean"] > 0.5
    assert found["right_called_unsaid"]["mean"] < 0.2
    assert found["right_words"]["mean"] > 15 and found["right_words"]["n"] == 2
    assert found["insertion_recall"]["mean"] > 0.8 and found["texts_without_a_word"]["mean"] > 3
    assert found["right_texts_called_inserted"]["mean"] < 0.2
    plain = read_summary(folder.parents[2] / "plain/eval/test-miscues")
    assert "far_said_auc" not in plain and plain["far_accuracy_auc"]["mean"] is not None
    assert plain["far_words"] == {**found["far_words"], "n": 1}
    assert (folder / "roc.png").read_bytes()[:4] == b"\x89PNG"


def test_the_table_has_every_word_of_both_sets(root) -> None:
    work = WorkDir(root)
    rows = read_rows(root / "exp/pronunciation/told/eval/test-miscues/miscues.tsv")
    changed = read_miscues(work.data("test_miscues-test"))
    by_text: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_text.setdefault(row["utt"], []).append(row)
    texts = data.read_table(root / "data/test/text")
    texts |= data.read_table(root / "data/test_miscues-test/text")
    assert set(by_text) == set(texts)
    for utterance, own in by_text.items():
        assert [row["word"] for row in own] == texts[utterance].split()
        assert [row["index"] for row in own] == [str(k) for k in range(len(own))]
        lines = changed.get(utterance, [])
        assert {row["test"] for row in own} == {lines[0].test if lines else "true"}
        names = ["said", "substitution", "omission"]
        numbers = [names.index(row["status"]) for row in own]
        assert numbers == statuses(len(own), lines)
        for row in own:
            assert sum(float(row[f"p_{name}"]) for name in names) == pytest.approx(1, abs=1e-4)
            assert 0 <= float(row["word_accuracy"]) <= 10
    curve = [row for row in read_rows(root / "exp/pronunciation/told/eval/test-miscues/roc.tsv")
             if (row["kind"], row["evidence"]) == ("far", "said")]  # fmt: skip
    x, y = (np.array([float(row[name]) for row in curve]) for name in ("false_alarm", "recall"))
    area = np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2)
    found = read_summary(root / "exp/pronunciation/told/eval/test-miscues")
    assert area == pytest.approx(found["far_said_auc"]["mean"], abs=1e-3)


def test_words_come_from_the_training_set(root) -> None:
    manifest = json.loads((root / "data/test_miscues-test/manifest.json").read_text())
    assert manifest["params"]["words"] == "train" and manifest["params"]["test"] is True


def test_the_same_command_does_nothing(root, run) -> None:
    command = ("evaluate", "pronunciation", "-C", root, "--name", "told,plain", "--miscues")
    done = run(*command, "--samples", 100, "--json")
    assert done.code == 0, done.err
    assert done.err.count("is up to date") == 2 * 3  # the set, the features, the evaluation
    told, plain = json.loads(done.out)
    assert told["far_said_auc"]["mean"] > 0.9 and "far_said_auc" not in plain
    shown = run(*command, "--samples", 100)
    assert shown.code == 0 and "badly_said_words" in shown.out
    other = run(*command, "--samples", 200)
    assert other.code == 2 and "other parameters" in other.err


def test_what_cannot_be_tested(root, tmp_path) -> None:
    copy = tmp_path / "work"
    shutil.copytree(root, copy)
    work, config = WorkDir(copy), EvaluationConfig("told", "test", samples=100)
    cards = sorted((copy / "exp/pronunciation/told").glob("seed*/config.yaml"))
    texts = [card.read_text() for card in cards]
    for card, text in zip(cards, texts, strict=True):
        card.write_text(text.replace("method: segment", "method: imported"))
    with pytest.raises(UserError, match="imported: they cannot be computed"):
        miscue_evaluation.evaluate(work, config)
    for card, text in zip(cards, texts, strict=True):
        card.write_text(text)
    for name, message in (("word", "no utterance with scores"), ("phone", "no utterance with")):
        shutil.rmtree(copy / "data/test_miscues-test", ignore_errors=True)
        path = copy / f"data/test/{name}_scores.tsv"
        path.rename(copy / "kept")
        with pytest.raises(UserError, match=message):
            miscue_evaluation.evaluate(work, config)
        (copy / "kept").rename(path)
    training.train(work, "odd", PronunciationConfig(**{**SMALL, "aspects": ASPECTS[:1]}), [0])
    with pytest.raises(UserError, match="does not predict the accuracy of words"):
        miscue_evaluation.evaluate(work, EvaluationConfig("odd", "test", samples=100))
    with pytest.raises(UserError, match="no set 'gone'"):
        miscue_evaluation.evaluate(work, EvaluationConfig("told", "gone", samples=100))


def test_a_cluster_extracts_the_same_features(root, run) -> None:
    folder = root / "exp/gop/test_miscues-test-t"
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".ark"}
    shutil.rmtree(folder)
    command = ("evaluate", "pronunciation", "-C", root, "--name", "told", "--samples", 100)
    with dask_workers.in_process() as executor:
        there = run(*command, "--miscues", "--out-name", "there", "--executor", executor)
    assert there.code == 0, there.err
    assert before == {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix == ".ark"}
    own, other = (
        root / f"exp/pronunciation/told/eval/test-miscues{name}" for name in ("", "-there")
    )
    assert read_summary(own) == read_summary(other)
    useless = run(*command, "--executor", "dask://127.0.0.1:1")
    assert useless.code == 2 and "--executor is for the features that --miscues" in useless.err
