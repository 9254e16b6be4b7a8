"""The baseline of gradient-boosted trees on GOP (Table 2, section 3.3.1), and how it is stored.

Trees are grown by scikit-learn's ``HistGradientBoostingRegressor`` and kept as plain arrays in
``trees.npz``, which this module evaluates itself: a model read from disk runs no pickled code
and needs no scikit-learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from speechkit.base.arrays import read_arrays
from speechkit.base.errors import DataError, UserError
from speechkit.base.log import counted
from speechkit.base.random_draws import rng
from speechkit.labels.phones import ARPABET
from speechkit.scoring.inference_config import TreeConfig

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

    from speechkit.scoring.data import ScoringSet

FILE = "trees.npz"
COLUMNS = (
    *(f"gop_{p}" for p in ARPABET),
    *(f"position_{p}" for p in ARPABET),
    "phones",
    "gop",
)
"""Names of the 80 features: the 79 of the paper, and the average GOP of all phones."""

PAPER = 79

_TREES = 6  # stream of the draws


def features(
    phone_ids: np.ndarray, gop: np.ndarray, positions: np.ndarray, first: np.ndarray
) -> np.ndarray:
    """Features of U utterances, float64 ``[U, 80]``, as ``COLUMNS``.

    Those of the paper: average GOP and average position of each phone type (NaN where it does
    not occur), and the number of phones. And one more: the average GOP of all phones.

    Args:
        phone_ids: of N phones, from 1.
        gop: scalar GOP ``[N]``.
        positions: in the word ``[N]``: 1 begin, 2 middle, 3 end, 4 the word's only phone.
        first: first phone of each utterance, and N: ``[U + 1]``.
    """
    sizes, types = np.diff(first), len(ARPABET)
    cells = np.repeat(np.arange(len(sizes)), sizes) * types + np.asarray(phone_ids) - 1
    shape = (len(sizes), types)
    count = np.bincount(cells, minlength=len(sizes) * types)
    means = []
    for values in (gop, positions):
        sums = np.bincount(cells, np.asarray(values, np.float64), len(sizes) * types)
        means.append(np.where(count, sums / np.maximum(count, 1), np.nan).reshape(shape))
    mean = np.add.reduceat(np.asarray(gop, np.float64), first[:-1]) / sizes
    return np.concatenate([*means, sizes[:, None], mean[:, None]], axis=1)


def features_of(found: ScoringSet) -> np.ndarray:
    """:func:`features` of a set.

    Raises:
        UserError: it has no scalar GOP.
    """
    if not np.isfinite(found.gop).any():
        raise UserError(
            f"The features of '{found.name}' have no scalar GOP, which the trees read.",
            f"Extract them with: speechkit extract-gop --set {found.name}",
        )
    return features(found.phone_ids, found.gop, found.positions, found.first)


@dataclass(frozen=True)
class TreeModel:
    """T trees with M nodes in all; children of a leaf are the leaf itself.

    Args:
        feature: that a node asks for, int32 ``[M]``.
        threshold: up to which a value goes left, float64 ``[M]``.
        left: node after that, int32 ``[M]``.
        right: the other, int32 ``[M]``.
        missing_left: where a missing value goes, bool ``[M]``.
        value: of a leaf, float64 ``[M]``.
        roots: first node of each tree, int32 ``[T]``.
        depth: of the deepest leaf.
        base: what the trees are added to.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    depth: int
    base: float

    def evaluate(self, columns: np.ndarray) -> np.ndarray:
        """What scikit-learn's ``predict`` gives, float64 ``[U]``, of features ``[U, 80]``."""
        rows = np.arange(len(columns))[:, None]
        at = np.broadcast_to(self.roots, (len(columns), len(self.roots)))
        for _ in range(self.depth):
            asked = columns[rows, self.feature[at]]
            left = np.where(np.isnan(asked), self.missing_left[at], asked <= self.threshold[at])
            at = np.where(left, self.left[at], self.right[at])
        return self.base + self.value[at].sum(axis=1)

    def predict(self, found: ScoringSet) -> np.ndarray:
        """Scores of the utterances of a set, float64 ``[U]`` in 0..1."""
        return self.evaluate(features_of(found)).clip(0.0, 1.0)

    @property
    def parameters(self) -> int:
        """Thresholds of splits and values of leaves."""
        return len(self.value)

    def save(self, folder: Path) -> None:
        """Write ``trees.npz`` into a folder."""
        np.savez(folder / FILE, **asdict(self))

    @classmethod
    def load(cls, folder: Path) -> TreeModel:
        """Read ``trees.npz``.

        Raises:
            DataError: it is not there, or not such a file.
        """
        path, names = folder / FILE, [field.name for field in fields(cls)]
        stored = read_arrays(path, names)
        try:
            depth, base = int(stored["depth"]), float(stored["base"])
            values: dict[str, Any] = {name: stored[name] for name in names}
            model = cls(**{**values, "depth": depth, "base": base})
            model._check()
        except (ValueError, TypeError) as error:
            raise DataError(f"{path} is not a model of trees: {error}.") from error
        return model

    def _check(self) -> None:
        """Raise ValueError for nodes that lead out of the arrays."""
        nodes = self.value.size
        if not 0 <= self.depth <= nodes:
            raise ValueError(f"a depth of {self.depth} with {counted(nodes, 'node')}")
        for f in fields(self)[:6]:
            if getattr(self, f.name).shape != (nodes,):
                raise ValueError(f"{f.name} has another length")
        for name, end in (
            ("left", nodes),
            ("right", nodes),
            ("roots", nodes),
            ("feature", len(COLUMNS)),
        ):
            index = getattr(self, name)
            if index.dtype.kind != "i" or ((index < 0) | (index >= end)).any():
                raise ValueError(f"{name} leads out of the arrays")


