"""Viterbi against an enumeration of all paths, and against torchaudio's CTC alignment."""

import numpy as np
import pytest
import torch
import torchaudio
from graph_reference import CtcModel, FakeModel, score_of_all

from speechkit.acoustic.align import viterbi
from speechkit.acoustic.align.graph import build

TEXTS = [
    [[("AA",)]],
    [[("AA",)], [("AA",)]],
    [[("B", "AA"), ("IY",)], [("AA",), ("K",)]],
    [[("IY", "K")], [("IY",), ("B",)]],
]


def path_score(graph, table, scores, path):
    """Score of a path of states, from the graph rather than from the table."""
    nodes, columns = table.node[path], table.columns[path]
    total = scores[0, columns[0]]
    for t in range(1, len(path)):
        node, before = graph.nodes[nodes[t]], graph.nodes[nodes[t - 1]]
        total += scores[t, columns[t]]
        if path[t] == path[t - 1]:
            total += node.costs[node.states.index(columns[t])][0]
        else:
            total += before.costs[before.states.index(columns[t - 1])][1]
    return total


@pytest.mark.parametrize("words", TEXTS)
@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("costs", [False, True])
def test_best_of_all_paths(words, context, costs):
    model = FakeModel(context, context, costs=costs)
    graph = build(model, words)
    table = viterbi.flatten(graph)
    for seed in range(3):
        scores = np.random.default_rng(seed).normal(size=(9, len(model.columns)))
        best, found = score_of_all(model, scores, words)
        path = viterbi.best_path(table, scores)
        assert path_score(graph, table, scores, path) == pytest.approx(best, abs=1e-9)
        starts = [0, *(np.flatnonzero(np.diff(path)) + 1), 9]
        places = tuple(
            (graph.nodes[n].word, graph.nodes[n].variant, graph.nodes[n].index)
            for n in table.node[path[starts[:-1]]][::2]  # every phone has two states
        )
        assert (places, tuple(starts)) in [(way.places, bounds) for way, bounds in found]


@pytest.mark.parametrize("phones", ["AA", "AA B", "AA AA", "B B AA K K IY", "IY K K IY AA AA AA B"])
def test_ctc_as_torchaudio(phones):
    model = CtcModel()
    words = [[(phone,)] for phone in phones.split()]
    table = viterbi.flatten(build(model, words))
    targets = torch.tensor([[model.labels.index(p) for p in phones.split()]], dtype=torch.int32)
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        logs = torch.randn(1, 40, 5, generator=generator).log_softmax(-1)
        expected, _ = torchaudio.functional.forced_align(logs, targets, blank=model.blank)
        path = viterbi.best_path(table, logs[0].numpy())
        assert table.columns[path].tolist() == expected[0].tolist()


def test_blocks_do_not_change_the_path(monkeypatch):
    model = FakeModel(True, True, costs=True)
    words = TEXTS[2] * 3
    table = viterbi.flatten(build(model, words))
    scores = np.random.default_rng(1).normal(size=(101, len(model.columns)))
    whole = viterbi.best_path(table, scores)
    for rows in (1, 7, 100, 101):
        monkeypatch.setattr(viterbi, "BLOCK", rows * (len(table.columns) + 1))
        assert np.array_equal(viterbi.best_path(table, scores), whole)


def test_equal_paths_are_decided_the_same_way():
    model = FakeModel()
    table = viterbi.flatten(build(model, TEXTS[2]))
    scores = np.zeros((20, len(model.columns)))
    paths = [viterbi.best_path(table, scores) for _ in range(2)]
    assert np.array_equal(*paths)
    # the last state is entered as early as its predecessors' fewest frames allow
    assert np.sum(paths[0] == paths[0][-1]) >= 20 - len(table.columns)


def test_too_few_frames():
    model = FakeModel()
    table = viterbi.flatten(build(model, [[("AA", "B")]]))
    assert viterbi.best_path(table, np.zeros((3, len(model.columns)))) is None
    assert viterbi.best_path(table, np.zeros((4, len(model.columns)))) is not None


def test_probability_of_zero_is_improbable_not_impossible():
    model = FakeModel(states=1)
    table = viterbi.flatten(build(model, [[("AA", "B")]]))
    scores = np.full((5, len(model.columns)), -np.inf, np.float32)
    scores[:, 0] = 0
    assert viterbi.best_path(table, scores) is not None


def test_no_costs_of_a_model_without():
    assert viterbi.flatten(build(FakeModel(costs=True), TEXTS[1])).costs is not None
    assert viterbi.flatten(build(FakeModel(), TEXTS[1])).costs is None
