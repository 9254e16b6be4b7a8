"""The readings of a text side by side: against enumeration, and on generated speech."""

from __future__ import annotations

import csv
from itertools import product

import numpy as np
import pytest
import soundfile
import torch
from graph_reference import LABELS, CtcModel, FakeModel, evidence_of
from sphinx_reference import spoken

from speechkit.acoustic.align import viterbi
from speechkit.acoustic.align.alignment import align
from speechkit.acoustic.align.graph import build
from speechkit.acoustic.config import Policy
from speechkit.acoustic.interface import Evidence
from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.acoustic.lexicon.readings import (
    COLUMNS,
    Choice,
    chosen,
    lay_out,
    slots_of,
    words_of_text,
)
from speechkit.acoustic.lexicon.text import normalise_text, tokens_of
from speechkit.acoustic.sphinx.model import SphinxModel
from speechkit.base.errors import UserError
from speechkit.base.tables import write_tsv
from speechkit.kaldi import data
from speechkit.phone_features.pipeline import FeaturePipeline, FeatureSettings
from speechkit.phone_features.request import Request

YEAR = "He was born in 1984 in a small town."
SAID = {
    "s0-year": "He was born in nineteen eighty four in a small town.",
    "s0-count": "He was born in one thousand nine hundred and eighty four in a small town.",
    "s1-digits": "He was born in one nine eight four in a small town.",
    "s1-range": "Please read the pages three to seven today.",
}
TEXTS = dict.fromkeys(SAID, YEAR) | {"s1-range": "Please read the pages 3-7 today."}


IN_SET = ("s0-year", "s1-range")


def texts_of_set():
    return {name: TEXTS[name] for name in IN_SET}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    waves = spoken(list(SAID.values()), tmp_path_factory.mktemp("espeak"))
    return dict(zip(SAID, waves, strict=True))


@pytest.fixture(scope="module")
def sphinx():
    return SphinxModel()


@pytest.fixture
def workdir(tmp_path, sounds):
    folder = tmp_path / "data" / "train"
    (folder / "wav").mkdir(parents=True)
    for name in IN_SET:
        soundfile.write(folder / "wav" / f"{name}.wav", sounds[name], 16000)
    wavs = {name: f"data/train/wav/{name}.wav" for name in IN_SET}
    data.write(folder, wavs, {name: name[:2] for name in IN_SET}, text=texts_of_set())
    return tmp_path


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


# Words 0; 1 2 | 3 | 4 5; 6; 7 | 8 9: a plain word, three readings, a plain one, two readings.
WORDS = [
    [("B", "AA")],
    *([("K", "IY")], [("AA",), ("IY", "B")]),
    [("K", "AA", "B")],
    *([("AA", "K")], [("K",)]),
    [("IY",)],
    [("AA", "AA")],
    *([("B",)], [("IY", "K")]),
]
CHOICES = (Choice("x", ((1, 3), (3, 4), (4, 6))), Choice("y", ((7, 8), (8, 10))))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["hmm", "contexts", "ctc"])
def test_the_likeliest_of_all_readings_one_by_one(kind, seed):
    ways = [
        [word for reading in choice for word in reading]
        for choice in product(*slots_of(len(WORDS), CHOICES))
    ]
    assert len(ways) == 6
    model = CtcModel() if kind == "ctc" else FakeModel(*[kind == "contexts"] * 2, costs=True)
    for way in ways:  # a fake model gives its columns when it is first asked
        build(model, [WORDS[w] for w in way])
        build(model, [[p[::-1] for p in WORDS[w]] for w in way[::-1]])
    build(model, WORDS, CHOICES)
    rng = np.random.default_rng(seed)
    width = len(model.labels) if kind == "ctc" else len(model.columns)
    scores = torch.from_numpy(rng.normal(0, 3, (60, width)).astype(np.float32))
    logs = torch.from_numpy(rng.normal(size=(60, len(model.labels)))).float().log_softmax(-1)
    evidence = (
        evidence_of(scores.log_softmax(-1).numpy()) if kind == "ctc" else Evidence(logs, scores)
    )
    values = [_best_score(model, evidence, [WORDS[w] for w in way]) for way in ways]
    best = ways[int(np.argmax(values))]
    found = align(model, evidence, WORDS, choices=CHOICES)
    alone = align(model, evidence, [WORDS[w] for w in best])
    assert found.words == best and found.variants == alone.variants
    assert found.segments == alone.segments and found.silences == alone.silences
    assert found.confidence == alone.confidence
    np.testing.assert_array_equal(found.states, alone.states)


def _best_score(model, evidence, words):
    """Score of the best path, transitions included."""
    at = viterbi.flatten(build(model, words))
    scores = evidence.state_scores.numpy().astype(np.float64)
    delta = np.full(len(at.columns) + 1, -np.inf)
    delta[at.starts] = scores[0, at.columns[at.starts]]
    for row in scores[1:]:
        step = delta[at.before] + (0 if at.costs is None else at.costs)
        delta = np.append(step.max(0) + row[at.columns], -np.inf)
    return delta[at.ends].max()


def test_without_choices_the_graph_is_the_old_one():
    model = FakeModel(True, True)
    one, other = build(model, WORDS), build(model, WORDS, [])
    assert one == other and len(slots_of(3, ())) == 3


def test_too_short_audio_counts_the_shortest_reading():
    model = FakeModel()
    build(model, WORDS, CHOICES)
    short = Evidence(torch.zeros(5, len(LABELS)), torch.zeros(5, len(model.columns)))
    with pytest.raises(UserError, match="its 8 phones need 16 frames, the audio has 5"):
        align(model, short, WORDS, choices=CHOICES)


