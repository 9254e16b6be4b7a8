"""Changed texts: what was said keeps its scores, what was not has the lowest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from worded_sets import SENTENCES, words_of

from speechkit.labels.miscues import OMISSION, SAID, SUBSTITUTION
from speechkit.labels.scores import Scores
from speechkit.pronunciation.miscue_texts import (
    UNSAID,
    Vocabulary,
    added,
    removed,
    replaced,
    texts_of,
    wrong,
)


def texts(*sentences: str):
    scores = Scores()
    for k, sentence in enumerate(sentences):
        scores.words[f"u{k}"], scores.phones[f"u{k}"] = words_of(sentence, k)
    return texts_of(scores, scores.words)


def accuracies(word) -> list[float]:
    return [phone.accuracy for phone in word.phones]


def test_shared_phones_of_a_replaced_word_keep_their_scores() -> None:
    (text, other) = texts("WE CALL IT BEAR", "AT STREET").values()
    new = replaced(text, 2, other[0])  # IH T -> AE T: only the T was said
    assert [word.text for word in new] == ["WE", "CALL", "AT", "BEAR"]
    assert accuracies(new[2]) == [UNSAID, text[2].phones[1].accuracy]
    assert new[2].scores == {"accuracy": UNSAID, "total": UNSAID}  # stress is not scored
    assert (new[2].status, new[2].said, new[2].distance) == (SUBSTITUTION, "IT", 1)
    assert new[:2] == text[:2] and new[3] == text[3]
    far = replaced(text, 0, other[1])  # W IY -> S T R IY T: the IY was said, in order
    kept = [k for k, value in enumerate(accuracies(far[0])) if value != UNSAID]
    assert kept == [3] and far[0].phones[3].accuracy == text[0].phones[1].accuracy
    assert far[0].distance == 4


def test_added_and_removed_words() -> None:
    (text, other) = texts("WE CALL IT BEAR", "GREEN").values()
    new = added(text, 3, other[0])
    assert [w.text for w in new] == ["WE", "CALL", "IT", "GREEN", "BEAR"]
    assert new[3].status == OMISSION and set(accuracies(new[3])) == {UNSAID}
    assert [w.status for w in new].count(SAID) == 4
    fewer = removed(removed(new, 1), 0)
    assert [w.text for w in fewer] == ["IT", "GREEN", "BEAR"]
    assert fewer[0].before == ("WE", "CALL")  # in the order in which they were said
    assert replaced(fewer, 0, other[0])[0].before == ("WE", "CALL")


def test_words_without_scores_of_phones_get_none() -> None:
    scores = Scores()
    words, phones = words_of("WE CALL")
    scores.words["u"] = words
    scores.phones["u"] = [type(p)(p.phone, p.word_index) for p in phones]
    (text,) = texts_of(scores, ["u", "unknown"]).values()
    new = replaced(text, 0, text[1])
    assert all(map(math.isnan, accuracies(new[0]))) and new[0].scores["accuracy"] == UNSAID


def test_a_false_word_is_never_what_may_have_been_said() -> None:
    known = texts("THE(DH, AH0) CAR(K, AA1, R) CAR(K, AA1) BARE BEER WE", "THE(DH, IY0) BEAR")
    vocabulary = Vocabulary(known, known)
    the, car = known["u0"][0], known["u0"][1]
    others = [word.text for group in vocabulary.others(the) for word in group]
    assert "THE" not in others and "WE" in others
    assert "CAR" not in [w.text for group in vocabulary.others(car) for w in group]
    bear = known["u1"][1]
    near, far = ([w.text for w in group] for group in vocabulary.others(bear))
    assert "BARE" not in near + far and "BEER" in near  # homophones, and a real other word
    assert all(abs(len(w.phones) - len(bear.phones)) <= 1
               for group in vocabulary.others(bear) for w in group)  # fmt: skip


def test_pronunciations_of_the_other_set_count_too() -> None:
    changed = texts("CAR(K, AA1)")
    vocabulary = Vocabulary(texts("CARE CAR(K, AA1, R) KA(K, AA1, R) WE"), changed)
    near, far = vocabulary.others(changed["u0"][0])
    assert [w.text for w in near] == ["CARE", "WE"] and not far


def test_a_wrong_text_has_no_word_in_common() -> None:
    known = texts(*SENTENCES)
    draw = np.random.default_rng(0)
    for text in known.values():
        found = wrong(known, text, draw)
        assert found is not None and {w.status for w in found} == {SUBSTITUTION}
        assert {w.text for w in found}.isdisjoint(w.text for w in text)
        assert {w.pure for w in found}.isdisjoint(w.pure for w in text)
        assert all(set(accuracies(w)) == {UNSAID} for w in found)
    assert wrong(texts("WE CALL", "CALL BEAR"), texts("CALL")["u0"], draw) is None


@pytest.mark.parametrize("at", [0, 1])
def test_a_copy_of_the_next_word_is_an_omission(at: int) -> None:
    (text,) = texts("WE CALL").values()
    new = added(text, at, text[1])
    assert new[at].text == "CALL" and new[at].status == OMISSION
    assert new[at + 1].status == SAID and accuracies(new[at + 1]) == accuracies(text[at])
