"""Mend a data directory without inventing anything; a killed run costs nothing.

Originals are kept.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechkit.base import files
from speechkit.base.errors import UserError
from speechkit.base.text import byte_order, composed
from speechkit.corpora.check import lenient, validate
from speechkit.corpora.check.lenient import TableRow, keys_of, show
from speechkit.corpora.common import GENDERS
from speechkit.kaldi import subset
from speechkit.labels import emotions
from speechkit.labels.config import KEEP, LOWER, STOP
from speechkit.workdir.manifest import MANIFEST, manifest_text, read_manifest

FORM = "wrote names in the composed form"
BACKUP = ".backup"


class _Log:
    """What was mended: (file, what was done) -> keys of the lines, empty for the whole file."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], list[str]] = {}

    def add(self, file: str, what: str, key: str) -> None:
        self.keys.setdefault((file, what), []).append(key)

    def actions(self) -> list[str]:
        """A line each: what was done to how many lines, and the keys of some."""
        return [
            f"{file}: {what}: {len(keys)}{_some(keys)}" for (file, what), keys in self.keys.items()
        ]


def _some(keys: Sequence[str]) -> str:
    shown = [show(key) for key in keys[:3] if key]
    return f" ({', '.join(shown)}{', ...' if len(keys) > len(shown) else ''})" if shown else ""


def fix(
    folder: Path,
    root: Path,
    *,
    case: str = STOP,
    **how: Any,
) -> list[str]:
    """Mend what can be mended; changed files are kept in ``.backup/``.

    Sorts, drops blank and repeated lines, CR, tabs, stray white space, and the byte order
    mark; drops utterances that a required file lacks or whose audio or segment cannot be
    used, and lines (of label files too) of unknown utterances and speakers; makes ``spk2utt``
    from ``utt2spk``; corrects durations in ``utt2dur`` from the audio, and ``male``/``female``
    to ``m``/``f``.
    Two different lines for one key, and bytes that are not UTF-8, are left to the user, and the
    whole set is where two different utterances would get one name.

    Args:
        case: what becomes of emotions that differ in case only: all are written in ``lower``
            case, or the set notes to ``keep`` them apart.
        how: as for :func:`speechkit.corpora.check.validate.check`.

    Raises:
        UserError: nothing would be left, a required file is missing, or another command
            is writing the set.
    """
    lock = files.Lock(folder.with_name(f".{folder.name}.lock"))
    lock.acquire(str(folder))
    try:
        found = validate.check(folder, root, **how)
        log = _Log()
        read = {name: lenient.read(folder / name) for name in lenient.table_names(folder)}
        before = keys_of({name: table.rows for name, table in read.items()})
        tables = {name: _clean(table, log) for name, table in read.items()}
        _require(folder, tables, found)
        _drop(folder, tables, found, log)
        _correct(tables, found, log)
        noted = _label_case(tables, case, log)
        contents = {
            name: "".join(f"{row.key} {row.value}".rstrip(" ") + "\n" for row in rows).encode(
                "utf-8", "surrogateescape"
            )
            for name, rows in tables.items()
        }
        contents |= _label_files(folder, before, tables, log) | noted
        replace_files(folder, contents, log.actions())
        return log.actions()
    finally:
        lock.release()


def _require(folder: Path, tables: dict[str, list[TableRow]], found: validate.Report) -> None:
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


def _clean(table: lenient.Table, log: _Log) -> list[TableRow]:
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
    kept: dict[tuple[str, str], TableRow] = {}
    for row in table.rows:
        value = row.value.replace("\t", " ").replace("\r", " ")
        if not value and table.name != "text":
            log.add(table.name, "dropped lines without a value", row.key)
        elif (row.key, value) in kept:
            log.add(table.name, "dropped repeated lines", row.key)
        else:
            kept[row.key, value] = TableRow(row.number, row.key, value)
    rows = list(kept.values())
    ordered = sorted(rows, key=lambda row: byte_order(row.key))
    if ordered != rows:
        log.add(table.name, "sorted", "")
    return ordered


def _keep(
    tables: dict[str, list[TableRow]], name: str, what: str, keep: Callable[[str], bool], log: _Log
) -> None:
    for row in tables[name]:
        if not keep(row.key):
            log.add(name, what, row.key)
    tables[name] = [row for row in tables[name] if keep(row.key)]


def _drop(
    folder: Path, tables: dict[str, list[TableRow]], found: validate.Report, log: _Log
) -> None:
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


