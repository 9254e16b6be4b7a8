"""evaluate pronunciation: tables against recomputation, long texts, other features, commands."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pronunciation_sets import make_scored
from scipy import stats

from speechkit.base.errors import UserError
from speechkit.phone_features import dataset
from speechkit.pronunciation import model_folder
from speechkit.pronunciation import train as training
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.pronunciation.evaluate import EvaluationConfig, evaluate, published_rows, table
from speechkit.task import trained
from speechkit.task.evaluation import read_summary
from speechkit.task.scores import read_table
from speechkit.workdir import WorkDir

SMALL = {"epochs": 4, "batch_size": 5, "width": 8, "depth": 2, "warm_up": 4}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("work")
    make_scored(path, "train", utterances=25)
    make_scored(path, "test", utterances=12, seed=1)
    make_scored(path, "long", utterances=3, seed=2, mean_phones=120, longest=140)
    training.train(WorkDir(path), "m", PronunciationConfig(**SMALL), [0, 1])
    evaluate(WorkDir(path), EvaluationConfig("m", "test", samples=200))
    return path


def test_summary_is_that_of_the_tables(root):
    folder = root / "exp/pronunciation/m/eval/test"
    summary = read_summary(folder)
    for aspect in ("phone_accuracy", "word_stress", "utterance_fluency"):
        one = read_table(folder, aspect.partition("_")[0])
        each = [stats.pearsonr(one[f"{aspect}_seed{s}"], one[aspect])[0] for s in (0, 1)]
        row = summary[f"{aspect}_pcc"]
        assert row["mean"] == pytest.approx(np.mean(each), abs=1e-4) and row["n"] == 2
        assert row["std"] == pytest.approx(np.std(each, ddof=1), abs=1e-4)
        assert row["low"] <= row["mean"] <= row["high"]
        errors = [((one[f"{aspect}_seed{s}"] - one[aspect]) ** 2).mean() for s in (0, 1)]
        assert summary[f"{aspect}_mse"]["mean"] == pytest.approx(np.mean(errors), rel=1e-3)
        together = stats.pearsonr(one[f"{aspect}_mean"], one[aspect])[0]
        assert summary[f"{aspect}_pcc_ensemble"]["mean"] == pytest.approx(together, abs=1e-4)
    assert summary["utterance_completeness_pcc"]["mean"] is None
    assert summary["utterances"]["mean"] == 12 and summary["speakers"]["mean"] == 5


def test_words_are_the_mean_of_their_phones(root):
    """The model's word scores by hand, from what it says of each phone of a text."""
    work = WorkDir(root)
    found = dataset.load(work, "test", ("",))
    folders = [folder for _, folder in trained.find(work, "pronunciation", "m")]
    assessor = model_folder.load(folders)
    words = read_table(root / "exp/pronunciation/m/eval/test", "word")
    rows = slice(found.first[2], found.first[3])
    index = found.words[rows] - found.first_word[2]
    alone = assessor.assess(found.features[rows], found.phones[rows], index)
    own = words[words["utt"] == found.utterances[2]]
    assert np.allclose(alone.scores["word_total"][1], own["word_total_seed1"], atol=1e-4)
    merged = np.zeros_like(index)  # all phones in one word: the same phones, one mean
    one = assessor.assess(found.features[rows], found.phones[rows], merged)
    by_hand = np.average(alone.scores["word_total"], axis=1, weights=np.bincount(index))
    assert np.allclose(one.scores["word_total"][:, 0], by_hand, atol=1e-5)
    assert alone.scores["phone_accuracy"].shape == (2, len(index))
    assert alone.scores["utterance_total"].shape == (2, 1)


def test_company_changes_no_score(root):
    """An utterance among others of other lengths, and alone."""
    work = WorkDir(root)
    found = dataset.load(work, "test", ("",))
    assessor = model_folder.load([root / "exp/pronunciation/m/seed0"])
    phones = read_table(root / "exp/pronunciation/m/eval/test", "phone")
    for u, name in enumerate(found.utterances):
        rows = slice(found.first[u], found.first[u + 1])
        index = found.words[rows] - found.first_word[u]
        alone = assessor.assess(found.features[rows], found.phones[rows], index)
        among = phones[phones["utt"] == name]["phone_accuracy_seed0"]
        assert np.allclose(alone.scores["phone_accuracy"][0], among, atol=2e-5)


def test_long_texts_in_windows(root):
    work = WorkDir(root)
    folder = evaluate(work, EvaluationConfig("m", "long", samples=100))
    found = dataset.load(work, "long", ("",))
    assert len(found.phones) > 3 * 60
    assert len(read_table(folder, "phone")) == len(found.phones)
    whole = read_table(folder, "utterance")
    assert whole["utterance_total_mean"].notna().all()


