"""Verification of words that were said, replaced, left out, and of speech between them."""

from __future__ import annotations

import tracemalloc
from itertools import chain, product

import numpy as np
import pytest
from graph_reference import LABELS, PHONES, CtcModel, FakeModel, evidence_of

from speechkit.acoustic.align import miscue_graph
from speechkit.acoustic.align.alignment import align
from speechkit.acoustic.align.max_marginals import max_marginals
from speechkit.acoustic.align.phone_loop import free_path
from speechkit.acoustic.align.verification import (
    OMISSION,
    SAID,
    SUBSTITUTION,
    VerificationConfig,
    verify,
)
from speechkit.acoustic.interface import PhoneInContext
from speechkit.base.errors import ConfigError

TEXT = [("AA", "B"), ("IY", "K", "AA"), ("B", "IY")]
LENGTH = 6  # frames of each phone and pause that is said


def models():
    hmm = [FakeModel(states=2), FakeModel(left=True, right=True, states=2)]
    for model in hmm:
        for phone, left, right in product(LABELS, LABELS, LABELS):
            model.state_ids(PhoneInContext(phone, left, right))
    return [*hmm, CtcModel()]


def heard(model, said: list[str], seed: int = 0):
    """Evidence of phones, ``SIL`` for pauses; a CTC model gives two frames a phone, then blanks."""
    rng = np.random.default_rng(seed)
    rows = []
    for phone in said:
        for t in range(LENGTH):
            row = rng.normal(-9, 1, 5 if model.blank is not None else len(model.columns))
            if model.blank is not None:
                right = model.blank if phone == "SIL" or t >= 2 else model.labels.index(phone)
                row[right] = -0.1
            else:
                of = [n for (seen, _), n in model.columns.items() if seen.phone == phone]
                row[of] = rng.normal(-0.5, 0.2, len(of))
            rows.append(row)
    return evidence_of(np.array(rows))


def verified(model, text, said, config=None, seed=0):
    evidence = heard(model, said, seed)
    alignment = align(model, evidence, [[word] for word in text])
    return verify(model, evidence, alignment, config), alignment


SOUNDS = ["SIL", *TEXT[0], *TEXT[1], "SIL", *TEXT[2], "SIL"]


@pytest.mark.parametrize("model", models())
def test_all_words_said(model) -> None:
    found, alignment = verified(model, TEXT, SOUNDS)
    assert found.best == (SAID,) * 3 and not found.insertions and not found.replacements
    assert (found.substitution > 3).all() and (found.omission > 3).all()
    np.testing.assert_array_equal(found.said, np.minimum(found.substitution, found.omission))
    frames = [0, 0, 0]
    for segment in alignment.segments:
        frames[segment.word] += segment.frames
    np.testing.assert_array_equal(found.frames, frames)


@pytest.mark.parametrize("model", models())
def test_another_word_in_the_place_of_one(model) -> None:
    other = ["AA", "B", "AA"]
    found, _ = verified(model, TEXT, ["SIL", *TEXT[0], *other, "SIL", *TEXT[2], "SIL"])
    assert found.best == (SAID, SUBSTITUTION, SAID) and not found.insertions
    assert found.said[1] < -3 and (found.said[[0, 2]] > 0).all()
    (instead,) = found.replacements
    assert instead.word == 1 and instead.phones == tuple(other) and instead.gain > 20
    assert abs(instead.start_frame - 3 * LENGTH) <= 1 and instead.end_frame <= 6 * LENGTH + 1


@pytest.mark.parametrize("model", models())
def test_a_word_left_out(model) -> None:
    found, _ = verified(model, TEXT, ["SIL", *TEXT[0], "SIL", *TEXT[2], "SIL"])
    assert found.best == (SAID, OMISSION, SAID) and not found.insertions
    assert found.omission[1] < -3 and (found.said[[0, 2]] > 0).all()


@pytest.mark.parametrize("model", models())
@pytest.mark.parametrize("place", [0, 1, 3])
def test_speech_between_words(model, place: int) -> None:
    extra = ["K", "B", "K", "B"]
    sounds = [list(word) for word in TEXT]
    sounds.insert(place, extra)
    whole = ["SIL", *chain(*sounds), "SIL"]
    found, _ = verified(model, TEXT, whole)
    assert found.best == (SAID,) * 3 and not found.replacements
    (inserted,) = found.insertions
    assert inserted.word == place and inserted.phones == tuple(extra)
    before = LENGTH * (1 + sum(map(len, sounds[:place])))
    assert abs(inserted.start_frame - before) <= 1
    assert inserted.end_frame <= before + 4 * LENGTH + 1
    few = VerificationConfig(least_gain=1000.0)
    assert not verified(model, TEXT, whole, few)[0].insertions


@pytest.mark.parametrize("model", models())
def test_repeated_words(model) -> None:
    text = [("AA", "B")] * 3
    once = verified(model, text, ["SIL", "AA", "B", "SIL"])[0].best
    assert sorted(once) == [OMISSION, OMISSION, SAID]
    thrice = ["SIL", *["AA", "B", "SIL"] * 3]
    assert verified(model, text, thrice)[0].best == (SAID,) * 3


