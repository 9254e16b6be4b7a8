"""Make a set of fixed mixtures from a set of single speakers (the stage ``mix``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import audio
from speechkit.base.errors import AudioError, UserError
from speechkit.base.log import logger
from speechkit.base.parallel import map_items
from speechkit.base.tables import write_skipped, write_tsv
from speechkit.kaldi import data
from speechkit.kaldi.subset import label_files, write_subset
from speechkit.labels.mixtures import TABLE, Header, Mixture, Source, write_mixtures, write_table
from speechkit.separation.config import MixConfig
from speechkit.separation.mixture_draws import (
    Candidate,
    DrawnMixture,
    MixtureDraws,
    MixtureLevels,
    mix_one,
)
from speechkit.workdir import Output, WorkDir, check_name
from speechkit.workdir.manifest import read_manifest

POOL_FROM = 5_000  # fewer headers are read sooner than workers would start
DRAWN, LEVELS = "drawn.tsv", "levels.tsv"


def mix(
    work: WorkDir, config: MixConfig, name: str = "", jobs: int = 1, force: bool = False
) -> Path:
    """Make ``data/<set>_2mix/`` and return it; its format is described in ``mixtures.py``.

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
    final = work.root / "data" / check_name("set", made)
    inputs = label_files(path)
    params = asdict(config)
    with Output(final, "mix", params, inputs, force, source.audio_files()) as out:
        if not out.up_to_date:
            _mix_into(out, source, config, jobs)
    logger.info(f"mixtures: {final}")
    return final


