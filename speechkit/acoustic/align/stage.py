"""The stage ``align``: where every phone and word of a set lies, in Kaldi's formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from speechkit.acoustic.align.alignment import align
from speechkit.acoustic.align.files import Row, make_row, write_rows, write_summary
from speechkit.acoustic.base import AcousticModel
from speechkit.acoustic.lexicon.readings import Policy, Words, chosen, words_of_set
from speechkit.acoustic.models import load_model
from speechkit.base import audio
from speechkit.base.errors import UserError, needed_by_all
from speechkit.base.files import atomic_write
from speechkit.base.log import logger
from speechkit.base.schema import read_json
from speechkit.base.tables import write_skipped
from speechkit.kaldi import data
from speechkit.labels.score_files import score_files
from speechkit.training.devices import resolve_device
from speechkit.workdir import Output, WorkDir
from speechkit.workdir.unfinished import map_parts, split

PART = 500  # utterances per part that a resumed run keeps
Item = tuple[data.Utterance, "Words | UserError"]


def align_set(
    workdir: WorkDir,
    set_name: str,
    *,
    am: str = "sphinx",
    lexicon: Path | None = None,
    guess: bool = True,
    policy: Policy | None = None,
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
        workdir: the working directory.
        set_name: the set; its ``phone_scores.tsv`` gives the canonical phones, otherwise they
            are looked up for its ``text``.
        am: acoustic model, see :func:`speechkit.acoustic.models.load_model`.
        lexicon: pronunciations that go before the built-in ones.
        guess: let espeak-ng pronounce words that no lexicon has.
        policy: for numbers and marks in texts.
        name: suffix of the output folder.
        device: auto, cpu or cuda.
        jobs: processes; 1 works in this process.
        executor: local or dask://HOST:PORT.
        on_error: stop, or skip broken utterances.
        allow_pipes: run shell commands in ``wav.scp``.
        force: replace an alignment that other parameters made.

    Raises:
        UserError: bad flags, a bad set, or an utterance that cannot be aligned (with
            ``on_error="stop"``).
    """
    where = resolve_device(device).type
    root = workdir.root.resolve()
    dataset = data.load(workdir.data(set_name), workdir.root, allow_pipes)
    model = load_model(am, workdir, where)
    params = {
        "set": set_name,
        "am": am,
        "model": model.fingerprint,
        "lexicon": str(lexicon) if lexicon else "",
        "guess": guess,
        **(policy.params() if policy else {}),
    }
    inputs = [*dataset.files(), *score_files(dataset.path), *([lexicon] if lexicon else [])]
    final = workdir.exp("align", set_name, name=name)
    with Output(
        final,
        "align",
        params,
        inputs,
        force=force,
        audio=dataset.audio_files(),
        resume=True,
    ) as out:
        if out.up_to_date:
            return final
        words = words_of_set(dataset, lexicon, guess, policy)
        items: list[Item] = [(u, words[u.id]) for u in dataset.utterances]
        run = partial(align_utterance, am=am, root=root, device=where)
        rows, skipped = align_all(
            out.part, items, run, jobs=jobs, executor=executor, on_error=on_error
        )
        _write(out, workdir, model, rows, skipped)
    return final


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
        root: the working directory.
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
        items: utterances with their words.
        run: item -> row, see :func:`align_utterance`.
        how: see :func:`speechkit.base.parallel.map_items`.
    """
    rows: list[Row] = []
    skipped: list[list[str]] = []
    parts = split(items, PART)
    files = [part_file(f"{number:05d}.json") for number in range(len(parts))]
    kept = [path.exists() for path in files]
    folder = files[0].parent if files else None
    outcomes = map_parts(
        run, parts, kept, folder, chunk=8, name=lambda item: item[0].id, label="align", **how
    )
    for path, part in zip(files, outcomes, strict=True):
        if part is None:
            rows += read_json(path, list[Row])
            continue
        found = [done.value for done in part if done.value is not None]
        bad = [[done.item[0].id, done.error or ""] for done in part if done.value is None]
        rows, skipped = rows + found, skipped + bad
        if not bad:  # the skipped may have been mended when a resumed run comes
            with atomic_write(path) as file:
                json.dump(found, file)
    return rows, skipped


def _write(
    out: Output, workdir: WorkDir, model: AcousticModel, rows: list[Row], skipped: list[list[str]]
) -> None:
    if not rows:
        raise UserError("No utterance could be aligned.", "See the reasons above.")
    ark = str((out.final / "ali.ark").relative_to(workdir.root))
    write_rows(out.path, ark, model.labels, rows)
    write_skipped(out.path, skipped)
    summary = write_summary(out.path, model.frame_shift, rows, len(skipped))
    odd = [row["utt"] for row in rows if not row["matches"]]
    if odd:
        logger.warning(
            f"The text of {len(odd)} utterances probably does not match their audio: "
            f"{', '.join(odd[:5])}{', ...' if len(odd) > 5 else ''} (matches = no in "
            "utterances.tsv)."
        )
    counts = ("utterances", "skipped", "mismatches", "phones")
    out.counts.update({name: summary[name] for name in counts})
    out.notes.update(topology=model.topology)
