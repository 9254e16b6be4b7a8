"""What is mined: who speaks which utterance, the parameter of every utterance, and P_M."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from speechkit.base.errors import DataError, UserError
from speechkit.base.log import counted
from speechkit.base.text import composed, some
from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkTable, finite
from speechkit.mining.distance import Cosine, Difference
from speechkit.mining.sorted_search import Others, sorted_others

COLUMN = {"pitch": "f0_median_hz", "energy": "energy"}
SKIPPED = "skipped.tsv"


@dataclass
class Population:
    """The utterances of a set and their speakers; row k is the k-th utterance.

    Args:
        utterances: ids in set order.
        speakers: ``[N]`` int32 speaker numbers.
        names: speaker ids by number.
        gender: by speaker number, ``""`` where unknown.
        age: by speaker number in years, NaN where unknown.
    """

    utterances: list[str]
    speakers: np.ndarray
    names: list[str]
    gender: list[str] = field(default_factory=list)
    age: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def groups(self, same_gender: bool) -> np.ndarray:
        """``[N]`` int32: number of the gender of each utterance, or 0 for all."""
        if not same_gender:
            return np.zeros(len(self.utterances), np.int32)
        unknown = [name for name, gender in zip(self.names, self.gender, strict=True) if not gender]
        if unknown:
            raise UserError(
                f"`same_gender`: the gender of {len(unknown)} of "
                f"{counted(len(self.names), 'speaker')} is not known ({some(unknown)}).",
                "Add lines 'speaker m' or 'speaker f' to spk2gender of the set.",
            )
        numbers = {gender: k for k, gender in enumerate(sorted(set(self.gender)))}
        return np.array([numbers[g] for g in self.gender], np.int32)[self.speakers]


@dataclass
class MiningProblem:
    """What is to be mined.

    Args:
        distance: between utterances.
        population: the set.
        groups: ``[N]`` only utterances of one group are candidates of each other.
        valid: ``[N]`` utterances with a valid parameter.
        pm: proportion of hard pairs.
        seed: of the draws.
        candidates: random candidates per pivot; 0 takes all.
    """

    distance: Difference | Cosine
    population: Population
    groups: np.ndarray
    valid: np.ndarray
    pm: float
    seed: int = 0
    candidates: int = 0

    def others(self) -> Others:
        """Valid utterances of other speakers in set order."""
        speakers = self.population.speakers
        return sorted_others(np.zeros(len(speakers)), speakers, self.groups, self.valid)

    def totals(self) -> np.ndarray:
        """``[N]`` number of candidates of each utterance; 0 for those that take no part."""
        total = self.others().total(self.population.speakers)
        return np.where(self.valid, total, 0)

    def hard_set_sizes(self) -> np.ndarray:
        """``[N]`` sizes of the hard sets: ``max(1, round(pm x candidates))``, 0 without any."""
        total = self.totals()
        return np.where(total > 0, np.maximum(1, np.rint(self.pm * total)), 0).astype(np.int64)


def read_population(folder: Path) -> Population:
    """Read ``utt2spk`` and, where present, ``spk2gender`` and ``spk2age`` of a set.

    Raises:
        DataError: a table is missing or broken.
        UserError: fewer than two speakers.
    """
    if not (folder / "utt2spk").is_file():
        raise DataError(f"{folder} has no utt2spk.", "It is not a Kaldi data directory.")
    speaker_of = data.read_table(folder / "utt2spk")
    names = sorted(set(speaker_of.values()))
    if len(names) < 2:
        raise UserError(
            f"{folder} has {len(names)} speaker{'s' * (len(names) != 1)}; "
            "hard pairs are of different speakers.",
            "Give a set with two or more speakers with `set_name`.",
        )
    number = {name: k for k, name in enumerate(names)}
    gender, age = _optional(folder / "spk2gender"), _optional(folder / "spk2age")
    return Population(
        utterances=list(speaker_of),
        speakers=np.array([number[name] for name in speaker_of.values()], np.int32),
        names=names,
        gender=[gender.get(name, "") for name in names],
        age=np.array([_years(folder / "spk2age", name, age.get(name, "nan")) for name in names]),
    )


def _optional(path: Path) -> dict[str, str]:
    return data.read_table(path) if path.is_file() else {}


def _years(path: Path, speaker: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{path}: the age of '{speaker}' is '{text}', not a number.") from None


def read_values(table: Path, utterances: Sequence[str], param: str, unit: str) -> np.ndarray:
    """Pitch or energy of each utterance, in the unit in which distances are taken.

    Args:
        table: ``prosody.tsv``.
        utterances: ids, in the order of the result.
        param: ``pitch`` or ``energy``.
        unit: of pitch, ``hz`` or ``semitones`` (12 log2 f0); energy is 10 log10 E, dB.

    Returns:
        ``[N]`` float64; NaN without voiced frames, without energy, or if the utterance was
        skipped when the table was made.

    Raises:
        DataError: the table breaks its format.
        UserError: an utterance is missing.
    """
    found = _read_column(table, COLUMN[param])
    _require_all(utterances, found, table, "extract-prosody")
    raw = np.array([found.get(utterance, np.nan) for utterance in utterances])
    positive = np.where(raw > 0, raw, np.nan)
    if param == "energy":
        return 10 * np.log10(positive)
    return positive if unit == "hz" else 12 * np.log2(positive)


def _read_column(table: Path, column: str) -> dict[str, float]:
    with table.open(encoding="utf-8", errors="replace") as file:
        header = file.readline().rstrip("\n").split("\t")
        missing = [name for name in ("utt", column) if name not in header]
        if missing:
            raise DataError(
                f"{table}: the header has no column '{missing[0]}' (found: {', '.join(header)}).",
                "Make the table with: speechkit extract-prosody",
            )
        key, value = header.index("utt"), header.index(column)
        found: dict[str, float] = {}
        for number, line in enumerate(file, 2):
            fields = line.rstrip("\n").split("\t")
            try:
                found[composed(fields[key])] = x = float(fields[value])
            except (IndexError, ValueError):
                x = np.inf
            if x < 0 or x == np.inf:
                shown = line.rstrip("\n")
                raise DataError(
                    f"{table}:{number}: expected a {column} of 0 or more, or nan, found '{shown}'.",
                    "Make the table again with: speechkit extract-prosody --force",
                )
    return found


def read_vectors(scp: Path, root: Path, utterances: Sequence[str]) -> np.ndarray:
    """Vectors ``[N, D]`` float32 in the order of ``utterances``; zeros for skipped ones.

    Raises:
        DataError: lengths differ, a value is not finite, or the archive is damaged.
        UserError: an utterance is missing.
    """
    table = ArkTable(scp, root)
    _require_all(utterances, table.entries, scp, "extract-xvector")
    vectors = np.zeros((0, 0), np.float32)
    try:
        for row, utterance in enumerate(utterances):
            if utterance not in table.entries:
                continue
            vector = table[utterance]
            if not vectors.size:
                vectors = np.zeros((len(utterances), vector.size), np.float32)
            _check_vector(vector, vectors.shape[1], f"{scp}: entry '{utterance}'")
            vectors[row] = vector
    finally:
        table.close()
    return vectors


def _check_vector(vector: np.ndarray, size: int, where: str) -> None:
    if vector.ndim != 1 or vector.size != size:
        raise DataError(f"{where} has the shape {vector.shape}; expected a vector of {size}.")
    if not finite(vector):
        raise DataError(
            f"{where} has values that are not finite, or beyond 1e15.",
            "Extract the vectors again with: speechkit extract-xvector --force",
        )


def _require_all(
    utterances: Sequence[str], found: dict[str, float] | dict[str, str], table: Path, stage: str
) -> None:
    """UserError if an utterance is neither in the table nor listed as skipped beside it."""
    skipped = set()
    if (table.parent / SKIPPED).is_file():
        lines = (table.parent / SKIPPED).read_text(encoding="utf-8").splitlines()
        skipped = {line.split("\t")[0] for line in lines}
    missing = [u for u in utterances if u not in found and u not in skipped]
    if missing:
        raise UserError(
            f"{table} lacks {len(missing)} of the {counted(len(utterances), 'utterance')} of the "
            f"set ({some(missing)}).",
            f"Run `speechkit {stage}` on this set again.",
        )
