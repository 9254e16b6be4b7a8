"""What ``train acoustic`` reads: sets with their alignments, and a model to start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from speechkit.acoustic.posteriors import read_labels
from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.config import AcousticConfig
from speechkit.acoustic.tdnn.data import (
    Utterance,
    mask_low,
    mismatches,
    read_ctm,
    speaker_folds,
)
from speechkit.acoustic.tdnn.folder import Card
from speechkit.acoustic.tdnn.network import STATES
from speechkit.base.errors import ConfigError, UserError, command_line
from speechkit.base.log import counted, logger
from speechkit.base.text import some
from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkTable
from speechkit.labels.phones import NOISE, SILENCE, kaldi_name, pure
from speechkit.labels.score_files import read_scores
from speechkit.task.trained import refuse_path
from speechkit.training.devices import ranks
from speechkit.workdir import WorkDir

ALIGNMENT = ("ali.ark", "ali.scp", "phones.txt", "phones.ctm", "utterances.tsv")
Segments = list[tuple[float, float, str]]


@dataclass(frozen=True)
class Source:
    """A set and where its alignment is.

    Args:
        dataset: the set.
        root: the working directory.
        alignment: folder of ``align``.
        labels: of the aligning model.
    """

    dataset: data.DataDir
    root: Path
    alignment: Path
    labels: tuple[str, ...]

    def files(self) -> list[Path]:
        """Files whose change makes a model out of date."""
        alignment = [self.alignment / name for name in ALIGNMENT]
        return [*self.dataset.files(), *alignment, *filter(Path.is_file, [self._scores])]

    @property
    def _scores(self) -> Path:
        return self.dataset.path / "phone_scores.tsv"

    def aligned(self) -> list[data.Utterance]:
        """The utterances of the set that the alignment has.

        Raises:
            UserError: it has none.
        """
        table = ArkTable(self.alignment / "ali.scp", self.root)
        found = [u for u in self.dataset.utterances if u.id in table]
        if not found:
            raise UserError(
                f"{self.alignment} has no utterance of {self.dataset.path}.", "Align the set again."
            )
        return found

    def utterances(self, folds: Mapping[str, int], min_score: float) -> list[Utterance]:
        """Utterances whose text fits their audio, with targets and phones.

        Args:
            folds: of the speakers; those who are not named are in fold 0.
            min_score: frames of phones scored lower are masked.

        Raises:
            UserError: the alignment has no utterance of the set, or states that it cannot have.
        """
        table = ArkTable(self.alignment / "ali.scp", self.root)
        kept = self._with_matching_text()
        segments = read_ctm(self.alignment / "phones.ctm")
        quiet = (SILENCE, NOISE)
        said = {
            u.id: [s for s in segments.get(u.id, []) if kaldi_name(s[2]) not in quiet] for u in kept
        }
        states = self._masked({u.id: self._states(table, u.id) for u in kept}, said, min_score)
        return [
            Utterance(
                u,
                folds.get(u.speaker, 0),
                states[u.id],
                tuple(kaldi_name(pure(name)) for _, _, name in said[u.id]),
            )
            for u in kept
        ]

    def _with_matching_text(self) -> list[data.Utterance]:
        """Utterances whose text is what is said, as far as the alignment can tell."""
        sources, loud = self.aligned(), not ranks().rank
        if (left := len(self.dataset.utterances) - len(sources)) and loud:
            logger.warning(f"{self.alignment} lacks {counted(left, 'utterance')}: left out.")
        table = self.alignment / "utterances.tsv"
        wrong = mismatches(table)
        kept = [u for u in sources if u.id not in wrong]
        if len(kept) < len(sources) / 2:
            if loud:
                logger.warning(
                    f"{table} doubts the texts of {len(sources) - len(kept)} of "
                    f"{counted(len(sources), 'utterance')}. A model that doubts most is too weak "
                    "to tell, so all are used; see that texts and audio belong together."
                )
            return sources
        if len(kept) < len(sources) and loud:
            many = counted(len(sources) - len(kept), "utterance")
            logger.info(f"{table} doubts the texts of {many}; left out.")
        return kept

    def _states(self, table: ArkTable, utterance: str) -> np.ndarray:
        states = table[utterance]
        most = STATES * len(self.labels)
        if states.ndim != 1 or not len(states) or states.min() < 0 or states.max() >= most:
            raise UserError(
                f"{table.scp}: '{utterance}' does not hold states from 0 to {most - 1}.",
                "A network learns HMM states: align with a model that has them, not a ctc one.",
            )
        return states.astype(np.int16)

    def _masked(
        self, states: dict[str, np.ndarray], said: Mapping[str, Segments], least: float
    ) -> dict[str, np.ndarray]:
        """Targets without the frames of phones that were said badly."""
        if not self._scores.is_file():
            return states
        scores = read_scores(self.dataset.path).phones
        odd = []
        for utterance in states:
            given = [phone.accuracy for phone in scores.get(utterance, [])]
            if len(said[utterance]) == len(given):
                states[utterance] = mask_low(states[utterance], said[utterance], given, least)
            else:
                odd.append(utterance)
        if odd and not ranks().rank:
            logger.warning(
                f"{counted(len(odd), 'utterance is', 'utterances are')} aligned with other phones "
                f"than were scored; nothing is masked there: {some(odd, 5)}"
            )
        return states


def find_source(workdir: WorkDir, set_name: str, align: str) -> Source:
    """A set with its alignment.

    Args:
        workdir: the working directory.
        set_name: the set.
        align: name of its alignment; empty for the one without a name.

    Raises:
        UserError: something is not there.
    """
    dataset = data.load(workdir.data(set_name), workdir.root)
    alignment = workdir.exp("align", set_name, name=align)
    workdir.require(alignment, command_line("align", set=set_name, name=align))
    for name in ALIGNMENT:
        made_by = command_line("align", set=set_name, name=align, force=True)
        workdir.require(alignment / name, made_by)
    return Source(dataset, workdir.root, alignment, tuple(read_labels(alignment / "phones.txt")))


@dataclass(frozen=True)
class Inputs:
    """The inputs, found but for the alignments themselves not yet read.

    Args:
        sources: the training sets.
        held_out: sets to be measured.
        init: folder of the model to start from, if any.
        init_card: its settings.
    """

    sources: tuple[Source, ...]
    held_out: tuple[Source, ...] = ()
    init: Path | None = None
    init_card: Card | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the aligning models, which all sets share."""
        return self.sources[0].labels

    def files(self) -> list[Path]:
        """Files whose change makes the model out of date."""
        found = [file for source in self._all for file in source.files()]
        if self.init is not None:
            found.append(self.init / tdnn_folder.CARD)
        return found

    def audio_files(self) -> list[Path]:
        """Audio whose change makes the model out of date."""
        return [file for source in self._all for file in source.dataset.audio_files()]

    @property
    def _all(self) -> tuple[Source, ...]:
        return (*self.sources, *self.held_out)

    def folds(self, count: int) -> dict[str, int]:
        """Fold of each speaker of the alignments; all are in fold 0 if there are none.

        Raises:
            UserError: too few speakers, or others than the model to start from knows.
        """
        speakers = [u.speaker for source in self.sources for u in source.aligned()]
        if self.init is not None and count:
            return _same_folds(speakers, self.init, count)
        gender = {s: g for source in self.sources for s, g in source.dataset.gender.items()}
        return speaker_folds(speakers, gender, max(count, 1))

    def after(self, alignments: Sequence[Path], init: Path) -> Inputs:
        """The same with other alignments, and a model to start from."""
        pairs = zip(self.sources, alignments, strict=True)
        sources = tuple(replace(source, alignment=folder) for source, folder in pairs)
        card = tdnn_folder.read_card(init)
        return replace(self, sources=sources, init=init, init_card=card)


