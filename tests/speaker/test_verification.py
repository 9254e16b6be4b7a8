"""Equal error rates against scikit-learn's curve and by hand."""

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from speechkit.speaker.verification import equal_error_rate, interval, summary, trials


def reference(scores: np.ndarray, target: np.ndarray) -> float:
    """Crossing of misses and false alarms on scikit-learn's ROC curve, interpolated."""
    alarms, hits, _ = roc_curve(target, scores, drop_intermediate=False)
    grid = np.linspace(0, 1, 200_001)
    misses = 1 - np.interp(grid, alarms, hits)
    return float(grid[np.argmin(np.abs(misses - grid))])


@pytest.mark.parametrize("seed", range(5))
def test_against_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    target = rng.random(4000) < 0.2
    scores = rng.normal(size=4000) + 1.5 * target
    assert equal_error_rate(scores, target) == pytest.approx(reference(scores, target), abs=2e-3)


def test_by_hand():
    target = np.array([True, True, False, False])
    assert equal_error_rate(np.array([4, 3, 2, 1]), target) == 0
    assert equal_error_rate(np.array([1, 2, 3, 4]), target) == 1
    assert equal_error_rate(np.array([4, 2, 3, 1]), target) == 0.5
    assert equal_error_rate(np.zeros(4), target) == pytest.approx(0.5)


def test_one_kind_of_trial_has_no_rate():
    assert np.isnan(equal_error_rate(np.array([1.0, 2.0]), np.array([True, True])))


def test_trials_are_all_pairs():
    vectors = np.array([[1.0, 0], [2, 0], [0, 3]])
    scores, same = trials(vectors, np.array(["a", "a", "b"]))
    np.testing.assert_allclose(scores, [1, 0, 0], atol=1e-7)
    assert same.tolist() == [True, False, False]
    found = summary(vectors, np.array(["a", "a", "b"]))
    assert found["eer_percent"] == 0
    assert found["trials"] == 3


def test_very_many_pairs_are_sampled_without_self_pairs(monkeypatch):
    monkeypatch.setattr("speechkit.speaker.verification.MAX_TRIALS", 1000)
    vectors = np.eye(60)
    scores, _ = trials(vectors, np.arange(60))
    assert len(scores) == 1000
    assert scores.max() == 0  # no utterance is compared with itself


def test_weights_are_repetitions():
    rng = np.random.default_rng(0)
    scores, target = rng.normal(size=200).round(1), rng.random(200) < 0.3
    weights = rng.integers(0, 4, 200)
    expected = equal_error_rate(np.repeat(scores, weights), np.repeat(target, weights))
    assert equal_error_rate(scores, target, weights) == pytest.approx(expected, abs=1e-9)


def test_interval_over_speakers():
    """It holds the rate, and is wider with fewer speakers."""
    rng = np.random.default_rng(1)

    def draw(count):
        speakers = np.repeat(np.arange(count), 6)
        voices = rng.normal(size=(count, 8))
        return voices[speakers] + 0.9 * rng.normal(size=(len(speakers), 8)), speakers

    widths = []
    for count in (6, 40):
        vectors, speakers = draw(count)
        low, high = interval(vectors, speakers, draws=100)
        assert low < summary(vectors, speakers)["eer_percent"] / 100 < high
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1]