@pytest.mark.parametrize("model", models())
def test_silence_and_a_single_word_that_nobody_said(model) -> None:
    found, _ = verified(model, [("AA",)], ["SIL"] * 4)
    assert found.best == (OMISSION,) and not found.insertions and not found.replacements
    assert found.omission[0] < 0 < found.substitution[0]
    found, _ = verified(model, [("AA",)], ["SIL", "K", "B", "K", "SIL"])
    assert found.best == (SUBSTITUTION,) and len(found.replacements) == 1
    found, _ = verified(model, [("AA", "IY")] * 3, ["SIL", "K", "B", "K", "SIL"])
    assert SAID not in found.best


@pytest.mark.parametrize("model", models())
def test_where_nothing_else_is_allowed_words_lie_as_they_are_aligned(model) -> None:
    dear = (1e6, 1e6, 1e6)
    width = 5 if model.blank is not None else len(model.columns)
    for seed in range(4):
        scores = np.random.default_rng(seed).normal(0, 3, (40, width))
        text = [("AA", "B"), ("IY",), ("B",), ("B", "IY")]
        found = align(model, evidence_of(scores), [[word] for word in text])
        graph = miscue_graph.build(model, text, 2, dear)
        free = free_path(model, scores, 2.5)
        table = np.concatenate([scores, free.scores[:, None], free.scores[:, None]], axis=1)
        path = max_marginals(graph.trellis, table).path
        words = graph.word[path]
        for word in range(len(text)):
            own = [s for s in found.segments if s.word == word]
            if model.blank is None:
                frames = np.flatnonzero(words == word)
                assert (frames[0], frames[-1] + 1) == (own[0].start_frame, own[-1].end_frame)
        columns = graph.trellis.columns[path].tolist()
        if model.blank is None:
            states = [model.plain_state(column) for column in columns]
        else:
            states = columns
        np.testing.assert_array_equal(states, found.states)


def test_free_is_the_difference_of_two_sums() -> None:
    model = models()[0]
    evidence = heard(model, SOUNDS)
    alignment = align(model, evidence, [[word] for word in TEXT])
    found = verify(model, evidence, alignment)
    scores = evidence.state_scores.numpy()
    free = free_path(model, scores, VerificationConfig().phone).scores
    for word in range(3):
        own = [s for s in alignment.segments if s.word == word]
        total = 0.0
        for t in range(own[0].start_frame, own[-1].end_frame):
            label, state = divmod(int(alignment.states[t]), 3)
            column = model.phone_without_context(LABELS[label])[0][state]
            total += scores[t, column] - free[t]
        assert found.free[word] == pytest.approx(total / found.frames[word], abs=1e-5)


@pytest.mark.parametrize("model", models())
def test_long_texts_are_verified_in_parts(model) -> None:
    rng = np.random.default_rng(3)
    text = [tuple(rng.choice(PHONES, 2, replace=False).tolist()) for _ in range(40)]
    said = [list(word) for word in text]
    said[7], said[20] = ["K", "K", "K"] if "K" not in text[7] else ["B", "B"], []
    sounds = ["SIL"]
    for word in said:
        sounds += [*word, "SIL"]
    evidence = heard(model, sounds)
    alignment = align(model, evidence, [[word] for word in text])
    whole = verify(model, evidence, alignment, VerificationConfig(window=100))
    parts = verify(model, evidence, alignment, VerificationConfig(window=10, margin=4))
    assert whole.best == parts.best and whole.best[20] == OMISSION
    assert whole.insertions == parts.insertions and whole.replacements == parts.replacements
    np.testing.assert_allclose(parts.substitution, whole.substitution, atol=1e-6)
    np.testing.assert_allclose(parts.omission, whole.omission, atol=1e-6)


def test_memory_does_not_grow_with_the_recording() -> None:
    model = models()[0]
    graph = miscue_graph.build(model, TEXT, 2, (1.0, 1.0, 1.0))
    columns = len(model.columns)

    def most(frames: int) -> int:
        table = np.zeros((frames, columns + 2))
        tracemalloc.start()
        max_marginals(graph.trellis, table, block=20_000)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    short, long = most(1000), most(4000)
    assert long < short + 16 * 3000 * len(graph.trellis.columns) / 10


def test_costs_that_make_no_sense() -> None:
    with pytest.raises(ConfigError, match="substitution"):
        VerificationConfig(substitution=30.0, insertion=5.0, omission=5.0)
    with pytest.raises(ConfigError, match="omission"):
        VerificationConfig(omission=-1.0)


def test_costs_for_models_with_a_blank() -> None:
    config = VerificationConfig(insertion=20.0, frame=2.0, blank_scale=0.5)
    scaled = config.of(CtcModel())
    assert (scaled.insertion, scaled.frame, scaled.least_frames) == (10.0, 2.0, 1)
    assert config.of(FakeModel()) is config and scaled.of(CtcModel()) == scaled