def test_errors_by_class_and_worst(root):
    folder = root / "exp/pronunciation/m/eval/test"
    lines = [line.split("\t") for line in (folder / "classes.tsv").read_text().splitlines()]
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    phones = read_table(folder, "phone")
    own = [row for row in rows if row["aspect"] == "phone_accuracy"]
    assert sum(int(row["count"]) for row in own) == len(phones)
    two = phones[phones["phone_accuracy"] == 2]
    error = np.mean([((two[f"phone_accuracy_seed{s}"] - 2) ** 2).mean() for s in (0, 1)])
    assert float(own[-1]["mse"]) == pytest.approx(error, rel=1e-2)
    worst = (folder / "worst.tsv").read_text().splitlines()
    errors = [float(line.split("\t")[3]) for line in worst[1:]]
    assert len(errors) == 12 and errors == sorted(errors, reverse=True)


def test_other_features_are_refused(root, tmp_path):
    make_scored(root, "odd", utterances=4, fingerprint="else")
    with pytest.raises(UserError, match="learned from features of made"):
        evaluate(WorkDir(root), EvaluationConfig("m", "odd"))


def test_folders_that_cannot_be_used(root, tmp_path):
    work = WorkDir(root)
    with pytest.raises(UserError, match=r"no trained model 'x'.*Models there: m"):
        evaluate(work, EvaluationConfig("x", "test"))
    with pytest.raises(UserError, match="100 or more"):
        EvaluationConfig("m", "test", samples=5)
    training.train(work, "narrow", PronunciationConfig(**{**SMALL, "width": 4, "epochs": 1}), [0])
    pair = [root / "exp/pronunciation/m/seed0", root / "exp/pronunciation/narrow/seed0"]
    with pytest.raises(UserError, match="differ in 'network'"):
        model_folder.load(pair)
    assessor = model_folder.load(pair[:1])
    with pytest.raises(UserError, match="no phones"):
        assessor.assess(np.zeros((0, 6), np.float32), [], [])
    with pytest.raises(UserError, match="expected"):
        assessor.assess(np.zeros((1, 5), np.float32), ["AA"], [0])
    with pytest.raises(UserError, match="inventory"):
        assessor.assess(np.zeros((1, 6), np.float32), ["QX"], [0])
    card = (pair[1] / "config.yaml").read_text()
    (pair[1] / "config.yaml").write_text(card.replace("width: 4", "width: 6"))
    with pytest.raises(UserError, match="does not fit the network"):
        model_folder.load(pair[1:])
    (pair[1] / "config.yaml").write_text("kind: other")
    with pytest.raises(UserError, match="not of a model of pronunciation"):
        model_folder.load(pair[1:])


def test_set_with_scores_of_utterances_only(root):
    make_scored(root, "totals", utterances=6, seed=4)
    folder = root / "data/totals"
    for level in ("word", "phone"):
        (folder / f"{level}_scores.tsv").unlink()
    lines = (folder / "utterance_scores.tsv").read_text().splitlines()
    kept = [(c.split("\t")[0], c.split("\t")[-1]) for c in lines]
    (folder / "utterance_scores.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in kept))
    summary = read_summary(evaluate(WorkDir(root), EvaluationConfig("m", "totals")))
    measured = {name for name in summary if name.endswith("_pcc")}
    assert measured == {"utterance_total_pcc"}


def test_tables_of_the_paper(root):
    assert [row[0] for row in published_rows("2")] == [
        "paper: + SB_num",
        "paper: + SB_num (no pred)",
    ]
    summary = read_summary(root / "exp/pronunciation/m/eval/test")
    rows = table(["m"], [summary])
    assert [row[0] for row in rows] == ["m", "m, mean of seeds"]
    assert len(rows[0]) == 11 and rows[0][7] == "-"


def test_commands(root, run):
    trained = run(
        *("train", "pronunciation", "-C", root, "--name", "cli", "--epochs", 1, "--seeds", 2),
        *("--loss", "sb-num", "--width", 4, "--aspects", "word_stress,phone_accuracy", "--json"),
    )
    assert trained.code == 0, trained.err
    assert "labels of each class, word_stress" in trained.err
    assert len(json.loads(trained.out)) == 2
    few = ("--samples", 200)
    done = run("evaluate", "pronunciation", "-C", root, "--name", "cli,m", "--table", 1, *few)
    assert done.code == 0, done.err
    assert "paper: LSTM" in done.out and "cli, mean of seeds" in done.out
    again = run("evaluate", "pronunciation", "-C", root, "--name", "m", "--json")
    assert again.code == 2 and "other parameters" in again.err  # the fixture took few samples
    weights = run("evaluate", "pronunciation", "-C", root, "--table", 3, "--set", "train")
    assert weights.code == 0 and "0.542" in weights.out
    wrong = run("train", "pronunciation", "-C", root, "--loss", "sb")
    assert wrong.code == 2 and "--loss 'sb' is not known" in wrong.err
