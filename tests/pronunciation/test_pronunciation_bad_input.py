"""Recordings and texts that do not go together, with the model that comes with speechkit."""

from __future__ import annotations

import numpy as np
import pytest
from sphinx_reference import spoken

import speechkit
from speechkit.base.errors import UserError
from speechkit.pronunciation.result import Result
from speechkit.sharing.load import Scorer

RATE = 16000
TEXT = "my sister lives near the river"
REPEATED = "my my my sister lives near the river"


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return speechkit.load("pronunciation", device="cpu")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    texts = [TEXT, REPEATED, "I have three green apples"]
    return spoken(texts, tmp_path_factory.mktemp("espeak"))


@pytest.fixture(scope="module")
def right(scorer: Scorer, said: list[np.ndarray]) -> Result:
    found = scorer.score(said[0], RATE, TEXT)
    assert found.matches and len(found.words) == 6
    return found


def test_a_text_of_one_word(scorer: Scorer, said: list[np.ndarray], right: Result) -> None:
    word = right.words[1]
    alone = said[0][round(word.start * RATE) : round(word.end * RATE)]
    found = scorer.score(alone, RATE, "sister")
    assert found.matches and [one.word for one in found.words] == ["SISTER"]
    assert set(found.utterance) == set(right.utterance)
    assert found.words[0].end - found.words[0].start > 0.8 * (word.end - word.start)


def test_silence(scorer: Scorer) -> None:
    with pytest.raises(UserError, match="is silent"):
        scorer.score(np.zeros(3 * RATE, np.float32), RATE, TEXT)


def test_a_recording_that_stops_in_the_middle(
    scorer: Scorer, said: list[np.ndarray], right: Result, caplog: pytest.LogCaptureFixture
) -> None:
    stop = right.words[2].start
    found = scorer.score(said[0][: round(stop * RATE)], RATE, TEXT, name="half")
    assert not found.matches and len(found.words) == 6
    assert found.words[-1].end <= found.seconds + 0.01
    assert "half: the text is probably not what is said" in caplog.text


def test_a_text_that_the_recording_cannot_hold(scorer: Scorer, said: list[np.ndarray]) -> None:
    phones = round(2 * len(said[0]) / RATE / 0.03)  # of 3 frames at least: twice as many
    with pytest.raises(UserError, match="is longer than the audio") as error:
        scorer.score(said[0], RATE, " ".join([TEXT] * (phones // 18)))
    assert "belong together" in error.value.remedy
    twice = scorer.score(said[0], RATE, f"{TEXT} {TEXT}")  # it fits, if nobody speaks so fast
    assert not twice.matches and len(twice.words) == 12


def test_what_is_no_speech_or_another_text(scorer: Scorer, said: list[np.ndarray]) -> None:
    rng, time = np.random.default_rng(0), np.arange(3 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330))
    music = 0.1 * chord * (1 + np.sin(3 * time))
    noise = 0.1 * rng.standard_normal(3 * RATE)
    for samples in (music, noise, said[2]):
        found = scorer.score(samples, RATE, TEXT)
        assert not found.matches and found.confidence < 0.3 and len(found.words) == 6


def test_repeated_words(scorer: Scorer, said: list[np.ndarray]) -> None:
    """Each has its own place and scores, in the order of the text."""
    found = scorer.score(said[1], RATE, REPEATED)
    assert found.matches and [word.word for word in found.words[:4]] == ["MY"] * 3 + ["SISTER"]
    ends = [time for word in found.words for time in (word.start, word.end)]
    assert ends == sorted(ends)
    lengths = [word.end - word.start for word in found.words[:3]]
    assert min(lengths) > 0.05 and max(lengths) < 0.25
    rows = found.as_dict()["words"]
    assert len(rows) == 8 and all("accuracy" in row for row in rows)
