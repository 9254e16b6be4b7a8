"""Write sets of published mixtures: what WSJ0-2mix and LibriMix share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.base.tables import write_skipped
from speechkit.corpora.write import OTHER_DIR, take_usable
from speechkit.kaldi import data
from speechkit.labels.mixtures import Header, Mixture, write_mixtures
from speechkit.workdir import Output, WorkDir, check_name
from speechkit.workdir.manifest import read_manifest

COLUMNS = (
    "set", "mixtures", "sources", "speakers", "female", "male", "rate", "mode", "hours", "skipped",
)  # fmt: skip


@dataclass(frozen=True)
class UncheckedMixture:
    """A published mixture before its audio was looked at.

    Args:
        where: what names it in messages.
        rate: of the set in Hz.
    """

    mixture: Mixture
    where: str
    rate: int


@dataclass(frozen=True)
class CheckedMixture:
    """What a look at the audio of a mixture found.

    Args:
        mixture: with its length.
        seconds: length of each source.
        remarks: kinds of oddities that are counted (``clipped``, ``not the sum``).
    """

    mixture: Mixture
    seconds: tuple[float, ...]
    remarks: tuple[str, ...] = ()


@dataclass
class MixtureCorpusSet:
    """One set of mixtures to be written.

    Args:
        name: the folder under ``data/``.
        header: rate, speakers, mode.
        gender: speaker -> ``m`` or ``f``; other speakers may be in it too.
        metadata: tables that were read for it.
        params: what determines it, beside the files.
    """

    name: str
    header: Header
    planned: list[UncheckedMixture]
    gender: dict[str, str]
    metadata: list[Path] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)


def write_sets(
    work: WorkDir,
    command: str,
    sets: Sequence[MixtureCorpusSet],
    look: Callable[[UncheckedMixture], CheckedMixture],
    *,
    on_error: str = "stop",
    jobs: int = 1,
    force: bool = False,
) -> list[dict[str, Any]]:
    """Write every set to ``data/<set>/``, each all or nothing; rows as ``COLUMNS``.

    Args:
        look: measures one mixture; importable, for it travels to other processes.
        on_error: ``stop`` at a broken mixture, or ``skip`` it and list it in ``skipped.tsv``.

    Raises:
        UserError: names or ids clash, audio is broken, a set would be empty.
    """
    for planned in sets:
        _check(planned)
    rows = []
    for planned in sets:
        final = work.root / "data" / planned.name
        params = {**planned.params, "set": planned.name, "on_error": on_error}
        mixtures = [one.mixture for one in planned.planned]
        audio = {Path(str(source.utterance.wav)) for one in mixtures for source in one.sources}
        audio |= {Path(one.wav) for one in mixtures if one.wav}
        out = Output(final, command, params, planned.metadata, force, audio, beside=OTHER_DIR)
        with out:
            if not out.up_to_date:
                looked, skipped = _look_at_all(planned, look, on_error, jobs)
                _write_tables(out.path, planned, looked)
                write_skipped(out.path, skipped.items())
                out.counts.update(_counts(planned, looked), skipped=len(skipped))
        counts = (read_manifest(final) or {}).get("counts", {})
        rows.append({name: counts.get(name, planned.name) for name in COLUMNS})
    return rows


def _check(planned: MixtureCorpusSet) -> None:
    planned.name = check_name("set", planned.name)
    if not planned.planned:
        raise UserError(f"The set '{planned.name}' would have no mixtures.")
    first: dict[str, str] = {}
    for one in planned.planned:
        name = one.mixture.id
        if name.split() != [name]:
            raise UserError(f"{one.where}: the name '{name}' is empty or holds spaces.")
        sources = [str(source.utterance.wav) for source in one.mixture.sources]
        for path in (one.mixture.wav, *sources):
            if " ".join(path.split()) != path:
                raise UserError(
                    f"The path {path!r} cannot stand in a table.",
                    "Rename it: no line breaks, tabs, or double spaces.",
                )
        for path in sources:
            data.check_scp_path(path)
        if name in first:
            raise UserError(f"The mixture '{name}' comes twice: {first[name]} and {one.where}.")
        first[name] = one.where
    alike = [
        one
        for one in planned.planned
        if len({s.utterance.speaker for s in one.mixture.sources}) < planned.header.speakers
    ]
    if alike:
        logger.warning(
            f"{planned.name}: {counted(len(alike), 'mixture has', 'mixtures have')} one speaker "
            f"twice (first: {alike[0].mixture.id})."
        )


def _look_at_all(
    planned: MixtureCorpusSet,
    look: Callable[[UncheckedMixture], CheckedMixture],
    on_error: str,
    jobs: int,
) -> tuple[list[CheckedMixture], dict[str, str]]:
    """Mixtures with their lengths, and (mixture, reason) of those that were skipped."""
    looked, skipped = take_usable(
        look,
        planned.planned,
        lambda one: one.mixture.id,
        f"The set '{planned.name}' has no usable mixture",
        jobs=jobs,
        on_error=on_error,
        chunk=32,
        name=lambda one: one.where,
        label=f"prepare {planned.name}",
        unit="mixture",
    )
    remarks: dict[str, list[str]] = {}
    for name, one in looked.items():
        for remark in one.remarks:
            remarks.setdefault(remark, []).append(name)
    for remark, names in sorted(remarks.items()):
        many = counted(len(names), "mixture")
        logger.warning(f"{planned.name}: {many} {remark} (first: {names[0]}).")
    if skipped:
        logger.warning(f"Skipped {counted(len(skipped), 'broken mixture')}; see skipped.tsv.")
    return list(looked.values()), skipped


def _write_tables(
    folder: Path, planned: MixtureCorpusSet, looked: Sequence[CheckedMixture]
) -> None:
    wavs, speakers, seconds = {}, {}, {}
    for one in looked:
        for source, length in zip(one.mixture.sources, one.seconds, strict=True):
            name = source.utterance.id
            wavs[name], speakers[name] = source.utterance.wav, source.utterance.speaker
            seconds[name] = f"{length:.4f}"
    heard = set(speakers.values())
    gender = {name: value for name, value in planned.gender.items() if name in heard}
    if unknown := len(heard - gender.keys()):
        logger.warning(f"{planned.name}: the gender of {counted(unknown, 'speaker')} is not known.")
    data.write(folder, wavs, speakers, utt2dur=seconds, spk2gender=gender)
    write_mixtures(folder, planned.header, [one.mixture for one in looked])


def _counts(planned: MixtureCorpusSet, looked: Sequence[CheckedMixture]) -> dict[str, Any]:
    sources = {s.utterance.id: s.utterance.speaker for one in looked for s in one.mixture.sources}
    gender = [planned.gender.get(speaker) for speaker in set(sources.values())]
    samples = sum(one.mixture.samples for one in looked)
    return {
        "mixtures": len(looked),
        "sources": len(sources),
        "speakers": len(gender),
        "female": gender.count("f"),
        "male": gender.count("m"),
        "rate": planned.header.sample_rate,
        "mode": planned.header.mode,
        "hours": round(samples / planned.header.sample_rate / 3600, 4),
    }


def answer(work: WorkDir, rows: Sequence[Mapping[str, Any]]) -> Answer:
    """The sets that were written, a row each."""
    values = [[row[column] for column in COLUMNS] for row in rows]
    return answers.rows(f"Sets of mixtures in {work.root / 'data'}", COLUMNS, values)
