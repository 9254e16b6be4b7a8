"""The files of a set of mixtures: the list, the data directory of its sources, levels, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base.tables import write_tsv
from speechkit.kaldi import data
from speechkit.kaldi.subset import write_subset
from speechkit.labels.mixtures import TABLE, Header, Mixture, Source, write_mixtures, write_table
from speechkit.separation.mixture_draws import DrawnMixture, MixtureLevels

DRAWN, LEVELS = "drawn.tsv", "levels.tsv"


def list_of(folder: Path) -> Path:
    """The list of utterances that the mixtures of a set were made of."""
    return folder / DRAWN if (folder / DRAWN).is_file() else folder / TABLE


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
        **{f"mixtures_{pair}": n for pair, n in sorted(genders.items()) if set(pair) != {"?"}},
        "lowest_snr_db": round(float(snr.min()), 2),
        "mean_snr_db": round(float(snr.mean()), 2),
        "highest_snr_db": round(float(snr.max()), 2),
        "highest_peak_dbfs": round(float(20 * np.log10(max(one.peak for one in made))), 2),
        "turned_down": sum(one.turned_down_db > 0 for one in made),
    }
