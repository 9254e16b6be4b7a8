"""Check a corpus that was read, and write its sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from speechkit.base import answers, audio
from speechkit.base.answers import Answer
from speechkit.base.errors import AudioError, UserError
from speechkit.base.log import counted, logger
from speechkit.base.parallel import Result, map_items
from speechkit.base.tables import write_skipped
from speechkit.corpora.common import Corpus, CorpusSet, Item
from speechkit.kaldi import data
from speechkit.kaldi.segments import Segment, SegmentError
from speechkit.labels.score_files import rated, write_raters, write_scores
from speechkit.labels.scores import ASPECTS, RaterScores, Scores
from speechkit.workdir import Output, WorkDir, check_name
from speechkit.workdir.manifest import read_manifest

OTHER_DIR = "prepare it in another working directory with -C DIR"
_WHOLE = Segment("")
POOL_FROM = 50_000  # fewer headers are read sooner than workers would start


@dataclass(frozen=True)
class SetSummary:
    """What a set holds, as the table at the end of ``prepare`` shows it.

    Args:
        male: speakers with gender ``m``; the rest are of unknown gender.
        skipped: broken utterances that were left out.
    """

    set: str
    speakers: int
    female: int
    male: int
    utterances: int
    hours: float
    skipped: int = 0

    def row(self) -> list[object]:
        """As ``COLUMNS``, without gender where nobody's is known."""
        unknown = () if self.female or self.male else ("female", "male")
        return [None if name in unknown else getattr(self, name) for name in COLUMNS]


COLUMNS = tuple(SetSummary.__dataclass_fields__)


def answer(work: WorkDir, summaries: Sequence[SetSummary]) -> Answer:
    """The sets that were written, a row each."""
    rows = [one.row() for one in summaries]
    return answers.rows(f"Sets in {work.root / 'data'}", COLUMNS, rows)


def write_corpus(
    work: WorkDir,
    corpus: Corpus,
    *,
    on_error: str = "stop",
    jobs: int = 1,
    force: bool = False,
) -> list[SetSummary]:
    """Write every set of a corpus to ``data/<set>/``, each all or nothing.

    Args:
        on_error: ``stop`` at broken audio, or ``skip`` it and list it in ``skipped.tsv``.

    Raises:
        UserError: ids clash or cannot be written, a set would be empty, audio is broken.
    """
    for planned in corpus.sets:
        check_set(planned)
    return [_write_set(work, corpus, s, on_error, jobs, force) for s in corpus.sets]


def check_set(planned: CorpusSet) -> None:
    """Raise UserError if a set cannot be written; warn if Kaldi's own tools would refuse it."""
    planned.name = check_name("set", planned.name)
    if not planned.items:
        raise UserError(f"The set '{planned.name}' would have no utterances.")
    first: dict[str, Item] = {}
    for item in planned.items:
        _check_item(item)
        if first.setdefault(item.utterance, item) is not item:
            raise UserError(
                f"The utterance id '{item.utterance}' comes twice in the set '{planned.name}': "
                f"{first[item.utterance].audio} and {item.audio}.",
                "Rename or remove one of the two files.",
            )
    speakers = {item.utterance: item.speaker for item in planned.items}
    for before, after in data.order_clashes(speakers)[:1]:
        logger.warning(
            f"Set '{planned.name}': sorted by utterance, the speakers are not sorted "
            f"('{before}' of '{speakers[before]}', then '{after}' of '{speakers[after]}'). "
            "speechkit does not mind; Kaldi's tools want such speakers renamed."
        )


def _check_item(item: Item) -> None:
    for what, value in (("utterance id", item.utterance), ("speaker id", item.speaker)):
        if not value or len(value.split()) != 1 or value.split()[0] != value:
            raise UserError(f"{item.audio}: the {what} '{value}' is empty or holds spaces.")
    path = str(item.audio)
    try:
        (path + item.utterance + item.speaker).encode()
    except UnicodeEncodeError:
        shown = path.encode(errors="backslashreplace").decode()
        raise UserError(
            f"The file name {shown} is not UTF-8.", "Rename the file (convmv does many at once)."
        ) from None
    data.check_scp_path(path)


def _write_set(
    work: WorkDir, corpus: Corpus, planned: CorpusSet, on_error: str, jobs: int, force: bool
) -> SetSummary:
    final = work.root / "data" / planned.name
    params = {**corpus.params, **planned.params, "set": planned.name, "on_error": on_error}
    many = [*dict.fromkeys(item.audio for item in planned.items), *planned.transcripts]
    with Output(
        final, corpus.command, params, corpus.metadata, force, many, beside=OTHER_DIR
    ) as out:
        if not out.up_to_date:
            seconds, skipped = _measure(out, planned, on_error, jobs)
            if planned.examine is not None:
                items = [item for item in planned.items if item.utterance in seconds]
                out.notes.update(planned.examine(items, jobs))
            summary = write_tables(out.path, planned, seconds, skipped)
            out.counts.update({k: v for k, v in vars(summary).items() if k != "set"})
    return read_summary(final)


def read_summary(folder: Path) -> SetSummary:
    """The summary of a set that is in place."""
    counts = (read_manifest(folder) or {}).get("counts", {})
    return SetSummary(set=folder.name, **counts)


