"""From a recording and the phones of its text to a row of features for every phone.

One :class:`FeaturePipeline` serves ``extract-gop`` and ``predict pronunciation``; its
configuration is stored with the features and in every checkpoint, so that a model meets at
prediction what it was trained on, or an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.acoustic.align.alignment import Alignment, align
from speechkit.acoustic.align.verification import Verification, verify
from speechkit.acoustic.interface import AcousticModel, Evidence
from speechkit.acoustic.lexicon.readings import Choice, chosen
from speechkit.base.cluster import kept_for_map
from speechkit.base.errors import UserError, needed_by_all
from speechkit.phone_features import ctc_gop, gop
from speechkit.phone_features import prosody as prosody_features
from speechkit.phone_features import verification as verification_features
from speechkit.phone_features.feature_folder import PhoneRow
from speechkit.phone_features.gop import converted, frames_at, frames_of
from speechkit.phone_features.request import Extracted, Pronunciation, Request, evidence_of
from speechkit.phone_features.settings import (
    FORMAT,
    FeatureSettings,
    differences,
    fingerprint,
    layout,
    settings_of,
)
from speechkit.workdir import WorkDir


@dataclass
class _Work:
    """A request in progress: what the models have found so far."""

    request: Request
    words: Sequence[Sequence[Pronunciation]]
    choices: Sequence[Choice] = ()
    alignment: Alignment | None = None
    shift: float = 0.0
    blocks: dict[int, np.ndarray] = field(default_factory=dict)  # by number of the model
    stp: dict[int, np.ndarray] = field(default_factory=dict)
    scores: tuple[np.ndarray, np.ndarray] | None = None
    evidence: Evidence | None = None
    verified: tuple[Verification, np.ndarray] | None = None
    alternatives: ctc_gop.Alternatives | None = None
    error: UserError | None = None


class FeaturePipeline:
    """Recordings to features of phones.

    Args:
        models: those of ``settings.am``, then that of ``align_with`` if it is another.

    Attributes:
        sample_rate: of the samples that it takes, in Hz.
        columns: names of the D columns.
        blocks: which columns come from where; ``first`` and ``last`` are included.
        fingerprint: changes whenever the features could (not with the level of deep features:
            those of frames have the means of those of phones).

    Raises:
        UserError: a model lacks what the features are made of.
    """

    def __init__(self, settings: FeatureSettings, models: Sequence[AcousticModel]) -> None:
        self.settings, self.models = settings, list(models)
        if settings.deep:
            self.models[0] = models[0].with_hidden()
        for model in models[: len(settings.am) if settings.stp else 0]:
            gop.transitions_of(model)  # now, not at the first recording
        known = [*settings.am, settings.align_with]
        self._reference = known.index(settings.align_with) if settings.align_with else 0
        self.sample_rate = max(model.sample_rate for model in self.models)
        self.blocks, self.columns = layout(settings, self.models[: len(settings.am)])
        aligner = self.aligner.fingerprint if settings.align_with else ""
        self.fingerprint = fingerprint(self.blocks, self.columns, aligner)

    @property
    def aligner(self) -> AcousticModel:
        """The model whose segments are given back."""
        return self.models[self._reference]

    @classmethod
    def create(
        cls, settings: FeatureSettings, workdir: WorkDir | None, device: str = "cpu"
    ) -> FeaturePipeline:
        """Load the models of the settings.

        Raises:
            UserError: a model is not found or cannot be used.
        """
        from speechkit.acoustic.models import load_model

        extra = settings.align_with and settings.align_with not in settings.am
        deep: dict[str, Any] = {}
        if settings.deep:  # a model that does not align need not know phones
            deep = {"hidden": settings.layer or True, "phones": not extra}
        models = [load_model(spec, workdir, device, **deep) for spec in settings.am]
        if extra:
            models.append(load_model(settings.align_with, workdir, device))
        return cls(settings, models)

    @classmethod
    def from_config(
        cls,
        config: Mapping[str, Any],
        workdir: WorkDir | None,
        device: str = "cpu",
        places: Mapping[str, str] | None = None,
    ) -> FeaturePipeline:
        """The pipeline that made the features of a ``features.json``.

        Args:
            workdir: where the models' names are looked up.
            device: cpu or cuda.
            places: where a model is now, by its name in the configuration.

        Raises:
            UserError: the features were imported, or a model is missing or another one.
        """
        settings = settings_of(config, places)
        pipeline = cls.create(settings, workdir, device)
        if pipeline.fingerprint != config.get("fingerprint"):
            raise UserError(
                "The features were made with other acoustic models: "
                f"{differences(config, pipeline.blocks)}.",
                "Name the model that made them, or extract the features and train again.",
            )
        return pipeline

    def config(self) -> dict[str, Any]:
        """Content of ``features.json``."""
        config: dict[str, Any] = {
            "format": FORMAT,
            "am": list(self.settings.am),
            "method": self.settings.method,
            "align_with": self.settings.align_with,
            "prosody": self.settings.prosody,
            "sample_rate": self.sample_rate,
            "fingerprint": self.fingerprint,
            "blocks": self.blocks,
            "columns": list(self.columns),
        }
        config |= self.settings.later()
        if self.settings.deep:
            of_frames = {"level": self.settings.level, "frame_shift": self.models[0].frame_shift}
            config.update(layer=self.models[0].hidden_layer, **of_frames)
        return config

    def extract(
        self,
        samples: np.ndarray,
        words: Sequence[Sequence[Pronunciation]],
        speaker: str | None = None,
        utterance: str = "",
        texts: Sequence[str] = (),
    ) -> Extracted:
        """Features of one recording; the arguments are those of :class:`Request`.

        Raises:
            UserError: no words, phones that a model lacks, or audio too short for the text.
        """
        found = self.extract_many([Request(samples, words, speaker, utterance, texts)])[0]
        if isinstance(found, UserError):
            raise found
        return found

    def extract_many(self, requests: Sequence[Request]) -> list[Extracted | UserError]:
        """Features of several recordings, or why a recording has none; as one by one."""
        works = [_Work(request, request.words, request.choices) for request in requests]
        order = sorted(range(len(self.models)), key=lambda m: m != self._reference)
        for number in order:
            live = [work for work in works if work.error is None]
            left = [work.request for work in live]
            for which, network, heard in evidence_of(self.models[number], left, self.sample_rate):
                try:
                    if isinstance(heard, UserError):
                        raise heard
                    self._add_block(number, network, heard, live[which])
                except UserError as error:
                    live[which].error = error
        return [work.error or self._finish(work) for work in works]

    def _add_block(
        self, number: int, model: AcousticModel, evidence: Evidence, work: _Work
    ) -> None:
        """Align if this model has to, and add its block of columns."""
        settings, first = self.settings, work.alignment is None
        alignment, starts, ends = self._segments(model, evidence, work)
        if first:
            work.alignment, work.shift = alignment, model.frame_shift
            work.evidence = evidence if work.request.keep_evidence else None
            said = zip(alignment.words, alignment.variants, strict=True)
            work.words, work.choices = [[work.words[word][which]] for word, which in said], ()
        phones = [segment.phone for segment in alignment.segments]
        if settings.deep and first:  # the model of the hidden features has perhaps no phones
            work.scores = gop.segment_block(model, evidence, phones, starts, ends)[1]
        verifies = first and settings.verification
        known = None
        if verifies or settings.method in ("ctc", "both"):
            known = ctc_gop.alternatives(model, evidence, phones)
        if first and work.request.keep_evidence:
            work.alternatives = known
        if verifies:
            heard = (model, evidence, alignment)
            found = verify(*heard)
            work.verified = found, verification_features.verification_block(*heard, found, known)
        if number >= len(settings.am):  # it only aligns
            return
        if settings.deep:
            work.blocks[number] = self._hidden(model, evidence, starts, ends)
            return
        work.blocks[number], scores = self._block(model, evidence, phones, starts, ends, known)
        if settings.stp:
            logs, rates = model.state_log_posteriors(evidence), gop.transitions_of(model)
            work.stp[number] = gop.stp_gop(logs, rates, alignment.states, starts, ends)[:, None]
        if number == 0:
            work.scores = scores

    def _segments(
        self, model: AcousticModel, evidence: Evidence, work: _Work
    ) -> tuple[Alignment, np.ndarray, np.ndarray]:
        """An alignment, and the first frames of its phones and those after their last."""
        alignment = work.alignment
        if alignment is None or not self.settings.align_with:
            alignment = align(model, evidence, work.words, choices=work.choices)
            return (alignment, *frames_of(alignment))
        if self.settings.deep:
            begin, end = (frames * work.shift for frames in frames_of(alignment))
            return (alignment, *frames_at(begin, end, model.frame_shift, evidence.frames))
        factor = work.shift / model.frame_shift
        return (alignment, *converted(alignment, factor, evidence.frames))

    def _block(
        self,
        model: AcousticModel,
        evidence: Evidence,
        phones: Sequence[str],
        starts: np.ndarray,
        ends: np.ndarray,
        known: ctc_gop.Alternatives | None,
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
        """Columns of one model, and log posterior and GOP of each phone (of segments if both)."""
        blocks: list[np.ndarray] = []
        if self.settings.method != "ctc":
            block, scores = gop.segment_block(model, evidence, phones, starts, ends)
            blocks.append(block)
        if self.settings.method != "segment":
            block, *found = ctc_gop.ctc_features(model, evidence, phones, known)
            scores = scores if blocks else (found[0], found[1])
            blocks.append(block)
        return np.concatenate(blocks, axis=1), scores

    def _hidden(
        self, model: AcousticModel, evidence: Evidence, starts: np.ndarray, ends: np.ndarray
    ) -> np.ndarray:
        if evidence.hidden is None:
            raise model.hidden_error()
        hidden = evidence.hidden.detach().float().cpu().numpy()
        return hidden if self.settings.level == "frame" else gop.segment_means(hidden, starts, ends)

    def _finish(self, work: _Work) -> Extracted:
        alignment, request = work.alignment, work.request
        assert alignment is not None and work.scores is not None
        starts, ends = (frames * work.shift for frames in frames_of(alignment))
        blocks = [work.blocks[number] for number in range(len(self.settings.am))]
        blocks += [work.stp[number] for number in sorted(work.stp)]
        if self.settings.prosody:
            of_word = np.array([segment.word for segment in alignment.segments])
            phones = (request.samples, self.sample_rate, starts, ends, of_word)
            blocks.append(prosody_features.prosody_block(*phones, self.settings.pitch))
        if work.verified is not None:
            blocks.append(work.verified[1])
        given = request.texts or [""] * len(request.words)
        texts = [given[word] for word in alignment.words]
        rows = [
            PhoneRow(
                i, s.word, texts[s.word], s.phone, float(a), float(b - a), float(own), float(g)
            )
            for i, (s, a, b, own, g) in enumerate(
                zip(alignment.segments, starts, ends, *work.scores, strict=True)
            )
        ]
        features = np.concatenate(blocks, axis=1).astype(np.float32)
        readings = chosen(request.choices, given, alignment.words)
        verified = work.verified and work.verified[0]
        kept = (work.evidence, readings, verified, work.alternatives)
        return Extracted(features, alignment, rows, *kept)


@kept_for_map
@lru_cache(maxsize=2)
@needed_by_all()
def load_pipeline(settings: FeatureSettings, root: Path, device: str = "cpu") -> FeaturePipeline:
    """The pipeline of a worker process, loaded once."""
    return FeaturePipeline.create(settings, WorkDir(root), device)
