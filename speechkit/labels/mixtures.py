"""Sets of fixed mixtures: the list, and the audio mixed when it is read.

A mixture set is a data directory of its *sources* (``wav.scp``, ``utt2spk`` ...) with two
more files: ``mixtures.tsv``, one mixture a line, and ``mixtures.json``, what holds for all
of them. ``mixtures.tsv`` has the columns ``mixture``, ``samples`` (length at the set's
rate), for each source ``k`` (from 1) ``utt<k>``, ``gain<k>_db`` and ``offset<k>`` (sample of
the mixture at which the utterance begins; negative where the mixture begins within it), and
``wav`` where the mixture itself is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta

from speechkit.base import audio
from speechkit.base.errors import DataError, UserError
from speechkit.base.schema import Rate, read_json
from speechkit.base.tables import write_json, write_tsv
from speechkit.base.text import check_path, composed, on_disk
from speechkit.kaldi.data import DataDir, Utterance, load

TABLE, HEADER = "mixtures.tsv", "mixtures.json"
MODES = ("min", "max")


@dataclass(frozen=True)
class Source:
    """One speaker of a mixture.

    Args:
        utterance: what is said, and where its audio is.
        gain_db: by how much its stored samples are amplified.
        offset: sample of the mixture at which the utterance begins (may be negative).
    """

    utterance: Utterance
    gain_db: float = 0.0
    offset: int = 0


@dataclass(frozen=True)
class Mixture:
    """One mixture.

    Args:
        samples: its length at the set's rate.
        sources: the speakers, at least two.
        wav: file of the mixture where it is stored; otherwise the sources are added.
    """

    id: str
    samples: int
    sources: tuple[Source, ...]
    wav: str = ""


@dataclass(frozen=True)
class Header:
    """What holds for all mixtures of a set.

    Args:
        sample_rate: in Hz.
        speakers: sources of every mixture.
        mode: ``min`` (cut to the shortest source) or ``max`` (as long as the longest).
        source_set: the set that the utterances were taken from; empty for published ones.
    """

    sample_rate: Rate
    speakers: Annotated[int, Meta(ge=2, le=1 << 10)] = 2
    mode: Annotated[str, Meta(pattern="^(min|max)$")] = "min"
    source_set: str = ""


@dataclass
class MixtureSet:
    """A mixture set in memory.

    Args:
        mixtures: in file order.
    """

    path: Path
    header: Header
    mixtures: list[Mixture]
    data: DataDir

    def __len__(self) -> int:
        return len(self.mixtures)

    def files(self) -> list[Path]:
        """Tables of the set (the inputs of a stage that reads it)."""
        return [*self.data.files(), self.path / TABLE, self.path / HEADER]

    def audio_files(self) -> list[Path]:
        """Audio files of sources and stored mixtures."""
        stored = {Path(m.wav) for m in self.mixtures if m.wav}
        return sorted(stored | set(self.data.audio_files()))

    def genders(self, mixture: Mixture) -> str:
        """Sorted genders, as ``FM``; ``?`` stands for a speaker without one."""
        found = (self.data.gender.get(s.utterance.speaker, "?") for s in mixture.sources)
        return "".join(sorted(g.upper() for g in found))

    def read(self, mixture: Mixture) -> tuple[np.ndarray, np.ndarray]:
        """Audio of one mixture.

        Returns:
            Float32 mixture ``[T]`` and its sources ``[speakers, T]``, at the set's rate.

        Raises:
            AudioError: a file is missing or broken.
        """
        rate, count = self.header.sample_rate, mixture.samples
        sources = np.zeros((len(mixture.sources), count), np.float32)
        for row, source in zip(sources, mixture.sources, strict=True):
            place(row, audio.resample(*read_source(source.utterance), rate), source.offset)
            row *= np.float32(10 ** (source.gain_db / 20))
        if not mixture.wav:
            return sources.sum(axis=0), sources
        mixed = np.zeros(count, np.float32)
        place(mixed, audio.read(mixture.wav, rate)[0], 0)
        return mixed, sources


def read_source(utterance: Utterance) -> tuple[np.ndarray, int]:
    """Samples ``[T]`` of an utterance, and their rate in Hz."""
    return audio.read(utterance.wav, None, utterance.start, utterance.end)


def place(row: np.ndarray, samples: np.ndarray, offset: int) -> None:
    """Write ``samples`` into ``row`` from ``offset`` on; what lies outside is cut off."""
    first, last = max(offset, 0), min(offset + len(samples), len(row))
    if first < last:
        row[first:last] = samples[first - offset : last - offset]


def load_mixtures(path: Path, root: Path) -> MixtureSet:
    """Read a mixture set.

    Args:
        path: its folder, ``data/<set>``.

    Raises:
        DataError: not a mixture set, a broken line, an utterance that the set lacks.
    """
    if not (path / TABLE).is_file():
        raise DataError(
            f"{path} is not a set of mixtures: it has no {TABLE}.",
            "Make mixtures of a set with: speechkit mix --set SET",
        )
    header = _read_header(path / HEADER)
    data = load(path, root)
    utterances = {utterance.id: utterance for utterance in data.utterances}
    return MixtureSet(path, header, read_list(path / TABLE, utterances, root), data)


def read_list(path: Path, utterances: dict[str, Utterance], root: Path) -> list[Mixture]:
    """The mixtures of a list in the format of ``mixtures.tsv``, with ``mixtures.json`` beside it.

    Args:
        utterances: that it may name, by id.

    Raises:
        DataError: a broken line, an utterance that is not known.
    """
    mixtures = []
    for _, outcome in _parsed(path, _read_header(path.with_name(HEADER)), utterances, root):
        if isinstance(outcome, DataError):
            raise outcome
        mixtures.append(outcome)
    return mixtures


def find_faults(
    path: Path, root: Path, utterances: Iterable[str]
) -> Iterator[tuple[str, int | None, str]]:
    """Everything that is wrong with the list of a mixture set: (file, line, message).

    Args:
        path: a folder with ``mixtures.tsv``.
        utterances: ids that the set has.
    """
    try:
        header = _read_header(path / HEADER)
    except DataError as error:
        yield HEADER, None, error.problem
        return
    known = {name: Utterance(name, "", "") for name in utterances}
    for number, outcome in _parsed(path / TABLE, header, known, root):
        if isinstance(outcome, DataError):
            yield TABLE, number, outcome.problem.removeprefix(f"{path / TABLE}:{number}: ")
        elif outcome.wav and not Path(outcome.wav).is_file():
            yield TABLE, number, f"the stored mixture {outcome.wav} does not exist"


def _parsed(
    path: Path, header: Header, utterances: dict[str, Utterance], root: Path
) -> Iterator[tuple[int, Mixture | DataError]]:
    """Line number, and the mixture in it or what is wrong with it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    expected = columns(header.speakers)
    names = lines[0].split("\t") if lines else []
    if names not in (expected, [*expected, "wav"]):
        yield 1, DataError(f"{path}:1: expected the columns {' '.join(expected)} [wav].")
        return
    seen: set[str] = set()
    for number, line in enumerate(lines[1:], 2):
        try:
            mixture = _parse(line.split("\t"), names, utterances, f"{path}:{number}", root)
        except DataError as error:
            yield number, error
            continue
        if mixture.id in seen:
            yield number, DataError(f"{path}:{number}: the mixture '{mixture.id}' comes twice.")
        seen.add(mixture.id)
        yield number, mixture
    if len(lines) < 2:
        yield 1, DataError(f"{path}:1: lists no mixtures.")


