"""How well acoustic networks recognise aligned states and phones, and phones without a text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from speechkit.acoustic.align.phone_loop import PhoneErrors, PhoneLoop, bigram_counts, log_bigram
from speechkit.acoustic.tdnn.batches import Data
from speechkit.acoustic.tdnn.config import AcousticConfig
from speechkit.acoustic.tdnn.data import Stream, build_streams
from speechkit.acoustic.tdnn.inputs import Source
from speechkit.acoustic.tdnn.model import TdnnModel
from speechkit.acoustic.tdnn.network import STATES, Tdnn, run_stream
from speechkit.base.log import counted, logger

Measured = tuple[Tensor, Tensor, Sequence[str]]  # features [T, M], targets [T], phones
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


class Evaluator:
    """Measures of networks, with the phones that they decode freely.

    Args:
        data: of the training; its phones make the bigram.
        config: of the decoding.
    """

    def __init__(self, data: Data, config: AcousticConfig) -> None:
        self.data, self.config = data, config

    def folds(self, model: TdnnModel) -> dict[str, float]:
        """The training speakers, each by the network that has not heard them."""
        together, errors, each = Tally(self.data.speech), PhoneErrors(), {}
        for fold in range(self.config.folds):
            own, own_errors = Tally(self.data.speech), PhoneErrors()
            found = (m for s in self.data.plain for m in _utterances(s, s.inside(fold)))
            view = model.of(f"fold{fold}")
            self._measure(view, found, self._loop(fold), own, own_errors)
            measures = {**own.measures(), **own_errors.measures()}
            each.update({f"fold{fold}_{key}": value for key, value in measures.items()})
            together.merge(own)
            errors.update(own_errors)
        if not self.config.folds:
            return {}
        measures = {**together.measures(), **errors.measures()}
        return {**{f"held_out_{key}": value for key, value in measures.items()}, **each}

    def set(self, model: TdnnModel, source: Source, jobs: int) -> dict[str, Any]:
        """A set that was not trained on; who is a training speaker too is scored by the fold.

        Raises:
            UserError: its alignment does not fit it.
        """
        config, name = self.config, source.dataset.path.name
        utterances = source.utterances({}, config.min_score)
        stream = build_streams(utterances, config.features, (1.0,), config.network.reach, jobs)[0]
        known = {u.source.speaker for u in utterances} & set(self.data.folds)
        if known and not config.folds:
            logger.warning(
                f"The training has {counted(len(known), 'speaker')} of the held-out set {name}, "
                f"such as {min(known)}: its measures are too good."
            )
        own, errors, loop = Tally(self.data.speech), PhoneErrors(), self._loop(None)
        by_speaker = defaultdict(list)
        for number, utterance in enumerate(stream.utterances):
            by_speaker[utterance.source.speaker].append(number)
        for speaker, numbers in by_speaker.items():
            self._measure(
                model.for_speaker(speaker), _utterances(stream, numbers), loop, own, errors
            )
        return {
            "utterances": len(utterances),
            "speakers": len(by_speaker),
            "training_speakers": len(known),
            "phones": errors["phones"],
            **own.measures(),
            **errors.measures(),
        }

    def _loop(self, without: int | None) -> PhoneLoop:
        """A decoder whose bigram has not seen a fold."""
        labels = self.data.labels
        each = [
            bigram_counts(stream.outside(without).numpy(), len(labels))
            for stream in self.data.plain
        ]
        found = np.sum(each, axis=0)
        config = self.config
        return PhoneLoop(labels, log_bigram(found), config.lm_scale, config.insertion_penalty)

    @staticmethod
    def _measure(
        view: TdnnModel,
        utterances: Iterable[Measured],
        loop: PhoneLoop,
        into: Tally,
        errors: PhoneErrors,
    ) -> None:
        for group in groups(utterances):
            found = view.evidence_of([features.float() for features, _, _ in group])
            for evidence, (_, targets, phones) in zip(found, group, strict=True):
                into.add(view.state_log_posteriors(evidence), targets)
                errors.add(phones, loop.decode(evidence.state_scores.numpy()))


def _utterances(stream: Stream, numbers: Iterable[int]) -> Iterable[Measured]:
    for number in numbers:
        part = stream.parts[number]
        yield stream.features[part], stream.targets[part], stream.utterances[number].phones
