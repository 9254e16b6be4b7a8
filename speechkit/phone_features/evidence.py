"""What an acoustic model hears in several recordings, each by the networks meant for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from speechkit.acoustic.interface import AcousticModel, Evidence
from speechkit.base import audio
from speechkit.base.errors import UserError
from speechkit.phone_features.settings import Request


def hear(
    model: AcousticModel, requests: Sequence[Request], rate: int
) -> Iterator[tuple[int, AcousticModel, Evidence | UserError]]:
    """Number of each request, the networks that heard it, and its evidence, or why it has none.

    Recordings that the same networks hear are heard together.

    Args:
        model: a cross-fitted one hears each speaker by the networks that have not seen them;
            one of imported posteriors looks each utterance up.
        requests: recordings.
        rate: of their samples, in Hz.
    """
    networks: dict[int, AcousticModel] = {}
    groups: dict[int, list[int]] = {}
    for number, request in enumerate(requests):
        try:
            bound = model.for_speaker(request.speaker).for_utterance(request.utterance)
        except UserError as error:
            yield number, model, error
            continue
        networks[id(bound)] = bound
        groups.setdefault(id(bound), []).append(number)
    for key, numbers in groups.items():
        bound = networks[key]
        waves = [_at_rate(requests[n].samples, rate, model.sample_rate) for n in numbers]
        for number, found in zip(numbers, _evidence(bound, waves), strict=True):
            yield number, bound, found


def _evidence(model: AcousticModel, waves: Sequence[np.ndarray]) -> Iterator[Evidence | UserError]:
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
