"""A set with its alignment: utterances, their targets and their phones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechkit.acoustic.tdnn.data import Utterance, mask_bad, mismatches, read_ctm, read_labels
from speechkit.acoustic.tdnn.network import STATES
from speechkit.base.errors import UserError, command_line
from speechkit.base.log import logger
from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkTable
from speechkit.labels.phones import NOISE, SILENCE, kaldi_name, pure
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
        found = [*self.dataset.files(), *(self.alignment / name for name in ALIGNMENT)]
        if (self.dataset.path / "phone_scores.tsv").is_file():
            found.append(self.dataset.path / "phone_scores.tsv")
        return found

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
        kept = self._believed()
        segments = read_ctm(self.alignment / "phones.ctm")
        said = {u.id: [s for s in segments.get(u.id, []) if _is_phone(s[2])] for u in kept}
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

    def _believed(self) -> list[data.Utterance]:
        """Utterances whose text is what is said, as far as the alignment can tell."""
        sources, loud = self.aligned(), not ranks().rank
        if (left := len(self.dataset.utterances) - len(sources)) and loud:
            logger.warning(f"{left} utterances are not in {self.alignment}; they are left out.")
        table = self.alignment / "utterances.tsv"
        wrong = mismatches(table)
        kept = [u for u in sources if u.id not in wrong]
        if len(kept) < len(sources) / 2:
            if loud:
                logger.warning(
                    f"{len(sources) - len(kept)} of {len(sources)} utterances do not match their "
                    f"text according to {table}. A model that doubts most of them is too weak to "
                    "tell, so all are used; see that texts and audio belong together."
                )
            return sources
        if len(kept) < len(sources) and loud:
            logger.info(
                f"{len(sources) - len(kept)} utterances do not match their text according to "
                f"{table}; they are left out."
            )
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
        if not (self.dataset.path / "phone_scores.tsv").is_file():
            return states
        from speechkit.labels.score_files import read_scores

        scores = read_scores(self.dataset.path).phones
        odd = []
        for utterance in states:
            given = [phone.accuracy for phone in scores.get(utterance, [])]
            if len(said[utterance]) == len(given):
                states[utterance] = mask_bad(states[utterance], said[utterance], given, least)
            else:
                odd.append(utterance)
        if odd and not ranks().rank:
            logger.warning(
                f"{len(odd)} utterances are aligned with other phones than were scored; nothing "
                f"of them is masked: {', '.join(odd[:5])}{', ...' if len(odd) > 5 else ''}"
            )
        return states


def _is_phone(name: str) -> bool:
    return kaldi_name(name) not in (SILENCE, NOISE)


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
    return Source(dataset, workdir.root, alignment, read_labels(alignment / "phones.txt"))
