"""Texts that were not said as they stand: the stage ``make-miscues``.

Corpora of learners hold hardly any miscue (see :mod:`speechkit.labels.miscues`), but of a recording
whose text is known they are easily made, by changing the text. Somebody said "we call it bear"::

    we call at bear        a substitution: nobody said "at"
    we call it green bear  an omission: nobody said "green"
    we it bear             an insertion: "call" was said, and is not in the text

The set ``data/<set>_miscues/`` has the recordings of ``data/<set>/`` with such texts, their
canonical phones, and scores: 0 for words and phones that nobody said, the given ones for the rest.
Phones that the false word shares with the true one, in order, were said and keep their score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from speechkit.acoustic.align.phone_loop import edits
from speechkit.base.errors import UserError
from speechkit.base.random_draws import rng
from speechkit.kaldi import data
from speechkit.kaldi.data import DataDir
from speechkit.labels.miscues import (
    INSERTION,
    OMISSION,
    SAID,
    STATUSES,
    SUBSTITUTION,
    TABLE,
    Miscue,
    read_miscues,
    write_miscues,
)
from speechkit.labels.phones import pure
from speechkit.labels.score_files import read_scores, score_files, write_scores
from speechkit.labels.scores import PhoneScore, Scores, WordScores
from speechkit.pronunciation.config import MiscueConfig
from speechkit.workdir import Output, WorkDir

NEAR = 2  # phones by which a near word differs at most
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
far one, a word too many, three more at the end, a third of the words replaced or too many, the
text of another utterance, a word missing."""
MIXED = "mixed"
_SHARES = {"near": 0.34, "far": 0.25, "omission": 0.17, "appended": 0.1, "insertion": 0.14}
_COUNTS = (0.45, 0.3, 0.15, 0.1)  # of 1, 2, 3, 4 miscues in a mixed text
_WHOLE = 0.04  # share of mixed texts that are of another utterance


@dataclass(frozen=True)
class Word:
    """A word of a text.

    Args:
        text: as written.
        phones: canonical, with their scores.
        scores: of the word.
        status: one of :data:`speechkit.labels.miscues.STATUSES`.
        said: what was said in its place.
        distance: of the two, in phones.
        before: words that were said before it and are missing in the text.
    """

    text: str
    phones: tuple[PhoneScore, ...]
    scores: dict[str, float] = field(default_factory=dict)
    status: str = SAID
    said: str = ""
    distance: int = 0
    before: tuple[str, ...] = ()

    @property
    def pure(self) -> tuple[str, ...]:
        """Its phones without stress."""
        return tuple(pure(each.phone) for each in self.phones)


Text = list[Word]


def make(work: WorkDir, config: MiscueConfig, name: str = "", force: bool = False) -> Path:
    """Write ``data/<set>_miscues/`` and return it.

    Raises:
        UserError: the set has no scores of words and phones, or too few words.
    """
    path = work.data(config.set)
    if (path / TABLE).is_file():
        raise UserError(
            f"The set '{config.set}' is a set of changed texts already.",
            "Give the set that it was made of.",
        )
    source = data.load(path, work.root)
    others = work.data(config.words) if config.words else path
    final = work.root / "data" / f"{config.set}_miscues{f'-{name}' if name else ''}"
    inputs = [*source.files(), *score_files(path), *(score_files(others) if config.words else [])]
    with Output(final, "make-miscues", asdict(config), inputs, force) as out:
        if not out.up_to_date:
            scores = read_scores(path)
            texts = texts_of(source, scores)
            vocabulary = Vocabulary(
                texts
                if not config.words
                else texts_of(data.load(others, work.root), read_scores(others))
            )
            changed = list(
                _tests(texts, vocabulary, config.seed)
                if config.test
                else _mixtures(texts, vocabulary, config)
            )
            _write(out.path, work, source, scores, changed)
            out.counts.update(texts=len(changed))
    return final


def summary(folder: Path) -> list[list[object]]:
    """How often each miscue comes in a set."""
    every = Counter(m.status for lines in read_miscues(folder).values() for m in lines)
    return [[status, every[status]] for status in (*STATUSES[1:], INSERTION)]