def _correct(tables: dict[str, list[TableRow]], found: validate.Report, log: _Log) -> None:
    """Values that follow from other files, or are another spelling of the same."""
    of_speaker: dict[str, list[str]] = {}
    for row in tables["utt2spk"]:
        of_speaker.setdefault(row.value, []).append(row.key)
    made = {speaker: " ".join(utterances) for speaker, utterances in of_speaker.items()}
    before = {row.key: row.value for row in tables.get("spk2utt", [])}
    if before != made:
        log.add("spk2utt", "made again from utt2spk", "")
    ordered = sorted(made, key=byte_order)
    tables["spk2utt"] = [TableRow(0, speaker, made[speaker]) for speaker in ordered]
    wrong = {problem.line for problem in found.problems if problem.kind == "duration"}

    def duration(row: TableRow) -> str:
        known = row.number in wrong and row.key in found.durations
        return f"{found.durations[row.key]:.3f}" if known else row.value

    _change(tables, "utt2dur", duration, log)
    _change(tables, "spk2gender", lambda row: GENDERS.get(row.value.lower(), row.value), log)


def _label_case(tables: dict[str, list[TableRow]], case: str, log: _Log) -> dict[str, bytes]:
    name, rows = emotions.LABELS, tables.get(emotions.LABELS, [])
    if case == LOWER:
        _change(tables, name, lambda row: row.value.lower(), log)
    if case == KEEP and emotions.case_variants(row.value for row in rows):
        log.add(name, "noted that classes that differ in case only are to be kept apart", "")
        return {emotions.CASE_FILE: f"{case}\n".encode()}
    return {}


def _change(
    tables: dict[str, list[TableRow]], name: str, value: Callable[[TableRow], str], log: _Log
) -> None:
    """Give the rows of a table, where there is one, other values."""
    for at, row in enumerate(tables.get(name, ())):
        if (new := value(row)) != row.value:
            log.add(name, "corrected", row.key)
            tables[name][at] = TableRow(row.number, row.key, new)


def _label_files(
    folder: Path, before: subset.Keys, tables: Mapping[str, list[TableRow]], log: _Log
) -> dict[str, bytes]:
    """Label files without what belongs to utterances, speakers and recordings that are gone."""
    kept = keys_of(tables)
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


def replace_files(folder: Path, contents: Mapping[str, bytes], said: Sequence[str]) -> None:
    """Write the files that changed, keep their originals, and note it in the manifest.

    Raises:
        UserError: something that is no file stands where one is to be written.

    `prepare` takes a file of another size than in the manifest for a damaged one, and would undo
    the mending. So the manifest says first which files are being mended (``mending``), and says
    their sizes when all are written: a run that is killed in between loses nothing, and the next
    one completes it.
    """
    for name in contents:
        if os.path.lexists(folder / name) and not (folder / name).is_file():
            raise UserError(
                f"{folder} was left as it is: {folder / name} is no file, but stands where a "
                "table belongs.",
                "Move it away.",
            )
    if os.path.lexists(backup := folder / BACKUP) and (backup.is_symlink() or not backup.is_dir()):
        raise UserError(
            f"{folder} was left as it is: {backup}, where originals are kept, is not a folder.",
            "Move it away.",
        )
    originals = {name: path.read_bytes() for name in contents if (path := folder / name).is_file()}
    changed = [name for name, content in contents.items() if content != originals.get(name)]
    manifest = read_manifest(folder) or {}
    pending = manifest.get("mending", [])
    if not (changed or pending):
        return
    for name in changed:
        if name in originals:
            _back_up(folder / name, originals[name])
    mending = list(dict.fromkeys([*pending, *changed]))
    told = [*(manifest.get("fixed", []) if pending else []), *said]
    sizes = {n: size for n, size in manifest.get("outputs", {}).items() if n not in mending}
    noted = {**manifest, "outputs": sizes, "fixed": list(dict.fromkeys(told))}
    if manifest:
        _write_manifest(folder, {**noted, "mending": mending})
    for name in changed:
        with files.atomic_write(folder / name, "wb") as file:
            file.write(contents[name])
    if manifest:
        noted.pop("mending", None)
        sizes |= {n: (folder / n).stat().st_size for n in mending if (folder / n).is_file()}
        _write_manifest(folder, noted)


def _write_manifest(folder: Path, manifest: Mapping[str, object]) -> None:
    with files.atomic_write(folder / MANIFEST) as file:
        file.write(manifest_text(manifest))


def _back_up(path: Path, content: bytes) -> None:
    """Keep an original beside those of earlier repairs, which stay."""
    folder = files.make_dirs(path.parent / BACKUP)
    copy, number = folder / path.name, 0
    while copy.exists():
        if copy.read_bytes() == content:  # of a run that was killed
            return
        number += 1
        copy = folder / f"{path.name}.{number}"
    with files.atomic_write(copy, "wb") as file:
        file.write(content)
