"""Posteriors that another program computed, from Kaldi archives."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from pathlib import Path

import numpy as np

from speechkit.acoustic.interface import AcousticModel, Evidence, PhoneInContext, summed_columns
from speechkit.base.errors import DataError, UserError
from speechkit.base.text import read_lines
from speechkit.kaldi.ark import ArkTable
from speechkit.labels.phones import KALDI_ID, SILENCE, kaldi_name

BLANKS = ("<blk>", "<blank>", "<b>", "<ctc_blank>", "<pad>")
_NO_COLUMN = re.compile(r"<eps>|#\d+")
_STATES = 3  # of a phone whose frames are short: the least duration of the usual HMM
_SHORT_SHIFT = 0.02
_HOW = "posteriors:SCP[,labels=FILE][,shift=SECONDS]"


class PosteriorModel(AcousticModel):
    """Posteriors of an scp, looked up by utterance.

    Entries are ``[T, C]`` probabilities, log probabilities, or scores up to a constant of the
    frame (as of Kaldi's chain models): each row is normalised. Columns with the same phone are
    summed. With a blank among the labels the topology is ``ctc``.

    Args:
        table: utterance -> matrix.
        labels: of the C columns.
        shift: frame shift in seconds.
        utterance: the one that evidence is of (see :meth:`for_utterance`).
    """

    name = "posteriors"
    sample_rate = 16000

    def __init__(self, table: ArkTable, labels: list[str], shift: float) -> None:
        self._table, self._columns, self.frame_shift = table, labels, shift
        self._utterance: str | None = None
        blanks = [label for label in BLANKS if label in labels]
        self._blank_label = blanks[0] if blanks else None
        self.topology = "ctc" if blanks else "hmm"
        names = [label if label == self._blank_label else kaldi_name(label) for label in labels]
        self.labels = tuple(sorted(set(names), key=lambda n: KALDI_ID.get(n, -1)))
        self._of_column = np.array([self.labels.index(name) for name in names])
        self.blank = self.labels.index(blanks[0]) if blanks else None
        self.label_map = dict(zip(labels, names, strict=True))
        print_of = json.dumps([labels, shift])
        self.fingerprint = f"posteriors-{hashlib.sha256(print_of.encode()).hexdigest()[:32]}"

    def for_utterance(self, utterance: str) -> PosteriorModel:
        """The model whose evidence is that of an utterance.

        Raises:
            UserError: the scp does not have it.
        """
        if utterance not in self._table:
            raise UserError(f"{self._table.scp} has no posteriors of '{utterance}'.")
        bound = copy.copy(self)
        bound._utterance = utterance
        return bound

    def evidence(self, samples: np.ndarray) -> Evidence:
        """Evidence of the utterance; the samples only tell whether its length is right.

        Raises:
            UserError: no utterance was named, or its matrix does not fit labels or audio.
        """
        import torch

        if self._utterance is None:
            raise UserError(
                "Posteriors from archives exist for the utterances of their scp only.",
                "Name a model that hears audio, e.g. `am` sphinx.",
            )
        matrix = self._table[self._utterance]
        name = f"{self._table.scp}: '{self._utterance}'"
        if matrix.ndim != 2 or matrix.shape[1] != len(self._columns) or not len(matrix):
            raise DataError(
                f"{name} has the shape {matrix.shape}, but there are {len(self._columns)} labels.",
                f"Name the file of the columns' labels: {_HOW}",
            )
        seconds, given = len(samples) / self.sample_rate, len(matrix) * self.frame_shift
        if abs(seconds - given) > max(0.15, 0.1 * seconds):
            raise DataError(
                f"{name} has {len(matrix)} frames, {given:.2f} s at a frame shift of "
                f"{self.frame_shift:g} s; the audio has {seconds:.2f} s.",
                f"Give the frame shift: {_HOW}",
            )
        labels = np.exp(_normalised(matrix.astype(np.float64), name))
        sums = np.maximum(summed_columns(labels, self._of_column, len(self.labels)), 1e-45)
        logs = torch.from_numpy(np.log(sums).astype(np.float32))
        if self.topology == "ctc":
            return Evidence(logs, logs)
        return Evidence(logs, logs.repeat_interleave(self._states, dim=1))

    @property
    def _states(self) -> int:
        return _STATES if self.frame_shift < _SHORT_SHIFT else 1

    def state_ids(self, phone: PhoneInContext) -> tuple[int, ...]:
        name = kaldi_name(phone.phone)
        if name == SILENCE and self.blank is not None:
            return (self.blank,)
        if name not in self.labels:
            raise self.phone_error(name)
        label = self.labels.index(name)
        if self.blank is not None:
            return (label,)
        return tuple(range(self._states * label, self._states * (label + 1)))

    def plain_state(self, state: int) -> int:
        if self.topology == "ctc":
            return state
        return 3 * (state // self._states) + state % self._states


def _normalised(matrix: np.ndarray, name: str) -> np.ndarray:
    """Log probabilities of probabilities, or of scores up to a constant."""
    if not np.isfinite(matrix[matrix != -np.inf]).all():
        raise DataError(f"{name} holds values that are not numbers.")
    if (matrix >= 0).all() and np.allclose(matrix.sum(1), 1, atol=1e-2):
        with np.errstate(divide="ignore"):
            matrix = np.log(matrix)
    top = matrix.max(axis=1, keepdims=True)
    return matrix - top - np.log(np.exp(matrix - top).sum(axis=1, keepdims=True))


def load_posteriors(spec: str) -> PosteriorModel:
    """The model of ``posteriors:SCP[,labels=FILE][,shift=SECONDS]``.

    The labels, one a line in the order of the columns (or Kaldi's ``LABEL ID``), are looked
    for in ``labels.txt`` and ``phones.txt`` beside the scp if not given. The shift is 0.01
    seconds by default.

    Raises:
        UserError: a file is missing or broken, or an option is not known.
    """
    scp, *options = spec.removeprefix("posteriors:").split(",")
    given = dict(option.partition("=")[::2] for option in options)
    if not scp or set(given) - {"labels", "shift"}:
        raise UserError(f"'{spec}' does not name posteriors.", f"Expected: {_HOW}")
    try:
        shift = float(given.get("shift", "0.01"))
    except ValueError:
        shift = 0.0
    if not 0 < shift < 1:
        raise UserError(f"The frame shift '{given['shift']}' is not in seconds (0.01).")
    table = ArkTable(Path(scp))
    places = [Path(scp).with_name(name) for name in ("labels.txt", "phones.txt")]
    files = [Path(given["labels"])] if "labels" in given else places
    for file in files:
        if file.is_file():
            return PosteriorModel(table, read_labels(file), shift)
    raise UserError(
        f"There is no file of labels: {' or '.join(map(str, files))}.",
        f"It has a line for each column. Name it: {_HOW}",
    )


def read_labels(file: Path) -> list[str]:
    """Labels of columns: one a line, or ``LABEL ID`` with consecutive ids.

    Of Kaldi's ``phones.txt`` the symbols without a column (``<eps>``, ``#0`` ...) are left out.

    Raises:
        UserError: neither.
    """
    rows = [line.split() for line in read_lines(file) if line]
    if {len(row) for row in rows} == {1}:
        return [row[0] for row in rows]
    try:
        kept = sorted((int(n), label) for label, n in rows if not _NO_COLUMN.fullmatch(label))
        ids = [n for n, _ in kept]
        if not kept or ids != list(range(ids[0], ids[0] + len(ids))):
            raise ValueError
    except ValueError:
        raise DataError(
            f"{file}: expected one label a line, or 'LABEL ID' with consecutive ids."
        ) from None
    return [label for _, label in kept]