def texts_of(source: DataDir, scores: Scores) -> dict[str, Text]:
    """Utterance -> its words with phones and scores.

    Raises:
        UserError: there are none.
    """
    found = {}
    for utterance in source.utterances:
        words, phones = scores.words.get(utterance.id), scores.phones.get(utterance.id)
        if words and phones:
            of_word: list[list[PhoneScore]] = [[] for _ in words]
            for phone in phones:
                of_word[phone.word_index].append(phone)
            found[utterance.id] = [
                Word(word.word, tuple(own), word.scores)
                for word, own in zip(words, of_word, strict=True)
            ]
    if not found:
        raise UserError(
            f"{source.path} has no scores of words and phones.",
            "Give a set with word_scores.tsv and phone_scores.tsv.",
        )
    return found


class Vocabulary:
    """Words to put into texts: each by its phones once, and all as often as they come.

    Args:
        texts: of a set.
    """

    def __init__(self, texts: dict[str, Text]) -> None:
        self.tokens = [word for text in texts.values() for word in text]
        distinct = {word.pure: word for word in self.tokens}
        self.words = list(distinct.values())
        self.lengths = np.array([len(word.phones) for word in self.words])
        self._near: dict[tuple[str, ...], tuple[list[int], list[int]]] = {}
        if len(self.words) < 2:
            raise UserError("There are no two different words to take one for another.")

    def others(self, word: Word) -> tuple[list[int], list[int]]:
        """Words of as many phones, one more or one less: near ones, and far ones."""
        key = word.pure
        if key not in self._near:
            like = np.flatnonzero(abs(self.lengths - len(key)) <= 1).tolist()
            apart = {k: sum(edits(key, self.words[k].pure)) for k in like}
            near = [k for k, distance in apart.items() if 0 < distance <= NEAR]
            self._near[key] = near, [k for k, distance in apart.items() if distance > NEAR]
        return self._near[key]

    def draw(self, draw: np.random.Generator, word: Word, near: bool) -> Word | None:
        """A word to take for another; None where there is none of this kind."""
        found = self.others(word)[not near]
        return self.words[found[draw.integers(len(found))]] if found else None


def replaced(text: Text, at: int, other: Word) -> Text:
    """The text with another word at a place: a substitution."""
    word = text[at]
    said = dict[int, PhoneScore]()
    matches = SequenceMatcher(None, word.pure, other.pure, autojunk=False)
    for block in matches.get_matching_blocks():
        for k in range(block.size):
            said[block.b + k] = word.phones[block.a + k]
    phones = tuple(
        replace(phone, accuracy=said[k].accuracy if k in said else 0.0)
        for k, phone in enumerate(other.phones)
    )
    distance = sum(edits(word.pure, other.pure))
    new = replace(
        _unsaid(other, word),
        phones=phones,
        said=word.text,
        distance=distance,
        status=SUBSTITUTION,
        before=word.before,
    )
    return [*text[:at], new, *text[at + 1 :]]


def added(text: Text, at: int, other: Word) -> Text:
    """The text with a word more before the one at a place: an omission."""
    new = replace(_unsaid(other, text[0]), status=OMISSION, distance=len(other.phones))
    return [*text[:at], new, *text[at:]]


def removed(text: Text, at: int) -> Text:
    """The text without a word (not the last) that was said: an insertion."""
    gone, following = text[at], text[at + 1]
    before = (*gone.before, gone.text, *following.before)
    return [*text[:at], replace(following, before=before), *text[at + 2 :]]


def _unsaid(word: Word, scored: Word) -> Word:
    """A word that nobody said, scored in what another was: accuracy and total 0, stress not."""
    given = {name: 0.0 for name in scored.scores if name != "stress"}
    phones = tuple(replace(phone, accuracy=0.0) for phone in word.phones)
    return Word(word.text, phones, given)


def _change(
    kind: str, text: Text, vocabulary: Vocabulary, draw: np.random.Generator, appended: int = 3
) -> Text | None:
    """The text with one miscue of a kind; None where it cannot have any."""
    said = [k for k, word in enumerate(text) if word.status == SAID]
    tokens = vocabulary.tokens

    def token() -> Word:
        return tokens[draw.integers(len(tokens))]

    if kind == "omission":
        return added(text, int(draw.integers(len(text) + 1)), token())
    if kind == "appended":
        for _ in range(appended):
            text = added(text, len(text), token())
        return text
    if kind == "insertion":
        places = [k for k in said if k + 1 < len(text)]
        return removed(text, places[draw.integers(len(places))]) if places else None
    for at in draw.permutation(said).tolist():
        if other := vocabulary.draw(draw, text[at], kind == "near"):
            return replaced(text, at, other)
    return None


