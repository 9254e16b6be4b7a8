"""What is served, where, and how much of it a client may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from speechkit.base.config import Flag, Positive, Whole, check_fields

TASKS = ("pronunciation", "separation", "emotion")


@dataclass(frozen=True)
class ServeConfig:
    """Serve a page to speak into, and the same as JSON, until Ctrl-C.

    The page scores what is read, separates mixtures and shows emotions over time; the tabs
    without a model say which command makes one. It prints its address. Recordings are kept in
    memory alone. Needs the extra [serve].

    Model:
        pronunciation: Model that scores: name, folder, file of export, or hf:OWNER/NAME.
        separation: Model of the tab that separates.
        emotion: Model of the tab of emotions.
    Data:
        max_megabytes: Largest upload.
        max_seconds: Longest recording.
    Machine:
        host: Address to listen on; 0.0.0.0 in a container.
        port: Port to listen on; 0: a free one.
        per_minute: Recordings a minute that a client may send; 0: no limit.
        waiting: Recordings that may wait for their turn; 0: none.
    """

    pronunciation: Annotated[str, Flag(shown="the one that comes with speechkit")] = ""
    separation: Annotated[str, Flag(shown="none")] = ""
    emotion: Annotated[str, Flag(shown="none")] = ""
    max_megabytes: Positive = 20.0
    max_seconds: Positive = 60.0
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    per_minute: Whole = 60
    waiting: Whole = 16

    def check(self) -> None:
        """Raises ConfigError for values out of range."""
        check_fields(self)

    @property
    def max_bytes(self) -> int:
        """Of a request, with the few fields beside the recording."""
        return round(self.max_megabytes * 1e6) + 10_000
