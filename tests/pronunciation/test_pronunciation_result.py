"""Rows of `predict pronunciation` as lines of a CSV, tiers, and in IPA."""

from __future__ import annotations

from typing import Any

import pytest

from speechkit.pronunciation.assessment import Insertion
from speechkit.pronunciation.result import FORMS, Result, in_ipa


def phone(name: str, start: float, accuracy: float, **more: Any) -> dict[str, Any]:
    end = round(start + 0.1, 3)
    about = {"phone": name, "start": start, "end": end, "accuracy": accuracy}
    return {**about, "suspect": accuracy < 1, **more}


@pytest.fixture
def row() -> dict[str, Any]:
    """The word "I" said twice, badly the second time, with two phones inserted."""
    low = {"likely": "substitution", "heard": "AH1", "advantage_nats": 2.5}
    words = [
        {"word": "I", "start": 0.1, "end": 0.2, "accuracy": 8.0, "total": 7.0,
         "pronunciation": "lexicon", "phones": [phone("AY1", 0.1, 1.5)]},
        {"word": "I", "start": 0.5, "end": 0.6, "accuracy": 3.0, "total": 2.0,
         "pronunciation": "lexicon", "phones": [phone("AY", 0.5, 0.5, **low)]},
    ]  # fmt: skip
    return {
        "file": "a.wav", "text": "I I", "seconds": 1.0, "matches": True, "confidence": 0.9,
        "scales": {"phone": {"accuracy": [0, 2]}, "word": {"accuracy": [0, 10], "total": [0, 10]},
                   "utterance": {"total": [0, 10]}},
        "utterance": {"total": 5.0}, "spread_over_seeds": {"total": 0.5}, "words": words,
        "insertions": [{"start": 0.3, "end": 0.45, "phones": ["NG", "AH"]}],
    }  # fmt: skip


def test_lines(row: dict[str, Any]) -> None:
    lines = FORMS.lines(row)
    assert [line["level"] for line in lines] == [
        "utterance", "word", "phone", "word", "phone", "insertion"]  # fmt: skip
    assert [line.get("word_index") for line in lines] == [None, 0, 0, 1, 1, None]
    assert lines[0]["total"] == 5.0 and lines[3]["total"] == 2.0 and lines[4]["heard"] == "AH1"
    assert (lines[5]["phone"], lines[5]["start"]) == ("NG AH", 0.3)
    assert all(not isinstance(value, list | dict) for line in lines for value in line.values())


def test_tiers(row: dict[str, Any]) -> None:
    assert FORMS.tiers is not None
    tiers = {tier.name: list(tier.intervals) for tier in FORMS.tiers(row)}
    assert list(tiers) == ["words", "phones", "scores", "phone scores", "insertions"]
    assert tiers["words"][1] == (0.5, 0.6, "I", 0.2)
    assert tiers["phones"][1] == (0.5, 0.6, "AY", 0.25)
    assert [one.label for one in tiers["scores"]] == ["7", "2"]
    assert [one.label for one in tiers["phone scores"]] == ["1.5", "0.5"]
    assert tiers["insertions"] == [(0.3, 0.45, "NG AH", None)]
    for number, status in enumerate(("said", "substitution")):
        row["words"][number]["status"] = status
    status = next(tier for tier in FORMS.tiers(row) if tier.name == "status")
    assert [one.label for one in status.intervals] == ["said", "substitution"]


def test_ipa(row: dict[str, Any]) -> None:
    result = Result.from_dict(row)
    found = in_ipa(result).as_dict()
    assert [p["phone"] for word in found["words"] for p in word["phones"]] == ["ˈaɪ", "aɪ"]
    assert found["words"][1]["phones"][0]["heard"] == "ˈʌ"
    assert found["insertions"][0]["phones"] == ["ŋ", "ə"]
    assert found["utterance"] == result.utterance and found["words"][0]["word"] == "I"


def test_times_of_insertions_are_rounded_as_those_of_words() -> None:
    """Frame 253 times 0.01 s is 2.5300000000000002 s."""
    found = Insertion(234 * 0.01, 253 * 0.01, ["R"]).as_dict()
    assert found == {"start": 2.34, "end": 2.53, "phones": ["R"]}
