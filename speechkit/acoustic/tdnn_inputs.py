"""What ``train acoustic`` reads: a set, its alignment, its scores, a model to start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from speechkit.acoustic import tdnn_folder
from speechkit.acoustic.phones import NOISE, SILENCE, kaldi_name
from speechkit.acoustic.tdnn_data import (
    Utterance,
    mask_bad,
    mismatches,
    read_ctm,
    read_labels,
    speaker_folds,
)
from speechkit.acoustic.tdnn_folder import Card
from speechkit.acoustic.tdnn_network import STATES
from speechkit.errors import UserError
from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkTable
from speechkit.log import logger
from speechkit.workdir import WorkDir

ALIGNMENT = ("ali.ark", "ali.scp", "phones.txt", "phones.ctm", "utterances.tsv")


@dataclass(frozen=True)
class Inputs:
    """The inputs, found but for the alignments themselves not yet read.

    Args:
        dataset: the set.
        root: the working directory.
        alignment: folder of ``align``.
        labels: of the aligning model.
        init: folder of the model to start from, if any.
        init_card: its settings.
    """

    dataset: data.DataDir
    root: Path
    alignment: Path
    labels: tuple[str, ...]
    init: Path | None = None
    init_card: Card | None = None

    def files(self) -> list[Path]:
        """Files whose change makes the model out of date."""
        found = [*self.dataset.files(), *(self.alignment / name for name in ALIGNMENT)]
        if (self.dataset.path / "phone_scores.tsv").is_file():
            found.append(self.dataset.path / "phone_scores.tsv")
        if self.init is not None:
            found.append(self.init / tdnn_folder.CARD)
        return found

    def utterances(self, folds: int, min_score: float) -> tuple[list[Utterance], dict[str, int]]:
        """Aligned utterances with their targets, and the fold of each speaker.

        Args:
            folds: how many; 0 puts everyone into fold 0.
            min_score: frames of phones scored lower are masked.

        Raises:
            UserError: the alignment has no utterance of the set, or states that it cannot have.
        """
        table = ArkTable(self.alignment / "ali.scp", self.root)
        sources = [u for u in self.dataset.utterances if u.id in table]
        if not sources:
            raise UserError(
                f"{self.alignment} has no utterance of {self.dataset.path}.", "Align the set again."
            )
        if left := len(self.dataset.utterances) - len(sources):
            logger.warning(f"{left} utterances are not in {self.alignment}; they are left out.")
        speakers = [u.speaker for u in sources]
        if self.init is not None and folds:
            of = _same_folds(speakers, self.init, folds)
        else:
            of = speaker_folds(speakers, self.dataset.gender, max(folds, 1))
        wrong = mismatches(self.alignment / "utterances.tsv")
        kept = [u for u in sources if u.id not in wrong]
        if len(kept) < len(sources) / 2:
            logger.warning(
                f"{len(sources) - len(kept)} of {len(sources)} utterances do not match their text "
                f"according to {self.alignment / 'utterances.tsv'}. A model that doubts most of "
                "them is too weak to tell, so all are used; see that texts and audio belong "
                "together."
            )
            kept = sources
        elif len(kept) < len(sources):
            logger.info(
                f"{len(sources) - len(kept)} utterances do not match their text according to "
                f"{self.alignment / 'utterances.tsv'}; they are left out."
            )
        targets = self._masked({u.id: self._states(table, u.id) for u in kept}, min_score)
        return [Utterance(u, of[u.speaker], targets[u.id]) for u in kept], of

    def _states(self, table: ArkTable, utterance: str) -> np.ndarray:
        states = table[utterance]
        most = STATES * len(self.labels)
        if states.ndim != 1 or not len(states) or states.min() < 0 or states.max() >= most:
            raise UserError(
                f"{table.scp}: '{utterance}' does not hold states from 0 to {most - 1}.",
                "A network learns HMM states: align with a model that has them, not a ctc one.",
            )
        return states.astype(np.int16)

    def _masked(self, states: dict[str, np.ndarray], least: float) -> dict[str, np.ndarray]:
        """Targets without the frames of phones that were said badly."""
        if not (self.dataset.path / "phone_scores.tsv").is_file():
            return states
        from speechkit.pronunciation.labels import read_scores

        scores = read_scores(self.dataset.path).phones
        segments = read_ctm(self.alignment / "phones.ctm")
        odd = []
        for utterance in states:
            said = [s for s in segments.get(utterance, []) if _is_phone(s[2])]
            given = [phone.accuracy for phone in scores.get(utterance, [])]
            if len(said) == len(given):
                states[utterance] = mask_bad(states[utterance], said, given, least)
            else:
                odd.append(utterance)
        if odd:
            logger.warning(
                f"{len(odd)} utterances are aligned with other phones than were scored; nothing "
                f"of them is masked: {', '.join(odd[:5])}{', ...' if len(odd) > 5 else ''}"
            )
        return states


def _is_phone(name: str) -> bool:
    return kaldi_name(name) not in (SILENCE, NOISE)


def _same_folds(speakers: list[str], init: Path, folds: int) -> dict[str, int]:
    """The folds of the model to start from, so that none meets a speaker held out from it."""
    known = tdnn_folder.read_folds(init)
    if new := sorted(set(speakers) - set(known)):
        raise UserError(
            f"--init {init.name} was trained without the speaker {new[0]} "
            f"({len(new)} of {len(set(speakers))}), so it gives them no fold.",
            "Start from a model of the same set, or without --init.",
        )
    found = {speaker: known[speaker] for speaker in sorted(set(speakers))}
    if set(found.values()) != set(range(folds)):
        raise UserError(
            f"--folds {folds}: --init {init.name} has the folds "
            f"{', '.join(map(str, sorted(set(known.values()))))} of these speakers.",
            "Give the same --folds and set as there.",
        )
    return found


def gather(workdir: WorkDir, set_name: str, align: str, init: str) -> Inputs:
    """Find the inputs.

    Args:
        workdir: the working directory.
        set_name: the set.
        align: name of its alignment; empty for the one without a name.
        init: name of an acoustic model to start from; empty for none.

    Raises:
        UserError: something is not there.
    """
    dataset = data.load(workdir.data(set_name), workdir.root)
    alignment = workdir.exp("align", set_name, name=align)
    option = f" --name {align}" if align else ""
    workdir.require(alignment, f"speechkit align --set {set_name}{option}")
    for name in ALIGNMENT:
        workdir.require(alignment / name, f"speechkit align --set {set_name}{option} --force")
    labels = read_labels(alignment / "phones.txt")
    if not init:
        return Inputs(dataset, workdir.root, alignment, labels)
    folder = workdir.require(
        workdir.exp("acoustic", init), f"speechkit train acoustic --name {init}"
    )
    return Inputs(dataset, workdir.root, alignment, labels, folder, tdnn_folder.read_card(folder))
