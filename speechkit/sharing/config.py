"""What is exported of a trained model, and where to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from speechkit.base.config import Flag, OneOf, check_fields
from speechkit.base.errors import ConfigError

FORMATS = ("zip", "hf", "asteroid")


@dataclass(frozen=True)
class ExportConfig:
    """Write a trained model into one file: weights, configuration and card.

    Of any task; every seed and fold, or one. Nothing about machines or training speakers is in
    it. `speechkit import` takes it in again.

    Data:
        fold: Only this fold.
        seed: Only this seed.
        licence: Licence in the model card, e.g. cc-by-4.0.
    Output:
        push_to_hub: Also push it to OWNER/NAME on Hugging Face.
        private: Make that repository private.
        format: What is written: zip, or the folder of one model for another library: hf
            (transformers; emotion) or asteroid (separation).
        force: Replace the file.

    Raises:
        ConfigError: a value that is not accepted.
    """

    fold: Annotated[int | None, Flag(shown="all", least=0)] = None
    seed: Annotated[int | None, Flag(shown="all", least=0)] = None
    push_to_hub: str = ""
    private: Annotated[bool, Flag("private")] = False
    licence: str = ""
    format: Annotated[str, OneOf(*FORMATS)] = FORMATS[0]
    force: Annotated[bool, Flag("force")] = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.push_to_hub and self.format != FORMATS[0]:
            raise ConfigError(
                "push_to_hub",
                f"does not go with `format` {self.format}.",
                "Write the folder, and upload it: hf upload OWNER/NAME FOLDER.",
            )
