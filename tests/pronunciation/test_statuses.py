"""Scores that follow from what became of each word: the worked example, thresholds, rules."""

from __future__ import annotations

import numpy as np
import pytest

from speechkit.phone_features.scored_set import ScoredSet
from speechkit.pronunciation.statuses import (
    Calibration,
    calibrate,
    called,
    far_more,
    follow,
    mean_said,
    together,
    with_prior,
)

PLAIN = Calibration(prior=0.0, zero=0.05, word=0.8, utterance=0.5, completeness=0.25)


def words_of(*counts: int) -> ScoredSet:
    """Utterances of so many words."""
    return ScoredSet(
        utterances=[f"u{k}" for k in range(len(counts))],
        first_word=np.cumsum([0, *counts]),
        texts=["W"] * sum(counts),
    )


def probabilities(*said: float) -> np.ndarray:
    """Of one model ``[1, W, 3]``: a third of the rest is an omission."""
    p = np.array(said)
    return np.stack([p, (1 - p) * 2 / 3, (1 - p) / 3], axis=-1)[None]


def test_the_worked_example() -> None:
    """Accuracy 8 of 10 times 4 * .0625 is 2; the total falls by .8 of what accuracy falls."""
    raw = {"word_accuracy": np.array([[1.6]]), "word_total": np.array([[1.6]])}
    found = follow(raw, probabilities(0.0625), words_of(1), PLAIN)
    assert 5 * found["word_accuracy"] == pytest.approx(np.array([[2.0]]))
    assert 5 * found["word_total"] == pytest.approx(np.array([[3.2]]))
    assert raw["word_accuracy"] == 1.6  # what was given is left as it is


def test_accuracy_is_zero_beyond_the_threshold_alone() -> None:
    names = ("word_accuracy", "word_stress", "phone_accuracy")
    raw = {name: np.full((1, 4), 2.0) for name in names}
    found = follow(raw, probabilities(0.049, 0.051, 0.25, 1.0), words_of(4), PLAIN)
    assert found["word_accuracy"][0].tolist() == pytest.approx([0.0, 0.408, 2.0, 2.0])
    for name in names[1:]:
        assert found[name].tolist() == raw[name].tolist()


def test_the_utterance_follows_its_words() -> None:
    """Of three words one keeps all of its accuracy, one none and one .4; in completeness the
    last two count with their probabilities."""
    names = ("accuracy", "completeness", "fluency", "total")
    raw = {f"utterance_{name}": np.array([[1.8, 1.8]]) for name in names}
    found = follow(raw, probabilities(0.9, 0.04, 0.1, 1.0), words_of(3, 1), PLAIN)
    assert found["utterance_completeness"] == pytest.approx(2 * np.array([[1.14 / 3, 1.0]]))
    lost = np.array([[1.6 / 3, 0.0]])
    assert found["utterance_accuracy"] == pytest.approx(1.8 * (1 - lost))
    assert found["utterance_total"] == pytest.approx(1.8 - (0.5 * 1.8 + 0.25 * 2) * lost)
    assert found["utterance_fluency"].tolist() == raw["utterance_fluency"].tolist()


def test_each_model_follows_its_own_probabilities() -> None:
    raw = {"word_accuracy": np.array([[1.0], [2.0]])}
    both = np.concatenate([probabilities(0.125), probabilities(1.0)])
    assert follow(raw, both, words_of(1), PLAIN)["word_accuracy"].ravel().tolist() == [0.5, 2.0]


def test_what_a_word_is_called() -> None:
    given = np.array([[0.5, 0.5, 0.0], [0.49, 0.2, 0.31], [0.1, 0.5, 0.4]])
    assert called(given).tolist() == [0, 2, 1]


def test_models_together() -> None:
    """The geometric mean of .8 .2 0 and .2 .8 0 is .4 .4 0, before it is made to add up to 1."""
    both = np.array([[[0.8, 0.2, 0.0]], [[0.2, 0.8, 0.0]]])
    assert together(both) == pytest.approx(np.array([[0.5, 0.5, 0.0]]))
    assert together(both[:1]) == pytest.approx(both[0])


def test_means_over_the_words_of_a_text() -> None:
    means = mean_said(np.array([1.0, 0.5, 0.0, 0.25]), words_of(3, 1))
    assert means.tolist() == [0.5, 0.25]


def labelled(count: int = 3000) -> tuple[ScoredSet, np.ndarray]:
    """Words of which a tenth were said badly; their totals are .7 accuracy and .3 stress."""
    draw = np.random.default_rng(0)
    data = words_of(*[3] * (count // 3))
    accuracy = np.where(draw.random(count) < 0.1, 0.6, draw.uniform(1.4, 2, count))
    stress = np.where(draw.random(count) < 0.1, 1.0, 2.0)
    utterances = draw.uniform(0, 2, (2, count // 3))
    data.labels = {
        "word_accuracy": accuracy,
        "word_stress": stress,
        "word_total": 0.7 * accuracy + 0.3 * stress,
        "utterance_accuracy": utterances[0],
        "utterance_completeness": utterances[1],
        "utterance_total": 0.6 * utterances[0] + 0.2 * utterances[1] + 0.3,
    }
    said = np.where(accuracy >= 1.4, draw.uniform(0.5, 1, count), draw.uniform(0, 0.5, count))
    return data, probabilities(*said)[0]


def test_thresholds_are_shares_of_words_and_rules_are_the_corpus_s() -> None:
    data, statuses = labelled()
    found, accuracy = calibrate(data, statuses), data.labels["word_accuracy"]
    said = with_prior(statuses, found.prior)[:, 0]
    assert np.mean(said[accuracy >= 1.4] < found.zero) == pytest.approx(0.002, abs=5e-4)
    assert np.mean(said[accuracy <= 1.0] < 0.5) == pytest.approx(0.12, abs=5e-3)
    assert np.mean(said[accuracy >= 1.4] < 0.5) <= 0.01
    assert (found.word, found.utterance) == (pytest.approx(0.7), pytest.approx(0.6))
    assert found.completeness == pytest.approx(0.2)

    data.labels["word_accuracy"] = np.where(accuracy < 1.1, 1.2, accuracy)  # none is said badly
    said = with_prior(statuses, calibrate(data, statuses).prior)[:, 0]
    assert np.mean(said[accuracy >= 1.4] < 0.5) == pytest.approx(0.01, abs=5e-4)


def test_a_corpus_without_utterance_scores_has_no_rule_of_them() -> None:
    data, statuses = labelled(300)
    for name in list(data.labels):
        if name.startswith("utterance"):
            data.labels[name] = np.full(100, np.nan)
    found = calibrate(data, statuses)
    assert (found.utterance, found.completeness) == (0.0, 0.0)
    assert found.word == pytest.approx(0.7)


def test_the_prior_is_added_to_the_log_odds() -> None:
    """.5 with a prior of log 3 is .75; what is not said keeps its proportions."""
    found = with_prior(np.array([[0.5, 0.4, 0.1]]), np.log(3))
    assert found == pytest.approx(np.array([[0.75, 0.2, 0.05]]))


@pytest.mark.parametrize(
    ("heard", "phones", "expected"),
    [(27, 14, True), (10, 5, True), (8, 5, False), (14, 10, False), (15, 10, True), (3, 2, False)],
)
def test_far_more_phones_than_the_text_has(heard: int, phones: int, expected: bool) -> None:
    assert far_more(heard, phones) is expected
