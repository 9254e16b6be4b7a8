"""The stage ``align``: where every phone and word of a set lies, in Kaldi's formats.

What it writes: ``phones.ctm``, ``words.ctm``, the states (``ali.{ark,scp}``, ``phones.txt``),
``utterances.tsv``, ``readings.tsv``, ``skipped.tsv``, ``summary.json``, and ``textgrids/``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.acoustic.align.alignment import Alignment, Segment, align
from speechkit.acoustic.align.textgrids import write_textgrids
from speechkit.acoustic.config import TextConfig
from speechkit.acoustic.interface import AcousticModel, Evidence
from speechkit.acoustic.lexicon.readings import Reading, Words, chosen, words_of_set, write_readings
from speechkit.acoustic.models import load_model
from speechkit.base import audio
from speechkit.base.cluster import kept_for_map
from speechkit.base.errors import UserError, needed_by_all
from speechkit.base.log import counted, logger
from speechkit.base.tables import write_json, write_skipped, write_tsv
from speechkit.base.text import some
from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkWriter
from speechkit.labels.phones import SILENCE, kaldi_name
from speechkit.labels.score_files import score_files
from speechkit.training.devices import resolve_device
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.unfinished import map_kept

COLUMNS = ("utt", "frames", "confidence", "matches")
PART = 500  # utterances per part that a resumed run keeps
Item = tuple[data.Utterance, "Words | UserError"]
Row = dict[str, Any]


def align_set(
    workdir: WorkDir,
    set_name: str,
    *,
    am: str = "sphinx",
    texts: TextConfig | None = None,
    textgrids: bool = False,
    name: str = "",
    device: str = "auto",
    jobs: int = 1,
    executor: str = "local",
    on_error: str = "stop",
    allow_pipes: bool = False,
    force: bool = False,
) -> Path:
    """Write ``exp/align/<set>/`` and return it.

    Args:
        set_name: the set; its ``phone_scores.tsv`` gives the canonical phones, otherwise they
            are looked up for its ``text``.
        am: acoustic model, see :func:`speechkit.acoustic.models.load_model`.
        texts: how they are said.
        textgrids: write TextGrids of the recordings too.
        name: suffix of the output folder.
        device: auto, cpu or cuda.
        jobs, executor, on_error: see :func:`speechkit.base.parallel.map_items`.
        allow_pipes: run shell commands in ``wav.scp``.
        force: replace an alignment that other parameters made.

    Raises:
        UserError: bad flags, a bad set, or an utterance that cannot be aligned (with
            ``on_error="stop"``).
    """
    where, texts = resolve_device(device).type, texts or TextConfig()
    root = workdir.root.resolve()
    dataset = data.load(workdir.data(set_name), workdir.root, allow_pipes)
    model = load_model(am, workdir, where)
    params = {"set": set_name, "am": am, "model": model.fingerprint, **texts.params()}
    params |= {"textgrids": True} if textgrids else {}
    inputs = [*dataset.files(), *score_files(dataset.path), *texts.files()]
    final = workdir.exp("align", set_name, name=name)
    sounds = dataset.audio_files()
    with Output(final, "align", params, inputs, force=force, audio=sounds, resume=True) as out:
        if out.up_to_date:
            return final
        words = words_of_set(dataset, texts)
        items: list[Item] = [(u, words[u.id]) for u in dataset.utterances]
        run = partial(align_utterance, am=am, root=root, device=where)
        rows, skipped = align_all(
            out.part, items, run, jobs=jobs, executor=executor, on_error=on_error
        )
        if not rows:
            raise UserError("No utterance could be aligned.", "See the reasons above.")
        _write(out, workdir, model, rows, skipped)
        if textgrids:
            write_textgrids(out.path / "textgrids", dataset, rows, model.frame_shift)
    return final


def _write(
    out: Output, workdir: WorkDir, model: AcousticModel, rows: list[Row], skipped: list[list[str]]
) -> None:
    ark = str((out.final / "ali.ark").relative_to(workdir.root))
    summary = write_alignment(out.path, ark, model.labels, model.frame_shift, rows, skipped)
    odd = [row["utt"] for row in rows if not row["matches"]]
    warn_of_mismatches(odd, len(rows), "matches = no in utterances.tsv")
    counts = ("utterances", "skipped", "mismatches", "phones")
    out.counts.update({name: summary[name] for name in counts})
    out.notes.update(topology=model.topology)


@kept_for_map
@lru_cache(maxsize=1)
@needed_by_all()
def _model(am: str, root: Path, device: str) -> AcousticModel:
    """The model of a worker process, loaded once."""
    return load_model(am, WorkDir(root), device)


def forget_model() -> None:
    """Load the model anew: its folder may hold other networks by now."""
    _model.cache_clear()


def align_utterance(item: Item, am: str, root: Path, device: str) -> Row:
    """Align one utterance.

    Args:
        item: the utterance with its words, or what is wrong with its text.
        am: acoustic model, by a name in the working directory or a folder.
        device: cpu or cuda.

    Raises:
        UserError: its text is wrong, or does not fit its audio.
    """
    utterance, words = item
    if isinstance(words, UserError):
        raise words
    # The networks that have not seen the speaker; imported posteriors are looked up.
    model = _model(am, root, device).for_speaker(utterance.speaker).for_utterance(utterance.id)
    samples, _ = audio.read(utterance.wav, model.sample_rate, utterance.start, utterance.end)
    evidence = model.evidence(samples)
    found = align(model, evidence, words.variants, choices=words.choices)
    readings = chosen(words.choices, words.texts, found.words)
    texts = [words.texts[word] for word in found.words]
    return make_row(utterance.id, texts, model, evidence, found, readings)


def align_all(
    part_file: Callable[[str], Path], items: Sequence[Item], run: Any, **how: Any
) -> tuple[list[Row], list[list[str]]]:
    """Rows of the aligned utterances and of the skipped; finished parts are kept.

    Args:
        part_file: name -> where to keep a finished part.
        run: item -> row, see :func:`align_utterance`.
        how: see :func:`speechkit.base.parallel.map_items`.
    """
    how |= {"chunk": 8, "label": "align", "name": lambda item: item[0].id}
    return map_kept(run, items, PART, part_file, **how)


def warn_of_mismatches(names: Sequence[str], of: int, where: str) -> None:
    """Warn of utterances whose text is probably not what is said.

    Args:
        where: they are listed.
    """
    if names:
        logger.warning(
            f"The text of {counted(len(names), 'utterance')} probably does not match the audio: "
            f"{some(names, 5)} ({where})."
        )
    if len(names) > max(of / 2, 1):
        logger.warning(
            "That is more than half: either texts and recordings do not belong together, or the "
            "acoustic model is too weak to tell."
        )


def make_row(
    utterance: str,
    texts: Sequence[str],
    model: AcousticModel,
    evidence: Evidence,
    alignment: Alignment,
    readings: Sequence[Reading] = (),
) -> Row:
    """What the files need of an utterance, as JSON can hold it."""
    return {
        "utt": utterance,
        "phones": list(phone_lines(model, evidence, alignment)),
        "words": list(_word_lines(model, texts, alignment.segments)),
        "states": alignment.states.tolist(),
        "confidence": round(alignment.confidence, 6),
        "matches": alignment.matches,
        "phone_frames": sum(segment.frames for segment in alignment.segments),
        "score": statistics.fmean(segment.score for segment in alignment.segments),
        "readings": [reading.cells() for reading in readings],
    }


def _line(model: AcousticModel, start: int, end: int, what: str, score: float) -> str:
    """A ctm line without its utterance: ``1 start duration what confidence``."""
    begin, length = start * model.frame_shift, (end - start) * model.frame_shift
    return f"1 {begin:.4f} {length:.4f} {what} {math.exp(score):.4f}"


def phone_lines(model: AcousticModel, evidence: Evidence, alignment: Alignment) -> Iterator[str]:
    """Lines of ``phones.ctm`` without their utterance: phones and silences in order of time."""
    names = [kaldi_name(label) for label in model.labels]
    silent = [i for i, name in enumerate(names) if name == SILENCE or i == model.blank]
    posteriors = evidence.log_posteriors[:, silent].logsumexp(1).cpu().numpy()
    parts = [(s.start_frame, s.end_frame, s.phone, s.score) for s in alignment.segments]
    for start, end in alignment.silences:
        parts.append((start, end, SILENCE, float(posteriors[start:end].mean())))
    for start, end, phone, score in sorted(parts):
        yield _line(model, start, end, phone, score)


def _word_lines(
    model: AcousticModel, texts: Sequence[str], segments: Sequence[Segment]
) -> Iterator[str]:
    for word, group in groupby(segments, key=lambda segment: segment.word):
        phones = list(group)
        score = statistics.fmean(phone.score for phone in phones)
        name = texts[word] or f"<word-{word}>"
        yield _line(model, phones[0].start_frame, phones[-1].end_frame, name, score)


def write_alignment(
    folder: Path,
    ark: str,
    labels: Sequence[str],
    shift: float,
    rows: Sequence[Row],
    skipped: Sequence[Sequence[str]],
) -> dict[str, Any]:
    """Write all files of an alignment, and return the summary.

    Args:
        ark: how ``ali.scp`` names the archive.
        shift: from frame to frame in seconds.
        rows: of :func:`make_row`.
        skipped: utterances that are left out, with their reasons.
    """
    for kind in ("phones", "words"):
        lines = [f"{row['utt']} {line}\n" for row in rows for line in row[kind]]
        (folder / f"{kind}.ctm").write_text("".join(lines), encoding="utf-8")
    with ArkWriter(folder / "ali.ark", folder / "ali.scp", ark) as writer:
        for row in rows:
            writer.write(row["utt"], np.array(row["states"], np.int32))
    table = "".join(f"{label} {number}\n" for number, label in enumerate(labels))
    (folder / "phones.txt").write_text(table, encoding="utf-8")
    cells = [
        [r["utt"], str(len(r["states"])), f"{r['confidence']:.4f}", "yes" if r["matches"] else "no"]
        for r in rows
    ]
    write_tsv(folder / "utterances.tsv", COLUMNS, cells)
    # Parts of runs before there were readings have none.
    write_readings(folder, [[r["utt"], *line] for r in rows for line in r.get("readings", ())])
    write_skipped(folder, skipped)
    summary = _summary(shift, rows, len(skipped))
    write_json(folder / "summary.json", summary)
    return summary


def _summary(shift: float, rows: Sequence[Row], skipped: int) -> dict[str, Any]:
    frames = sum(len(row["states"]) for row in rows)
    confidences = sorted(row["confidence"] for row in rows)
    return {
        "utterances": len(rows),
        "skipped": skipped,
        "mismatches": sum(not row["matches"] for row in rows),
        "words": sum(len(row["words"]) for row in rows),
        "phones": sum(sum(" SIL " not in line for line in row["phones"]) for row in rows),
        "audio_s": round(frames * shift, 3),
        "frame_shift_s": shift,
        "silence_fraction": 1 - sum(row["phone_frames"] for row in rows) / frames,
        "confidence_median": statistics.median(confidences),
        "confidence_p05": float(np.percentile(confidences, 5)),
        "log_posterior_mean": statistics.fmean(row["score"] for row in rows),
    }
