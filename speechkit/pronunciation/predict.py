"""Score anyone's own recordings by their text: phones, words and the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.acoustic.align.verification import verify
from speechkit.acoustic.config import Policy
from speechkit.acoustic.lexicon.dictionary import Lexicon
from speechkit.acoustic.lexicon.readings import words_of_text
from speechkit.base import audio
from speechkit.base.errors import UserError
from speechkit.labels.miscues import SAID, STATUSES
from speechkit.labels.scores import Scales
from speechkit.phone_features import ctc_gop
from speechkit.phone_features.bundle import DEFAULT, acoustic_places, find_model, seed_folders
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.phone_features.recordings import Recording, Setup, score_all
from speechkit.phone_features.request import Extracted, Request
from speechkit.phone_features.verification import NATS_CAP
from speechkit.pronunciation import assessment, model_folder, statuses
from speechkit.pronunciation.acoustic_scores import AcousticScores, is_acoustic, load_pipeline
from speechkit.pronunciation.assessment import MISSING, Alternative, PhoneResult, WordResult
from speechkit.pronunciation.model_folder import Assessor
from speechkit.pronunciation.result import FORMS, Result, in_ipa
from speechkit.pronunciation.statuses import OTHER_TEXT, called, far_more, together
from speechkit.task.config import StreamConfig
from speechkit.task.prediction.jobs import Job
from speechkit.task.prediction.saved import model_digest
from speechkit.task.prediction.stream import Predicted
from speechkit.workdir import WorkDir

PRETRAINED = Path(__file__).parent / "pretrained"  # models that come with the package
SHIPPED = {name: PRETRAINED / name for name in (DEFAULT, "accurate", "no-gpl")}
_SQUEEZED = 3  # frames: one for each state of an HMM
_CLEAR_NATS = 1.0


@dataclass
class LoadedModel:
    """Everything that scores a recording.

    Args:
        name: of the model, for people.
        assessor: the scorer; of an acoustic model alone its posteriors.
        pipeline: makes the features that it takes; it aligns, and tells what was said.
        seeds: folders that the scorer was loaded from.
        beside: make the features that stand beside those, of scorers of several folders.
    """

    name: str
    assessor: Assessor | AcousticScores
    pipeline: FeaturePipeline
    seeds: Sequence[Path] = ()
    beside: Sequence[FeaturePipeline] = ()

    @property
    def fingerprint(self) -> str:
        """Changes whenever the features could."""
        return ",".join(pipeline.fingerprint for pipeline in (self.pipeline, *self.beside))


def load_model(spec: str, workdir: WorkDir, device: str = "cpu") -> LoadedModel:
    """Find and load a model.

    Args:
        spec: ``default`` or empty, ``accurate`` or ``no-gpl`` for one that comes with the package;
            a name under ``exp/pronunciation``; a folder of an experiment, or of one with its
            acoustic models; a CTC model (``hf:OWNER/NAME``, ``torchaudio:BUNDLE``, a folder of
            Hugging Face), whose posteriors are the scores then.
        workdir: where names, and the acoustic models of an experiment, are looked up.
        device: cpu or cuda.

    Raises:
        UserError: there is no such model, or its features cannot be made of a recording.
    """
    own = workdir.root / "exp" / "pronunciation" / spec
    if is_acoustic(spec) and ((own / "config.json").is_file() or not own.is_dir()):
        return LoadedModel(spec, AcousticScores(), load_pipeline(spec, workdir, device))
    folder = find_model(spec, workdir, "pronunciation", SHIPPED)
    shared = PRETRAINED if folder.parent == PRETRAINED else None
    seeds = seed_folders(folder)
    assessor = model_folder.load(seeds, device)
    places = [acoustic_places(folder, config, shared) for config in assessor.features_of]
    first, *beside = (
        FeaturePipeline.from_config(config, workdir, device, place)
        for config, place in zip(assessor.features_of, places, strict=True)
    )
    return LoadedModel(spec or DEFAULT, assessor, first, seeds, beside)


def predict(
    setup: Setup, jobs: Sequence[Job], stream_config: StreamConfig | None = None
) -> Iterator[Predicted[Result]]:
    """Score recordings, one after the other.

    Args:
        setup: the model.
        jobs: recordings with their texts.
        stream_config: see there.

    Raises:
        UserError: a recording is missing or cannot be scored (``stop``), or none can.
    """
    return score_all(
        "pronunciation",
        setup,
        jobs,
        stream_config or StreamConfig(),
        find=load_model,
        score=_predict_in_ipa if setup.ipa else predict_one,
        restore=Result.from_dict,
        forms=FORMS,
        model=lambda ready: model_digest(ready.seeds, ready.fingerprint),
    )


def predict_one(
    ready: LoadedModel, recording: Recording, lexicon: Lexicon, policy: Policy | None = None
) -> Result:
    """Score one recording; several threads may score with one model.

    Raises:
        UserError: the audio is silent, or too short for the text; the text is empty or has words
            that cannot be pronounced.
    """
    samples = recording.at(ready.pipeline.sample_rate)
    words = words_of_text(recording.text, lexicon, policy)
    request = Request(
        samples, words.variants, texts=words.texts, keep_evidence=True, choices=words.choices
    )
    extracted = ready.pipeline.extract_many([request])[0]
    if isinstance(extracted, UserError):
        raise extracted
    rows, assessor, aligner = extracted.rows, ready.assessor, ready.pipeline.aligner
    assert extracted.evidence is not None
    verified = extracted.verification or verify(aligner, extracted.evidence, extracted.alignment)
    shift = aligner.frame_shift
    if isinstance(assessor, AcousticScores):
        assessed = assessor.assess_rows(rows)
    else:
        words_of = [row.word_index for row in rows]
        features = _side_by_side(ready, recording, extracted)
        assessed = assessor.assess(features, [row.phone for row in rows], words_of)
    said = 1.0
    if assessed.statuses is not None and assessor.calibration is not None:
        said = float(together(assessed.statuses)[:, 0].mean())
    beside = verified.heard - sum(len(one.phones) for one in verified.insertions)
    more = aligner.blank is None and far_more(beside, len(rows))
    matches = extracted.alignment.matches and said >= OTHER_TEXT and not more
    if not matches:
        why = "far more is said; was it read twice?" if more else ""
        recording.say_mismatch(min(said, extracted.alignment.confidence), why)
    whole = _on_scale(assessed.scores, assessor.scales, "utterance")
    return Result(
        recording.name,
        recording.text,
        recording.seconds,
        matches,
        extracted.alignment.confidence,
        assessor.scales,
        {name: float(values.mean()) for name, values in whole.items()},
        {name: float(values.std()) for name, values in whole.items()},
        _words(ready, extracted, assessed, verified.said, lexicon.guessed),
        extracted.readings,
        [
            assessment.Insertion(one.start_frame * shift, one.end_frame * shift, list(one.phones))
            for one in verified.insertions
        ],
    )


def _side_by_side(ready: LoadedModel, recording: Recording, extracted: Extracted) -> np.ndarray:
    """The features ``[P, D]`` of all folders, of the pronunciations that the first one chose."""
    phones: dict[int, list[str]] = {}
    for row in extracted.rows:
        phones.setdefault(row.word_index, []).append(row.phone)
    said = [[tuple(phones[word])] for word in sorted(phones)]
    blocks = [extracted.features]
    for pipeline in ready.beside:
        samples = audio.resample(recording.samples, recording.sample_rate, pipeline.sample_rate)
        blocks.append(pipeline.extract(samples, said).features)
    return np.concatenate(blocks, axis=1)


def _predict_in_ipa(*given: Any) -> Result:
    return in_ipa(predict_one(*given))


def _words(
    ready: LoadedModel,
    extracted: Extracted,
    assessed: statuses.Predicted,
    llr: np.ndarray,
    guessed: set[str],
) -> list[WordResult]:
    """The words with their phones; ``guessed`` are those whose pronunciation is in no lexicon,
    ``llr`` the log-likelihood ratio of each being said.

    A phone is suspect up to the score that `evaluate pronunciation` measures recall and
    precision at; where it is not known, up to the middle of the scale. Of an acoustic model alone
    it is suspect where something else fits better.
    """
    scales, threshold = ready.assessor.scales, ready.assessor.thresholds.get("phone_accuracy")
    ends = scales.get("phone", {}).get("accuracy", (0.0, 2.0))
    limit = float(_to_scale(np.array(1.0 if threshold is None else threshold), *ends))
    of_phones = _on_scale(assessed.scores, scales, "phone")
    of_words = _on_scale(assessed.scores, scales, "word")
    phones: dict[int, list[PhoneResult]] = {}
    for row, alternative in zip(extracted.rows, likeliest(ready, extracted), strict=True):
        given = {name: float(values[:, row.index].mean()) for name, values in of_phones.items()}
        bad = "accuracy" in given and given["accuracy"] <= limit
        if isinstance(ready.assessor, AcousticScores):
            bad = ready.assessor.is_suspect(row)
        end, heard = row.start + row.duration, alternative if bad else None
        one = PhoneResult(row.phone, row.start, end, given, suspect=bad, heard=heard)
        phones.setdefault(row.word_index, []).append(one)
    raw = _on_scale(assessed.raw, scales, "word")
    texts = {row.word_index: row.word for row in extracted.rows}
    return [
        WordResult(
            texts[index],
            members[0].start,
            members[-1].end,
            {name: float(values[:, index].mean()) for name, values in of_words.items()},
            members,
            guessed=texts[index].upper() in guessed,
            said_llr=float(np.clip(llr[index], -NATS_CAP, NATS_CAP)),
            verdict=_verdict(ready.assessor, assessed, index, raw),
        )
        for index, members in sorted(phones.items())
    ]


def _verdict(
    assessor: Assessor | AcousticScores,
    assessed: statuses.Predicted,
    word: int,
    raw: Mapping[str, np.ndarray],
) -> assessment.Verdict | None:
    """What became of a word; None of models that do not say."""
    if assessed.statuses is None or assessor.calibration is None:
        return None
    probabilities = together(assessed.statuses)[word]
    status = STATUSES[called(probabilities[None])[0]]
    given = assessed.scores.get("word_accuracy")
    limit = assessor.thresholds.get("word_accuracy")
    if status == SAID and given is not None and limit is not None:
        status = assessment.SAID_BADLY if given[:, word].mean() <= limit else SAID
    shares = dict(zip(STATUSES, probabilities.tolist(), strict=True))
    scores = {name: float(values[:, word].mean()) for name, values in raw.items()}
    return assessment.Verdict(status, shares, scores)


def _on_scale(
    predictions: Mapping[str, np.ndarray], scales: Scales, level: str
) -> dict[str, np.ndarray]:
    """Score -> predictions on its scale, without the name of the level."""
    return {
        name: _to_scale(predictions[f"{level}_{name}"], *ends)
        for name, ends in scales.get(level, {}).items()
    }


def _to_scale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Predictions from 0 to 2 on a scale of scores, clipped to it."""
    return np.clip(low + np.asarray(values) / 2 * (high - low), low, high)


def likeliest(ready: LoadedModel, extracted: Extracted) -> list[Alternative]:
    """For every canonical phone, what fits best in its place: another phone, or nothing.

    Without fixed boundaries, see :mod:`speechkit.phone_features.ctc_gop`; by the model that
    aligned. A phone that was given no more than the fewest frames, and in whose place no
    other is clearly heard, is left out: its frames are borrowed from its neighbours.
    """
    model = ready.pipeline.aligner
    assert extracted.evidence is not None
    segments = extracted.alignment.segments
    phones = [row.phone for row in extracted.rows]
    heard = (model, extracted.evidence, phones, MISSING, extracted.alternatives)
    names, advantage = ctc_gop.rivals(*heard)
    best, probabilities = advantage.argmax(axis=1), ctc_gop.probabilities(model, advantage)
    found = []
    for p, (k, segment) in enumerate(zip(best, segments, strict=True)):
        value = float(advantage[p, k])
        squeezed = model.blank is None and segment.frames <= _SQUEEZED and value < _CLEAR_NATS
        other = MISSING if squeezed else names[k]
        likely = 1.0 if squeezed else float(probabilities[p, k])
        found.append(Alternative(other, max(value, 0.0) if squeezed else value, likely))
    return found
