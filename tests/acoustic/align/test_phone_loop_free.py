"""The free path against all sequences of states."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from graph_reference import CtcModel, FakeModel

from speechkit.acoustic.align.phone_loop import free_path
from speechkit.acoustic.interface import PhoneInContext

FRAMES = 5


def best_of_all(states, costs, enter, scores):
    """Best path (state by state) of a loop, of all sequences of (label, state)."""
    places = [(label, k) for label, of in enumerate(states) for k in range(len(of))]
    best, found = -np.inf, None
    for path in product(places, repeat=len(scores)):
        if path[0][1]:
            continue
        total = enter[path[0][0]] + scores[0, states[path[0][0]][0]]
        for t, ((a, i), (b, j)) in enumerate(pairwise(path), 1):
            stays, moves = (a, i) == (b, j), a == b and j == i + 1
            enters = j == 0 and i == len(states[a]) - 1
            ways = [costs[a][i][0]] if stays else []
            ways += [costs[a][i][1]] if moves else []
            ways += [costs[a][i][1] + enter[b]] if enters else []
            if not ways:
                break
            total += max(ways) + scores[t, states[b][j]]
        else:
            if total > best:
                best, found = total, path
    return best, found


@pytest.mark.parametrize("costs", [False, True])
def test_states_of_an_hmm(costs: bool) -> None:
    model = FakeModel(states=2, costs=costs)
    model.labels = ("SIL", "AA", "K")
    ways = [model.phone_without_context(label) for label in model.labels]
    for seed in range(3):
        scores = np.random.default_rng(seed).normal(0, 2, (FRAMES, 6))
        found = free_path(model, scores, 1.5)
        states, rates = zip(*ways, strict=True)
        best, path = best_of_all(states, rates, [-1.5] * 3, scores)
        assert found.scores.sum() == pytest.approx(best)
        labels = np.array([label for label, _ in path])
        np.testing.assert_array_equal(found.speech, labels > 0)
        starts = [t for t in range(FRAMES) if t == 0 or path[t][0] != path[t - 1][0]]
        assert set(starts) <= set(found.starts.tolist())
        assert [found.phones[n] for n in np.searchsorted(found.starts, starts)] == [
            model.labels[labels[t]] for t in starts
        ]
        np.testing.assert_array_equal(found.quiet, scores[:, states[0]].max(1))


def test_labels_of_a_ctc_model() -> None:
    """A blank costs nothing, every other label the penalty."""
    model = CtcModel()
    for seed in range(3):
        scores = np.log(np.random.default_rng(seed).dirichlet(np.ones(5), FRAMES))
        found = free_path(model, scores, 0.8)
        states = [(number,) for number in range(5)]
        enter = [0.0 if number == model.blank else -0.8 for number in range(5)]
        best, path = best_of_all(states, [((0.0, 0.0),)] * 5, enter, scores)
        assert found.scores.sum() == pytest.approx(best)
        np.testing.assert_array_equal(found.speech, [label != model.blank for label, _ in path])
        np.testing.assert_allclose(found.quiet, scores[:, model.blank])


def test_what_is_heard_in_some_frames() -> None:
    model = CtcModel()
    scores = np.full((8, 5), -9.0)
    for t, label in enumerate((2, 0, 2, 1, 1, 2, 4, 2)):
        scores[t, label] = 0.0
    found = free_path(model, scores, 0.5)
    assert found.phones == ("SIL", "AA", "SIL", "B", "SIL", "K", "SIL")
    assert found.heard(0, 8) == ("AA", "B", "K")
    assert found.heard(2, 6) == ("B",)
    assert found.heard(4, 5) == ("B",)  # it began before
    assert found.heard(2, 3) == ()
    assert found.scores[:2].tolist() == [0.0, -0.5]


def test_sphinx_takes_its_phones_without_context() -> None:
    """Their senones come before those of all triphones, three a phone."""
    from speechkit.acoustic.models import load_model

    model = load_model("sphinx")
    for label in ("SIL", "AA", "+NSN+"):
        first = 3 * model.labels.index(label)
        states, costs = model.phone_without_context(label)
        assert states == (first, first + 1, first + 2)
        assert costs == model.transition_costs(PhoneInContext(label))
