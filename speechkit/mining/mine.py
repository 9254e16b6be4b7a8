"""The stage ``mine-hard``: parameters of a set in, a folder of hard pairs out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from speechkit.base import answers, schema
from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.base.parallel import require_executor
from speechkit.base.tables import write_json
from speechkit.mining import inputs
from speechkit.mining.config import MiningConfig
from speechkit.mining.distance import Cosine, Difference
from speechkit.mining.inputs import COLUMN, SKIPPED, MiningProblem, Population
from speechkit.mining.sampler import write_thresholds
from speechkit.mining.search import Machines, find_hard_sets
from speechkit.workdir import Output, WorkDir

STORE_PAIRS_BELOW = 1 << 30  # bytes


def mine(
    work: WorkDir,
    config: MiningConfig,
    name: str = "",
    device: str = "auto",
    force: bool = False,
    executor: str = "local",
) -> Path:
    """Run mine-hard and return its output folder.

    Source: Wang et al., "Mining hard samples locally and globally for improved speech
    separation", sections 2.2 and 2.3.

    Args:
        work: the working directory.
        config: what is mined.
        name: suffix of the output folder.
        device: auto, cpu or cuda; numbers are always compared on the CPU.
        force: replace what other settings made.
        executor: local or dask://HOST:PORT, for blocks of pivots.

    Raises:
        UserError: bad input; see the documentation of the stage.
    """
    machines = Machines(device if config.param == "xvector" else "cpu", executor)
    source, data = config.source(work), work.data(config.set)
    beside = (source.with_suffix(".ark"), source.parent / SKIPPED)
    files = [source, *(path for path in beside if path.is_file())]
    files += [p for n in ("utt2spk", "spk2gender", "spk2age") if (p := data / n).is_file()]
    final = config.output(work, name)
    with Output(final, "mine-hard", asdict(config), files, force=force, resume=True) as out:
        if not out.up_to_date:
            _mine_into(out, config, inputs.read_population(data), source, work, machines)
    logger.info(f"hard pairs: {final}")
    return final


def _mine_into(
    out: Output,
    config: MiningConfig,
    population: Population,
    source: Path,
    work: WorkDir,
    machines: Machines,
) -> None:
    from speechkit.mining.summary import summarise

    require_executor(machines.executor)
    distance, valid = _read_parameter(config, source, work, population)
    problem = MiningProblem(
        distance=distance,
        population=population,
        groups=population.groups(config.same_gender),
        valid=valid,
        pm=config.pm,
        seed=config.seed,
        candidates=config.candidates,
    )
    m = problem.hard_set_sizes()
    _warn_of_left_out(config, m, valid)
    pairs = config.store == "pairs" or (
        config.store == "auto"
        and not config.candidates
        and 4 * int(m.sum()) + 8 * (len(m) + 1) < STORE_PAIRS_BELOW
    )
    found = find_hard_sets(problem, m, out, pairs, machines)
    write_thresholds(out.path, population.utterances, found)
    summary = summarise(out.path, problem, found, asdict(config), pairs)
    write_json(out.path / "summary.json", summary, ascii_only=False)
    out.counts.update(summary["counts"])


def _read_parameter(
    config: MiningConfig, source: Path, work: WorkDir, population: Population
) -> tuple[Difference | Cosine, np.ndarray]:
    """The distance between utterances, and which utterances have a valid parameter."""
    if config.param == "xvector":
        cosine = Cosine(inputs.read_vectors(source, work.root, population.utterances))
        return cosine, cosine.norms > 0
    values = inputs.read_values(source, population.utterances, config.param, config.pitch_unit)
    return Difference(values), np.isfinite(values)


def _warn_of_left_out(config: MiningConfig, m: np.ndarray, valid: np.ndarray) -> None:
    """Say how many utterances take no part, or raise UserError if none is left."""
    invalid, alone = int((~valid).sum()), int((valid & (m == 0)).sum())
    lacks = {"pitch": "pitch (unvoiced)", "energy": "energy", "xvector": "an x-vector"}
    lack = f"{counted(invalid, 'utterance')} without {lacks[config.param]}"
    single = f"{counted(alone, 'utterance')} without another speaker" + (
        " of that gender" if config.same_gender else ""
    )
    if not m.any():
        raise UserError(
            f"No utterance of the set '{config.set}' has a candidate: {lack}, {single}.",
            f"Check {COLUMN.get(config.param, 'the x-vectors')} and the speakers of the set.",
        )
    for number, what in ((invalid, lack), (alone, single)):
        if number:
            logger.warning(f"No hard pairs (m = 0) of {what}.")


def answer(folder: Path) -> Answer:
    """The hardest pairs of speakers."""
    found = schema.read_json(folder / "summary.json", schema.Object)
    rows = [list(row.values()) for row in found["hardest_speaker_pairs"]]
    columns = ("speaker A", "speaker B", "genders", "hard %", "mean distance")
    title = f"Hardest speaker pairs ({found['distance_unit']})"
    return answers.output(folder, found, title, columns, rows)
