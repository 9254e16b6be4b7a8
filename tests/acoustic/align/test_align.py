"""Alignments against enumerations, by construction, and on real and generated speech."""

import math

import numpy as np
import pytest
import torch
from graph_reference import LABELS, CtcModel, FakeModel, evidence_of, score_of_all
from sphinx_reference import spoken

from speechkit.acoustic.align.alignment import align
from speechkit.acoustic.align.graph import build
from speechkit.acoustic.interface import Evidence
from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.acoustic.lexicon.text import normalise_text
from speechkit.acoustic.sphinx.model import SphinxModel
from speechkit.base import audio
from speechkit.base.errors import UserError
from speechkit.corpora.voices import make_sentences
from speechkit.kaldi import data


def heard(model, labels, strength=4.0, noise=0.0):
    """Evidence of a recording in which each frame has a label; one state after the other."""
    frames = len(labels)
    rng = np.random.default_rng(0)
    logs = noise * rng.standard_normal((frames, len(model.labels)))
    logs[np.arange(frames), [model.labels.index(label) for label in labels]] += strength
    logs -= np.logaddexp.reduce(logs, axis=1, keepdims=True)
    if model.topology == "ctc":
        return evidence_of(logs)
    plain = [model.plain_state(s) // 3 for s in range(len(model.columns))]
    return evidence_of(logs[:, plain], logs)


def fake(words, **how):
    """A model that has already seen the graph, so that its columns are fixed."""
    model = FakeModel(**how)
    build(model, words)
    build(model, [[tuple(reversed(v)) for v in word] for word in reversed(words)])
    return model


def bounds(alignment):
    return [(s.phone, s.word, s.start_frame, s.end_frame) for s in alignment.segments]


def test_segments_and_silences():
    words = [[("B", "AA1")], [("IY0",)]]
    model = fake(words, left=True, right=True)
    frames = ["SIL"] * 5 + ["B"] * 4 + ["AA"] * 6 + ["SIL"] * 3 + ["IY"] * 7 + ["SIL"] * 2
    found = align(model, heard(model, frames, noise=0.5), words)
    assert bounds(found) == [("B", 0, 5, 9), ("AA1", 0, 9, 15), ("IY0", 1, 18, 25)]
    assert found.silences == [(0, 5), (15, 18), (25, 27)]
    labels = found.states // 3
    assert [LABELS[label] for label in labels] == frames
    assert found.states.dtype == np.int32 and set(found.states % 3) == {0, 1}
    assert found.matches and found.confidence > 0.99


def test_score_is_the_mean_log_posterior():
    words = [[("B", "AA")]]
    model = fake(words)
    evidence = heard(model, ["B"] * 4 + ["AA"] * 5, noise=1.0)
    found = align(model, evidence, words)
    for segment in found.segments:
        column = LABELS.index(segment.phone)
        part = evidence.log_posteriors[segment.start_frame : segment.end_frame, column]
        assert segment.score == pytest.approx(float(part.mean()))


@pytest.mark.parametrize("seed", range(4))
def test_best_of_all_segmentations(seed):
    words = [[("B", "AA"), ("IY",)], [("AA",), ("K", "IY")]]
    model = fake(words, left=True, right=True, costs=True)
    scores = np.random.default_rng(seed).normal(size=(10, len(model.columns))).astype(np.float32)
    posteriors = torch.randn(10, len(LABELS)).log_softmax(-1)
    found = align(model, Evidence(posteriors, torch.from_numpy(scores)), words)
    _, best = score_of_all(model, scores.astype(np.float64), words)
    expected = []
    for way, cuts in best:
        runs = [
            (words[w][v][i], w, cuts[2 * k], cuts[2 * k + 2])
            for k, (w, v, i) in enumerate(way.places)
            if w >= 0
        ]
        chosen = [next(v for w, v, _ in way.places if w == word) for word in range(2)]
        expected.append((runs, chosen))
    assert (bounds(found), found.variants) in expected


def test_the_variant_that_is_said_is_chosen():
    words = [[("B", "AA"), ("B", "IY"), ("K",)]]
    model = fake(words)
    for variant, frames in [
        (0, ["B"] * 4 + ["AA"] * 4),
        (1, ["B"] * 4 + ["IY"] * 4),
        (2, ["K"] * 8),
    ]:
        found = align(model, heard(model, frames), words)
        assert found.variants == [variant]
        assert tuple(s.phone for s in found.segments) == words[0][variant]


@pytest.mark.parametrize("kind", [FakeModel, CtcModel])
def test_equal_neighbours_are_not_merged(kind):
    words = [[("AA", "AA")], [("AA",)]]
    model = fake(words) if kind is FakeModel else CtcModel()
    found = align(model, heard(model, ["AA"] * 12), words)
    assert [s.phone for s in found.segments] == ["AA"] * 3
    assert [s.word for s in found.segments] == [0, 0, 1]
    assert sum(s.frames for s in found.segments) + sum(b - a for a, b in found.silences) == 12


def test_ctc_phones_share_the_blanks():
    model = CtcModel()
    blank = "<pad>"
    #         0..19        20     21..23        24     25..44        45     46..59
    frames = [blank] * 20 + ["B"] + [blank] * 3 + ["AA"] + [blank] * 20 + ["K"] + [blank] * 14
    found = align(model, heard(model, frames, 8.0), [[("B", "AA")], [("K",)]])
    # 0.1 s is 5 frames at the edges of words; inside, the earlier phone has the odd frame.
    assert bounds(found) == [("B", 0, 15, 23), ("AA", 0, 23, 30), ("K", 1, 40, 51)]
    assert found.silences == [(0, 15), (30, 40), (51, 60)]
    assert [model.labels[label] for label in found.states] == frames
    assert found.segments[0].score > -0.01  # of the peak, not of the blanks around


@pytest.mark.parametrize("gap", [0, 1, 2, 7, 10, 11, 12])
def test_ctc_frames_are_covered_once(gap):
    model = CtcModel()
    frames = ["B"] + ["<pad>"] * gap + ["AA"]
    found = align(model, heard(model, frames, 8.0), [[("B",)], [("AA",)]])
    parts = sorted([*((a, b) for _, _, a, b in bounds(found)), *found.silences])
    assert [p for part in parts for p in range(*part)] == list(range(gap + 2))


@pytest.mark.parametrize("kind", [FakeModel, CtcModel])
def test_padding_does_not_matter(kind):
    """Frames after the recording's end and states of other phones change nothing."""
    words = [[("B", "AA")], [("K", "AA"), ("IY",)]]
    model = fake(words, left=True) if kind is FakeModel else CtcModel()
    silent = "SIL" if kind is FakeModel else "<pad>"
    labels = [silent] * 3 + ["B"] * 4 + ["AA"] * 5 + ["IY"] * 6 + [silent] * 2
    evidence = heard(model, labels, noise=1.0)
    logs, scores = evidence.log_posteriors, evidence.state_scores
    padded = Evidence(
        torch.cat([logs, torch.full((9, logs.shape[1]), -1.6, dtype=logs.dtype)]),
        torch.cat([scores, torch.zeros(9, scores.shape[1], dtype=scores.dtype)]),
    )
    cut = Evidence(padded.log_posteriors[:20], padded.state_scores[:20])
    wide = torch.cat([scores, 50 + torch.zeros(20, 7, dtype=scores.dtype)], 1)
    plain = align(model, evidence, words)
    for other in (cut, Evidence(logs, wide)):
        again = align(model, other, words)
        assert again.segments == plain.segments and again.silences == plain.silences
        assert np.array_equal(again.states, plain.states)
        assert again.confidence == plain.confidence


def test_a_text_longer_than_the_audio():
    words = [[("B", "AA")]] * 3
    model = fake(words)
    with pytest.raises(UserError, match=r"6 phones need 12 frames, the audio has 11 \(0.11 s\)"):
        align(model, heard(model, ["B"] * 11), words)
    assert len(align(model, heard(model, ["B"] * 12), words).segments) == 6


def test_nothing_and_unknown_phones():
    model = fake([[("AA",)]])
    evidence = heard(model, ["AA"] * 9)
    with pytest.raises(UserError, match="nothing to align"):
        align(model, evidence, [])
    with pytest.raises(UserError, match="'ZH'"):
        align(model, evidence, [[("ZH",)]])


def test_probabilities_of_zero():
    words = [[("B", "AA")]]
    model = fake(words)
    evidence = heard(model, ["B"] * 5 + ["AA"] * 5)
    scores = torch.where(evidence.state_scores < -1, -math.inf, evidence.state_scores)
    found = align(model, Evidence(evidence.log_posteriors, scores), words)
    assert bounds(found) == [("B", 0, 0, 5), ("AA", 0, 5, 10)]
    assert 0 <= found.confidence <= 1


@pytest.mark.parametrize("kind", [FakeModel, CtcModel])
def test_confidence_tells_a_wrong_text(kind):
    right, wrong = [[("B", "AA", "K", "IY")]], [[("IY", "B")], [("K", "AA")]]
    model = fake(right) if kind is FakeModel else CtcModel()
    if kind is FakeModel:
        build(model, wrong)
    evidence = heard(model, [p for p in ("B", "AA", "K", "IY") for _ in range(6)], noise=0.5)
    # With four phones a wrong one has rank 3 at most, so that only the order tells.
    assert align(model, evidence, right).confidence > 0.95
    assert align(model, evidence, wrong).confidence < 0.9


@pytest.fixture(scope="module")
def sphinx():
    return SphinxModel()


def pocketsphinx_alignment(pcm, text):
    """(phone, first frame) of pocketsphinx's own aligner; None where it gives up."""
    pocketsphinx = pytest.importorskip("pocketsphinx")
    decoder = pocketsphinx.Decoder(loglevel="FATAL", lm=None, bestpath=False, fwdflat=False)

    def run():
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()

    try:
        decoder.set_align_text(text.lower())
        run()
        decoder.set_alignment()
        run()
    except RuntimeError:
        return None
    phones = [(p.name, p.start) for word in decoder.get_alignment() for p in word]
    return [p for p in phones if p[0] != "SIL" and not p[0].startswith("+")]


def test_as_pocketsphinx_aligns(sphinx, tmp_path):
    """Starts of phones within one frame of pocketsphinx's own aligner, for most."""
    texts = make_sentences(6, 5)
    lexicon = Lexicon()
    apart = []
    for text, pcm in zip(texts, spoken(texts, tmp_path), strict=True):
        words = normalise_text(text)
        expected = pocketsphinx_alignment(pcm, " ".join(words))
        samples = pcm.astype(np.float32) / 32768
        found = align(sphinx, sphinx.evidence(samples), lexicon.words(words))
        assert found.matches
        mine = [(s.phone, s.start_frame) for s in found.segments]
        if expected is not None and [p for p, _ in expected] == [p for p, _ in mine]:
            apart += [a - b for (_, a), (_, b) in zip(expected, mine, strict=True)]
    assert len(apart) > 100
    assert np.mean(np.abs(apart) <= 1) > 0.85


def test_sixty_words(sphinx, tmp_path):
    texts = make_sentences(8, 9)
    sound = np.concatenate(spoken(texts, tmp_path)).astype(np.float32) / 32768
    words = normalise_text(" ".join(texts))
    assert len(words) > 60
    found = align(sphinx, sphinx.evidence(sound), Lexicon().words(words))
    assert [s.word for s in found.segments] == sorted(s.word for s in found.segments)
    assert {s.word for s in found.segments} == set(range(len(words)))
    assert found.matches and len(found.states) == len(sphinx.evidence(sound).log_posteriors)


def test_silence_and_too_short_audio(sphinx):
    words = Lexicon().words(["WE", "CALL", "IT", "BEAR"])
    noise = 1e-4 * np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    for samples in (np.zeros(32000, np.float32), noise):
        assert not align(sphinx, sphinx.evidence(samples), words).matches
    with pytest.raises(UserError, match="longer than the audio"):
        align(sphinx, sphinx.evidence(noise[:1600]), words)


def test_own_and_other_texts_of_real_speech(sphinx, real_data):
    """Confidence parts a recording's own text from another's."""
    corpus = real_data / "speechocean762/train"
    wavs, texts = (data.read_table(corpus / name) for name in ("wav.scp", "text"))
    lexicon = Lexicon()
    chosen = sorted(wavs)[::80]
    own, other = [], []
    for number, utterance in enumerate(chosen):
        samples, _ = audio.read(real_data / "speechocean762" / wavs[utterance], 16000)
        evidence = sphinx.evidence(samples)
        away = texts[chosen[number - 7]]
        for text, found in ((texts[utterance], own), (away, other)):
            words = lexicon.words(normalise_text(text))
            found.append(align(sphinx, evidence, words).matches)
    assert np.mean(own) >= 0.95
    assert np.mean(other) <= 0.15
