"""Labels of one set in the words of a model: maps, other words, and what is left out."""

from collections import Counter

import pytest
from acted_speech import labelled

from speechkit.base.errors import UserError
from speechkit.labels.emotions import RAVDESS, map_labels, read_label_map

GERMAN = ("Angst", "Freude", "Trauer", "boredom", "neutral")


def test_other_words_of_the_same_emotions():
    dataset = labelled(3, GERMAN)
    found = map_labels(dataset, RAVDESS, {})
    assert found.renamed == {"Angst": "fearful", "Freude": "happy", "Trauer": "sad"}
    assert found.left_out == {"boredom": 24}
    assert found.dataset.classes == ("neutral", "happy", "sad", "fearful")
    assert Counter(found.dataset.labels.values())["sad"] == 24
    assert len(found.dataset.data.utterances) == len(dataset.labels)
    for name, label in found.dataset.labels.items():
        assert found.renamed.get(dataset.labels[name], dataset.labels[name]) == label


def test_a_model_with_other_words():
    found = map_labels(labelled(2, ("angry", "happy")), ("anger", "joy", "fear"), {})
    assert found.renamed == {"angry": "anger", "happy": "joy"} and not found.left_out


def test_the_map_goes_before_names():
    found = map_labels(labelled(2, ("calm", "sad")), RAVDESS, {"calm": "neutral"})
    assert found.renamed == {"calm": "neutral"} and found.dataset.classes == ("neutral", "sad")


def test_maps_that_do_not_fit(caplog):
    dataset = labelled(2, ("calm", "sad"))
    with pytest.raises(UserError, match="no class 'glad'"):
        map_labels(dataset, RAVDESS, {"calm": "glad"})
    with pytest.raises(UserError, match="No label of the set"):
        map_labels(dataset, ("a", "b"), {})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.tsv", "from\tto\nAngst\tfearful\nx y\tsad\n"),
        ("map.csv", "Angst,fearful\nx y,sad\n"),
        ("map.yaml", "Angst: fearful\nx y: sad\n"),
    ],
)
def test_files(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_label_map(tmp_path / name) == {"Angst": "fearful", "x y": "sad"}


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("map.tsv", "Angst fearful\n", "expected 'from<TAB>to'"),
        ("map.tsv", "a\tb\tc\n", "expected 'from<TAB>to'"),
        ("map.tsv", "a\tb\na\tc\n", "becomes 'b' and 'c'"),
        ("map.tsv", "", "is empty"),
        ("map.yaml", "- a\n", "map.yaml"),
        ("map.yaml", "a: 3\n", "map.yaml"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, text, what):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=what):
        read_label_map(tmp_path / name)
    with pytest.raises(UserError):
        read_label_map(tmp_path / "absent.tsv")
