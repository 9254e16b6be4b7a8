"""The alignment graph against an enumeration of everything that may be said."""

from itertools import pairwise

import pytest
from graph_reference import CtcModel, FakeModel, ways

from speechkit.acoustic.align.graph import build
from speechkit.base.errors import UserError

TEXTS = [
    [[("AA",)]],
    [[("AA",)], [("AA",)]],
    [[("B", "AA")], [("AA", "K"), ("K",)]],
    [[("AA",), ("B", "IY")], [("K",), ("AA",)], [("B",), ("IY", "AA")]],
    [[("B", "AA", "K"), ("B", "IY")], [("IY",)], [("IY",), ("K", "AA")]],
]


def sequences(graph):
    """Column sequences of all paths through a graph, each node once, with their places."""
    after = {n: [] for n in range(len(graph.nodes))}
    for number, node in enumerate(graph.nodes):
        assert all(b < number for b in node.before), "not in topological order"
        for other in node.before:
            after[other].append(number)
    found = []

    def walk(number, columns, places):
        node = graph.nodes[number]
        columns = (*columns, *node.states)
        places = (*places, (node.word, node.variant, node.index))
        if number in graph.ends:
            found.append((columns, places))
        for other in after[number]:
            walk(other, columns, places)

    for start in graph.starts:
        walk(start, (), ())
    return found


@pytest.mark.parametrize("words", TEXTS)
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_paths_are_all_ways_to_say_the_text(words, left, right):
    model = FakeModel(left, right)
    found = sequences(build(model, words))
    expected = {
        (tuple(c for phone in way.phones for c in model.state_ids(phone)), way.places)
        for way in ways(words)
    }
    assert set(found) == expected
    assert len(found) == len(expected)  # none comes twice


def test_contexts_that_the_model_does_not_tell_apart_are_merged():
    words = [[("B", "AA"), ("B", "IY")], [("K",), ("B",)]]
    sizes = [len(build(FakeModel(c, c), words).nodes) for c in (False, True)]
    # Three silences and six phones; AA and IY once for each of the three right neighbours.
    assert sizes == [3 + 6, 3 + 6 + 2 * 2]


def test_stress_does_not_make_a_variant():
    graph = build(FakeModel(), [[("AA0", "B"), ("AA1", "B"), ("IY1",)]])
    assert {node.variant for node in graph.nodes} == {-1, 0, 2}


@pytest.mark.parametrize(
    ("words", "frames"),
    [
        ([[("AA",)]], 2),
        ([[("B", "AA", "K"), ("B", "IY")], [("IY",)]], 6),
        ([[("B",), ("AA", "AA")], [("B",)], [("B",)]], 6),
    ],
)
def test_fewest_frames(words, frames):
    assert build(FakeModel(), words).shortest() == frames


@pytest.mark.parametrize(
    ("words", "frames"),
    [
        ([[("AA",)]], 1),
        ([[("AA", "AA")]], 3),  # a blank between equal labels
        ([[("AA", "B")], [("B", "B")]], 6),
        ([[("AA", "B")], [("B", "B"), ("K",)]], 3),
    ],
)
def test_fewest_frames_of_ctc(words, frames):
    assert build(CtcModel(), words).shortest() == frames


def test_ctc_paths_collapse_to_the_text():
    """Blanks are optional, but two equal labels never follow each other directly."""
    words = [[("AA", "B")], [("B",), ("K", "K")]]
    model = CtcModel()
    texts = {("AA", "B", "B"), ("AA", "B", "K", "K")}
    found = sequences(build(model, words))
    for columns, _ in found:
        assert all(a != b for a, b in pairwise(columns))
        assert tuple(model.labels[c] for c in columns if c != model.blank) in texts
    # Independently: blanks at each of the places between, before and after the labels, where
    # equal neighbours must have one.
    assert len({c for c, _ in found}) == len(found) == 2 * 2 * 1 * 2 + 2 * 2 * 2 * 1 * 2


@pytest.mark.parametrize("words", [[], [[]], [[("AA",)], []], [[("AA",), ()]]])
def test_nothing_to_align(words):
    with pytest.raises(UserError, match="nothing to align"):
        build(FakeModel(), words)


def test_an_unknown_phone_is_named():
    with pytest.raises(UserError, match="'ZH'"):
        build(FakeModel(), [[("B", "ZH")]])


def test_sixty_words_stay_small():
    """The number of states grows with the words, not with the ways to say them."""
    word = [("B", "AA"), ("K", "IY"), ("AA",)]
    sizes = [len(build(FakeModel(True, True), [word] * n).nodes) for n in (10, 20, 60)]
    assert sizes[2] - sizes[1] == 4 * (sizes[1] - sizes[0])
