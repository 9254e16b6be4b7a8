"""Configurations: the features that acoustic models take, and how texts are said (the flags of all
commands that read texts)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from speechkit.base.config import NO_FLAG, Flag, OneOf, check_fields
from speechkit.base.errors import require_choice, require_range
from speechkit.base.log import logger
from speechkit.base.text import dropped_marks, without_marks

if TYPE_CHECKING:
    from speechkit.acoustic.lexicon.text import Token

WINDOW_S, SHIFT_S = 0.025, 0.010
READINGS = ("likeliest", "error")


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
        low, top = self.low_hz, self.top_hz
        require_range("low_hz", low, 0 <= low < top, "below the upper edge")
        fits = top <= self.sample_rate / 2
        require_range("high_hz", self.high_hz, fits, "up to half the rate")

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


@dataclass(frozen=True)
class Policy:
    """What is done about texts that are not plain words.

    Data:
        readings: What can be said in several ways (1984, 3-4, $5): likeliest aligns all readings
            and takes the likeliest, error stops and shows them.
        drop_markup: Leave out marks that are not spoken: [laughter], (laughs), <noise>.
    """

    readings: str = "likeliest"
    drop_markup: Annotated[bool, Flag("drop-markup")] = False

    def __post_init__(self) -> None:
        require_choice("readings", self.readings, READINGS)

    def params(self) -> dict[str, Any]:
        """For a manifest: what is not the default."""
        default = asdict(Policy())
        return {name: value for name, value in asdict(self).items() if value != default[name]}

    def tokens(self, text: str) -> list[Token]:
        """As :func:`speechkit.acoustic.lexicon.text.tokens_of`; UserError for what it refuses."""
        from speechkit.acoustic.lexicon.text import refuse_several, tokens_of

        tokens = tokens_of(without_marks(text) if self.drop_markup else text)
        if self.readings == "error":
            refuse_several(tokens, text)
        return tokens

    def warn_dropped(self, texts: Sequence[str]) -> None:
        """Say once which marks are left out of some texts."""
        if self.drop_markup and (line := dropped_marks(texts)):
            logger.warning(line)


@dataclass(frozen=True)
class TextConfig:
    """How texts are said.

    Data:
        lexicon: Pronunciations that go first: lines 'WORD PHONE PHONE ...' (ARPAbet).
        guess: Let espeak-ng pronounce words that no lexicon has, or refuse.
    """

    lexicon: Path | None = None
    guess: Annotated[bool, Flag("g2p/no-g2p")] = True
    policy: Policy = field(default_factory=Policy)

    def params(self) -> dict[str, Any]:
        """For a manifest."""
        lexicon = str(self.lexicon or "")
        return {"lexicon": lexicon, "guess": self.guess, **self.policy.params()}

    def files(self) -> list[Path]:
        """Files whose change makes an output out of date."""
        return [self.lexicon] if self.lexicon else []
