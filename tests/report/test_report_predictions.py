"""The section on recordings that were scored and have no scores of people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from speechkit.report import page, predictions
from speechkit.workdir import WorkDir

MADE_WITH = {"made_with": {"task": "pronunciation", "model": "m"}, "audio_sha256": None}
SCALES = {"utterance": {"accuracy": [0, 10], "total": [0, 10]}, "word": {"total": [0, 10]}}


def row(file: str, total: float, *words: tuple[str, float, str], **more: Any) -> dict[str, Any]:
    """A line of a file of predictions; of a word its total and status."""
    found = [
        {
            "word": word, "start": 0.0, "end": 0.1, "total": score, "phones": [],
            "pronunciation": "lexicon", "status": status, "p_said": 0.5, "p_substitution": 0.25,
            "p_omission": 0.25, "raw": {},
        }
        for word, score, status in words
    ]  # fmt: skip
    return {
        "model": "m", "file": file, "text": " ".join(w for w, _, _ in words), "seconds": 1.0,
        "matches": True, "confidence": 0.9, "scales": SCALES, "words": found,
        "utterance": {"accuracy": 1.0, "total": total}, "spread_over_seeds": {}, **more,
        **MADE_WITH,
    }  # fmt: skip


@pytest.fixture
def scored(workdir: Path) -> Path:
    """A working directory with a set and three predictions, and what a kill cut off."""
    known = (workdir / "data/train/wav/s0-u0.wav").resolve()
    rows = [
        row("b.wav", 8.0, ("WE", 9.0, "said"), ("CALL", 7.5, "said badly")),
        row(str(known), 3.0, ("BEAR", 0.0, "substitution"), ("<IT>", 6.0, "said"), matches=False,
            insertions=[{"start": 0.5, "end": 0.75, "phones": ["AH", "M"]}]),
        {"file": "c.wav", "text": "C", "error": "is silent", **MADE_WITH},
    ]  # fmt: skip
    text = "".join(json.dumps(one) + "\n" for one in rows)
    (workdir / "scores.jsonl").write_text(text + '{"file": "d.w')
    return workdir


def test_the_lowest_stand_first_with_what_became_of_their_words(scored: Path) -> None:
    (section,) = predictions.sections(WorkDir(scored))
    assert section.title == "Scored recordings: scores.jsonl"
    assert section.findings == [
        "scores.jsonl: 2 recordings were scored; total is 5.5 on average, from 3.0 to 8.0 (the "
        "scale is 0 to 10); of 4 words: 2 said, 1 said badly, 1 substitution; 1 time something "
        "was said between words."
    ]
    assert section.text[0].endswith(
        "1 recording could not be scored. The text of 1 is probably not what is said."
    )
    (table,) = section.tables
    first, second = table.cells()
    assert table.columns == ["text", "recording", "accuracy", "total", "words"]
    assert (first[0].text, first[3].text, first[4].text) == (
        "BEAR <IT>", "3.0", "BEAR 0.0 (substitution), <IT> 6.0"
    )  # fmt: skip
    assert list(first[0].under[1:]) == [
        "the text is probably not what is said", "inserted at 0.50 s: AH M"
    ]  # fmt: skip
    assert second[4].text == "WE 9.0, CALL 7.5 (said badly)"
    assert first[1].player is not None and second[1].player is None  # in no set


def test_the_page_has_it_escaped_and_says_how_many_are_left_out(
    scored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, "MOST", 1)
    html = page.render(page.collect(WorkDir(scored)), "t")
    assert "&lt;IT&gt;" in html and "<IT>" not in html
    assert "The lowest first: 1 of 2." in html and "CALL" not in html


def test_other_files_are_left_alone_and_damaged_ones_told(
    scored: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (scored / "recordings.jsonl").write_text('{"id": "a"}\n')
    (scored / "odd.jsonl").write_bytes(b"\xff\n")
    (scored / "empty.jsonl").write_text("")
    other = {"made_with": {"task": "emotion"}}
    (scored / "emotions.jsonl").write_text(json.dumps(other) + "\n")
    assert len(list(predictions.sections(WorkDir(scored)))) == 1
    with (scored / "scores.jsonl").open("w") as file:
        file.write(json.dumps(row("b.wav", 1.0)) + "\nno JSON\n")
    assert not list(predictions.sections(WorkDir(scored)))
    assert "scores.jsonl:2: is not a prediction" in caplog.text
