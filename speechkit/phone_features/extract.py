"""``extract-gop`` and ``extract-deep``: features of every canonical phone of a set."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.acoustic.align.stage import phone_lines
from speechkit.acoustic.config import TextConfig
from speechkit.acoustic.lexicon.readings import Words, words_of_set
from speechkit.acoustic.models import SPHINX, find_folder
from speechkit.base import audio
from speechkit.base.errors import UserError
from speechkit.base.log import counted, logger
from speechkit.kaldi import data
from speechkit.labels import score_files as labels
from speechkit.phone_features import output
from speechkit.phone_features.output import UtteranceFeatures, keep_part, read_part
from speechkit.phone_features.pipeline import FeaturePipeline, load_pipeline
from speechkit.phone_features.request import Extracted, Request
from speechkit.phone_features.settings import FeatureSettings
from speechkit.training.devices import resolve_device
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.unfinished import map_kept, split

BATCH = 8  # utterances that a model hears at once
PART = 32  # batches per part that a resumed run keeps
Batch = Sequence[tuple[data.Utterance, "Words | UserError"]]
Outcome = tuple[list[UtteranceFeatures], list[list[str]]]  # features, and (utterance, reason)


def extract(
    workdir: WorkDir,
    set_name: str,
    settings: FeatureSettings | None = None,
    *,
    texts: TextConfig | None = None,
    name: str = "",
    device: str = "auto",
    jobs: int = 1,
    executor: str = "local",
    on_error: str = "stop",
    allow_pipes: bool = False,
    force: bool = False,
) -> Path:
    """Write ``exp/gop/<set>/`` (``exp/deep/<set>/`` of deep features) and return it.

    Args:
        set_name: the set to read; its ``phone_scores.tsv`` says the canonical phones, else
            they are looked up for the words of ``text``.
        settings: what to compute; default: 84 columns of ``sphinx``.
        texts: how they are said.
        name: suffix of the output folder.
        device: auto, cpu or cuda.
        jobs, executor, on_error: see :func:`speechkit.base.parallel.map_items`.
        allow_pipes: run shell commands in ``wav.scp``.
        force: replace features of other settings.

    Raises:
        UserError: bad flags, a bad set, or a broken utterance (with ``on_error="stop"``).
    """
    settings, texts = settings or FeatureSettings(), texts or TextConfig()
    where = resolve_device(device).type
    dataset = data.load(workdir.data(set_name), workdir.root, allow_pipes)
    kind = "deep" if settings.deep else "gop"
    final = workdir.exp(kind, set_name, name=name)
    params = {"set": set_name, **_parameters(settings), **texts.params()}
    inputs = [*dataset.files(), *labels.score_files(dataset.path), *texts.files()]
    inputs += _model_files(settings, workdir)
    sounds, command = dataset.audio_files(), f"extract-{kind}"
    with Output(final, command, params, inputs, force=force, audio=sounds, resume=True) as out:
        if out.up_to_date:
            return final
        words = words_of_set(dataset, texts)
        items = [(utterance, words[utterance.id]) for utterance in dataset.utterances]
        how: dict[str, Any] = {"jobs": jobs, "executor": executor, "label": f"{kind} {set_name}"}
        how["name"] = lambda batch: command
        _write(out, workdir, dataset, items, settings, where, on_error, how)
    return final


def _write(
    out: Output,
    workdir: WorkDir,
    dataset: data.DataDir,
    items: Batch,
    settings: FeatureSettings,
    device: str,
    on_error: str,
    how: Mapping[str, Any],
) -> None:
    started, root = time.monotonic(), workdir.root.resolve()
    pipeline = load_pipeline(settings, root, device)
    _warn_of_seen(pipeline, dataset)
    old: set[str] = set()

    def read(path: Path, part: Sequence[Batch]) -> list[UtteranceFeatures]:
        old.update(utterance.id for batch in part for utterance, _ in batch)
        return read_part(path)

    run = partial(_extract_batch, settings=settings, root=root, device=device, on_error=on_error)
    kept: dict[str, Any] = {"batches": True, "size": len, "read": read, "write": keep_part}
    found, skipped = map_kept(run, split(items, BATCH), PART, out.part, ".features", **kept, **how)
    output.write(out, workdir, pipeline.config(), found, skipped)
    output.write_phone_map(out.path, pipeline)
    output.summarise(out, dataset.path, len(pipeline.columns), found, len(skipped))
    wall = time.monotonic() - started
    if fresh := sum(one.seconds for one in found if one.utterance not in old):
        factor = wall / fresh
        logger.info(f"{fresh:.0f} s of audio in {wall:.1f} s: real-time factor {factor:.4f}")
        out.notes.update(wall_s=round(wall, 3), real_time_factor=round(factor, 5))


def _parameters(settings: FeatureSettings) -> dict[str, Any]:
    """What decides the features, for the manifest; what older folders lack only where it is set."""
    kept = ("am", "method", "align_with", "prosody")
    params: dict[str, Any] = {name: getattr(settings, name) for name in kept}
    params["am"] = list(settings.am)
    if settings.deep:
        params.update(layer=settings.layer, level=settings.level)
    return params | settings.later()


def _warn_of_seen(pipeline: FeaturePipeline, dataset: data.DataDir) -> None:
    """Hidden features come from one network, also those of speakers whom it was trained on."""
    seen = pipeline.models[0].seen if pipeline.settings.deep else ()
    speakers = {utterance.speaker for utterance in dataset.utterances}.intersection(seen)
    if speakers:
        logger.warning(
            f"The network 'full' of {pipeline.models[0].name} was trained on "
            f"{counted(len(speakers), 'speaker')} of the set: such features look too good."
        )


def _model_files(settings: FeatureSettings, workdir: WorkDir) -> list[Path]:
    """Cards and weights of models in folders: the features are made again when they change."""
    files: list[Path] = []
    for spec in dict.fromkeys((*settings.am, settings.align_with)):
        if spec and spec != SPHINX and ":" not in spec:
            folder = find_folder(spec, workdir)
            kept = (".safetensors", ".yaml", ".json", ".bin", ".txt")
            files += sorted(p for p in folder.iterdir() if p.suffix in kept and p.is_file())
        elif spec.startswith("posteriors:"):
            options = spec.partition(":")[2].split(",")  # SCP, labels=FILE
            named = [Path(option.partition("=")[2] or option) for option in options]
            files += [path for path in named if path.is_file()]
    return files


def _extract_batch(
    batch: Batch, settings: FeatureSettings, root: Path, device: str, on_error: str
) -> Outcome:
    """Features of a batch of utterances."""
    pipeline = load_pipeline(settings, root, device)
    requests: list[Request] = []
    failed: dict[str, UserError] = {}
    for utterance, words in batch:
        try:
            requests.append(_request(utterance, words, pipeline))
        except UserError as error:
            failed[utterance.id] = error
    words_of: dict[str, Any] = {utterance.id: words for utterance, words in batch}
    found, skipped = [], []
    for request, outcome in zip(requests, pipeline.extract_many(requests), strict=True):
        if isinstance(outcome, UserError):
            failed[request.utterance] = outcome
        elif not np.isfinite(outcome.features).all():
            failed[request.utterance] = UserError("A model gives features that are not finite.")
        else:
            found.append(_features_of(request, words_of[request.utterance], outcome, pipeline))
    for utterance, _ in batch:
        if reason := failed.get(utterance.id):
            if on_error == "stop":
                raise UserError(f"{utterance.id}: {reason.problem}", reason.remedy) from reason
            skipped.append([utterance.id, str(reason)])
    return found, skipped


def _request(
    utterance: data.Utterance, words: Words | UserError, pipeline: FeaturePipeline
) -> Request:
    if isinstance(words, UserError):
        raise words
    rate, keep = pipeline.sample_rate, pipeline.settings.deep
    samples, _ = audio.read(utterance.wav, rate, utterance.start, utterance.end)
    named = (utterance.speaker, utterance.id, words.texts)
    return Request(samples, words.variants, *named, keep_evidence=keep, choices=words.choices)


def _features_of(
    request: Request, words: Words, extracted: Extracted, pipeline: FeaturePipeline
) -> UtteranceFeatures:
    rows, alignment, ctm = extracted.rows, extracted.alignment, list[str]()
    if words.scored:  # the words of "1984" are those of one scored word
        owners = [words.scored[word] for word in alignment.words]
        rows = [
            replace(row, word_index=owners[row.word_index][0], word=owners[row.word_index][1])
            for row in rows
        ]
    if extracted.evidence is not None:
        ctm = list(phone_lines(pipeline.aligner, extracted.evidence, alignment))
    return UtteranceFeatures(
        request.utterance,
        extracted.features,
        [row.cells(request.utterance) for row in rows],
        alignment.confidence,
        alignment.matches,
        len(request.samples) / pipeline.sample_rate,
        ctm,
        [reading.cells() for reading in extracted.readings],
        _insertions(words, extracted, pipeline),
    )


def _insertions(
    words: Words, extracted: Extracted, pipeline: FeaturePipeline
) -> list[list[str]] | None:
    """Lines of ``insertions.tsv`` without the utterance."""
    if extracted.verification is None:
        return None
    said, shift = extracted.alignment.words, pipeline.aligner.frame_shift
    owners = [words.scored[word][0] for word in said] if words.scored else list(range(len(said)))
    # An insertion at the end comes before the word that would follow.
    owners.append(owners[-1] + 1)
    return [
        [
            str(owners[each.word]),
            f"{each.start_frame * shift:.3f}",
            f"{(each.end_frame - each.start_frame) * shift:.3f}",
            " ".join(each.phones),
        ]
        for each in extracted.verification.insertions
    ]
