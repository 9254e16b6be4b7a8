"""What pronunciation and scoring write of predicted scores, by hand."""

import numpy as np

from speechkit.stats.score_metrics import class_errors
from speechkit.task import scores


def test_columns_and_cells_of_an_aspect():
    labels, predicted = np.array([1.0, np.nan]), np.array([[0.5, 1.0], [1.0, 2.0]])
    assert scores.aspect_columns("word_stress", [0, 3]) == [
        "word_stress", "word_stress_mean", "word_stress_seed0", "word_stress_seed3",
    ]  # fmt: skip
    assert scores.aspect_cells(labels, predicted) == [
        ["1", ""], ["0.75", "1.5"], ["0.5", "1"], ["1", "2"],
    ]  # fmt: skip


def test_rows_of_classes_are_means_over_seeds():
    errors = class_errors(np.array([[1.0, 2.0], [2.0, 2.0]]), np.array([1.0, 2.0]), 1.0)
    spread = scores.cell(np.sqrt(0.5))
    assert scores.class_rows(errors) == [
        ["1", "1", "0.5", spread, "0.5", spread, "1.5"],
        ["2", "1", "0", "0", "0", "0", "2"],
    ]


def test_the_furthest_come_first_and_what_is_not_scored_not_at_all():
    assert scores.furthest(np.array([0.1, np.nan, 0.3, 0.3])) == [2, 3, 0]
    assert len(scores.furthest(np.arange(50.0))) == 20


def test_measures_for_people():
    assert scores.mean_std({"mean": 0.5, "std": 0.01}) == "0.500 ±0.010"
    assert scores.mean_std({"mean": 0.5, "std": None}, 2) == "0.50"
    assert scores.mean_std({"mean": None, "std": None}) == scores.mean_std(None) == "-"
