"""ROC curves and their intervals over speakers, against scikit-learn and counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from speechkit.stats import roc
from speechkit.stats.roc import Detection

ONCE = np.ones((1, 4))


def items(seed: int = 0, right: int = 60, false: int = 17, speakers: int = 4) -> Detection:
    draw = np.random.default_rng(seed)
    values = np.round(draw.normal(1, 1, right), 1), np.round(draw.normal(0, 1, false), 1)  # ties
    who = draw.integers(speakers, size=right), draw.integers(speakers, size=false)
    return Detection(values[0], who[0], values[1], who[1])


def repeated(one: Detection, times: np.ndarray) -> Detection:
    """The items of each speaker as often as they were drawn."""
    right, false = times[one.right_of], times[one.false_of]
    return Detection(
        np.repeat(one.right, right), np.repeat(one.right_of, right),
        np.repeat(one.false, false), np.repeat(one.false_of, false),
    )  # fmt: skip


def test_the_example_of_the_module() -> None:
    who = np.zeros(3, int)
    one = Detection(np.array([2.0, 5, 6]), who, np.array([1.0, 3]), who[:2])
    assert one.area(np.ones((1, 1)))[0] == pytest.approx(5 / 6)
    assert one.recall(np.ones((1, 1)), 1 / 3)[0] == 1.0  # the threshold is 5
    assert one.recall(np.ones((1, 1)), 0.3)[0] == 0.5  # no right one may be flagged: 2
    assert one.curve().tolist() == [[0, 0], [0, 0.5], [1 / 3, 0.5], [1 / 3, 1], [1, 1]]


@pytest.mark.parametrize("seed", range(5))
def test_areas_of_draws_are_those_of_repeated_items(seed: int) -> None:
    one, drawn = items(seed), np.random.default_rng(seed).integers(4, size=(30, 4))
    found = one.area(drawn.astype(float))
    for times, value in zip(drawn, found, strict=True):
        again = repeated(one, times)
        if not len(again.right) or not len(again.false):
            assert np.isnan(value)
            continue
        false = np.arange(len(again.right) + len(again.false)) >= len(again.right)
        wanted = roc_auc_score(false, -np.concatenate([again.right, again.false]))
        assert value == pytest.approx(wanted)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.5, 1.0])
def test_thresholds_flag_no_more_than_the_share(share: float) -> None:
    one, drawn = items(3), np.random.default_rng(1).integers(3, size=(250, 4))
    thresholds, recalls = (f(drawn.astype(float), share) for f in (one.thresholds, one.recall))
    for times, threshold, recall in zip(drawn, thresholds, recalls, strict=True):
        again = repeated(one, times)
        if not len(again.right):
            assert np.isnan(threshold)
            continue
        count = np.floor(share * len(again.right) + 1e-9)
        assert (again.right < threshold).sum() <= count
        higher = again.right[again.right > threshold]
        if len(higher):  # the next higher threshold would flag too many
            assert (again.right < higher.min()).sum() > count
        if len(again.false):
            assert recall == pytest.approx((again.false < threshold).mean())


def test_order_and_further_speakers_change_nothing() -> None:
    one = items(2)
    order = np.random.default_rng(0).permutation(len(one.right))
    other = Detection(one.right[order], one.right_of[order], one.false[::-1], one.false_of[::-1])
    for wide in (ONCE, np.ones((1, 9))):
        assert one.area(ONCE) == pytest.approx(other.area(wide))
        assert one.recall(ONCE, 0.1) == pytest.approx(other.recall(wide, 0.1))
    assert np.allclose(one.curve(), other.curve())


def test_means_and_their_intervals() -> None:
    values, who = np.array([1.0, 2, 3, 10]), np.array([0, 0, 1, 2])
    assert roc.mean(values, who)(np.array([[1.0, 1, 1], [2, 0, 1], [0, 0, 3]])).tolist() == [
        4.0, 16 / 5, 10.0,
    ]  # fmt: skip
    assert np.isnan(roc.mean(values[:2], who[:2])(np.array([[0.0, 1, 0]]))).all()
    drawn = np.random.default_rng(0).multinomial(3, [1 / 3] * 3, size=500).astype(float)
    found = roc.measured(roc.mean(values, who), drawn)
    assert found["mean"] == 4.0 and found["n"] == 1
    each = (drawn @ [3, 3, 10]) / (drawn @ [2, 1, 1])
    assert [found["low"], found["high"]] == pytest.approx(np.percentile(each, (2.5, 97.5)))
