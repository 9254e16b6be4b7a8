"""Make a set of fixed mixtures from a set of single speakers (the stage ``mix``)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from speechkit.base import answers, audio
from speechkit.base.answers import Answer
from speechkit.base.errors import AudioError, UserError
from speechkit.base.log import counted, logger
from speechkit.base.parallel import map_items
from speechkit.base.tables import write_skipped
from speechkit.kaldi import data
from speechkit.kaldi.subset import label_files
from speechkit.labels.mixtures import TABLE, Header
from speechkit.mining.config import hard_files, hard_folder
from speechkit.mining.sampler import HardPairSampler
from speechkit.separation import hard_mixtures, mixture_draws
from speechkit.separation.config import MixConfig
from speechkit.separation.hard_mixtures import HardMixtureDraws
from speechkit.separation.mixture_draws import Candidate, DrawnMixture, MixtureDraws, MixtureLevels
from speechkit.separation.mixture_files import counts, list_of, write_set
from speechkit.workdir import Output, WorkDir, check_name
from speechkit.workdir.manifest import read_manifest

POOL_FROM = 5_000  # fewer headers are read sooner than workers would start
Draws = MixtureDraws | HardMixtureDraws


def mix(
    work: WorkDir,
    config: MixConfig,
    name: str = "",
    jobs: int = 1,
    force: bool = False,
    executor: str = "local",
) -> Path:
    """Make ``data/<set>_2mix/`` and return it; its format is described in ``mixtures.py``.

    With hard pairs it is ``data/<set>_2mix-hard_<param>/``, and the random set is made first.

    Raises:
        UserError: too few speakers, or audio that cannot be mixed.
    """
    path = work.data(config.set)
    if (path / TABLE).is_file():
        raise UserError(
            f"The set '{config.set}' is a set of mixtures already.",
            "Give the set of single speakers that it was made of.",
        )
    source = data.load(path, work.root)
    made = f"{config.set}_{config.speakers}mix" + (f"-{name}" if name else "")
    inputs = label_files(path)
    pair = None
    if config.hard:
        mined = hard_folder(work.root, config.hard)
        made += f"-hard_{hard_mixtures.label(mined, config.set)}"
        random = mix(work, replace(config, hard="", share=1.0), name, jobs, executor=executor)
        inputs += [list_of(random), *hard_files(mined)]
        pair = (random, mined)
    final = work.root / "data" / check_name("set", made)
    with Output(final, "mix", config.params(), inputs, force, source.audio_files()) as out:
        if not out.up_to_date:
            _mix_into(out, source, config, jobs, work.root, pair, executor)
    logger.info(f"mixtures: {final}")
    return final


def _mix_into(
    out: Output,
    source: data.DataDir,
    config: MixConfig,
    jobs: int,
    root: Path,
    pair: tuple[Path, Path] | None = None,
    executor: str = "local",
) -> None:
    """Draw, measure and write the mixtures; ``pair`` is the random set and the hard pairs that
    its counterpart is made of."""
    pool, skipped = candidates(source, config, jobs)
    plain = MixtureDraws(
        pool, config.speakers, config.mode, (config.snr_min, config.snr_max), config.seed
    )
    draws: Draws = plain
    if pair is not None:
        random = hard_mixtures.random_plans(pair[0], root, pool, plain)
        sampler = HardPairSampler(pair[1])
        hard_mixtures.require_mined_on(sampler, source.utterances)
        draws = HardMixtureDraws(random, pool, sampler, config.share, config.seed)
    folder = out.path.resolve() / "audio" if config.write_audio else None
    plans, made, replaced = _mix_all(draws, config, folder, {"jobs": jobs, "executor": executor})
    skipped.update(replaced)
    if replaced:
        logger.warning(
            f"Others were chosen in the place of {counted(len(replaced), 'utterance')}, silent or "
            "broken where needed; see skipped.tsv."
        )
    audio_home = Path("data") / out.final.name / "audio" if config.write_audio else None
    header = Header(config.rate, config.speakers, config.mode, config.set)
    write_set(out.path, source, header, plans, made, audio_home)
    write_skipped(out.path, skipped.items())
    out.counts.update(counts(source, config.rate, plans, made, len(pool)), skipped=len(skipped))
    if pair is not None:
        same = sum(plan.sources == one.sources for plan, one in zip(plans, random, strict=True))
        out.counts["hard_mixtures"] = len(plans) - same
        out.notes["random_set"] = pair[0].name


def candidates(
    source: data.DataDir, config: MixConfig, jobs: int
) -> tuple[list[Candidate], dict[str, str]]:
    """Utterances that are long enough, and those whose headers are broken with the reason.

    Raises:
        UserError: fewer speakers than a mixture has sources.
    """
    pool, skipped, short, low = [], {}, 0, 0
    for done in map_items(
        partial(_length, rate=config.rate),
        source.utterances,
        jobs=jobs if len(source.utterances) > POOL_FROM else 1,
        on_error=config.on_error,
        chunk=500,
        name=lambda utterance: utterance.id,
        label="reading headers",
    ):
        if done.value is None:
            skipped[done.item.id] = done.error or ""
            continue
        samples, own_rate = done.value
        low += own_rate < config.rate
        if samples >= max(1, config.min_seconds * config.rate):
            pool.append(Candidate(done.item, samples))
        else:
            short += 1
    if short:
        logger.warning(f"Not used: {counted(short, 'utterance')} below {config.min_seconds:g} s.")
    if low:
        logger.warning(
            f"Resampled: {counted(low, 'utterance')} below {config.rate} Hz; the upper band of the "
            "mixtures stays empty. Lower `rate` avoids it."
        )
    speakers = {candidate.speaker for candidate in pool}
    if len(speakers) < config.speakers:
        raise UserError(
            f"The set '{config.set}' has {counted(len(speakers), 'speaker')} with utterances of "
            f"at least {config.min_seconds:g} s; mixtures of {config.speakers} need as many.",
            "Take a set with more speakers, or lower `min_seconds` or `speakers`.",
        )
    return pool, skipped


def _length(utterance: data.Utterance, rate: int) -> tuple[int, int]:
    """Samples at ``rate``, from the header, and the file's own rate."""
    found = audio.info(utterance.wav)
    first = round(utterance.start * found.sample_rate)
    last = found.frames
    if utterance.end is not None:
        last = min(last, round(utterance.end * found.sample_rate))
    if first >= last:
        raise AudioError(
            f"{utterance.wav}: the segment begins at {utterance.start} s, the recording is "
            f"{found.seconds:.3f} s long.",
            kind="outside",
        )
    return -(-(last - first) * rate // found.sample_rate), found.sample_rate


def _mix_all(
    draws: Draws, config: MixConfig, folder: Path | None, how: dict[str, Any]
) -> tuple[list[DrawnMixture], list[MixtureLevels], dict[str, str]]:
    """Every mixture with its gains, and utterances that others took the place of."""
    pending = draws.plans(config.count)
    plans, results = list(pending), [MixtureLevels()] * len(pending)
    tried: dict[int, set[str]] = {}
    replaced: dict[str, str] = {}
    if folder:
        for part in ("mix", *(f"s{k}" for k in range(1, config.speakers + 1))):
            (folder / part).mkdir(parents=True)
    make = partial(mixture_draws.mix_one, rate=config.rate, on_error=config.on_error, folder=folder)
    while pending:
        again = []
        for done in map_items(
            make, pending, chunk=8, name=lambda plan: plan.id, label="mix", unit="mixture", **how
        ):
            plan, value = done.item, done.value
            assert value is not None
            plans[plan.index], results[plan.index] = plan, value
            if value.bad:
                for k, reason in value.bad.items():
                    utterance = plan.sources[k].utterance.id
                    tried.setdefault(plan.index, set()).add(utterance)
                    replaced[utterance] = f"{plan.id}: {reason}"
                again.append(draws.again(plan, value.bad.keys(), tried[plan.index]))
        pending = again
    return plans, results, replaced


def answer(folder: Path) -> Answer:
    """What a set of mixtures holds."""
    found = dict((read_manifest(folder) or {}).get("counts", {}))
    return answers.output(folder, found, str(folder), ("measure", "value"), list(found.items()))
