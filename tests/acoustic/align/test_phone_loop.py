"""Free phone decoding against brute force, and its errors by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from speechkit.acoustic.align.phone_loop import (
    INSERTION_PENALTY,
    LM_SCALE,
    PhoneErrors,
    PhoneLoop,
    bigram_counts,
    edits,
    label_starts,
    log_bigram,
)
from speechkit.acoustic.tdnn.config import AcousticConfig
from speechkit.base.config import settings_of

LABELS = ("SIL", "AA", "IY")


def brute(scores: np.ndarray, steps: np.ndarray) -> list[str]:
    """The best of all sequences of labels with all durations of their states."""
    best, found = -np.inf, ()
    frames = len(scores)
    for count in range(1, frames // 3 + 1):
        for labels in itertools.product(range(len(LABELS)), repeat=count):
            for cuts in itertools.combinations(range(1, frames), 3 * count - 1):
                edges = (0, *cuts, frames)
                total = sum(steps[a, b] for a, b in itertools.pairwise(labels))
                for n in range(3 * count):
                    state = 3 * labels[n // 3] + n % 3
                    total += scores[edges[n] : edges[n + 1], state].sum()
                if total > best:
                    best, found = total, labels
    return [LABELS[label] for label in found if label]


@pytest.mark.parametrize("seed", range(6))
def test_same_as_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = 3 * rng.standard_normal((8, 9))
    bigram = np.log(rng.dirichlet(np.ones(3), 3))
    found = PhoneLoop(LABELS, bigram, 2.0, 0.5).decode(scores)
    assert found == brute(scores, 2 * bigram - 0.5)


def test_repeated_phones_and_short_recordings() -> None:
    loop = PhoneLoop(LABELS, np.log(np.full((3, 3), 1 / 3)), 1.0, 0.0)
    states = [0, 1, 2, 3, 3, 4, 5, 3, 4, 4, 5, 6, 7, 8, 0, 1, 2]  # SIL AA AA IY SIL
    scores = np.full((len(states), 9), -20.0)
    scores[np.arange(len(states)), states] = 0
    assert loop.decode(scores) == ["AA", "AA", "IY"]
    assert loop.decode(scores[:2]) == []
    assert PhoneLoop(LABELS, np.log(np.full((3, 3), 1 / 3)), 1.0, 500.0).decode(scores) == ["AA"]


def test_labels_without_counts_take_no_part() -> None:
    counts = np.array([[0, 4, 0], [4, 2, 0], [0, 0, 0]])
    bigram = log_bigram(counts)
    assert np.isneginf(bigram[:, 2]).all() and np.isfinite(bigram[:2, :2]).all()
    np.testing.assert_allclose(np.exp(bigram).sum(1), 1)
    # by hand: 0 -> 1 is 4 of 4, and label 1 alone (6 + 1) of (10 + 2)
    assert np.exp(bigram[0, 1]) == pytest.approx((4 + 10 * 7 / 12) / (4 + 10))
    scores = np.zeros((9, 9))
    scores[:, 6:] = 100  # IY, which training never had
    assert "IY" not in PhoneLoop(LABELS, bigram, 0.0).decode(scores)
    assert np.isfinite(log_bigram(np.zeros((2, 2), int))).all()


def test_bigrams_of_states() -> None:
    # AA AA | (not known) IY SIL, then another utterance: AA
    states = np.array([3, 4, 5, 5, 3, 4, 5, -1, 6, 6, 7, 8, 0, 1, 2, -1, 3, 4, 5])
    assert label_starts(states).tolist() == [0, 4, 8, 12, 16]
    wanted = np.zeros((3, 3), int)
    wanted[1, 1] = wanted[2, 0] = 1
    assert (bigram_counts(states, 3) == wanted).all()
    assert bigram_counts(np.zeros(0, int), 2).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        ("kitten", "sitting", (2, 0, 1)),
        ("abc", "", (0, 3, 0)),
        ("", "ab", (0, 0, 2)),
        ("abcd", "bcd", (0, 1, 0)),
        ("ab", "ba", (2, 0, 0)),  # rather than one deleted and one inserted
        ("abc", "abc", (0, 0, 0)),
    ],
)
def test_edits_by_hand(one: str, other: str, wanted: tuple[int, int, int]) -> None:
    assert edits(one, other) == wanted


def test_rates() -> None:
    errors = PhoneErrors()
    errors.add(["AA", "IY", "S"], ["AA", "EH"])
    more = PhoneErrors()
    more.add(["T"], ["T", "T"])
    errors.update(more)
    assert errors.measures() == {
        "phone_error_rate": 0.75,
        "phone_substitutions": 0.25,
        "phone_deletions": 0.25,
        "phone_insertions": 0.25,
    }
    assert np.isnan(PhoneErrors().measures()["phone_error_rate"])


def test_flags_show_the_defaults() -> None:
    settings = {one.name: one.default for one in settings_of(AcousticConfig)}
    assert settings["lm_scale"] == LM_SCALE
    assert settings["insertion_penalty"] == INSERTION_PENALTY
