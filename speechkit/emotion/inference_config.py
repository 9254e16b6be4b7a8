"""Configurations of what trained models of emotion are used for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from speechkit.base.config import Flag


@dataclass(frozen=True)
class EvaluationConfig:
    """What is measured: all folds and seeds of a model on clips that they do not know.

    Data:
        name: Name of the model: exp/emotion/NAME.
        set: Another labelled set, for all models.
        label_map: With `set`: which label is which class of the model: table 'from<TAB>to', YAML.
    """

    name: str = "fbank-cnn"
    set: Annotated[str, Flag("set", shown="the test part of each fold")] = ""
    label_map: Annotated[Path | None, Flag(metavar="FILE", shown="same and like names")] = None
