"""Scores of anyone's own recordings: audio and text in, phones, words and the whole out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.acoustic.lexicon.readings import Policy, words_of_text
from speechkit.base.errors import UserError
from speechkit.phone_features import ctc_gop
from speechkit.phone_features.bundle import DEFAULT, acoustic_places, find_model, seed_folders
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.phone_features.recordings import Setup, load, say_mismatch, score_all
from speechkit.phone_features.request import Extracted, Request
from speechkit.pronunciation import model_folder
from speechkit.pronunciation.assessment import (
    MISSING,
    Alternative,
    Result,
    describe,
    known_scales,
    suspect_limit,
)
from speechkit.pronunciation.model_folder import Assessor
from speechkit.task.prediction.jobs import Job
from speechkit.task.prediction.saved import model_digest
from speechkit.task.prediction.stream import How, Predicted
from speechkit.workdir import WorkDir

PRETRAINED = Path(__file__).parent / "pretrained"  # the default model
_SQUEEZED = 3  # frames: one for each state of an HMM
_CLEAR_NATS = 1.0


@dataclass
class Ready:
    """Everything that scores a recording.

    Args:
        name: of the model, for people.
        assessor: the scorer.
        pipeline: makes the features that it takes.
        seeds: folders that the scorer was loaded from.
    """

    name: str
    assessor: Assessor
    pipeline: FeaturePipeline
    seeds: Sequence[Path] = ()


def load_model(spec: str, workdir: WorkDir, device: str = "cpu") -> Ready:
    """Find and load a model.

    Args:
        spec: ``default`` or empty for the one that the package ships; a name under
            ``exp/pronunciation``; a folder of an experiment, or of one with its acoustic models.
        workdir: where names, and the acoustic models of an experiment, are looked up.
        device: cpu or cuda.

    Raises:
        UserError: there is no such model, or its features cannot be made of a recording.
    """
    folder = find_model(spec, workdir, "pronunciation", PRETRAINED)
    seeds = seed_folders(folder)
    assessor = model_folder.load(seeds, device)
    configs = assessor.features_of
    if len(configs) > 1:
        raise UserError(
            f"'{spec}' was trained on {len(configs)} folders of features side by side, which "
            "cannot be made of a recording in one go.",
            "Extract them in one folder (several `am` for `speechkit extract-gop`), and train "
            "on that.",
        )
    places = acoustic_places(folder, configs[0])
    pipeline = FeaturePipeline.from_config(configs[0], workdir, device, places)
    return Ready(spec or DEFAULT, assessor, pipeline, seeds)


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
        find=load_model,
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
    names, advantage = ctc_gop.rivals(model, extracted.evidence, phones, MISSING)
    best = advantage.argmax(axis=1)
    found = []
    for p, (k, segment) in enumerate(zip(best, segments, strict=True)):
        value = float(advantage[p, k])
        squeezed = model.blank is None and segment.frames <= _SQUEEZED and value < _CLEAR_NATS
        found.append(
            Alternative(MISSING if squeezed else names[k], max(value, 0.0) if squeezed else value)
        )
    return found
