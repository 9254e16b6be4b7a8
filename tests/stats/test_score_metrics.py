"""Measures against SciPy, scikit-learn and plain recomputation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn import metrics as reference

from speechkit.stats import bootstrap
from speechkit.stats.class_weights import score_classes
from speechkit.stats.score_metrics import (
    class_errors,
    class_places,
    detection,
    low_threshold,
    macro_mae,
    mean_pcc,
    measure,
    mse,
    pcc,
)


@pytest.fixture
def scores():
    draw = np.random.default_rng(0)
    labels = np.round(draw.uniform(0, 2, 200) * 5) / 5
    labels[::17] = np.nan
    return labels + draw.standard_normal((3, 200)), labels


def test_pcc_and_mse(scores):
    predictions, labels = scores
    given = ~np.isnan(labels)
    for row, r, e in zip(
        np.nan_to_num(predictions), pcc(predictions, labels), mse(predictions, labels), strict=True
    ):
        if np.isnan(r):
            continue
        assert r == pytest.approx(stats.pearsonr(row[given], labels[given])[0])
        assert e == pytest.approx(np.mean((row[given] - labels[given]) ** 2))
    assert np.isnan(pcc(np.ones((2, 5)), np.arange(5.0))).all()
    assert np.isnan(pcc(np.arange(5.0), np.full(5, 1.4, np.float32)))


def test_mean_pcc_leaves_undefined_ones_out():
    labels = {"a": np.arange(4.0), "b": np.ones(4), "c": np.full(4, np.nan)}
    found = measure({name: np.stack([np.arange(4.0)] * 2) for name in labels}, labels)
    assert set(found) == {"a_pcc", "a_mse", "b_pcc", "b_mse"}
    assert mean_pcc(found).tolist() == [1.0, 1.0]


def test_errors_by_class():
    labels = np.array([0.6, 2.0, 0.6, 1.0, np.nan], np.float32)
    predictions = np.array([[0.8, 2.0, 0.6, 0.5, 9.0]])
    found = class_errors(predictions, labels)
    assert [(e.score, e.count) for e in found] == [(0.6, 2), (1.0, 1), (2.0, 1)]
    assert found[0].mae[0] == pytest.approx(0.1) and found[1].mse[0] == pytest.approx(0.25)
    assert found[0].mean[0] == pytest.approx(0.7)
    assert macro_mae(found)[0] == pytest.approx((0.1 + 0.5 + 0.0) / 3)


def test_classes_of_errors_are_those_of_the_loss():
    labels = np.random.default_rng(1).uniform(0, 2, 300)
    labels[:11] = 0.2 * np.arange(11)  # on the edges, as 0.2 * 3 > 0.6
    loss = score_classes(torch.from_numpy(labels)).numpy()
    assert (class_places(labels, 0.2) == loss).all()
    assert loss[11:].tolist() == [int(x // 0.2) for x in labels[11:]]  # [s, s + 0.2)
    found = class_errors(labels[None] + 0.5, labels)
    assert [e.count for e in found] == np.bincount(loss).tolist()
    (one,) = class_errors(np.array([[1.0]]), np.array([0.39]))  # nearer to 0.4, but in [0.2, 0.4)
    assert one.score == 0.2


def test_threshold_has_the_best_f1_and_detection_agrees(scores):
    predictions, labels = np.nan_to_num(scores[0][0]), np.nan_to_num(scores[1], nan=1.9)
    predictions = np.round(predictions, 1)  # with ties
    bad = labels <= 0.5
    found = low_threshold(predictions, labels, 0.5)
    all_f1 = {t: reference.f1_score(bad, predictions <= t) for t in np.unique(predictions)}
    assert reference.f1_score(bad, predictions <= found) == pytest.approx(max(all_f1.values()))
    one = detection(predictions, labels, 0.5, found)
    assert one["recall"] == pytest.approx(reference.recall_score(bad, predictions <= found))
    assert one["precision"] == pytest.approx(reference.precision_score(bad, predictions <= found))
    assert one["auc"] == pytest.approx(reference.roc_auc_score(bad, -predictions))
    assert one["count"] == bad.sum()


def test_nothing_low():
    labels = np.full(4, 2.0)
    assert low_threshold(np.arange(4.0), labels, 0.5) is None
    found = detection(np.arange(4.0), labels, 0.5, None)
    assert found.pop("count") == 0 and np.isnan(list(found.values())).all()


def test_sums_of_speakers_give_the_statistics_of_repeated_items(scores):
    predictions, labels = np.nan_to_num(scores[0]), scores[1]
    speakers = np.arange(200) % 7
    sums = bootstrap.moments(predictions, labels, speakers, 7)
    drawn = bootstrap.draw_speakers(7, 5, 0)
    correlations = bootstrap.sample(bootstrap.pcc_of, sums, drawn)
    errors = bootstrap.sample(bootstrap.mse_of, sums, drawn)
    given = ~np.isnan(labels)
    for b, times in enumerate(drawn.astype(int)):
        repeat = np.repeat(np.flatnonzero(given), times[speakers[given]])
        for s in range(3):
            x, y = predictions[s, repeat], labels[repeat]
            assert correlations[b, s] == pytest.approx(stats.pearsonr(x, y)[0])
            assert errors[b, s] == pytest.approx(np.mean((x - y) ** 2))


def test_interval_covers_and_gives_up():
    draw = np.random.default_rng(1)
    low, high = bootstrap.interval(0.5 + 0.1 * draw.standard_normal((4000, 1)))
    assert low == pytest.approx(0.5 - 0.196, abs=0.02) and high == pytest.approx(0.696, abs=0.02)
    assert bootstrap.interval(np.full((10, 2), np.nan)) == (None, None)
