"""How texts are said: the flags of all commands that read texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from speechkit.base.config import Flag
from speechkit.base.errors import require_choice
from speechkit.base.log import logger
from speechkit.base.text import dropped_marks, without_marks

if TYPE_CHECKING:
    from speechkit.acoustic.lexicon.text import Token

READINGS = ("likeliest", "error")


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
