"""The stage ``mine-hard``: parameters of a set in, a folder of hard pairs out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import schema
from speechkit.base.errors import ConfigError, UserError, command_line, require_choice
from speechkit.base.log import logger
from speechkit.base.tables import write_json
from speechkit.mining.distance import Cosine, Difference
from speechkit.mining.inputs import (
    COLUMN,
    SKIPPED,
    Population,
    read_population,
    read_values,
    read_vectors,
)
from speechkit.mining.matrix import resolve_device
from speechkit.mining.sampler import write_thresholds
from speechkit.mining.search import Problem, run
from speechkit.workdir import Output, WorkDir

PARAMS = ("pitch", "energy", "xvector")
DEFAULT_PM = {"pitch": 0.02, "energy": 0.02, "xvector": 0.04}
STORE_PAIRS_BELOW = 1 << 30  # bytes


@dataclass(frozen=True)
class Settings:
    """What determines a result of mine-hard.

    Args:
        param: ``pitch``, ``energy`` or ``xvector``.
        pm: proportion of each pivot's pairs that is hard (P_M of the paper), in (0, 1].
        set: the set to mine.
        same_gender: only partners of the pivot's gender.
        store: ``pairs``, ``thresholds``, or ``auto`` (pairs if they take under 1 GiB).
        candidates: estimate thresholds from this many random partners; 0 is exact.
        pitch_unit: ``hz`` or ``semitones``.
        prosody: variant of ``exp/prosody/<set>`` to read.
        xvector: variant of ``exp/xvector/<set>`` to read.
        seed: of the candidates and of the pairs drawn for the summary.

    Raises:
        UserError: a value that is not accepted.
    """

    param: str
    pm: float
    set: str = "train"
    same_gender: bool = False
    store: str = "auto"
    candidates: int = 0
    pitch_unit: str = "hz"
    prosody: str = ""
    xvector: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("param", self.param, PARAMS)
        require_choice("store", self.store, ("auto", "thresholds", "pairs"))
        require_choice("pitch_unit", self.pitch_unit, ("hz", "semitones"))
        if not 0 < self.pm <= 1:
            raise ConfigError(
                "pm",
                f"{self.pm:g} is not a proportion.",
                "Give the share of pairs that is hard, above 0 and at most 1 (0.04 is 4 %).",
            )
        if self.seed < 0:
            raise ConfigError("seed", f"{self.seed} is negative.", "Give 0 or a positive number.")
        if self.candidates and self.store == "pairs":
            raise UserError(
                "`candidates` estimates thresholds and finds no pairs, so `store` pairs "
                "cannot be had with it.",
                "Leave out one of the two.",
            )
        if self.candidates < 0 or 0 < self.candidates * self.pm < 1:
            least = int(np.ceil(1 / self.pm))
            raise ConfigError(
                "candidates",
                f"{self.candidates} is too few to find the nearest {self.pm:g}.",
                f"Give at least {least} (better {100 * least}), or 0 for exact mining.",
            )

    def output(self, work: WorkDir, name: str = "") -> Path:
        """``exp/hard/<param>_pm<P_M>[-name]``; 0.04, .04 and 4e-2 are the same folder."""
        pm = format(Decimal(repr(float(self.pm))), "f")
        pm = pm.rstrip("0").rstrip(".") if "." in pm else pm
        return work.exp("hard", f"{self.param}_pm{pm}", name=name)

    def source(self, work: WorkDir) -> Path:
        """The parameter file that is read; UserError if it is not there."""
        data = work.data(self.set)
        if self.param == "xvector":
            path = work.exp("xvector", self.set, name=self.xvector) / "xvector.scp"
            stage, name = "extract-xvector", self.xvector
        else:
            path = work.exp("prosody", self.set, name=self.prosody) / "prosody.tsv"
            stage, name = "extract-prosody", self.prosody
        return work.require(path, command_line(stage, set=data.name, name=name))


def mine(
    work: WorkDir, settings: Settings, name: str = "", device: str = "auto", force: bool = False
) -> Path:
    """Run mine-hard and return its output folder.

    Source: Wang et al., "Mining hard samples locally and globally for improved speech
    separation", sections 2.2 and 2.3.

    Raises:
        UserError: bad input; see the documentation of the stage.
    """
    backend = resolve_device(device if settings.param == "xvector" else "cpu")
    source, data = settings.source(work), work.data(settings.set)
    inputs = [source, *_beside(source)]
    inputs += [p for n in ("utt2spk", "spk2gender", "spk2age") if (p := data / n).is_file()]
    final = settings.output(work, name)
    with Output(final, "mine-hard", asdict(settings), inputs, force=force, resume=True) as out:
        if not out.up_to_date:
            _mine_into(out, settings, read_population(data), source, work, backend)
    logger.info(f"hard pairs: {final}")
    return final


def _beside(source: Path) -> list[Path]:
    """The archive of an scp, and the list of skipped utterances, where they are."""
    near = (source.with_suffix(".ark"), source.parent / SKIPPED)
    return [path for path in near if path.is_file()]


def _mine_into(
    out: Output,
    settings: Settings,
    population: Population,
    source: Path,
    work: WorkDir,
    device: str,
) -> None:
    from speechkit.mining.summary import summarise

    distance, valid = _read_parameter(settings, source, work, population)
    problem = Problem(
        distance=distance,
        population=population,
        groups=population.groups(settings.same_gender),
        valid=valid,
        pm=settings.pm,
        seed=settings.seed,
        candidates=settings.candidates,
    )
    m = problem.sizes()
    _warn_of_left_out(settings, m, valid)
    pairs = settings.store == "pairs" or (
        settings.store == "auto"
        and not settings.candidates
        and 4 * int(m.sum()) + 8 * (len(m) + 1) < STORE_PAIRS_BELOW
    )
    found = run(problem, m, out, pairs, device)
    write_thresholds(out.path, population.utterances, found)
    summary = summarise(out.path, problem, found, asdict(settings), pairs)
    write_json(out.path / "summary.json", summary, ascii_only=False)
    out.counts.update(summary["counts"])


def _read_parameter(
    settings: Settings, source: Path, work: WorkDir, population: Population
) -> tuple[Difference | Cosine, np.ndarray]:
    """The distance between utterances, and which utterances have a valid parameter."""
    if settings.param == "xvector":
        cosine = Cosine(read_vectors(source, work.root, population.utterances))
        return cosine, cosine.norms > 0
    values = read_values(source, population.utterances, settings.param, settings.pitch_unit)
    return Difference(values), np.isfinite(values)


def _warn_of_left_out(settings: Settings, m: np.ndarray, valid: np.ndarray) -> None:
    """Say how many utterances take no part, or raise UserError if none is left."""
    invalid, alone = int((~valid).sum()), int((valid & (m == 0)).sum())
    lacks = {"pitch": "pitch (unvoiced)", "energy": "energy", "xvector": "an x-vector"}
    lack = f"{invalid} utterances without {lacks[settings.param]}"
    single = f"{alone} utterances without another speaker" + (
        " of their gender" if settings.same_gender else ""
    )
    if not m.any():
        raise UserError(
            f"No utterance of the set '{settings.set}' has a candidate: {lack}, {single}.",
            f"Check {COLUMN.get(settings.param, 'the x-vectors')} and the speakers of the set.",
        )
    for number, what in ((invalid, lack), (alone, single)):
        if number:
            logger.warning(f"{what} have no hard pairs (m = 0).")


def read_summary(folder: Path) -> dict[str, Any]:
    """``summary.json`` of a finished folder."""
    return schema.read_json(folder / "summary.json", schema.Object)


def default_pm(param: str) -> float:
    """P_M of the paper's best results (table 2): 0.02 for pitch, 0.04 for x-vectors.

    Energy has no result of its own in the paper and takes that of pitch.
    """
    require_choice("param", param, PARAMS)
    return DEFAULT_PM[param]
