"""How well an acoustic network recognises aligned states and phones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from speechkit.acoustic.tdnn.network import STATES, Tdnn, run_stream

GROUP = 32  # utterances computed together
Item = TypeVar("Item")


class Tally:
    """Sums over utterances.

    ``loss``: cross-entropy of the states in nats per frame. ``state_accuracy``: share of the
    frames whose likeliest state is the aligned one. ``frame_accuracy``: the same of phones,
    the states of a phone taken together. ``phone_accuracy``: share of the aligned phones
    (without silences and noises) that are the likeliest label over their frames. Frames
    without a target do not count.

    Args:
        speech: for each label, whether it is a phone rather than a silence or noise.
    """

    def __init__(self, speech: Sequence[bool]) -> None:
        self.speech = torch.tensor(list(speech))
        self.loss = self.states = self.labels = self.phones = 0.0
        self.frames = self.segments = 0

    def add(self, posteriors: Tensor, targets: Tensor) -> None:
        """Count an utterance: log posteriors ``[T, S]`` of its states, targets ``[T]``."""
        known = targets >= 0
        posteriors, targets = posteriors[known], targets[known].long()
        if not len(targets):
            return
        labels = posteriors.unflatten(1, (len(self.speech), STATES)).logsumexp(-1)
        wanted = targets // STATES
        self.frames += len(targets)
        self.loss -= float(posteriors.gather(1, targets[:, None]).sum())
        self.states += int((posteriors.argmax(1) == targets).sum())
        self.labels += int((labels.argmax(1) == wanted).sum())
        starts = torch.ones(len(targets), dtype=torch.bool)
        starts[1:] = (wanted[1:] != wanted[:-1]) | (targets[1:] < targets[:-1])
        segment = starts.cumsum(0) - 1
        sums = labels.new_zeros(int(segment[-1]) + 1, labels.shape[1])
        right = sums.index_add_(0, segment, labels).argmax(1) == wanted[starts]
        speech = self.speech[wanted[starts]]
        self.phones += int((right & speech).sum())
        self.segments += int(speech.sum())

    def merge(self, other: Tally) -> None:
        """Add the sums of another tally."""
        for name in ("loss", "states", "labels", "phones", "frames", "segments"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def measures(self) -> dict[str, float]:
        """Means so far (NaN of nothing)."""
        frames, segments = self.frames or float("nan"), self.segments or float("nan")
        return {
            "loss": self.loss / frames,
            "state_accuracy": self.states / frames,
            "frame_accuracy": self.labels / frames,
            "phone_accuracy": self.phones / segments,
        }


def tally(
    network: Tdnn, utterances: Iterable[tuple[Tensor, Tensor]], into: Tally
) -> dict[str, float]:
    """Measure a network (in any mode) on (features ``[T, M]``, targets ``[T]``)."""
    folded = network.folded()
    with torch.inference_mode():
        for group in groups(utterances):
            runs = run_stream(folded, [features.float() for features, _ in group])
            for (posteriors, _), (_, targets) in zip(runs, group, strict=True):
                into.add(posteriors, targets)
    return into.measures()


def groups(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Lists of up to 32 utterances that are computed together."""
    group: list[Item] = []
    for item in items:
        group.append(item)
        if len(group) == GROUP:
            yield group
            group = []
    if group:
        yield group
