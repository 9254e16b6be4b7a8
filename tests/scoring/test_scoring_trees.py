"""Gradient-boosted trees: the paper's features by hand, evaluation against scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from speechkit.base.errors import DataError, UserError
from speechkit.labels.phones import ARPABET
from speechkit.scoring import trees

SMALL = trees.TreeConfig(trees=30, leaf_samples=3, leaves=6, learning_rate=0.2)


def draw(utterances, seed=0):
    """A set with the fields that the trees read; the label is a mean of GOP."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, utterances)
    first = np.concatenate([[0], np.cumsum(sizes)])
    gop = -rng.exponential(size=first[-1])
    labels = np.array([np.exp(gop[a:b]).mean() for a, b in pairwise(first)])
    return SimpleNamespace(
        name="made",
        phone_ids=rng.integers(1, 40, first[-1]),
        gop=gop.astype(np.float32),
        positions=rng.integers(1, 5, first[-1]),
        first=first,
        labels=labels.astype(np.float32),
    )


@pytest.fixture(scope="module")
def found():
    return draw(80)


def test_features_by_hand():
    ids = [ARPABET.index(p) + 1 for p in ("AH", "T", "T", "S", "AH")]
    columns = trees.features(
        np.array(ids),
        np.array([-1, -2, -4, 0, -3.0]),
        np.array([4, 1, 3, 2, 3]),
        np.array([0, 3, 5]),
    )
    assert columns.shape == (2, 80) == (2, len(trees.COLUMNS))
    named = [dict(zip(trees.COLUMNS, row, strict=True)) for row in columns]
    assert named[0]["gop_AH"] == -1 and named[0]["gop_T"] == -3 and np.isnan(named[0]["gop_S"])
    assert named[0]["position_T"] == 2 and named[0]["position_AH"] == 4
    assert named[1]["gop_AH"] == -3 and named[1]["position_S"] == 2 and named[1]["gop_S"] == 0
    assert [row["phones"] for row in named] == [3, 2]
    assert [row["gop"] for row in named] == pytest.approx([-7 / 3, -1.5])
    assert np.isnan(columns[0]).sum() == 2 * 37


def test_evaluation_is_that_of_scikit_learn(found, tmp_path):
    columns = trees.features_of(found)
    model = trees.fit(found, 3, SMALL)
    reference = HistGradientBoostingRegressor(
        learning_rate=0.2, max_iter=30, max_leaf_nodes=6, min_samples_leaf=3, l2_regularization=1.0,
        max_features=0.3, early_stopping=False,
        random_state=int(trees.rng(3, trees._TREES).integers(2**31)),
    ).fit(columns[:, :79], found.labels.astype(float))  # fmt: skip
    other = trees.features_of(draw(60, seed=1))
    other[::7] = np.nan  # missing everywhere, also where training had values
    for x in (columns, other, other * 3):
        assert model.evaluate(x) == pytest.approx(reference.predict(x[:, :79]), abs=1e-12)
    model.save(tmp_path)
    read = trees.TreeModel.load(tmp_path)
    assert (read.evaluate(other) == model.evaluate(other)).all()
    scores = read.predict(found)
    assert scores.shape == (80,) and scores.min() >= 0 and scores.max() <= 1
    assert np.corrcoef(scores, found.labels)[0, 1] > 0.8


def test_seeds_differ_and_repeat(found):
    one, same, other = (trees.fit(found, seed, SMALL).predict(found) for seed in (0, 0, 1))
    assert (one == same).all() and (one != other).any()
    whole = trees.TreeConfig(trees=5, column_share=1.0)
    one, other = (trees.fit(found, seed, whole).predict(found) for seed in (0, 1))
    assert (one == other).all()  # without the draw of columns there is nothing to differ in


def test_a_tree_that_cannot_split(found):
    few = trees.fit_columns(trees.features_of(found), np.full(80, 0.5), 0)
    assert few.evaluate(trees.features_of(found)) == pytest.approx(0.5)


def test_a_phone_that_never_occurs_in_training(found):
    columns = trees.features_of(found).copy()
    columns[:, [5, 39 + 5]] = np.nan
    model = trees.fit_columns(columns, found.labels, 0, SMALL)
    assert (
        model.evaluate(columns)
        == model.evaluate(np.where(np.isnan(columns[:, [5]]) & (np.arange(80) == 5), -1.0, columns))
    ).all()  # where it does occur later, nothing changes


def test_bad_input(found, tmp_path):
    labels = np.full(80, np.nan)
    labels[0] = 1
    with pytest.raises(UserError, match="Too few labelled utterances for trees: 1"):
        trees.fit_columns(trees.features_of(found), labels, 0)
    with pytest.raises(UserError, match="no scalar GOP"):
        trees.fit(SimpleNamespace(name="x", gop=np.full(3, np.nan)), 0)
    with pytest.raises(UserError, match="`leaves` 1 is out of range"):
        trees.TreeConfig(leaves=1)
    with pytest.raises(DataError, match=r"trees\.npz cannot be read"):
        trees.TreeModel.load(tmp_path)
    model = trees.fit(found, 0, SMALL)
    model.left[0] = 10**6
    model.save(tmp_path)
    with pytest.raises(DataError, match="left leads out"):
        trees.TreeModel.load(tmp_path)


def test_the_average_of_all_phones_is_a_feature_on_demand(found):
    columns = trees.features_of(found)
    plain = trees.fit_columns(columns, found.labels, 0, SMALL)
    assert plain.feature.max() < trees.PAPER
    more = trees.fit_columns(columns, found.labels, 0, replace(SMALL, mean_gop=True))
    assert trees.PAPER in more.feature
