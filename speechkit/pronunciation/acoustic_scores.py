"""Scores of an acoustic model alone, where nobody's scores were learned from.

A CTC model that writes phones (`hf:OWNER/NAME`, a folder of Hugging Face, `torchaudio:BUNDLE`) says
how likely each phone of the text is among all others, or none, in its place: Cao et al., "A
framework for phoneme-level pronunciation assessment using CTC", Interspeech 2024
(:mod:`speechkit.phone_features.ctc_gop`). No expert's scale stands behind these numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.labels.scores import Scales
from speechkit.phone_features.feature_folder import PhoneRow
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.phone_features.settings import FeatureSettings
from speechkit.pronunciation.statuses import Predicted
from speechkit.workdir import WorkDir

NAME = "posterior"
_OF_OTHERS = ("torchaudio:", "hf:")
_MAP = ",map="


def is_acoustic(spec: str) -> bool:
    """Whether a name of a model means an acoustic model of others."""
    name = spec.partition(_MAP)[0]
    return name.startswith(_OF_OTHERS) or (Path(name) / "config.json").is_file()


def load_pipeline(spec: str, workdir: WorkDir, device: str) -> FeaturePipeline:
    """The features that :class:`AcousticScores` are read from.

    Raises:
        UserError: the model cannot be found or loaded, or its labels are no phones.
    """
    return FeaturePipeline.create(FeatureSettings(am=(spec,), method="ctc"), workdir, device)


@dataclass(frozen=True)
class AcousticScores:
    """Posteriors of phones, 0 to 1; of a word and of the whole the mean of theirs.

    It stands where a trained :class:`~speechkit.pronunciation.model_folder.Assessor` does.
    """

    scales: Scales = field(
        default_factory=lambda: {k: {NAME: (0.0, 1.0)} for k in ("utterance", "word", "phone")}
    )
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    calibration: Any = None  # it says nothing of the statuses of words

    def assess_rows(self, rows: Sequence[PhoneRow]) -> Predicted:
        """Scores as an Assessor gives them, from 0 to 2.

        Args:
            rows: the phones of one recording, with their log posteriors.
        """
        values = 2 * np.exp([row.log_posterior for row in rows])
        words = np.array([row.word_index for row in rows])
        sums, counts = np.bincount(words, values), np.bincount(words)
        means = sums / np.maximum(counts, 1)
        whole = values.mean(keepdims=True)
        levels = {"phone": values, "word": means, "utterance": whole}
        found = {f"{level}_{NAME}": scores[None] for level, scores in levels.items()}
        return Predicted(found, None, found)

    @staticmethod
    def is_suspect(row: PhoneRow) -> bool:
        """Whether another phone, or none, fits better than the one of the text."""
        return row.gop < 0
