"""Configuration of the features that acoustic models take."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from msgspec import Meta

from speechkit.base.config import NO_FLAG, OneOf, check_fields
from speechkit.base.errors import require_range

WINDOW_S, SHIFT_S = 0.025, 0.010


@dataclass(frozen=True)
class FeatureConfig:
    """What the features are.

    Data:
        sample_rate: Sample rate in Hz.
        n_mels: Number of log mel features (filters) per frame.
        low_hz: Lower edge of the first filter.
        high_hz: Upper edge of the last filter; 0 for 0.475 times the sample rate.
        normalise: Normalise each utterance and filter: mean (taken away), mean-variance (and
            divided by the deviation, at least a tenth) or none (the level stays in).
    """

    sample_rate: Annotated[int, Meta(ge=4000, le=192_000)] = 16_000
    n_mels: Annotated[int, Meta(ge=4, le=128)] = 40
    low_hz: Annotated[float, NO_FLAG] = 20.0
    high_hz: Annotated[float, NO_FLAG] = 0.0
    normalise: Annotated[str, OneOf("mean", "mean-variance", "none")] = "mean"

    def __post_init__(self) -> None:
        check_fields(self)
        for checked in (
            ("low_hz", self.low_hz, 0 <= self.low_hz < self.top_hz, "below the upper edge"),
            ("high_hz", self.high_hz, self.top_hz <= self.sample_rate / 2, "up to half the rate"),
        ):
            require_range(*checked)

    @property
    def top_hz(self) -> float:
        return self.high_hz or 0.475 * self.sample_rate

    @property
    def window(self) -> int:
        """Samples of a frame."""
        return round(WINDOW_S * self.sample_rate)

    @property
    def shift(self) -> int:
        """Samples from frame to frame."""
        return round(SHIFT_S * self.sample_rate)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
