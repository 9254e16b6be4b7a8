"""What evaluate and compare scoring measure: SciPy and a bootstrap by hand as references."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest
import scored_runs
from scipy import stats

from speechkit.base.errors import UserError
from speechkit.scoring import evaluate, metrics, results
from speechkit.task.evaluation import read_summary
from speechkit.workdir import WorkDir

SAMPLES = 150


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return scored_runs.make_set(tmp_path_factory.mktemp("set"), "test", 80, 7)


@pytest.fixture(scope="module")
def scored(found):
    draw = np.random.default_rng(3)
    predictions = np.clip(found.labels + draw.normal(0, 0.12, (3, 80)), 0, 1)
    return metrics.Scored(found, [0, 1, 2], predictions)


def interval_by_hand(scored, statistic, predictions):
    """Utterances of drawn speakers one after another, as often as they are drawn."""
    from speechkit.stats.bootstrap import draw_speakers

    names = np.unique(scored.data.speakers)
    groups = [np.flatnonzero(np.array(scored.data.speakers) == name) for name in names]
    values = []
    for counts in draw_speakers(len(names), SAMPLES, 0):
        chosen = np.concatenate([np.tile(g, int(n)) for g, n in zip(groups, counts, strict=True)])
        labels = scored.labels[chosen]
        values.append(np.mean([statistic(row[chosen], labels) for row in predictions]))
    return np.percentile(values, [2.5, 97.5])


def test_summary_against_scipy_and_a_bootstrap_by_hand(scored):
    summary = metrics.summarize(scored, SAMPLES)
    labels = scored.labels
    each = [stats.pearsonr(row, labels)[0] for row in scored.predictions]
    row = summary["utterance_total_pcc"]
    assert row["mean"] == pytest.approx(np.mean(each)) and row["n"] == 3
    assert row["std"] == pytest.approx(np.std(each, ddof=1))
    errors = [((one - labels) ** 2).mean() for one in scored.predictions]
    assert summary["utterance_total_mse"]["mean"] == pytest.approx(np.mean(errors))
    assert summary["utterance_total_mse_points"]["mean"] == pytest.approx(100 * np.mean(errors))
    together = scored.predictions.mean(axis=0)
    whole = summary["utterance_total_pcc_ensemble"]
    assert whole["mean"] == pytest.approx(stats.pearsonr(together, labels)[0])
    slopes = [stats.linregress(one, labels).slope for one in scored.predictions]
    assert summary["utterance_total_calibration_slope"]["mean"] == pytest.approx(np.mean(slopes))
    for name, statistic, predictions in (
        ("pcc", lambda x, y: stats.pearsonr(x, y)[0], scored.predictions),
        ("mse", lambda x, y: ((x - y) ** 2).mean(), scored.predictions),
        ("pcc_ensemble", lambda x, y: stats.pearsonr(x, y)[0], together[None]),
    ):
        ends = [summary[f"utterance_total_{name}"][end] for end in ("low", "high")]
        assert ends == pytest.approx(interval_by_hand(scored, statistic, predictions), abs=1e-9)
    assert summary["speakers"]["mean"] == 7 and summary["utterances"]["mean"] == 80


def test_tables(scored, tmp_path):
    results.write_tables(tmp_path, scored, {})
    table = pandas.read_csv(tmp_path / "utterances.tsv", sep="\t")
    assert np.allclose(table["utterance_total"], scored.labels, atol=1e-5)
    assert np.allclose(table["utterance_total_mean"], scored.ensemble, atol=1e-5)
    assert table["phones"].sum() == scored.data.first[-1]
    classes = pandas.read_csv(tmp_path / "classes.tsv", sep="\t")
    given = np.rint(10 * scored.labels)
    assert dict(zip(classes["score"], classes["count"], strict=True)) == {
        score: int((given == score).sum()) for score in np.unique(given)
    }
    inside = given == 7
    off = np.abs(10 * scored.predictions[:, inside] - 10 * scored.labels[inside])
    row = classes[classes["score"] == 7].iloc[0]
    assert row["mae"] == pytest.approx(off.mean(), abs=1e-4)
    assert row["mean_prediction"] == pytest.approx(
        10 * scored.predictions[:, inside].mean(), abs=1e-4
    )
    worst = pandas.read_csv(tmp_path / "worst.tsv", sep="\t")
    errors = np.abs(10 * scored.ensemble - 10 * scored.labels)
    assert worst["error"].tolist() == pytest.approx(np.sort(errors)[::-1][:20].tolist(), abs=1e-4)
    bins = pandas.read_csv(tmp_path / "calibration.tsv", sep="\t")
    assert bins["count"].tolist() == [8] * 10
    first = np.argsort(scored.ensemble)[:8]
    assert bins["mean_label"][0] == pytest.approx(10 * scored.labels[first].mean(), abs=1e-4)
    assert bins["label_std"][0] == pytest.approx(10 * scored.labels[first].std(ddof=1), abs=1e-4)


def test_other_scales(found):
    assert [metrics.class_width(span) for span in (10, 4, 1, 100)] == [1, 1, 0.1, 10]
    bins = metrics.calibration(np.array([1.0, 3, 2]), np.array([1.0, np.nan, 2]))
    assert [(n, x, y) for n, x, y, _ in bins] == [(1, 1, 1), (1, 2, 2)]
    constant = metrics.Scored(found, [0], np.full((1, 80), 0.5))
    summary = metrics.summarize(constant, 100)
    assert summary["utterance_total_pcc"] == {
        "mean": None, "std": None, "n": 0, "low": None, "high": None
    }  # fmt: skip
    assert summary["utterance_total_calibration_slope"]["mean"] is None
    json.dumps(summary, allow_nan=False)


def test_comparison(tmp_path):
    work = WorkDir(tmp_path)
    found = scored_runs.make_set(tmp_path, "test", 80, 7)
    for name, noise, target in (("a", 0.1, "total"), ("b", 0.2, "total"), ("f", 0.2, "fluency")):
        scored_runs.make_run(tmp_path, name, noise, 2, sets=[found], target=target)
    folder = evaluate.compare(work, evaluate.ComparisonConfig("test", "b", samples=SAMPLES))
    summary = read_summary(folder)
    assert list(summary["experiments"]) == ["a"]
    tables = {
        name: pandas.read_csv(tmp_path / f"exp/scoring/{name}/eval/test/utterances.tsv", sep="\t")
        for name in "ab"
    }

    def pcc(name, seed):
        one = tables[name]
        return stats.pearsonr(one[f"utterance_total_seed{seed}"], one["utterance_total"])[0]

    each = [pcc("a", seed) - pcc("b", seed) for seed in (0, 1)]
    row = summary["experiments"]["a"]["utterance_total_pcc"]
    assert row["estimate"] == pytest.approx(np.mean(each), abs=1e-6)
    assert row["low"] <= row["estimate"] <= row["high"] and row["seeds"] == 2
    with pytest.raises(UserError, match="'f' predicts utterance_fluency, 'b' utterance_total"):
        evaluate.compare(work, evaluate.ComparisonConfig("test", "b", ("f",)), "x")
    with pytest.raises(UserError, match="No other experiment that predicts utterance_fluency"):
        evaluate.compare(work, evaluate.ComparisonConfig("test", "f"))
    with pytest.raises(UserError, match="not known"):
        evaluate.ComparisonConfig("test", "a", measures=("phone_accuracy_pcc",))
    with pytest.raises(UserError, match="not evaluated"):
        evaluate.compare(work, evaluate.ComparisonConfig("test", "a", ("zzz",)))
