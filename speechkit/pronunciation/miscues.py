"""The stage ``make-miscues``: sets whose texts were not said as they stand.

The set ``data/<set>_miscues/`` has the recordings of ``data/<set>/`` with changed texts (see
:mod:`speechkit.pronunciation.miscue_texts`), their canonical phones, their scores, and the table
of :mod:`speechkit.labels.miscues`. Scores of utterances are left out: they are of another text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.base.random_draws import rng
from speechkit.kaldi import data
from speechkit.kaldi.data import DataDir
from speechkit.labels.miscues import (
    INSERTION,
    SAID,
    STATUSES,
    TABLE,
    Miscue,
    read_miscues,
    write_miscues,
)
from speechkit.labels.score_files import read_scores, score_files, write_scores
from speechkit.labels.scores import Scores, WordScores
from speechkit.pronunciation import miscue_texts
from speechkit.pronunciation.config import MiscueConfig
from speechkit.pronunciation.miscue_texts import Text, Texts, Vocabulary, texts_of, wrong
from speechkit.workdir import Output, WorkDir

TESTS = {
    "near": 310,
    "far": 310,
    "omission": 300,
    "appended": 60,
    "third": 100,
    "text": 150,
    "insertion": 200,
}
"""Kind of text -> how many of a test, each with one kind of miscue: a word replaced by a near or a
far one, a word too many, three more at the end, about a third of the words replaced or too many
by turns, the text of another utterance, a word missing."""
MIXED = "mixed"
_SHARES = {"near": 0.34, "far": 0.25, "omission": 0.17, "appended": 0.1, "insertion": 0.14}
_COUNTS = (0.45, 0.3, 0.15, 0.1)  # of 1, 2, 3, 4 miscues in a mixed text
_WHOLE = 0.04  # share of mixed texts that are of another utterance
Changed = tuple[str, str, Text]  # utterance, kind of text, text


def make(work: WorkDir, config: MiscueConfig, name: str = "", force: bool = False) -> Path:
    """Write ``data/<set>_miscues[-<name>]/`` and return it.

    Raises:
        UserError: the set has no scores of words and phones, is one of changed texts already, or
            has too few different words.
    """
    path = work.data(config.set)
    if (path / TABLE).is_file():
        raise UserError(
            f"The set '{config.set}' is a set of changed texts already.",
            "Give the set that it was made of.",
        )
    others = work.data(config.words) if config.words else path
    source, scores = data.load(path, work.root), read_scores(path)
    inputs = dict.fromkeys([*source.files(), *score_files(path), *score_files(others)])
    final = work.root / "data" / f"{config.set}_miscues{f'-{name}' if name else ''}"
    with Output(final, "make-miscues", config.params(), list(inputs), force) as out:
        if not out.up_to_date:
            texts = texts_of(scores, [utterance.id for utterance in source.utterances])
            known = read_scores(others) if config.words else scores
            vocabulary = Vocabulary(texts_of(known, known.words), texts)
            for found, where in ((texts, path), (vocabulary.tokens, others)):
                if not found:
                    raise UserError(
                        f"{where} has no utterance with scores of words and phones.",
                        "Give a set with word_scores.tsv and phone_scores.tsv.",
                    )
            kinds = _tests(texts, vocabulary, config.seed)
            changed = list(kinds if config.test else _mixtures(texts, vocabulary, config))
            if not changed or len(vocabulary.words) < 2:
                raise UserError(
                    f"No text of '{config.set}' can be changed: {others} has too few different "
                    "words.",
                    "Give a set with more of them as `words`.",
                )
            if left := len(source.utterances) - len(texts):
                many = counted(left, "utterance")
                logger.warning(f"{many} without scores of words and phones: left out.")
            _write(out.path, work, source, scores, changed)
            out.counts.update(texts=len(changed), left_out=left)
    return final


def summary(folder: Path) -> list[list[object]]:
    """How often each miscue comes in a set."""
    every = Counter(m.status for lines in read_miscues(folder).values() for m in lines)
    return [[status, every[status]] for status in (*STATUSES[1:], INSERTION)]


def answer(folder: Path) -> Answer:
    """How often each miscue comes in a set that was made."""
    return answers.rows(str(folder), ("status", "number"), summary(folder))


def change(
    kind: str, text: Text, vocabulary: Vocabulary, draw: np.random.Generator, appended: int = 3
) -> Text | None:
    """The text with one miscue of a kind of :data:`TESTS` (``appended`` of that kind); None where
    it cannot have any."""
    said = [k for k, word in enumerate(text) if word.status == SAID]
    tokens = vocabulary.tokens
    if kind == "omission":
        at = int(draw.integers(len(text) + 1))
        return miscue_texts.added(text, at, tokens[draw.integers(len(tokens))])
    if kind == "appended":
        for number in draw.integers(len(tokens), size=appended).tolist():
            text = miscue_texts.added(text, len(text), tokens[number])
        return text
    if kind == "insertion":
        places = [k for k in said if k + 1 < len(text)]
        if not places:
            return None
        return miscue_texts.removed(text, places[draw.integers(len(places))])
    for at in draw.permutation(said).tolist():
        if found := vocabulary.others(text[at])[kind == "far"]:
            return miscue_texts.replaced(text, at, found[draw.integers(len(found))])
    return None


def _third(text: Text, vocabulary: Vocabulary, draw: np.random.Generator) -> Text | None:
    if len(text) < 3:
        return None
    found: Text | None = text
    for number in range(round(len(text) / 3)):
        kind = ("far", "omission")[number % 2]
        found = change(kind, found, vocabulary, draw) if found else None
    return found


def _tests(texts: Texts, vocabulary: Vocabulary, seed: int) -> Iterator[Changed]:
    """Texts of each kind of :data:`TESTS`, of utterances drawn without repetition."""
    names = list(texts)
    for stream, (kind, count) in enumerate(TESTS.items()):
        draw, made = rng(seed, 1, stream), 0
        for number in draw.permutation(len(names)).tolist():
            text = texts[names[number]]
            if kind == "text":
                new = wrong(texts, text, draw)
            elif kind == "third":
                new = _third(text, vocabulary, draw)
            else:
                new = change(kind, text, vocabulary, draw)
            if new is not None:
                yield names[number], kind, new
                made += 1
            if made == count:
                break


def _mixtures(texts: Texts, vocabulary: Vocabulary, config: MiscueConfig) -> Iterator[Changed]:
    """``texts`` changed texts of every utterance, each with some miscues."""
    kinds, shares = list(_SHARES), list(_SHARES.values())
    for number, (name, text) in enumerate(texts.items()):
        for variant in range(config.texts):
            draw = rng(config.seed, 2, number, variant)
            if draw.random() < _WHOLE:
                if other := wrong(texts, text, draw):
                    yield name, MIXED, other
                continue
            new, count = text, 1 + int(draw.choice(len(_COUNTS), p=_COUNTS))
            for _ in range(min(count, config.most, max(1, len(text) // 2))):
                kind = kinds[draw.choice(len(kinds), p=shares)]
                new = change(kind, new, vocabulary, draw, 1 + int(draw.integers(3))) or new
            if new is not text:
                yield name, MIXED, new


def _write(
    folder: Path, work: WorkDir, source: DataDir, scores: Scores, changed: Sequence[Changed]
) -> None:
    """The data directory, with scores and ``miscues.tsv``."""
    utterances = {utterance.id: utterance for utterance in source.utterances}
    made, miscues, numbers = Scores(scales=scores.scales), list[Miscue](), Counter[str]()
    tables: dict[str, dict[str, str]] = {key: {} for key in ("text", "segments", "utt2dur")}
    wavs, speakers = dict[str, str](), dict[str, str]()
    parts = (source.path / "segments").is_file()
    lowest = {
        level: {name: ends[0] for name, ends in of.items()} for level, of in scores.scales.items()
    }
    for name, kind, text in changed:
        numbers[name] += 1
        new, whose = f"{name}-{kind}{numbers[name]}", utterances[name]
        wavs[new], speakers[new] = _relative(str(whose.wav), work.root), whose.speaker
        tables["text"][new] = " ".join(word.text for word in text)
        if parts:
            tables["segments"][new] = (
                f"{new} {whose.start} {-1 if whose.end is None else whose.end}"
            )
        if name in source.durations:
            tables["utt2dur"][new] = str(source.durations[name])
        made.words[new] = [
            WordScores(word.text, {k: max(v, lowest["word"][k]) for k, v in word.scores.items()})
            for word in text
        ]
        made.phones[new] = [
            replace(phone, word_index=k, accuracy=max(phone.accuracy, lowest["phone"]["accuracy"]))
            for k, word in enumerate(text)
            for phone in word.phones
        ]
        miscues += _miscues(new, name, kind, text)
    of_speakers = {"spk2gender": source.gender, "spk2age": source.age}
    for table, values in of_speakers.items():
        kept = sorted(set(speakers.values()) & set(values))
        tables[table] = {speaker: f"{values[speaker]}" for speaker in kept}
    data.write(folder, wavs, speakers, **tables)
    write_scores(folder, made)
    write_miscues(folder, sorted(miscues, key=lambda miscue: miscue.utt.encode()))


def _miscues(utterance: str, source: str, kind: str, text: Text) -> Iterator[Miscue]:
    for index, word in enumerate(text):
        at = (utterance, source, kind, index)
        for said in word.before:
            yield Miscue(*at, "", INSERTION, said, 0)
        if word.status != SAID:
            yield Miscue(*at, word.text, word.status, word.said, word.distance)


def _relative(path: str, root: Path) -> str:
    """A path as it stands in ``wav.scp``: below the working directory, relative to it."""
    whole = Path(path)
    return str(whole.relative_to(root)) if whole.is_relative_to(root) else path
