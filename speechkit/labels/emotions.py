"""Sets with emotion labels: the classes, the clips, and reading them; labels of one set in the
words of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import audio
from speechkit.base.errors import AudioError, DataError, UserError
from speechkit.base.log import counted, logger, note_once
from speechkit.base.tables import grouped, read_rows
from speechkit.base.text import composed, is_header, some
from speechkit.base.yaml_files import read_yaml
from speechkit.kaldi.data import DataDir, Utterance, read_table
from speechkit.kaldi.data import load as load_data
from speechkit.labels.config import CASE_FIELD, KEEP, LOWER
from speechkit.workdir import WorkDir

LABELS, INTENSITY, STATEMENT = "utt2emotion", "utt2intensity", "utt2statement"
RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
CASE_FILE = "label_case"  # in a set: its classes differ in case only, and are to be kept apart
MAX_SECONDS = 30.0  # of a clip that has one label; the middle of a longer one is taken
SYNONYMS = {
    "ang": "angry", "anger": "angry", "wut": "angry",
    "bor": "bored", "boredom": "bored", "langeweile": "bored",
    "calmness": "calm",
    "dis": "disgust", "disgusted": "disgust", "ekel": "disgust",
    "fea": "fearful", "fear": "fearful", "angst": "fearful",
    "hap": "happy", "happiness": "happy", "joy": "happy", "freude": "happy",
    "neu": "neutral", "neutrality": "neutral",
    "sadness": "sad", "trauer": "sad",
    "surprise": "surprised", "sur": "surprised",
}  # fmt: skip
"""Names that corpora give the emotions of RAVDESS and EmoDB, in lower case -> the name here."""


@dataclass(frozen=True)
class EmotionSet:
    """A set with one emotion label per utterance.

    Args:
        labels: utterance -> class.
        classes: in the order of all tables and of the model's outputs.
        statements: utterance -> what is said, where ``utt2statement`` or ``text`` tells.
    """

    name: str
    data: DataDir
    labels: Mapping[str, str]
    classes: tuple[str, ...]
    statements: Mapping[str, str]

    @cached_property
    def by_id(self) -> dict[str, Utterance]:
        """Utterance id -> utterance."""
        return {u.id: u for u in self.data.utterances}

    def utterances(self, ids: Iterable[str]) -> list[Utterance]:
        """The utterances of some ids, in their order."""
        return [self.by_id[name] for name in ids]

    def targets(self, ids: Sequence[str]) -> np.ndarray:
        """Index of the class of each id, int64 ``[N]``."""
        index = {name: i for i, name in enumerate(self.classes)}
        return np.array([index[self.labels[name]] for name in ids], np.int64)

    def speaker(self, utterance: str) -> str:
        """Speaker of an utterance id."""
        return self.by_id[utterance].speaker

    def files(self) -> list[Path]:
        """Tables that a stage which reads this set depends on."""
        labels = (self.data.path / name for name in (LABELS, INTENSITY, STATEMENT))
        return [*self.data.files(), *(path for path in labels if path.is_file())]


def load(workdir: WorkDir, name: str) -> EmotionSet:
    """Read ``data/<name>`` with its labels.

    Raises:
        UserError: no such set, it has no labels, fewer than two classes, or classes that
            differ in case only.
    """
    found = load_data(workdir.data(name), workdir.root)
    labels = read_labels(found)
    if not (found.path / CASE_FILE).is_file():
        command = f"`speechkit validate --fix --set {found.path.name}` and "
        require_one_case(labels.values(), found.path / LABELS, command)
    classes = class_order(labels.values())
    if len(classes) < 2:
        raise UserError(
            f"{found.path / LABELS} has one class only ('{classes[0]}').",
            "Label the set with two classes or more.",
        )
    statements = read_table(found.path / STATEMENT, optional=True) or dict(found.text)
    return EmotionSet(name, found, labels, classes, statements)


def read_labels(dataset: DataDir) -> dict[str, str]:
    """Utterance -> class of every utterance of a set, in the set's order.

    Raises:
        UserError: the set has no ``utt2emotion``, or it lacks utterances.
    """
    path = dataset.path / LABELS
    if not path.is_file():
        raise UserError(
            f"{dataset.path} has no labels ({LABELS}).",
            "Make a labelled set with `speechkit prepare ravdess PATH`, or with "
            "`speechkit prepare folder PATH --labels TSV`.",
        )
    table = read_table(path)
    missing = [u.id for u in dataset.utterances if u.id not in table]
    if missing:
        raise DataError(
            f"{path} lacks {len(missing)} of {counted(len(dataset.utterances), 'utterance')} "
            f"({some(missing)}).",
            "Label them, or make the set again without them.",
        )
    return {u.id: table[u.id] for u in dataset.utterances}


def class_order(labels: Iterable[str]) -> tuple[str, ...]:
    """The classes: in RAVDESS's order if all are of it, else sorted by name."""
    found = set(labels)
    return tuple(c for c in RAVDESS if c in found) if found <= set(RAVDESS) else (*sorted(found),)


def class_counts(labels: Iterable[str], classes: Sequence[str]) -> dict[str, int]:
    """Class -> number of labels, zeros included."""
    count = Counter(labels)
    return {name: count[name] for name in classes}