def test_too_many_readings_are_refused():
    assert lay_out(tokens_of("1984 " * 100))
    with pytest.raises(UserError, match="700 pieces of the text"):
        lay_out(tokens_of("1984 " * 700))


def test_laid_out_words():
    texts, choices = lay_out(tokens_of("In 104 = 3"))
    assert " ".join(texts[1:4]) == "ONE HUNDRED FOUR" and texts[0] == "IN" and texts[-1] == "THREE"
    assert [choice.written for choice in choices] == ["104", "="]
    spans = [span for span in choices[0].spans if texts[slice(*span)] == ("ONE", "OH", "FOUR")]
    said = [0, *range(*spans[0]), *range(*choices[1].spans[0]), len(texts) - 1]
    first, second = chosen(choices, texts, said)
    assert (first.written, first.said, first.words) == ("104", "one oh four", (1, 3))
    assert "one hundred four" in first.others and "one oh four" not in first.others
    assert (second.said, second.words) == ("equals", (4, 4))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("s0-year", "nineteen eighty four"),
        ("s0-count", "one thousand nine hundred and eighty four"),
        ("s1-digits", "one nine eight four"),
        ("s1-range", "three to seven"),
    ],
)
def test_what_is_said_is_chosen(sphinx, sounds, name, said):
    evidence = sphinx.evidence(sounds[name])
    words = words_of_text(TEXTS[name], Lexicon())
    found = align(sphinx, evidence, words.variants, choices=words.choices)
    (reading,) = chosen(words.choices, words.texts, found.words)
    assert reading.said == said and found.matches
    told = normalise_text(SAID[name])
    assert [words.texts[word] for word in found.words] == told
    alone = align(sphinx, evidence, Lexicon().words(told))
    assert found.segments == alone.segments and found.confidence == alone.confidence
    np.testing.assert_array_equal(found.states, alone.states)


@pytest.mark.parametrize("method", ["segment", "ctc"])
def test_features_are_those_of_what_is_said(sphinx, sounds, method):
    pipeline = FeaturePipeline(FeatureSettings(method=method, prosody=True), [sphinx])
    words = words_of_text(YEAR, Lexicon())
    several = Request(sounds["s0-year"], words.variants, texts=words.texts, choices=words.choices)
    told = normalise_text(SAID["s0-year"])
    one = Request(sounds["s0-year"], Lexicon().words(told), texts=told)
    found, alone = pipeline.extract_many([several, one])
    np.testing.assert_array_equal(found.features, alone.features)
    assert found.rows == alone.rows and not alone.readings
    assert [reading.said for reading in found.readings] == ["nineteen eighty four"]


def test_align_writes_what_is_said(run, workdir):
    done = run("align", "-C", workdir, "-j", 1)
    assert done.code == 0, done.err
    folder = workdir / "exp/align/train"
    lines = [line.split() for line in (folder / "words.ctm").read_text().splitlines()]
    for name in IN_SET:
        assert [line[4] for line in lines if line[0] == name] == normalise_text(SAID[name])
    rows = table(folder / "readings.tsv")
    assert tuple(rows[0]) == COLUMNS and tuple(row["utt"] for row in rows) == IN_SET
    year = rows[0]
    assert (year["written"], year["said"]) == ("1984", "nineteen eighty four")
    assert (year["first_word"], year["last_word"]) == ("4", "6")
    assert "one nine eight four" in year["others"].split(" | ")


def test_readings_can_be_refused(run, workdir):
    done = run("align", "-C", workdir, "-j", 1, "--readings", "error")
    assert done.code == 2 and "s0-year" in done.err and "nineteen eighty four" in done.err
    assert not (workdir / "exp/align/train").exists()
    done = run("extract-gop", "-C", workdir, "-j", 1, "--readings", "error", "--on-error", "skip")
    assert done.code == 2 and "No utterance" in done.err
    done = run("align", "-C", workdir, "--readings", "some")
    assert done.code == 2 and "likeliest, error" in done.err


def test_scored_words_keep_their_numbers(run, workdir):
    """Words of the text have scores: "1984" is one of them, whatever it is said as."""
    folder = workdir / "data" / "train"
    rows = [
        [name, str(index), word, "5"]
        for name in IN_SET
        for index, word in enumerate(TEXTS[name].split())
    ]
    write_tsv(folder / "word_scores.tsv", ("utt", "index", "word", "accuracy"), rows)
    done = run("extract-gop", "-C", workdir, "-j", 1)
    assert done.code == 0, done.err
    found = {}
    for row in table(workdir / "exp/gop/train/rows.tsv"):
        words = found.setdefault(row["utt"], {})
        words.setdefault((int(row["word_index"]), row["word"]), []).append(row["phone"])
    for name in IN_SET:
        assert list(found[name]) == list(enumerate(TEXTS[name].split()))
    assert " ".join(found["s0-year"][4, "1984"]) == "N AY N T IY N EY T IY F AO R"
    assert len(table(workdir / "exp/gop/train/readings.tsv")) == 2


def test_marks_are_dropped_on_request(run, workdir):
    marked = {name: f"[noise] {text} <unk>" for name, text in texts_of_set().items()}
    data.write_table(workdir / "data/train/text", marked)
    done = run("align", "-C", workdir, "-j", 1)
    assert done.code == 2 and "[noise], <unk>" in done.err and "--drop-markup" in done.err
    done = run("align", "-C", workdir, "-j", 1, "--drop-markup")
    assert done.code == 0 and "[noise] (2), <unk> (2)" in done.err
    lines = (workdir / "exp/align/train/words.ctm").read_text().splitlines()
    assert sum(line.startswith("s0-year ") for line in lines) == len(SAID["s0-year"].split())


def test_a_policy_is_written_where_it_is_not_the_default():
    assert Policy().params() == {}
    assert Policy("error", True).params() == {"readings": "error", "drop_markup": True}