def columns(speakers: int) -> list[str]:
    """Columns of ``mixtures.tsv`` without ``wav``."""
    each = [(f"utt{k}", f"gain{k}_db", f"offset{k}") for k in range(1, speakers + 1)]
    return ["mixture", "samples", *(name for names in each for name in names)]


def write_mixtures(folder: Path, header: Header, mixtures: Sequence[Mixture]) -> None:
    """Write ``mixtures.tsv`` and ``mixtures.json`` into a data directory of the sources.

    Args:
        mixtures: in the order of the list; ``wav`` is absolute or relative to the working
            directory, and stands in all of them or in none.
    """
    write_table(folder / TABLE, mixtures)
    write_json(folder / HEADER, asdict(header))


def write_table(path: Path, mixtures: Sequence[Mixture]) -> None:
    """Write a list of mixtures, at least one, in the format of ``mixtures.tsv``."""
    rows = []
    for mixture in mixtures:
        row = [mixture.id, str(mixture.samples)]
        for source in mixture.sources:
            gain = repr(round(source.gain_db, 6))  # 1e-6 dB is below the rounding of float32
            row += [source.utterance.id, gain, str(source.offset)]
        rows.append([*row, mixture.wav] if mixture.wav else row)
    names = columns(len(mixtures[0].sources))
    write_tsv(path, [*names, "wav"] if mixtures[0].wav else names, rows)


def _parse(
    fields: list[str], names: list[str], utterances: dict[str, Utterance], where: str, root: Path
) -> Mixture:
    if len(fields) != len(names):
        raise DataError(f"{where}: expected {len(names)} columns, found {len(fields)}.")
    row = dict(zip(names, fields, strict=True))
    sources = []
    try:
        samples = int(row["samples"])
        for k in range(1, (len(names) - 2) // 3 + 1):
            name = composed(row[f"utt{k}"])
            if name not in utterances:
                raise DataError(
                    f"{where}: the utterance '{name}' is not in the set.",
                    "Make the mixtures again with: speechkit mix ... --force",
                )
            gain, offset = float(row[f"gain{k}_db"]), int(row[f"offset{k}"])
            if not np.isfinite(gain):
                raise ValueError(f"the gain {gain} is not finite")
            sources.append(Source(utterances[name], gain, offset))
    except ValueError as error:
        raise DataError(f"{where}: a number was expected ({error}).") from None
    if samples <= 0:
        raise DataError(f"{where}: a mixture of {samples} samples.")
    if problem := check_path(row.get("wav", "")):
        raise DataError(f"{where}: {problem}.")
    wav = str(on_disk(root / row["wav"])) if row.get("wav") else ""
    return Mixture(row["mixture"], samples, tuple(sources), wav)


def _read_header(path: Path) -> Header:
    return read_json(path, Header, "Make the mixtures again.")


def check_rate(found: int, model_rate: int, resample: bool, what: str) -> None:
    """Refuse audio of another rate than the model's unless it may be resampled.

    Raises:
        UserError: the rates differ and ``resample`` is off.
    """
    if found != model_rate and not resample:
        raise UserError(
            f"{what} has {found} Hz, the model {model_rate} Hz.",
            "Resample it on the way with `resample`, or use data of the model's rate.",
        )
