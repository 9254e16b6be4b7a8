"""Measures of words that nobody said: an example counted by hand, and what they depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from speechkit.pronunciation.miscue_measures import Findings, draw_roc, summarize

# Text, kind, speaker; words: (status, P(said), P(substitution), word accuracy, human accuracy).
TEXTS = [
    ("true", 0, [(0, 0.9, 0.1, 9, 10), (0, 0.8, 0.2, 8, 9), (0, 0.3, 0.7, 5, 3)]),
    ("true", 1, [(0, 0.7, 0.0, 9, 8), (0, 0.6, 0.3, 7, 6), (0, 0.6, 0.4, 3, 7)]),
    ("near", 0, [(0, 0.9, 0.1, 9, 10), (1, 0.75, 0.25, 6, 0)]),
    ("far", 1, [(1, 0.1, 0.8, 2, 0), (0, 0.7, 0.2, 9, 8)]),
    ("omission", 1, [(0, 0.7, 0.2, 9, 8), (2, 0.2, 0.1, 1, 0)]),
    ("third", 0, [(0, 0.9, 0.1, 9, 10), (1, 0.1, 0.9, 1, 0), (0, 0.8, 0.2, 8, 9)]),
    ("text", 1, [(1, 0.2, 0.8, 2, 0), (1, 0.4, 0.6, 3, 0)]),
    ("insertion", 0, [(0, 0.9, 0.1, 9, 10)]),
    ("insertion", 1, [(0, 0.9, 0.1, 9, 10)]),
]


def findings() -> Findings:
    words = [word for _, _, of in TEXTS for word in of]
    status, said, substituted, accuracy, human = map(np.array, zip(*words, strict=True))
    return Findings(
        np.array([speaker for _, speaker, _ in TEXTS]),
        np.array([kind for kind, *_ in TEXTS]),
        np.repeat(np.arange(len(TEXTS)), [len(of) for *_, of in TEXTS]),
        status,
        human.astype(float),
        accuracy.astype(float),
        shares := np.stack([said, substituted, 1 - said - substituted], axis=1),
        shares.argmax(1),
        np.array([9.0, 9, 9, 9, 9, 5, 1, 9, 9]),
        np.array([0.9, 0.8, 0.9, 0.8, 0.7, 0.5, 0.85, 0.9, 0.9]),
        np.array([False, True, False, False, False, False, True, False, False]),
        np.array([False, False, True, True, True, True, True, True, False]),
    )


def test_measures_by_hand() -> None:
    found = {name: one["mean"] for name, one in summarize(findings(), 50, 2).items()}
    # Right words have P(said) .9 .8 .7 .6 and word accuracy 9 8 9 3.
    assert found["near_said_auc"] == pytest.approx(2 / 4)
    assert found["far_said_auc"] == 1.0
    assert found["replaced_said_auc"] == pytest.approx(6 / 8)
    assert found["near_accuracy_auc"] == pytest.approx(3 / 4)
    # 2 % of 4 right words are none: the threshold is the lowest, .6 and 3.
    assert found["replaced_said_recall"] == 0.5
    assert found["near_accuracy_recall"] == 0 and found["far_accuracy_recall"] == 1
    assert found["replaced_word_accuracy"] == 4.0 and found["omission_word_accuracy"] == 1.0
    # Likeliest statuses in the texts of one kind each: the near one is missed.
    assert found["substitution_recall"] == 0.5 and found["substitution_precision"] == 1.0
    assert found["omission_recall"] == 1.0 and found["omission_precision"] == 1.0
    assert found["right_called_unsaid"] == 0.0
    assert found["badly_said_called_unsaid"] == 1.0 and found["badly_said_words"] == 1
    # Texts: means .667 and .633 against .3; accuracy 7.3 and 6.3 against 2.5; confidence.
    assert found["text_said_recall"] == 1.0 and found["text_accuracy_recall"] == 1.0
    assert found["text_confidence_recall"] == 0.0
    assert found["wrong_texts_called_wrong"] == 1.0 and found["right_texts_called_wrong"] == 0.5
    assert found["third_completeness_error"] == pytest.approx(10 * 2 / 3 - 5)
    assert found["insertion_recall"] == 0.5 and found["right_texts_called_inserted"] == 0.0
    counts = {"texts_without_a_word": 2, "right_words": 4, "near_words": 1, "replaced_words": 2,
              "wrong_texts": 1,
              "right_texts": 2, "texts_a_third_unsaid": 1, "speakers": 2}  # fmt: skip
    assert {name: found[name] for name in counts} == counts
    assert "appended_said_auc" not in found and found["appended_words"] == 0


def test_models_without_statuses_have_the_measures_of_word_accuracy() -> None:
    gone = ("probabilities", "completeness", "confidence", "called", "called_wrong", "inserted")
    plain = replace(findings(), **dict.fromkeys(gone))
    found, whole = (summarize(one, 50, 1) for one in (plain, findings()))
    assert not [n for n in found if n.endswith(("_said_auc", "_said_recall")) or "called" in n]
    assert "third_completeness_error" not in found and "substitution_recall" not in found
    assert "insertion_recall" not in found
    kept = [name for name in found if "accuracy" in name]
    assert kept and all(found[name]["mean"] == whole[name]["mean"] for name in kept)


def test_order_of_texts_and_copies_of_all_change_no_mean() -> None:
    one = findings()
    order = np.random.default_rng(0).permutation(len(one.tests))
    places = np.concatenate([np.flatnonzero(one.of == text) for text in order])
    other = Findings(
        one.speakers[order], one.tests[order],
        np.repeat(np.arange(len(order)), np.bincount(one.of)[order]),
        one.statuses[places], one.human[places], one.accuracy[places],
        one.probabilities[places], one.called[places],
        one.completeness[order], one.confidence[order],
        one.called_wrong[order], one.inserted[order],
    )  # fmt: skip
    first, second = (summarize(each, 100, 2) for each in (one, other))
    for name, values in first.items():
        for key in ("mean", "low", "high"):
            assert values.get(key) == pytest.approx(second[name].get(key)), (name, key)


def test_scores_of_words_need_not_be_given() -> None:
    some = replace(findings(), human=np.where(np.arange(19) == 0, np.nan, findings().human))
    assert summarize(some, 50, 1)["right_words"]["mean"] == 3
    none = summarize(replace(findings(), human=np.full(19, np.nan)), 50, 1)
    assert "near_said_auc" not in none and none["replaced_word_accuracy"]["mean"] == 4.0


def test_the_figure_has_a_panel_for_each_kind() -> None:
    curve = np.array([[0, 0], [0, 0.4], [0.02, 0.7], [0.5, 0.7], [1, 1]])
    one = draw_roc({"near": {"P(said)": curve}})
    two = draw_roc({"near": {"P(said)": curve}, "far": {"P(said)": curve, "_$x": curve}})
    width = [int.from_bytes(png[16:20], "big") for png in (one, two)]
    assert one[:4] == b"\x89PNG" and width[1] > 1.4 * width[0]
    assert one == draw_roc({"near": {"P(said)": curve}})
