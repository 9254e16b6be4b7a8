"""Mend a data directory without inventing anything; the originals are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from speechkit.base import files
from speechkit.base.errors import UserError
from speechkit.base.text import byte_order, composed
from speechkit.corpora.check import lenient, validate
from speechkit.corpora.check.lenient import Row, show
from speechkit.corpora.check.replacement import replace_files
from speechkit.kaldi import subset
from speechkit.labels import emotions

FORM = "wrote names in the composed form"
_GENDERS = {"male": "m", "m": "m", "female": "f", "f": "f"}


@dataclass(frozen=True)
class Action:
    """One thing that was mended.

    Args:
        file: the table.
        what: what was done.
        count: to how many lines.
        examples: keys of some of them.
    """

    file: str
    what: str
    count: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        some = f" ({', '.join(self.examples)}{', ...' if self.count > len(self.examples) else ''})"
        return f"{self.file}: {self.what}: {self.count}{some if self.examples else ''}"


class _Log:
    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], list[str]] = {}

    def add(self, file: str, what: str, key: str) -> None:
        self.keys.setdefault((file, what), []).append(key)

    def actions(self) -> list[Action]:
        return [
            Action(file, what, len(keys), tuple(show(key) for key in keys[:3] if key))
            for (file, what), keys in self.keys.items()
        ]


def fix(
    folder: Path,
    root: Path,
    *,
    with_audio: bool = True,
    decode: bool = False,
    allow_pipes: bool = False,
    jobs: int = 1,
    case: str = emotions.STOP,
) -> list[Action]:
    """Mend what can be mended; changed files are kept in ``.backup/``.

    Sorts, drops blank and repeated lines, CR, tabs, stray white space, and the byte order
    mark; drops utterances that a required file lacks or whose audio or segment cannot be
    used, and lines (of label files too) of unknown utterances and speakers; makes ``spk2utt``
    from ``utt2spk``; corrects durations in ``utt2dur`` from the audio, and ``male``/``female``
    to ``m``/``f``.
    Two different lines for one key, and bytes that are not UTF-8, are left to the user, and the
    whole set is where two different utterances would get one name.

    Args: as for :func:`speechkit.corpora.check.validate.check`, and
        case: what becomes of emotions that differ in case only: all are written in ``lower``
            case, or the set notes to ``keep`` them apart.

    Raises:
        UserError: nothing would be left, a required file is missing, or another command
            is writing the set.
    """
    lock = files.Lock(folder.with_name(f".{folder.name}.lock"))
    lock.acquire(str(folder))
    try:
        found = validate.check(
            folder,
            root,
            with_audio=with_audio,
            decode=decode,
            allow_pipes=allow_pipes,
            jobs=jobs,
        )
        log = _Log()
        names = lenient.table_names(folder)
        before = _keys(folder, names)
        tables = {name: _clean(lenient.read(folder / name), log) for name in names}
        _require(folder, tables, found)
        _drop(folder, tables, found, log)
        _correct(tables, found, log)
        noted = _label_case(tables, case, log)
        contents = _tables_as_bytes(tables) | _label_files(folder, before, tables, log)
        replace_files(folder, contents | noted, [str(action) for action in log.actions()])
        return log.actions()
    finally:
        lock.release()


def _require(folder: Path, tables: dict[str, list[Row]], found: validate.Report) -> None:
    for problem in found.problems:
        if problem.kind == "one-name":
            raise UserError(
                f"{folder} was left as it is: {problem.where}: {problem.message}.", problem.remedy
            )
    for name in ("wav.scp", "utt2spk"):
        if not tables.get(name):
            raise UserError(
                f"{folder} cannot be mended: {name} is missing or has no usable line.",
                "Make the set again with `speechkit prepare`.",
            )


def _clean(table: lenient.Table, log: _Log) -> list[Row]:
    """Rows in byte order, each once; the reader has taken white space off already."""
    for kind, what in (
        ("crlf", "took the CR off line ends"),
        ("tab", "replaced tabs with spaces"),
        ("spaces", "took off stray white space"),
        ("blank-line", "dropped blank lines"),
        ("bom", "took off the byte order mark"),
        ("utf-16", "wrote it in UTF-8"),
        ("no-newline", "ended the last line"),
        ("form", FORM),
    ):
        for _ in range(Counter(fault[0] for fault in table.faults)[kind]):
            log.add(table.name, what, "")
    kept: dict[tuple[str, str], Row] = {}
    for row in table.rows:
        value = row.value.replace("\t", " ").replace("\r", " ")
        if not value and table.name != "text":
            log.add(table.name, "dropped lines without a value", row.key)
        elif (row.key, value) in kept:
            log.add(table.name, "dropped repeated lines", row.key)
        else:
            kept[row.key, value] = Row(row.number, row.key, value)
    rows = list(kept.values())
    ordered = sorted(rows, key=lambda row: byte_order(row.key))
    if ordered != rows:
        log.add(table.name, "sorted", "")
    return ordered


def _keep(
    tables: dict[str, list[Row]], name: str, what: str, keep: Callable[[str], bool], log: _Log
) -> None:
    for row in tables[name]:
        if not keep(row.key):
            log.add(name, what, row.key)
    tables[name] = [row for row in tables[name] if keep(row.key)]


def _drop(folder: Path, tables: dict[str, list[Row]], found: validate.Report, log: _Log) -> None:
    """Take out utterances that cannot be used, and what is said of unknown ones."""
    heard_in = "segments" if "segments" in tables else "wav.scp"
    heard = {row.key for row in tables[heard_in]} & {row.key for row in tables["utt2spk"]}
    good = heard - found.bad_utterances
    if not good:
        raise UserError(
            f"{folder} was left as it is: no utterance of it can be used.",
            "If audio is missing, check -C DIR: relative paths count from the working directory. "
            "`speechkit validate` lists the problems.",
        )
    for name in tables:
        if name in ("utt2spk", "text", heard_in) or name.startswith("utt2"):
            _keep(tables, name, "dropped lines of unusable utterances", good.__contains__, log)
    if heard_in == "segments":
        used = {row.value.split()[0] for row in tables["segments"]}
        _keep(tables, "wav.scp", "dropped unused recordings", used.__contains__, log)
    speakers = {row.value for row in tables["utt2spk"]}
    for name in tables:
        if name.startswith("spk2") and name != "spk2utt":
            _keep(tables, name, "dropped lines of unknown speakers", speakers.__contains__, log)


def _correct(tables: dict[str, list[Row]], found: validate.Report, log: _Log) -> None:
    """Values that follow from other files, or are another spelling of the same."""
    of_speaker: dict[str, list[str]] = {}
    for row in tables["utt2spk"]:
        of_speaker.setdefault(row.value, []).append(row.key)
    made = {speaker: " ".join(of_speaker[speaker]) for speaker in of_speaker}
    before = {row.key: row.value for row in tables.get("spk2utt", [])}
    if before != made:
        log.add("spk2utt", "made again from utt2spk", "")
    ordered = sorted(made, key=byte_order)
    tables["spk2utt"] = [Row(0, speaker, made[speaker]) for speaker in ordered]
    wrong = {problem.line for problem in found.problems if problem.kind == "duration"}
    if "utt2dur" in tables:
        tables["utt2dur"] = [
            _changed(row, f"{found.durations[row.key]:.3f}", "utt2dur", log)
            if row.number in wrong and row.key in found.durations
            else row
            for row in tables["utt2dur"]
        ]
    if "spk2gender" in tables:
        tables["spk2gender"] = [
            _changed(row, _GENDERS.get(row.value.lower(), row.value), "spk2gender", log)
            for row in tables["spk2gender"]
        ]


def _label_case(tables: dict[str, list[Row]], case: str, log: _Log) -> dict[str, bytes]:
    name, rows = emotions.LABELS, tables.get(emotions.LABELS, [])
    if case == emotions.LOWER and rows:
        tables[name] = [_changed(row, row.value.lower(), name, log) for row in rows]
    if case == emotions.KEEP and emotions.case_variants(row.value for row in rows):
        log.add(name, "noted that classes that differ in case only are to be kept apart", "")
        return {emotions.CASE_FILE: f"{case}\n".encode()}
    return {}


def _changed(row: Row, value: str, name: str, log: _Log) -> Row:
    if value == row.value:
        return row
    log.add(name, "corrected", row.key)
    return Row(row.number, row.key, value)


def _keys(folder: Path, names: Collection[str]) -> subset.Keys:
    """Names that the set has before it is mended."""
    rows = {name: lenient.read(folder / name).rows for name in names}
    heard = rows.get("segments", rows.get("wav.scp", []))
    return _as_keys(rows, {row.key for row in (*heard, *rows.get("utt2spk", ()))})


def _as_keys(tables: Mapping[str, Iterable[Row]], utterances: Iterable[str]) -> subset.Keys:
    return subset.Keys(
        frozenset(utterances),
        frozenset(row.value for row in tables.get("utt2spk", ())),
        frozenset(row.key for row in tables.get("wav.scp", ())),
    )


def _label_files(
    folder: Path, before: subset.Keys, tables: Mapping[str, list[Row]], log: _Log
) -> dict[str, bytes]:
    """Label files without what belongs to utterances, speakers and recordings that are gone."""
    kept = _as_keys(tables, {row.key for row in tables["utt2spk"]})
    contents: dict[str, bytes] = {}
    for path in subset.label_files(folder):
        if path.name in tables:
            continue
        try:
            entries = subset.Entries.read(path, before)
        except UnicodeDecodeError:
            continue
        text, gone = entries.text, entries.dropped(kept) if entries.certain else []
        for key in gone:
            log.add(path.name, f"dropped entries of unusable or unknown {entries.kind}", key)
            text = entries.part(kept)
        if entries.form_fault():
            log.add(path.name, FORM, "")
            text = composed(text)
        if text != entries.text:
            contents[path.name] = text.encode()
    return contents


def _tables_as_bytes(tables: Mapping[str, list[Row]]) -> dict[str, bytes]:
    texts = {
        name: "".join(f"{row.key} {row.value}".rstrip(" ") + "\n" for row in rows)
        for name, rows in tables.items()
    }
    return {name: text.encode("utf-8", "surrogateescape") for name, text in texts.items()}
