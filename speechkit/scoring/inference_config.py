"""Configurations of what trained scorers are used for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from speechkit.base.config import Flag
from speechkit.task import config


@dataclass(frozen=True)
class EvaluationConfig(config.EvaluationConfig):
    """As :class:`speechkit.task.config.EvaluationConfig`.

    Data:
        features: Suffix of the set's features: exp/deep/SET-NAME or exp/gop/SET-NAME.
    """

    features: Annotated[str | None, Flag(default="", shown="that of the training")] = None
