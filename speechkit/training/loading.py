"""Reading audio for training: durations, and problems found in workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from speechkit import audio
from speechkit.errors import UserError
from speechkit.kaldi import data

if TYPE_CHECKING:
    from torch.utils.data import DataLoader


class Checked:
    """Batches of a loader; a problem found in a worker is raised here, in the main process.

    (An exception of a worker would reach the user as a traceback inside a message.)
    """

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            if isinstance(batch, str):
                raise broken(batch)
            yield batch


def broken(problem: str) -> UserError:
    """The error for an utterance that training cannot read."""
    return UserError(
        problem,
        "Mend it, or drop what cannot be read with `speechkit validate --decode --fix`.",
    )


def durations(utterances: Sequence[data.Utterance]) -> list[float]:
    """Seconds of each utterance, from headers."""
    of: dict[str | audio.Pipe, float] = {}
    seconds = []
    for u in utterances:
        if u.end is None and u.wav not in of:
            try:
                of[u.wav] = audio.info(u.wav).seconds
            except UserError as error:
                raise broken(f"{u.id}: {error.problem}") from error
        seconds.append((of[u.wav] if u.end is None else u.end) - u.start)
    return seconds
