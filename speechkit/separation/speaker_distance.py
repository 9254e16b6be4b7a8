"""Speaker distances of mixtures: how far their sources are apart (section 2.2 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from speechkit.base import parallel
from speechkit.base.audio import level_db
from speechkit.base.errors import ConfigError, DataError, UserError, command_line
from speechkit.base.log import counted, logger
from speechkit.base.text import composed
from speechkit.labels.mixtures import Mixture, MixtureSet
from speechkit.mining.inputs import read_values, read_vectors
from speechkit.separation.mixture_files import DRAWN
from speechkit.workdir import WorkDir

_SILENT_DB = -100.0  # level of a source below which it counts as silent


@dataclass(frozen=True)
class SpeakerDistance:
    """How far the speakers of every mixture are apart, in one respect ("parameter" of the paper).

    Args:
        name: column of ``pairs.tsv``, with its unit.
        title: for figures.
        values: mixture -> value; NaN where it is not defined.
    """

    name: str
    title: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Sources:
    """Files that distances come from, None where there is none.

    Args:
        prosody: ``prosody.tsv``.
        xvector: ``xvector.scp``.
        table: any table with a column ``utt``.
        columns: of ``table``.
    """

    prosody: Path | None
    xvector: Path | None
    table: Path | None = None
    columns: tuple[str, ...] = ()

    def files(self) -> list[Path]:
        """Everything that is read."""
        found = [path for path in (self.prosody, self.xvector, self.table) if path]
        ark = self.xvector.with_suffix(".ark") if self.xvector else None
        return [*found, ark] if ark and ark.is_file() else found


def find_sources(
    work: WorkDir,
    mixtures: MixtureSet,
    prosody: str = "",
    xvector: str = "",
    table: Path | None = None,
    columns: Sequence[str] = (),
) -> Sources:
    """What the distances of a mixture set are made of: files of the set, or of its source set.

    Stored sources are utterances of the mixture set alone. What is missing is said with the
    command that makes it.

    Raises:
        UserError: a table without columns, or a variant asked for by name that is not there.
    """
    if bool(table) != bool(columns):
        raise UserError(
            "`param_tsv` and `column` belong together.",
            "Name the table of utterances, and one or more of its columns.",
        )

    def find(kind: str, name: str, file: str) -> Path | None:
        source_set = "" if (mixtures.path / DRAWN).is_file() else mixtures.header.source_set
        sets = [s for s in (mixtures.path.name, source_set) if s]
        places = [work.exp(kind, each, name=name) / file for each in sets]
        if found := next((place for place in places if place.is_file()), None):
            return found
        made_by = command_line(f"extract-{kind}", set=sets[-1], name=name)
        if name:
            raise UserError(f"{places[-1]} does not exist.", f"Make it with: {made_by}")
        what = "pitch difference" if kind == "prosody" else "x-vector distance"
        logger.warning(f"The {what} is left out: {places[-1]} does not exist ({made_by}).")
        return None

    return Sources(
        find("prosody", prosody, "prosody.tsv"),
        find("xvector", xvector, "xvector.scp"),
        table,
        tuple(columns),
    )


def speaker_distances(
    sources: Sources, mixtures: MixtureSet, root: Path, jobs: int = 1
) -> list[SpeakerDistance]:
    """All distances of all mixtures; of three speakers and more, that of the closest pair.

    Raises:
        UserError: a table lacks an utterance or a column, or audio is broken.
    """
    used = {s.utterance.id: None for m in mixtures.mixtures for s in m.sources}
    utterances, found = list(used), []

    def of_numbers(name: str, title: str, values: np.ndarray) -> SpeakerDistance:
        place = dict(zip(utterances, values.tolist(), strict=True))
        apart = _of_pairs(mixtures, lambda a, b: abs(place[a] - place[b]))
        return SpeakerDistance(name, title, apart)

    if sources.prosody:
        pitch = read_values(sources.prosody, utterances, "pitch", "hz")
        found.append(of_numbers("pitch_difference_hz", "Pitch median difference (Hz)", pitch))
    found.append(_energy_ratio(mixtures, jobs))
    if sources.xvector:
        vectors = read_vectors(sources.xvector, root, utterances)
        found.append(_cosine(mixtures, utterances, vectors))
    for column in sources.columns:
        values = read_column(sources.table or Path(), column, utterances)
        found.append(of_numbers(f"{column}_difference", f"Difference of {column}", values))
    return found


def _of_pairs(mixtures: MixtureSet, distance: Callable[[str, str], float]) -> dict[str, float]:
    """Smallest distance of two sources of each mixture; NaN if one of them has none."""
    found = {}
    for mixture in mixtures.mixtures:
        names = [source.utterance.id for source in mixture.sources]
        # np.min, unlike min, keeps a NaN: without it the closest pair is not known.
        found[mixture.id] = float(np.min([distance(a, b) for a, b in combinations(names, 2)]))
    return found


def _cosine(
    mixtures: MixtureSet, utterances: Sequence[str], vectors: np.ndarray
) -> SpeakerDistance:
    """Cosine distance of x-vectors; a vector of zeros (a skipped utterance) has none."""
    wide = vectors.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    unit = wide / np.where(norms > 0, norms, np.nan)
    row = {utterance: k for k, utterance in enumerate(utterances)}
    apart = _of_pairs(mixtures, lambda a, b: 1 - float(unit[row[a]] @ unit[row[b]]))
    return SpeakerDistance("xvector_distance", "Cosine distance (of x-vectors)", apart)


def _energy_ratio(mixtures: MixtureSet, jobs: int) -> SpeakerDistance:
    run = partial(energy_ratio, mixtures)
    items = mixtures.mixtures
    done = parallel.map_items(
        run, items, jobs=jobs, chunk=16, name=lambda m: m.id, label="energies", unit="mixture"
    )
    values = {d.item.id: float("nan") if d.value is None else d.value for d in done}
    return SpeakerDistance("energy_ratio_db", "Energy ratio (dB)", values)


def energy_ratio(mixtures: MixtureSet, mixture: Mixture) -> float:
    """10 |log10(E1 / E2)| in dB (Eq. 1) of the sources as they stand in the mixture.

    After gain and cut, over the length of the mixture; NaN with a silent source. Of three
    speakers, that of the two nearest in level.
    """
    _, sources = mixtures.read(mixture)
    levels = np.array([level_db(source) for source in sources])
    level = np.where(levels > _SILENT_DB, levels, np.nan)
    return float(np.min([abs(a - b) for a, b in combinations(level, 2)]))


def read_column(table: Path, column: str, utterances: Sequence[str]) -> np.ndarray:
    """A number of each utterance, NaN where it is empty.

    Args:
        table: tab-separated with a header and a column ``utt``.
        column: to be read.
        utterances: ids, in the order of the result.

    Raises:
        UserError: no such table, column or utterance, or a value that is not a number.
    """
    try:
        read = pd.read_csv(table, sep="\t", quoting=3, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ConfigError("param_tsv", f"{table} cannot be read: {error}.") from error
    for name in ("utt", column):
        if name not in read:
            raise ConfigError(
                "param_tsv",
                f"{table} has no column '{name}'.",
                f"Its columns are: {', '.join(map(str, read.columns))}; 'utt' is needed.",
            )
    read["utt"] = read["utt"].map(composed)
    if twice := read["utt"][read["utt"].duplicated()].tolist():
        raise DataError(f"{table}: the utterance '{twice[0]}' comes twice.")
    try:
        values = pd.to_numeric(read[column].replace("", "nan")).set_axis(read["utt"])
    except ValueError as error:
        raise DataError(f"{table}: column '{column}' holds more than numbers ({error}).") from None
    missing = [utterance for utterance in utterances if utterance not in values.index]
    if missing:
        raise UserError(
            f"{table} lacks {len(missing)} of the {counted(len(utterances), 'utterance')} of the "
            f"mixtures ({', '.join(missing[:3])}).",
            "Leave the value of an utterance empty if it has none.",
        )
    return values.loc[list(utterances)].to_numpy(float)