def _measure(
    out: Output, planned: CorpusSet, on_error: str, jobs: int
) -> tuple[dict[str, float], dict[str, str]]:
    """Utterance -> seconds, and utterance -> why it was skipped; makes the audio that needs it."""
    items = sorted(planned.items, key=lambda item: item.utterance.encode())
    recordings = list({item.recording: item for item in reversed(items)}.values())[::-1]
    makes = any(item.make for item in recordings)
    if makes:
        (out.path / "wav").mkdir()
    found, broken = take_usable(
        partial(take, out.path / "wav"),
        recordings,
        lambda item: item.recording,
        f"The set '{planned.name}' has no usable audio",
        jobs=jobs if makes or len(recordings) > POOL_FROM else 1,
        on_error=on_error,
        chunk=16 if makes else 500,
        name=lambda item: item.recording,
        label=f"prepare {planned.name}",
    )
    seconds: dict[str, float] = {}
    skipped = {i.utterance: f"{i.audio}: {i.audio.suffix} is not read" for i in planned.unread}
    for item in items:
        if item.recording in broken:
            skipped[item.utterance] = broken[item.recording]
            continue
        try:
            seconds[item.utterance] = (item.segment or _WHOLE).check(found[item.recording])
        except SegmentError as error:
            problem = f"{item.utterance}: of {item.audio} {error}."
            if on_error == "stop":
                remedy = "Mend the table, or leave such utterances out with `on_error` skip."
                raise AudioError(problem, remedy, "outside") from None
            skipped[item.utterance] = problem
    if not seconds:
        raise UserError(f"The set '{planned.name}' would have no utterances.")
    return seconds, skipped


def take_usable(
    function: Callable[[Any], Result],
    items: Sequence[Any],
    key: Callable[[Any], str],
    none_left: str,
    **how: Any,
) -> tuple[dict[str, Result], dict[str, str]]:
    """What a function makes of items by key, and why others were skipped.

    Args:
        none_left: begins the message where all of them are broken.
        how: as for :func:`map_items`.

    Raises:
        UserError: no item is left, or one is broken and is not to be skipped.
    """
    found: dict[str, Result] = {}
    skipped: dict[str, str] = {}
    for done in map_items(function, items, **how):
        if done.value is None:
            skipped[key(done.item)] = done.error or ""
        else:
            found[key(done.item)] = done.value
    if not found:
        raise UserError(f"{none_left}: all ({len(items)}) are broken ({skipped[key(items[0])]}).")
    return found, skipped


def take(wav_folder: Path, item: Item) -> audio.Info:
    """Rate and length of a recording; what is to be made is made in ``wav_folder`` first."""
    if item.make is None:
        return audio.info(item.audio)
    return audio.info(item.make(wav_folder / f"{item.recording}{item.ending}"))


def write_tables(
    folder: Path,
    planned: CorpusSet,
    seconds: Mapping[str, float],
    skipped: Mapping[str, str],
) -> SetSummary:
    """Write the tables of a set, sorted, for the utterances that have a length.

    Args:
        planned: what the set holds; converted audio is named relative to the working
            directory, so that it can be moved.
        seconds: utterance -> length.
        skipped: utterance -> why it was left out.
    """
    items = [item for item in planned.items if item.utterance in seconds]
    speakers = {item.utterance: item.speaker for item in items}
    heard = set(speakers.values())
    gender = {name: value for name, value in planned.gender.items() if name in heard}
    text = {item.utterance: " ".join(item.text.split()) for item in items if item.text.strip()}
    if 0 < len(text) < len(items):
        without = counted(len(items) - len(text), "utterance")
        logger.warning(f"{planned.name}: no transcript of {without}.")
    inside = Path("data") / planned.name / "wav"
    wavs = {
        item.recording: str(
            inside / f"{item.recording}{item.ending}" if item.make is not None else item.audio
        )
        for item in items
    }
    segments = {
        item.utterance: f"{part.recording} {part.start:.10g} {-1 if end is None else end:.10g}"
        for item in items
        if (part := item.segment) is not None
        for end in [part.end]
    }
    tables: dict[str, Mapping[str, str]] = {
        "segments": segments,
        "text": text,
        "utt2dur": {name: f"{seconds[name]:.4f}" for name in speakers},
        "spk2gender": gender,
        "spk2age": {name: value for name, value in planned.age.items() if name in heard},
    }
    for name, table in planned.tables.items():
        tables[name] = {utterance: table[utterance] for utterance in speakers if utterance in table}
    data.write(folder, wavs, speakers, **tables)
    for name, content in planned.files.items():
        (folder / name).write_text(content, encoding="utf-8")
    if planned.scores is not None:
        raters = {name: planned.raters[name] for name in speakers if name in planned.raters}
        _write_scores(folder, planned.scores.part(speakers), raters, planned.name)
    write_skipped(folder, skipped.items())
    if skipped:
        logger.warning(f"Skipped {counted(len(skipped), 'unreadable file')}; see skipped.tsv.")
    count = Counter(gender.values())
    hours = sum(seconds.values()) / 3600
    return SetSummary(
        planned.name, len(heard), count["f"], count["m"], len(items), round(hours, 4), len(skipped)
    )


def _write_scores(folder: Path, scores: Scores, raters: RaterScores, name: str) -> None:
    """Write the scores of a set, and say how many there are."""
    if not scores.names():
        logger.warning(f"{name}: no utterance of it was scored.")
        return
    write_scores(folder, scores, [f"utterance_{score}" for score in rated(raters)])
    if raters:
        write_raters(folder, raters)
        people = {rater for of in raters.values() for rater in of}
        logger.info(f"{name}: raters: {len(people)}, utterances that they rated: {len(raters)}.")
    counts = {
        "utterances": len(scores.utterances),
        "words": sum(len(words) for words in scores.words.values()),
        "phones": sum(len(phones) for phones in scores.phones.values()),
    }
    found = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    aspects = scores.aspects()
    which = "all nine aspects" if aspects == ASPECTS else ", ".join(aspects)
    scored = f"scored in {which}" if aspects else "canonical phones, without scores"
    logger.info(f"{name}: {found} ({scored}).")
