"""What is to be trained: one fold and one seed of an experiment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from speechkit.labels.emotions import MAX_SECONDS


@dataclass(frozen=True)
class Run:
    """One training. Everything in it is recorded in the model's ``config.yaml``.

    Args:
        upstream: spec of the upstream model.
        set: name of the set.
        split: name of its split.
        fold: number of the fold.
        seed: fixes every random draw.
        max_seconds: most seconds of a clip; the middle of a longer one is taken.
    """

    upstream: str
    set: str
    split: str
    fold: int
    seed: int
    max_seconds: float = MAX_SECONDS

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Resources:
    """What a training may use; nothing of it changes the result.

    Args:
        device: auto, cpu or cuda, as resolved.
        jobs: processes that read audio.
        checkpoint_minutes: how often the state is saved.
        on_error: ``stop`` at a broken clip, or ``skip`` it.
    """

    device: str = "cpu"
    jobs: int = 1
    checkpoint_minutes: float = 10.0
    on_error: str = "stop"
