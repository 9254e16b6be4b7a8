"""Recordings whose phones get features, and the evidence of the acoustic models in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from speechkit.acoustic.interface import AcousticModel, Evidence
from speechkit.acoustic.lexicon.readings import Choice, Reading
from speechkit.base import audio
from speechkit.base.errors import UserError
from speechkit.phone_features.feature_folder import PhoneRow

if TYPE_CHECKING:
    from speechkit.acoustic.align.alignment import Alignment
    from speechkit.acoustic.align.verification import Verification
    from speechkit.phone_features.ctc_gop import Alternatives

Pronunciation = Sequence[str]


@dataclass(frozen=True)
class Request:
    """One recording.

    Args:
        samples: mono float32 ``[N]`` at the pipeline's sample rate.
        words: for each word its pronunciations (phones with or without stress); those of all
            readings where the text has several.
        speaker: a cross-fitted model then takes the fold that has not heard them.
        utterance: id, for models that look posteriors up.
        texts: the words as they are said.
        keep_evidence: give back what the aligning model found in every frame.
        choices: which of the words are readings of one piece of the text.
    """

    samples: np.ndarray
    words: Sequence[Sequence[Pronunciation]]
    speaker: str | None = None
    utterance: str = ""
    texts: Sequence[str] = ()
    keep_evidence: bool = False
    choices: Sequence[Choice] = ()


@dataclass(frozen=True)
class Extracted:
    """Features of one recording.

    Args:
        features: float32 ``[P, D]``; ``[T, D]`` of level ``frame``.
        alignment: in frames of the aligning model.
        rows: what each of the P rows is.
        evidence: of the aligning model, where it was asked for.
        readings: how what can be said in several ways was read.
        verification: of the words, where the features have its block.
        alternatives: scores of other phones in the phones' places by the aligning model, where
            they were asked for and the features need them.
    """

    features: np.ndarray
    alignment: Alignment
    rows: list[PhoneRow]
    evidence: Evidence | None = None
    readings: list[Reading] = field(default_factory=list)
    verification: Verification | None = None
    alternatives: Alternatives | None = None


def as_read(request: Request, extracted: Extracted) -> Request:
    """The request with the words alone that were found to be said; other models then take them."""
    if not request.choices:
        return request
    said = extracted.alignment.words
    return replace(
        request,
        words=[request.words[word] for word in said],
        texts=[request.texts[word] for word in said],
        choices=(),
    )


def evidence_of(
    model: AcousticModel, requests: Sequence[Request], rate: int
) -> Iterator[tuple[int, AcousticModel, Evidence | UserError]]:
    """Number of each request, the networks that heard it, and its evidence, or why it has none.

    Recordings that the same networks hear are heard together.

    Args:
        model: a cross-fitted one hears each speaker by the networks that have not seen them;
            one of imported posteriors looks each utterance up.
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
        waves = [audio.resample(requests[n].samples, rate, model.sample_rate) for n in numbers]
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
