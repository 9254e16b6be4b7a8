"""Scores of anyone's own recordings: audio and text in, phones, words and the whole out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.acoustic.lexicon.readings import Policy, words_of_text
from speechkit.base.errors import UserError
from speechkit.phone_features import ctc_gop
from speechkit.phone_features.recordings import Setup, load, say_mismatch, score_all
from speechkit.phone_features.settings import Extracted, Request
from speechkit.pronunciation import bundle
from speechkit.pronunciation.assessment import (
    MISSING,
    Alternative,
    Result,
    describe,
    known_scales,
    suspect_limit,
)
from speechkit.pronunciation.bundle import Ready
from speechkit.task.prediction.jobs import Job
from speechkit.task.prediction.saved import model_digest
from speechkit.task.prediction.stream import How, Predicted

__all__ = ["Job", "Setup", "likeliest", "predict", "predict_one"]

_SQUEEZED = 3  # frames: one for each state of an HMM
_CLEAR_NATS = 1.0


def predict(
    setup: Setup, jobs: Sequence[Job], how: How | None = None
) -> Iterator[Predicted[Result]]:
    """Score recordings, one after the other.

    Args:
        setup: the model.
        jobs: recordings with their texts.
        how: see there.

    Raises:
        UserError: a recording is missing or cannot be scored (``stop``), or none can.
    """
    return score_all(
        "pronunciation",
        setup,
        jobs,
        how or How(),
        find=bundle.load,
        score=predict_one,
        restore=Result.from_dict,
        model=lambda ready: model_digest(ready.seeds, ready.pipeline.fingerprint),
    )


def predict_one(ready: Ready, job: Job, lexicon: Lexicon, policy: Policy | None = None) -> Result:
    """Score one recording.

    Raises:
        UserError: the audio cannot be read, is silent, or too short for the text; the text is
            empty or has words that cannot be pronounced.
    """
    samples, seconds = load(job.audio, ready.pipeline.sample_rate)
    words = words_of_text(job.text, lexicon, policy)
    request = Request(
        samples, words.variants, texts=words.texts, keep_evidence=True, choices=words.choices
    )
    extracted = ready.pipeline.extract_many([request])[0]
    if isinstance(extracted, UserError):
        raise extracted
    if not extracted.alignment.matches:
        say_mismatch(job, extracted.alignment.confidence)
    rows, assessor = extracted.rows, ready.assessor
    assessed = assessor.assess(
        extracted.features, [row.phone for row in rows], [row.word_index for row in rows]
    )
    scales = known_scales(assessor.card, assessor.config.aspects)
    return describe(
        assessed,
        extracted,
        scales,
        likeliest(ready, extracted),
        lexicon.guessed,
        suspect_limit(assessor.cards, scales),
        file=str(job.file),
        text=job.text,
        seconds=seconds,
    )


def likeliest(ready: Ready, extracted: Extracted) -> list[Alternative]:
    """For every canonical phone, what fits best in its place: another phone, or nothing.

    Without fixed boundaries, see :mod:`speechkit.phone_features.ctc_gop`; by the model that
    aligned. A phone that was given no more than the fewest frames, and in whose place no
    other is clearly heard, is left out: its frames are borrowed from its neighbours.
    """
    model = ready.pipeline.aligner
    assert extracted.evidence is not None
    segments = extracted.alignment.segments
    phones = [row.phone for row in extracted.rows]
    names, advantage = ctc_gop.rivals(
        extracted.evidence.log_posteriors, phones, model.labels, model.blank, MISSING
    )
    best = advantage.argmax(axis=1)
    found = []
    for p, (k, segment) in enumerate(zip(best, segments, strict=True)):
        value = float(advantage[p, k])
        squeezed = model.blank is None and segment.frames <= _SQUEEZED and value < _CLEAR_NATS
        found.append(
            Alternative(MISSING if squeezed else names[k], max(value, 0.0) if squeezed else value)
        )
    return found
