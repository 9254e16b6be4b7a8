"""What an acoustic model hears in several recordings, each by the networks meant for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from speechkit import audio
from speechkit.acoustic.base import AcousticModel, Evidence
from speechkit.errors import UserError
from speechkit.pronunciation.feature_settings import Request


def hear(
    model: AcousticModel, requests: Sequence[Request], rate: int
) -> Iterator[tuple[int, Evidence | UserError]]:
    """Number of each request with its evidence, or with the reason why it has none.

    Recordings that the same networks hear are heard together.

    Args:
        model: a cross-fitted one hears each speaker by the networks that have not seen them;
            one of imported posteriors looks each utterance up.
        requests: recordings.
        rate: of their samples, in Hz.
    """
    bound: dict[tuple[str | None, str], Any] = {}
    groups: dict[int, list[int]] = {}
    for number, request in enumerate(requests):
        utterance = request.utterance if hasattr(model, "for_utterance") else ""
        key = (request.speaker, utterance)
        if key not in bound:
            bound[key] = _bound(model, *key)
        groups.setdefault(id(bound[key]), []).append(number)
    networks = {id(one): one for one in bound.values()}
    for network, numbers in groups.items():
        waves = [_at_rate(requests[n].samples, rate, model.sample_rate) for n in numbers]
        yield from zip(numbers, _evidence(networks[network], waves), strict=True)


def _bound(model: Any, speaker: str | None, utterance: str) -> Any:
    if hasattr(model, "for_utterance"):
        return model.for_utterance(utterance)
    return model.for_speaker(speaker)


def _evidence(model: Any, waves: Sequence[np.ndarray]) -> Iterator[Evidence | UserError]:
    try:
        yield from model.evidence_many(waves)
    except UserError:  # of one of them: the others go on
        for wave in waves:
            try:
                yield model.evidence(wave)
            except UserError as error:
                yield error


def _at_rate(samples: np.ndarray, given: int, wanted: int) -> np.ndarray:
    return samples if given == wanted else audio.resample(samples, given, wanted)
