"""Labels of one set in the words of another: a map, and what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.base.tables import read_rows
from speechkit.base.text import composed, is_header
from speechkit.base.yaml_files import read_yaml
from speechkit.labels.emotions import EmotionSet

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
        dataset: the other set.
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