def fit(found: ScoringSet, seed: int, settings: TreeConfig | None = None) -> TreeModel:
    """Trees for the labels of a set; utterances without a label are left out.

    Seeds differ in the features that splits may choose from (``column_share``).

    Raises:
        UserError: no scalar GOP, or fewer than two labels.
    """
    return fit_columns(features_of(found), found.labels, seed, settings)


def fit_columns(
    columns: np.ndarray, labels: np.ndarray, seed: int, settings: TreeConfig | None = None
) -> TreeModel:
    """As :func:`fit`, of features ``[U, 80]`` and labels ``[U]``."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    settings = settings or TreeConfig()
    if not settings.mean_gop:
        columns = columns[:, :PAPER]  # the trees that result never ask for the other
    given = ~np.isnan(labels)
    if given.sum() < 2:
        raise UserError(
            f"Too few labelled utterances for trees: {int(given.sum())}.", "Give two or more."
        )
    # Zeros for a phone that no utterance has: scikit-learn refuses a column without any value, and
    # no tree can ask for a constant one.
    grown_on = np.where(np.isnan(columns[given]).all(axis=0), 0.0, columns[given])
    model = HistGradientBoostingRegressor(
        learning_rate=settings.learning_rate,
        max_iter=settings.trees,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.leaf_samples,
        l2_regularization=settings.l2,
        max_features=settings.column_share,
        early_stopping=False,
        random_state=int(rng(seed, _TREES).integers(2**31)),
    ).fit(grown_on, labels[given].astype(np.float64))
    found = _arrays(model)
    # The trees are read from private attributes: a release that changes them must not pass.
    assert np.allclose(found.evaluate(columns), model.predict(columns), atol=1e-9)
    return found


def _arrays(model: HistGradientBoostingRegressor) -> TreeModel:
    """The trees of scikit-learn as arrays."""
    trees: Sequence[np.ndarray] = [row[0].nodes for row in model._predictors]
    roots = np.cumsum([0, *(len(nodes) for nodes in trees)])
    nodes, start = np.concatenate(trees), np.repeat(roots[:-1], np.diff(roots))
    leaf, own = nodes["is_leaf"].astype(bool), np.arange(len(nodes))
    return TreeModel(
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int32),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=np.where(leaf, own, nodes["left"] + start).astype(np.int32),
        right=np.where(leaf, own, nodes["right"] + start).astype(np.int32),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=np.where(leaf, nodes["value"], 0.0),
        roots=roots[:-1].astype(np.int32),
        depth=int(nodes["depth"].max()),
        base=float(np.ravel(model._baseline_prediction)[0]),
    )