def _mix_into(out: Output, source: data.DataDir, config: MixConfig, jobs: int) -> None:
    pool, skipped = candidates(source, config, jobs)
    draws = MixtureDraws(
        pool, config.speakers, config.mode, (config.snr_min, config.snr_max), config.seed
    )
    folder = out.path / "audio" if config.write_audio else None
    plans, made, replaced = _mix_all(draws, config, folder, jobs)
    skipped.update(replaced)
    if replaced:
        logger.warning(
            f"{len(replaced)} utterances were silent or broken where they would be used, and "
            "others were chosen in their place; see skipped.tsv."
        )
    audio_home = Path("data") / out.final.name / "audio" if config.write_audio else None
    header = Header(config.rate, config.speakers, config.mode, config.set)
    write_set(out.path, source, header, plans, made, audio_home)
    write_skipped(out.path, skipped.items())
    out.counts.update(counts(source, config.rate, plans, made, len(pool)), skipped=len(skipped))


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
        logger.warning(f"{short} utterances are shorter than {config.min_seconds:g} s: not used.")
    if low:
        logger.warning(
            f"{low} utterances have a lower rate than {config.rate} Hz: they are resampled, but "
            "the upper band of the mixtures stays empty. Lower `rate` avoids it."
        )
    speakers = {candidate.speaker for candidate in pool}
    if len(speakers) < config.speakers:
        raise UserError(
            f"The set '{config.set}' has {len(speakers)} speaker(s) with utterances of at least "
            f"{config.min_seconds:g} s; a mixture of {config.speakers} needs as many speakers.",
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
    draws: MixtureDraws, config: MixConfig, folder: Path | None, jobs: int
) -> tuple[list[DrawnMixture], list[MixtureLevels], dict[str, str]]:
    """Every mixture with its gains, and utterances that others took the place of."""
    pending = draws.plans(config.count)
    plans, results = list(pending), [MixtureLevels()] * len(pending)
    tried: dict[int, set[str]] = {}
    replaced: dict[str, str] = {}
    if folder:
        for part in ("mix", *(f"s{k}" for k in range(1, config.speakers + 1))):
            (folder / part).mkdir(parents=True)
    make = partial(mix_one, rate=config.rate, on_error=config.on_error, folder=folder)
    while pending:
        again = []
        for done in map_items(
            make, pending, jobs=jobs, chunk=8, name=lambda plan: plan.id, label="mix", unit="mix"
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


def summary(folder: Path) -> dict[str, Any]:
    """What a set of mixtures holds, name -> value."""
    return dict((read_manifest(folder) or {}).get("counts", {}))


def write_set(
    folder: Path,
    source: data.DataDir,
    header: Header,
    plans: Sequence[DrawnMixture],
    made: Sequence[MixtureLevels],
    audio: Path | None,
) -> None:
    """Write a mixture set.

    Args:
        folder: the unfinished folder of the set.
        source: the set that the utterances are taken from.
        header: what holds for all mixtures.
        plans: the mixtures.
        made: their gains and levels.
        audio: where the audio is stored, relative to the working directory; None if it is
            mixed when it is read.
    """
    drawn = [_drawn(plan, one) for plan, one in zip(plans, made, strict=True)]
    if audio is None:
        write_subset(source, folder, {s.utterance.id for plan in plans for s in plan.sources})
        write_mixtures(folder, header, drawn)
    else:
        stored = [_stored(plan, audio) for plan in plans]
        _write_sources(folder, source, header, plans, stored)
        write_mixtures(folder, header, stored)
        write_table(folder / DRAWN, drawn)
    _write_levels(folder / LEVELS, plans, made)


def _drawn(plan: DrawnMixture, made: MixtureLevels) -> Mixture:
    sources = zip(plan.sources, made.gains_db, plan.offsets, strict=True)
    return Mixture(
        plan.id, plan.samples, tuple(Source(c.utterance, gain, at) for c, gain, at in sources)
    )


def _stored(plan: DrawnMixture, audio: Path) -> Mixture:
    """The mixture with its stored sources, whose ids are ``<speaker>-<mixture>``."""
    sources = tuple(
        Source(
            data.Utterance(
                f"{one.speaker}-{plan.id}", str(audio / f"s{k}" / f"{plan.id}.wav"), one.speaker
            )
        )
        for k, one in enumerate(plan.sources, 1)
    )
    return Mixture(plan.id, plan.samples, sources, str(audio / "mix" / f"{plan.id}.wav"))


def _write_sources(
    folder: Path,
    source: data.DataDir,
    header: Header,
    plans: Sequence[DrawnMixture],
    stored: Sequence[Mixture],
) -> None:
    """The data directory of stored sources; those that may be cut have no transcript."""
    wavs, speakers, seconds, text = {}, {}, {}, {}
    for plan, mixture in zip(plans, stored, strict=True):
        for one, at in zip(mixture.sources, plan.sources, strict=True):
            name = one.utterance.id
            wavs[name], speakers[name] = one.utterance.wav, one.utterance.speaker
            seconds[name] = f"{plan.samples / header.sample_rate:.4f}"
            if header.mode == "max" and at.utterance.id in source.text:
                text[name] = source.text[at.utterance.id]
    heard = set(speakers.values())
    tables = {
        "utt2dur": seconds,
        "text": text,
        "spk2gender": {name: value for name, value in source.gender.items() if name in heard},
        "spk2age": {name: value for name, value in source.age.items() if name in heard},
    }
    data.write(folder, wavs, speakers, **tables)


def _write_levels(path: Path, plans: Sequence[DrawnMixture], made: Sequence[MixtureLevels]) -> None:
    """RMS of each source over the mixture, and peak of the mixture, in dBFS."""
    speakers = len(plans[0].sources)
    names = ["mixture", *(f"level{k}_db" for k in range(1, speakers + 1)), "peak_db"]
    rows = [
        [plan.id, *(f"{level:.3f}" for level in one.levels_db), f"{20 * np.log10(one.peak):.3f}"]
        for plan, one in zip(plans, made, strict=True)
    ]
    write_tsv(path, names, rows)


def counts(
    source: data.DataDir,
    rate: int,
    plans: Sequence[DrawnMixture],
    made: Sequence[MixtureLevels],
    pool: int,
) -> dict[str, Any]:
    """What the set holds, for the manifest and the table at the end.

    Args:
        source: the set that the utterances are taken from.
        rate: of the mixtures in Hz.
        plans: the mixtures.
        made: their gains and levels.
        pool: number of utterances that could be used.
    """
    uses = Counter(s.utterance.id for plan in plans for s in plan.sources)
    genders = Counter(
        "".join(sorted(source.gender.get(s.speaker, "?").upper() for s in plan.sources))
        for plan in plans
    )
    seconds = np.array([plan.samples for plan in plans]) / rate
    snr = np.array([[one.levels_db[0] - level for level in one.levels_db[1:]] for one in made])
    least = min(uses.values()) if len(uses) == pool else 0
    return {
        "mixtures": len(plans),
        "hours": round(float(seconds.sum()) / 3600, 4),
        "shortest_s": round(float(seconds.min()), 3),
        "mean_s": round(float(seconds.mean()), 3),
        "longest_s": round(float(seconds.max()), 3),
        "speakers": len({s.speaker for plan in plans for s in plan.sources}),
        "utterances": len(uses),
        "least_uses_of_an_utterance": least,
        "most_uses_of_an_utterance": max(uses.values()),
        **{f"mixtures_{pair}": number for pair, number in sorted(genders.items())},
        "lowest_snr_db": round(float(snr.min()), 2),
        "mean_snr_db": round(float(snr.mean()), 2),
        "highest_snr_db": round(float(snr.max()), 2),
        "highest_peak_dbfs": round(float(20 * np.log10(max(one.peak for one in made))), 2),
        "turned_down": sum(one.turned_down_db > 0 for one in made),
    }
