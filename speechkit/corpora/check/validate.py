"""Every problem of a data directory at once: file, line, what is wrong, how to mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from speechkit.base.audio import Info
from speechkit.base.audio_file import Pipe
from speechkit.base.errors import UserError
from speechkit.base.text import check_path, some
from speechkit.corpora.check import lenient
from speechkit.corpora.check.lenient import Table, TableRow, look_at, show
from speechkit.corpora.check.problems import Problem, Report
from speechkit.kaldi import subset
from speechkit.kaldi.data import order_clashes, parse_source
from speechkit.kaldi.segments import Segment, SegmentError
from speechkit.labels import emotions
from speechkit.workdir import WorkDir

DURATION_TOLERANCE_S = 0.05  # of `utt2dur`


def check(
    folder: Path,
    root: Path,
    *,
    with_audio: bool = True,
    decode: bool = False,
    allow_pipes: bool = False,
    jobs: int = 1,
) -> Report:
    """Find all problems of a data directory.

    Args:
        with_audio: read the header of every audio file.
        decode: read every sample too (finds NaN, and compressed files that are cut).
        allow_pipes: accept shell commands in ``wav.scp`` (run only with ``decode``).

    Raises:
        UserError: the folder has none of the files of a data directory.
    """
    names = lenient.table_names(folder)
    if not names:
        raise UserError(
            f"{folder} holds none of the files of a Kaldi data directory.",
            "Make a set with `speechkit prepare` (see `speechkit prepare --help`).",
        )
    return _Checker(folder, root, {name: lenient.read(folder / name) for name in names}).run(
        with_audio, decode, allow_pipes, jobs
    )


def find_sets(root: Path, names: Iterable[str] = ()) -> list[Path]:
    """Folders of the sets to check: those named, or all under ``data/``.

    Raises:
        UserError: a named set is not there, or there are none.
    """
    names = list(names)
    if names:
        return [WorkDir(root).data(name) for name in dict.fromkeys(names)]
    data = root / "data"
    folders = sorted(p for p in data.iterdir() if p.is_dir()) if data.is_dir() else []
    found = [p for p in folders if p.name[0] != "." and lenient.table_names(p)]
    if not found:
        raise UserError(
            f"There are no sets in {data}{'' if data.is_dir() else ', which does not exist'}.",
            "Make one with `speechkit prepare` (see `speechkit prepare --help`), "
            "or name the working directory with -C DIR.",
        )
    return found


class _Checker:
    """The tables of a set, and the problems found in them so far."""

    def __init__(self, folder: Path, root: Path, tables: Mapping[str, Table]) -> None:
        self.root, self.tables, self.report = root, tables, Report(folder)
        empty = Table(folder / "none")
        self.rows = {name: table.by_key() for name, table in tables.items()}
        self.wavs = self.rows.get("wav.scp", {})
        self.speaker_of = self.rows.get("utt2spk", {})
        self.segments = self.rows.get("segments")
        self.heard = self.wavs if self.segments is None else self.segments
        self.heard_in = tables.get("wav.scp" if self.segments is None else "segments", empty)

    def add(self, kind: str, name: str, line: int | None, message: str) -> None:
        problem = Problem(kind, self.report.folder / name, line, lenient.printable(message))
        self.report.problems.append(problem)

    def absent(
        self,
        kind: str,
        name: str,
        rows: Mapping[str, TableRow],
        known: Container[str],
        message: str,
    ) -> None:
        """Add a problem for every row of a table whose key is not known; ``{}`` is the key."""
        for key, row in rows.items():
            if key not in known:
                self.add(kind, name, row.number, message.format(show(key)))

    def bad(self, utterance: str) -> None:
        self.report.bad_utterances.add(utterance)

    def run(self, with_audio: bool, decode: bool, allow_pipes: bool, jobs: int) -> Report:
        for name in ("wav.scp", "utt2spk"):
            if name not in self.tables:
                self.add("missing-file", name, None, f"there is no {name}")
        for table in self.tables.values():
            for kind, line, message in table.faults:
                self.add(kind, table.name, line, message)
        self.agreement()
        self.speaker_tables()
        recordings = self.segment_lines()
        self.paths(allow_pipes)
        for kind, line, message in lenient.text_faults(self.rows.get("text", {})):
            self.add(kind, "text", line, message)
        self.label_files()
        self.mixtures()
        if with_audio:
            self.audio(recordings, decode, allow_pipes, jobs)
        report = self.report
        report.utterances = len(self.heard.keys() & self.speaker_of.keys())
        report.speakers = len({row.value for row in self.speaker_of.values()})
        report.problems.sort(key=lambda p: (p.level, str(p.file), p.line or 0))
        return report

    def agreement(self) -> None:
        """Tables by utterance against each other."""
        speaker_of, heard, heard_in = self.speaker_of, self.heard, self.heard_in.name
        if "utt2spk" in self.tables and heard_in in self.tables:
            kind, message = "missing-in-file", "'{}' is not in "
            self.absent(kind, heard_in, heard, speaker_of, f"{message}utt2spk")
            self.absent(kind, "utt2spk", speaker_of, heard, f"{message}{heard_in}")
            self.report.bad_utterances |= heard.keys() ^ speaker_of.keys()
        known = heard.keys() | speaker_of.keys()
        for name, rows in self.rows.items():
            if name == "text" or (name.startswith("utt2") and name != "utt2spk"):
                self.absent("unknown-key", name, rows, known, "no utterance '{}'")
        if "text" in self.rows:
            message = "'{}' has no line in text"
            self.absent("no-text", heard_in, heard, self.rows["text"], message)
        for key, row in self.speaker_of.items():
            if len(row.value.split()) > 1:
                self.add("fields", "utt2spk", row.number, f"expected 'utterance speaker': {key}")
        given = self.speaker_of.items()
        speakers = {key: row.value for key, row in given if len(row.value.split()) == 1}
        for before, after in order_clashes(speakers):
            message = f"'{show(after)}' of '{show(speakers[after])}' sorts after '{show(before)}'"
            number = self.speaker_of[after].number
            self.add("speaker-order", "utt2spk", number, f"{message} of '{show(speakers[before])}'")

    def speaker_tables(self) -> None:
        """spk2utt against utt2spk, and what is said of speakers."""
        of_speaker: dict[str, list[str]] = {}
        for key, row in self.speaker_of.items():
            of_speaker.setdefault(row.value, []).append(key)
        if "spk2utt" in self.rows:
            self.spk2utt(of_speaker, self.rows["spk2utt"])
        elif "utt2spk" in self.tables:
            self.add("no-spk2utt", "spk2utt", None, "there is no spk2utt")
        for name, rows in self.rows.items():
            if name.startswith("spk2") and name != "spk2utt":
                self.absent("unknown-key", name, rows, of_speaker, "no speaker '{}'")
        for key, row in self.rows.get("spk2gender", {}).items():
            if row.value not in ("m", "f"):
                message = f"'{show(key)}' has the gender '{show(row.value)}'"
                self.add("gender", "spk2gender", row.number, message)
        if "spk2gender" in self.rows:
            given = self.rows["spk2gender"]
            first = {speaker: self.speaker_of[keys[0]] for speaker, keys in of_speaker.items()}
            self.absent("no-gender", "utt2spk", first, given, "speaker '{}' has no gender")

    def spk2utt(self, of_speaker: Mapping[str, list[str]], rows: Mapping[str, TableRow]) -> None:
        for speaker, row in rows.items():
            listed = row.value.split()
            want, got = set(of_speaker.get(speaker, ())), set(listed)
            if speaker not in of_speaker:
                message = f"speaker '{show(speaker)}' is not in utt2spk"
            elif got != want:
                odd = [show(name) for name in sorted(got ^ want)]
                message = (
                    f"'{show(speaker)}': spk2utt and utt2spk differ in {len(odd)} ({some(odd)})"
                )
            elif len(listed) != len(got):
                message = f"'{show(speaker)}': an utterance is listed twice"
            else:
                continue
            self.add("spk2utt", "spk2utt", row.number, message)
        first = {speaker: self.speaker_of[keys[0]] for speaker, keys in of_speaker.items()}
        self.absent("spk2utt", "utt2spk", first, rows, "speaker '{}' is not in spk2utt")

    def segment_lines(self) -> dict[str, Segment]:
        """Utterance -> its part of a recording, of those that can be understood."""
        if self.segments is None:
            return {key: Segment(key) for key in self.wavs}
        found: dict[str, Segment] = {}
        for key, row in self.segments.items():
            try:
                part = Segment.parse(row.value)
            except SegmentError as error:
                self.segment(key, error)
                continue
            if part.recording in self.wavs:
                found[key] = part
                continue
            message = f"recording '{show(part.recording)}' is not in wav.scp"
            self.add("unknown-recording", "segments", row.number, message)
            self.bad(key)
        return found

    def segment(self, key: str, error: SegmentError) -> None:
        row = self.rows["segments"][key]
        self.add(error.kind, "segments", row.number, f"'{show(key)} {show(row.value)}': {error}")
        self.bad(key)

    def paths(self, allow_pipes: bool) -> None:
        for key, row in self.wavs.items():
            piped = isinstance(parse_source(row.value, self.root), Pipe)
            if not piped and (problem := check_path(row.value)):
                self.add("path", "wav.scp", row.number, f"'{show(key)}': {problem}")
            if piped and not allow_pipes:
                message = f"'{show(key)}' is a pipe: it would run a shell command"
                self.add("pipe", "wav.scp", row.number, message)

    def label_files(self) -> None:
        """Label files of a task against the set, and the scores in them."""
        every = lenient.keys_of({name: rows.values() for name, rows in self.rows.items()})
        for path in subset.label_files(self.report.folder):
            if path.name in self.tables:
                continue
            try:
                entries = subset.Entries.read(path, every)
            except UnicodeDecodeError:
                continue  # an archive, or a file that no table
            if line := entries.form_fault():
                self.add("form", path.name, line, "names are not in the composed form")
            for line, key in entries.unknown() if entries.certain else ():
                message = f"no {entries.kind.removesuffix('s')} '{show(key)}'"
                self.add("unknown-key", path.name, line, message)
        labels = (row.value for row in self.rows.get(emotions.LABELS, {}).values())
        told = (self.report.folder / emotions.CASE_FILE).is_file()
        if (message := emotions.case_variants(labels)) and not told:
            message = f"classes differ in case only: {message}"
            self.add("label-case", emotions.LABELS, None, message)
        from speechkit.corpora.scored import find_faults

        texts = {key: row.value for key, row in self.rows.get("text", {}).items()}
        said = {key: texts.get(key, "") for key in self.heard}
        for kind, name, number, message in find_faults(self.report.folder, said):
            self.add(kind, name, number, message)

    def mixtures(self) -> None:
        """The list of a mixture set."""
        if (self.report.folder / "mixtures.tsv").is_file():
            from speechkit.labels.mixtures import find_faults

            for name, line, message in find_faults(self.report.folder, self.root, self.heard):
                self.add("mixture", name, line, message)

    def audio(
        self,
        recordings: Mapping[str, Segment],
        decode: bool,
        allow_pipes: bool,
        jobs: int,
    ) -> None:
        """Audio files, and what the tables say about their length."""
        facts = look_at(self.wavs.values(), self.root, decode, allow_pipes, jobs)
        rates = {key: found.info.sample_rate for key, found in facts.items() if found.info}
        self.report.sample_rates = Counter(rates.values())
        if len(self.report.sample_rates) > 1:
            usual = self.report.sample_rates.most_common(1)[0][0]
            for key, rate in rates.items():
                if rate != usual:
                    message = f"'{show(key)}' has {rate} Hz, most have {usual} Hz"
                    self.add("sample-rates", "wav.scp", self.wavs[key].number, message)
        for key, found in facts.items():
            if found.kind:
                self.add(found.kind, "wav.scp", self.wavs[key].number, found.reason)
            if found.opposite_phase:
                message = f"the channels of '{show(key)}' are in opposite phase"
                self.add("opposite-phase", "wav.scp", self.wavs[key].number, message)
        self.report.seconds = sum(f.info.seconds for f in facts.values() if f.info)
        for key, part in recordings.items():
            there = facts.get(part.recording)
            if there is not None and there.kind:
                self.bad(key)
            elif there is not None and there.info:
                self.length(key, part, there.info)

    def length(self, key: str, part: Segment, found: Info) -> None:
        try:
            seconds = part.check(found)
        except SegmentError as error:
            self.segment(key, error)
            return
        self.report.durations[key] = seconds
        row = self.rows.get("utt2dur", {}).get(key)
        if row is None:
            return
        try:
            wrong = not abs(float(row.value) - seconds) <= DURATION_TOLERANCE_S
        except ValueError:
            wrong = True
        if wrong:
            message = f"'{show(key)}' has {show(row.value)} s, its audio {seconds:.3f}"
            self.add("duration", "utt2dur", row.number, message)
