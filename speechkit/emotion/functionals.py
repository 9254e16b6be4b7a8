"""openSMILE's feature sets: one vector of statistics per clip.

eGeMAPS v02 (88 values): Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS)
for Voice Research and Affective Computing", IEEE Transactions on Affective Computing 7 (2),
2016. ComParE 2016 (6,373 values): Schuller et al., "The INTERSPEECH 2016 Computational
Paralinguistics Challenge", Interspeech 2016.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from speechkit.base.errors import AudioError, MissingDependency, require_choice

SETS = {"egemaps": "eGeMAPSv02", "compare16": "ComParE_2016"}
SAMPLE_RATE = 16_000


class Functionals:
    """A feature set by name (see :class:`speechkit.emotion.upstream.VectorUpstream`).

    Args:
        spec: ``egemaps`` or ``compare16``.

    Raises:
        UserError: an unknown name, or opensmile is not installed.
    """

    def __init__(self, spec: str) -> None:
        require_choice("--upstream", spec, SETS)
        self.spec = spec
        self.sample_rate = SAMPLE_RATE
        self._smile = open_smile(spec)
        self.names: tuple[str, ...] = tuple(self._smile.feature_names)

    def vector(self, samples: np.ndarray) -> np.ndarray:
        """Float32 ``[D]`` of mono samples ``[T]`` in -1..1 at 16 kHz.

        Raises:
            AudioError: the clip is too short for the statistics (some 0.03 s).
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # says what is raised below
            found = self._smile.process_signal(samples, self.sample_rate).to_numpy()[0]
        if not np.isfinite(found).all():
            raise AudioError(
                f"The clip of {len(samples) / self.sample_rate:.3f} s has no {self.spec} features.",
                "Remove it, or leave it out with --on-error skip.",
                "empty",
            )
        return found.astype(np.float32)


@lru_cache(maxsize=4)
def open_smile(spec: str) -> Any:
    """openSMILE with a feature set, opened once per process."""
    try:
        import opensmile
    except ImportError as error:
        raise MissingDependency("opensmile", "emotion") from error
    return opensmile.Smile(
        feature_set=getattr(opensmile.FeatureSet, SETS[spec]),
        feature_level=opensmile.FeatureLevel.Functionals,
    )