def _third(text: Text, vocabulary: Vocabulary, draw: np.random.Generator) -> Text | None:
    """A text a third of whose words were not said, replaced by others."""
    count = max(1, round(len(text) / 3))
    found: Text | None = text
    for _ in range(count):
        found = _change("far", found, vocabulary, draw) if found else None
    return found if len(text) >= 3 else None


def other_text(text: Text, other: Text) -> Text:
    """The words of another utterance, none of which was said: substitutions of nothing known."""
    return [
        replace(_unsaid(word, text[0]), status=SUBSTITUTION, distance=len(word.phones))
        for word in other
    ]


Changed = tuple[str, str, Text]  # utterance, kind of text, text


def _tests(texts: dict[str, Text], vocabulary: Vocabulary, seed: int) -> Iterator[Changed]:
    """Texts of each kind of :data:`TESTS`, of utterances drawn without repetition."""
    names = list(texts)
    for stream, (kind, count) in enumerate(TESTS.items()):
        draw, made = rng(seed, 1, stream), 0
        for number in draw.permutation(len(names)).tolist():
            text = texts[names[number]]
            if kind == "text":
                other = texts[names[draw.integers(len(names))]]
                same = {word.pure for word in text} & {word.pure for word in other}
                new = None if same else other_text(text, other)
            elif kind == "third":
                new = _third(text, vocabulary, draw)
            else:
                new = _change(kind, text, vocabulary, draw)
            if new is not None and made < count:
                made += 1
                yield names[number], kind, new


def _mixtures(
    texts: dict[str, Text], vocabulary: Vocabulary, config: MiscueConfig
) -> Iterator[Changed]:
    """``texts`` changed texts of every utterance, each with some miscues."""
    names, kinds = list(texts), list(_SHARES)
    for number, (name, text) in enumerate(texts.items()):
        for variant in range(config.texts):
            draw = rng(config.seed, 2, number, variant)
            if draw.random() < _WHOLE:
                yield name, MIXED, other_text(text, texts[names[draw.integers(len(names))]])
                continue
            new, count = text, 1 + int(draw.choice(len(_COUNTS), p=_COUNTS))
            for _ in range(min(count, max(1, len(text) // 2))):
                kind = kinds[draw.choice(len(kinds), p=list(_SHARES.values()))]
                new = _change(kind, new, vocabulary, draw, 1 + int(draw.integers(3))) or new
            if new is not text:
                yield name, MIXED, new


def _write(
    folder: Path, work: WorkDir, source: DataDir, scores: Scores, changed: Sequence[Changed]
) -> None:
    """The data directory, with scores and ``miscues.tsv``."""
    utterances = {utterance.id: utterance for utterance in source.utterances}
    made, miscues, numbers = Scores(scales=scores.scales), list[Miscue](), dict[str, int]()
    tables: dict[str, dict[str, str]] = {key: {} for key in ("text", "segments", "utt2dur")}
    wavs, speakers = dict[str, str](), dict[str, str]()
    for name, kind, text in changed:
        numbers[name] = numbers.get(name, 0) + 1
        new, whose = f"{name}-{kind}{numbers[name]}", utterances[name]
        wavs[new], speakers[new] = _relative(str(whose.wav), work.root), whose.speaker
        tables["text"][new] = " ".join(word.text for word in text)
        if whose.start or whose.end is not None:
            end = -1 if whose.end is None else whose.end
            tables["segments"][new] = f"{new} {whose.start} {end}"
        if name in source.durations:
            tables["utt2dur"][new] = str(source.durations[name])
        made.words[new] = [WordScores(word.text, word.scores) for word in text]
        made.phones[new] = [
            replace(phone, word_index=k) for k, word in enumerate(text) for phone in word.phones
        ]
        miscues += _miscues(new, name, kind, text)
    tables["spk2gender"] = {
        s: source.gender[s] for s in set(speakers.values()) & set(source.gender)
    }
    data.write(folder, wavs, speakers, **tables)
    write_scores(folder, made)
    write_miscues(folder, sorted(miscues, key=lambda miscue: miscue.utt.encode()))


def _miscues(utterance: str, source: str, kind: str, text: Text) -> Iterator[Miscue]:
    for index, word in enumerate(text):
        for said in word.before:
            yield Miscue(utterance, source, kind, index, "", INSERTION, said, 0)
        if word.status != SAID:
            yield Miscue(
                utterance, source, kind, index, word.text, word.status, word.said, word.distance
            )


def _relative(path: str, root: Path) -> str:
    """A path as it stands in ``wav.scp``: below the working directory, relative to it."""
    whole = Path(path)
    return str(whole.relative_to(root)) if whole.is_relative_to(root) else path
