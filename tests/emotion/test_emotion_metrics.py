"""Measures against scikit-learn's, and the bootstrap against drawing speakers one by one."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, classification_report, confusion_matrix

from speechkit.base.errors import DataError
from speechkit.emotion import metrics, results, tables
from speechkit.emotion.results import Predictions

CLASSES = ("a", "b", "c", "d")


def drawn(seed, count=60, classes=4):
    rng = np.random.default_rng(seed)
    targets = rng.integers(classes, size=count)
    return targets, np.where(rng.random(count) < 0.6, targets, rng.integers(classes, size=count))


@pytest.mark.parametrize("seed", range(4))
def test_as_scikit_learns_report(seed):
    targets, predicted = drawn(seed)
    if seed == 2:
        predicted[predicted == 1] = 0  # a class that is never predicted
    if seed == 3:
        targets[targets == 3] = 2  # a class that does not occur, but is predicted
    matrix = metrics.confusion(targets, predicted, 4)
    assert (matrix == confusion_matrix(targets, predicted, labels=range(4))).all()
    found = metrics.report(matrix)
    wanted = classification_report(
        targets, predicted, labels=range(4), output_dict=True, zero_division=0
    )
    for i in range(4):
        row = wanted[str(i)]
        assert found.by_class["precision"][i] == pytest.approx(row["precision"])
        assert found.by_class["recall"][i] == pytest.approx(row["recall"])
        assert found.by_class["f1"][i] == pytest.approx(row["f1-score"])
        assert found.support[i] == row["support"]
    for ours, theirs in ((found.macro, "macro avg"), (found.weighted, "weighted avg")):
        for name, key in (("precision",) * 2, ("recall",) * 2, ("f1", "f1-score")):
            assert ours[name] == pytest.approx(wanted[theirs][key])
    assert found.accuracy == pytest.approx(np.mean(targets == predicted))
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)
        assert found.uar == pytest.approx(balanced_accuracy_score(targets, predicted))


def test_classes_that_never_occur_are_left_out_of_the_means():
    found = metrics.report(metrics.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 4))
    plain = classification_report([0, 0, 1], [0, 1, 1], output_dict=True)
    assert found.macro["f1"] == pytest.approx(plain["macro avg"]["f1-score"])
    assert found.uar == pytest.approx(0.75)


def test_bootstrap_is_drawing_speakers():
    targets, predicted = drawn(7)
    members = np.arange(60) % 6
    draws = np.array([[1, 1, 1, 1, 1, 1], [0, 3, 0, 2, 1, 0]])
    right = (targets == predicted).astype(float)
    found = metrics.bootstrap(targets, right, members, draws, 4)
    for number, counts in enumerate(draws):
        rows = np.repeat(np.arange(60), counts[members])
        wanted = metrics.report(metrics.confusion(targets[rows], predicted[rows], 4))
        assert found["accuracy"][number] == pytest.approx(wanted.accuracy)
        assert found["uar"][number] == pytest.approx(wanted.uar)


def predictions(folds=2, seeds=3, clips=30):
    rng = np.random.default_rng(5)
    rows = []
    for fold in range(folds):
        targets = rng.integers(4, size=clips)
        for seed in range(seeds):
            for i, target in enumerate(targets):
                p = rng.dirichlet(np.ones(4) + 2 * np.eye(4)[target])
                rows.append((f"f{fold}u{i:02d}", f"spk{fold}{i % 3}", fold, seed, target, p))
    utts, spks, f, s, t, p = zip(*rows, strict=True)
    ids = (np.array(utts, object), np.array(spks, object))
    return Predictions(CLASSES, *ids, np.array(f), np.array(s), np.array(t), np.stack(p).round(6))


def test_summary_over_folds_and_seeds():
    found = predictions()
    summary = results.summarize(found)
    hit = found.predicted == found.targets
    each = np.array([[hit[(found.folds == f) & (found.seeds == s)].mean() for s in range(3)]
                     for f in range(2)])  # fmt: skip
    accuracy = summary["accuracy"]
    assert accuracy["mean"] == pytest.approx(each.mean())
    assert accuracy["std"] == pytest.approx(each.mean(1).std(ddof=1)) and accuracy["n"] == 2
    assert accuracy["std_seeds"] == pytest.approx(each.mean(0).std(ddof=1))
    assert accuracy["seeds"] == 3
    assert accuracy["low"] < accuracy["mean"] < accuracy["high"]
    assert {"f1_macro", "recall_a", "precision_d", "f1_weighted"} <= set(summary)
    one = results.summarize(found.where(found.folds == 0))
    assert one["uar"]["n"] == 3  # one fold: the spread is that of the seeds
    single = results.summarize(found.where((found.folds == 0) & (found.seeds == 1)))
    assert single["uar"]["std"] is None
    alone = found.where(found.speakers == "spk00")
    assert "low" not in results.summarize(alone)["accuracy"]


def test_tables_are_read_again(tmp_path):
    found = predictions()
    results.write_predictions(tmp_path, found)
    again = results.read_predictions(tmp_path)
    assert again.classes == CLASSES and (again.predicted == found.predicted).all()
    assert results.summarize(again) == results.summarize(found)
    tables.write_tables(tmp_path, found)
    lines = (tmp_path / "confusion.tsv").read_text().splitlines()
    counts = np.array([line.split("\t")[2:] for line in lines[1:5]], float)
    assert (counts == found.matrix()).all()
    shares = np.array([line.split("\t")[2:] for line in lines[5:]], float)
    assert np.allclose(shares.sum(1), 1, atol=1e-3)
    (tmp_path / "predictions.tsv").write_text("utt\tfold\na\t1\n")
    with pytest.raises(DataError, match="cannot be read"):
        results.read_predictions(tmp_path)


def test_the_most_confidently_wrong():
    found = predictions()
    rows = tables.worst_rows(found, 5)
    margins = [row["confidence"] - row["p_label"] for row in rows]
    assert margins == sorted(margins, reverse=True) and margins[-1] > 0
    row = rows[0]
    own = found.where(found.utterances == row["utt"])
    mean = own.probabilities.mean(0)
    assert row["predicted"] == CLASSES[mean.argmax()] != row["label"]
    assert row["confidence"] == pytest.approx(mean.max())
    right = found.where(found.predicted == found.targets)
    assert tables.worst_rows(right.where(right.seeds == 0)) == []


def test_class_rows():
    rows = tables.class_rows(predictions())
    assert [row[0] for row in rows][-3:] == ["macro avg", "weighted avg", "accuracy"]
    assert rows[-1][3] == pytest.approx(results.summarize(predictions())["accuracy"]["mean"])
    assert rows[0][4] + rows[1][4] + rows[2][4] + rows[3][4] == rows[-1][4] == 60


def test_a_difference_is_paired():
    from speechkit.emotion.results import compare

    found = predictions()
    same = compare(found, found.where(found.seeds >= 0))
    assert same["uar"].gap == same["uar"].low == same["uar"].high == 0
    better = found.probabilities.copy()
    better[np.arange(len(better)), found.targets] += 0.2
    other = Predictions(
        CLASSES, found.utterances, found.speakers, found.folds, found.seeds, found.targets, better
    )
    gap = compare(found, other)["accuracy"]
    mean = np.mean(other.predicted == other.targets) - np.mean(found.predicted == found.targets)
    assert gap.gap == pytest.approx(mean) and 0 < gap.low < gap.gap < gap.high
    assert gap.clips == 60
    part = compare(found, other.where(other.folds == 1))["accuracy"]
    assert part.clips == 30 and part.first == pytest.approx(
        np.mean((found.predicted == found.targets)[found.folds == 1])
    )
    assert compare(found.where(found.folds == 0), other.where(other.folds == 1)) == {}


def test_tables_name_encoders_in_folders_without_the_folders():
    about = {"head": "mlp", "speaker_norm": False}
    for spec in ("/home/anna/models/wavlm-own", "models/wavlm-own/"):
        assert tables.title({**about, "upstream": spec}) == "wavlm-own, MLP"
    assert tables.title({**about, "upstream": "hf:facebook/a"}) == "hf:facebook/a, MLP"
    assert tables.upstream_name("fbank-cnn") == "fbank-cnn" and tables.upstream_name(".") == "."
