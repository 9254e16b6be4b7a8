from __future__ import annotations

import numpy as np
import pytest
from graph_reference import FakeModel
from miscue_reference import ANY as FREE
from miscue_reference import LEFT_OUT, REPLACED, SAID, scores_of_fates
from miscue_reference import SPEECH as IN_SPEECH

from speechkit.acoustic.align.max_marginals import max_marginals
from speechkit.acoustic.align.miscue_graph import ANY, SPEECH, build

WORDS = (
    [["AA"], ["B"]],
    [["AA", "B"], ["AA"]],
    [["IY"]],
    [["AA"], ["AA"], ["K"]],
)


def marginals(model, words, least, costs, frames, seed, block=1 << 22):
    """Found scores (word, fate), the same by enumeration, and the path's score."""
    rng = np.random.default_rng(seed)
    graph = build(model, words, least, costs)
    columns = graph.trellis.columns
    real = rng.normal(0, 3, (frames, columns.max() + 1))
    free = rng.normal(1, 2, frames)
    speech = np.where(rng.random(frames) < 0.7, free, -1e9)
    scores = np.concatenate([real, speech[:, None], free[:, None]], axis=1)
    assert (SPEECH, ANY) == (-2, -1)  # so that they are the last two columns
    found = max_marginals(graph.trellis, scores, block)
    said = np.full(len(words), -np.inf)
    for state, word in graph.last:
        said[word] = max(said[word], found.states[state])
    own = {}
    for word in range(len(words)):
        own[word, SAID] = said[word]
        own[word, REPLACED] = found.states[graph.substitution[word]]
        own[word, LEFT_OUT] = found.jumps[word]
    table = {number: real[:, number] for number in range(real.shape[1])}
    table |= {IN_SPEECH: speech, FREE: free}
    return own, table, found, graph


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("how", [{}, {"left": True, "right": True}, {"costs": True, "right": True}])
def test_every_hypothesis_scores_as_the_best_of_all_its_ways(words, how) -> None:
    for seed, (least, frames) in enumerate([(1, 5), (2, 5)] if len(words) < 3 else [(1, 4)]):
        model = FakeModel(states=1, **how)
        costs = (0.5, 0.7, 0.4)
        own, table, *_ = marginals(model, words, least, costs, frames, seed)
        reference = scores_of_fates(model, words, table, least, costs)
        for place, score in own.items():
            assert score == pytest.approx(reference.get(place, -np.inf), abs=1e-6), place


def test_blocks_change_nothing() -> None:
    model = FakeModel(left=True, right=True, states=2, costs=True)
    words = [["AA", "B"], ["IY"], ["K", "AA"]]
    whole = marginals(model, words, 2, (1.0, 2.0, 1.5), 57, 3)
    for block in (1, 700, 2500, 5000):
        parts = marginals(model, words, 2, (1.0, 2.0, 1.5), 57, 3, block)
        assert parts[0] == pytest.approx(whole[0])
        np.testing.assert_array_equal(parts[2].path, whole[2].path)


def test_the_path_is_one_that_the_arcs_allow_and_scores_best() -> None:
    model = FakeModel(states=2)
    words = [["AA", "B"], ["IY"], ["K", "AA"]]
    for seed in range(5):
        own, _, found, graph = marginals(model, words, 2, (1.0, 2.0, 1.5), 30, seed)
        best = max(own.values())
        fates = [max((SAID, REPLACED, LEFT_OUT), key=lambda f: own[w, f]) for w in range(3)]
        held = {int(w) for w in graph.word[found.path]} - {-1}
        replaced = {int(w) for w in graph.replaced[found.path]} - {-1}
        assert held == {w for w in range(3) if fates[w] == SAID}
        assert replaced == {w for w in range(3) if fates[w] == REPLACED}
        assert max(own[w, fates[w]] for w in range(3)) == pytest.approx(best)
        assert (np.diff(found.path) != 0).sum() >= len(held)