def _same_folds(speakers: Sequence[str], init: Path, folds: int) -> dict[str, int]:
    """The folds of the model to start from, so that none meets a speaker held out from it."""
    known = tdnn_folder.read_folds(init)
    if new := sorted(set(speakers) - set(known)):
        raise UserError(
            f"`init` {init.name} was trained without the speaker {new[0]} "
            f"({len(new)} of {len(set(speakers))}), so it gives them no fold.",
            "Start from a model of the same set, or without `init`.",
        )
    found = {speaker: known[speaker] for speaker in sorted(set(speakers))}
    if set(found.values()) != set(range(folds)):
        raise UserError(
            f"`folds` {folds}: `init` {init.name} has the folds "
            f"{', '.join(map(str, sorted(set(known.values()))))} of these speakers.",
            "Give the same `folds` and set as there.",
        )
    return found


def gather(workdir: WorkDir, config: AcousticConfig) -> Inputs:
    """Find the inputs.

    Raises:
        UserError: something is not there, or the alignments have different labels.
    """
    names = zip(config.sets, config.aligns, strict=True)
    sources = tuple(find_source(workdir, set_name, align) for set_name, align in names)
    given = config.held_out_align
    align = config.aligns[0] if given is None else given
    held_out = tuple(find_source(workdir, name, align) for name in config.held_out_sets)
    for other in (*sources[1:], *held_out):
        if other.labels != sources[0].labels:
            raise UserError(
                f"{sources[0].alignment} and {other.alignment} have different labels: "
                f"{_differing(sources[0].labels, other.labels)}.",
                "Align all sets with the same acoustic model.",
            )
    if not config.init:
        return Inputs(sources, held_out)
    refuse_path(config.init, "Give `init` the name of a model in exp/acoustic.")
    folder = workdir.require(
        workdir.exp("acoustic", config.init), f"speechkit train acoustic --name {config.init}"
    )
    return Inputs(sources, held_out, folder, tdnn_folder.read_card(folder))


def _differing(one: Sequence[str], other: Sequence[str]) -> str:
    if set(one) == set(other):
        return "the order differs"
    left, right = sorted(set(one) - set(other)), sorted(set(other) - set(one))
    return f"only the first has {left[:5] or 'none'}, only the second {right[:5] or 'none'}"


def check_init(config: AcousticConfig, inputs: Inputs) -> None:
    """Raise UserError unless the model to start from has the same shape and networks."""
    card = inputs.init_card
    if card is None:
        return
    own = {**config.network.as_dict(), **config.features.as_dict(), "labels": inputs.labels}
    theirs = {**card.network.as_dict(), **card.features.as_dict(), "labels": card.labels}
    for key, value in own.items():
        if value != theirs[key] and key != "dropout":
            raise ConfigError(
                "init",
                f"{config.init} has {key} {theirs[key]}, this training has {value}.",
                "Give the same flags as there, or start without `init`.",
            )
    if missing := [name for name in config.names if name not in card.weights]:
        raise ConfigError(
            "init",
            f"{config.init} has no network '{missing[0]}', only {', '.join(card.weights)}.",
            "Give the same `folds` and `full` as there.",
        )