def read_clip(
    utterance: Utterance, sample_rate: int | None, max_seconds: float = MAX_SECONDS
) -> np.ndarray:
    """Mono float32 samples ``[T]`` of a clip that has one label.

    Only the middle of a clip longer than ``max_seconds`` is read, which is said once.

    Args:
        sample_rate: to resample to, in Hz; None keeps the file's own.

    Raises:
        AudioError: the file cannot be read, or all its samples are the same (silence).
    """
    start, end = utterance.start, utterance.end
    if not isinstance(utterance.wav, audio.Pipe):
        last = audio.info(utterance.wav).seconds if end is None else end
        if last - start > max_seconds:
            note_once(
                "long-clip",
                f"Of clips longer than {max_seconds:g} s only the middle is taken (first seen: "
                f"{utterance.id}, {last - start:.0f} s). A label for a part of a long recording "
                "belongs in `segments`.",
            )
            middle = (start + last) / 2
            start, end = middle - max_seconds / 2, middle + max_seconds / 2
    samples, _ = audio.read(utterance.wav, sample_rate, start, end)
    if not np.ptp(samples):
        raise AudioError(
            f"{utterance.wav}: is silent (all samples are {samples[0]:g}).",
            "Remove the clip, or leave it out with `on_error` skip.",
            "empty",
        )
    return samples


def case_variants(labels: Iterable[str]) -> str:
    """Classes that differ in case only, with how often each comes; empty if none do."""
    count = Counter(labels)
    groups = grouped(sorted(count), str.casefold)
    return "; ".join(
        ", ".join(f"'{name}' ({count[name]})" for name in group)
        for group in groups.values()
        if len(group) > 1
    )


def require_one_case(labels: Iterable[str], where: Path, command: str) -> None:
    """Raise UserError where classes differ in case only.

    Args:
        command: which takes the flag that decides.
    """
    if found := case_variants(labels):
        raise UserError(
            f"{where}: classes differ in case only: {found}.",
            f"Write all classes in lower case with {command}`{CASE_FIELD}` {LOWER}, "
            f"or keep them apart with `{CASE_FIELD}` {KEEP}.",
        )


@dataclass(frozen=True)
class MappedSet:
    """A set in the words of a model.

    Args:
        dataset: with labels of the model's classes only; its utterances are all there.
        renamed: label of the set -> class of the model, where they differ.
        left_out: label that is no class of the model -> number of its clips.
    """

    dataset: EmotionSet
    renamed: dict[str, str]
    left_out: dict[str, int]

    @property
    def changes(self) -> dict[str, dict[str, Any]]:
        """What the map changed, by name."""
        return {"renamed": self.renamed, "left_out": self.left_out}


def map_labels(dataset: EmotionSet, classes: Sequence[str], given: Mapping[str, str]) -> MappedSet:
    """A set with the classes of a model.

    A label becomes what the map says, else the class of its name, else the class that is another
    word for the same emotion (:data:`SYNONYMS`): of a model with the classes happy and sad, the
    labels ``happy`` and ``Joy`` are happy, and ``calm`` is left out.

    Args:
        classes: of the model.
        given: label -> class.

    Raises:
        UserError: the map names a class that the model does not have, or no label of the set is
            a class of the model.
    """
    listed = f"Its classes: {', '.join(classes)}."
    if unknown := [name for name in given.values() if name not in classes]:
        raise UserError(f"`label_map`: the model has no class '{unknown[0]}'.", listed)
    if unused := [name for name in given if name not in dataset.classes]:
        logger.warning(f"`label_map`: '{dataset.name}' has no label {', '.join(unused)}.")
    meant = {_common(name): name for name in reversed(classes)}
    to: dict[str, str] = {}
    for label in dataset.classes:
        found = given.get(label) or (label if label in classes else meant.get(_common(label)))
        if found is not None:
            to[label] = found
    count = Counter(dataset.labels.values())
    left_out = {label: count[label] for label in dataset.classes if label not in to}
    if not to:
        raise UserError(
            f"No label of the set '{dataset.name}' ({', '.join(dataset.classes)}) is a class of "
            "the model.",
            f"{listed} Say with `label_map` which label is which class.",
        )
    labels = {name: to[label] for name, label in dataset.labels.items() if label in to}
    present = set(labels.values())
    kept = tuple(name for name in classes if name in present)
    renamed = {label: name for label, name in to.items() if label != name}
    return MappedSet(replace(dataset, labels=labels, classes=kept), renamed, left_out)


def _common(name: str) -> str:
    lower = name.casefold()
    return SYNONYMS.get(lower, lower)


def read_label_map(path: Path) -> dict[str, str]:
    """Label -> class, from a table ``from<TAB>to`` (or CSV; header optional) or a YAML mapping.

    Raises:
        UserError: it cannot be read, a line of another form, or a label that comes twice.
    """
    if path.suffix.lower() in (".yaml", ".yml"):
        return {composed(a): composed(b) for a, b in read_yaml(path, dict[str, str]).items()}
    found: dict[str, str] = {}
    table = read_rows(path)
    for place, (number, cells) in enumerate(table.rows):
        if place == 0 and is_header(cells, ("from", "to")):
            continue
        if len(cells) != 2 or not all(cells):
            raise table.misfit(number, cells, ("from", "to"))
        label, name = map(composed, cells)
        if found.setdefault(label, name) != name:
            raise UserError(f"{path}:{number}: '{label}' becomes '{found[label]}' and '{name}'.")
    if not found:
        raise UserError(f"{path} is empty.", "Give it lines of the form 'from<TAB>to'.")
    return found
