"""Re-alignment: the training sets, aligned by the networks that were just trained on them.

What a round has finished lies in the scratch folder of the training: ``round<N>/``, the
networks and their log, then ``round<N>-<set>/``, the alignment of a set by them. A run that
was killed goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from speechkit.acoustic.align import stage as alignment_stage
from speechkit.acoustic.config import READINGS, Policy, TextConfig
from speechkit.acoustic.features import SHIFT_S
from speechkit.acoustic.lexicon.readings import Words, words_of_set
from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.acoustic.tdnn.folder import Card
from speechkit.acoustic.tdnn.inputs import ALIGNMENT, Source
from speechkit.base.errors import UserError
from speechkit.base.files import atomic_write
from speechkit.base.schema import read_json
from speechkit.kaldi.ark import ArkTable, ArkWriter
from speechkit.training.devices import ranks
from speechkit.workdir import Output
from speechkit.workdir.manifest import read_manifest

LogRow = tuple[str, int, dict[str, float]]  # network, epoch, measures
_LOG, _SUMMARY = "log.json", "summary.json"


def finished(folder: Path) -> bool:
    """Whether a round's networks are complete."""
    return (folder / _LOG).exists()


def keep(
    folder: Path,
    card: Card,
    states: Mapping[str, Mapping[str, torch.Tensor]],
    folds: Mapping[str, int],
    log: Sequence[LogRow],
) -> None:
    """Write the networks of a round and its log."""
    folder.mkdir(exist_ok=True)
    tdnn_folder.write(folder, card, states, folds)
    with atomic_write(folder / _LOG) as file:
        json.dump(list(log), file)


def read_log(folder: Path) -> list[LogRow]:
    """The log of a finished round."""
    return read_json(folder / _LOG, list[LogRow])


def words_of(source: Source) -> dict[str, Words | UserError]:
    """Words of the aligned utterances of a set, looked up as ``align`` did for the alignment.

    Raises:
        UserError: none has words.
    """
    manifest = read_manifest(source.alignment) or {}
    flags: Mapping[str, Any] = manifest.get("params", {})
    lexicon = flags.get("lexicon")
    policy = Policy(flags.get("readings", READINGS[0]), bool(flags.get("drop_markup", False)))
    guess = bool(flags.get("guess", True))
    texts = TextConfig(Path(lexicon) if lexicon else None, guess, policy)
    found = words_of_set(source.dataset, texts)
    words = {utterance.id: found[utterance.id] for utterance in source.aligned()}
    wrong = [error for error in words.values() if isinstance(error, UserError)]
    if len(wrong) == len(words):
        raise UserError(
            f"`realign`: no utterance of {source.dataset.path} can be aligned again. Of the "
            f"first: {wrong[0].problem}",
            wrong[0].remedy,
        )
    return words


def realign(
    out: Output,
    number: int,
    source: Source,
    words: Mapping[str, Words | UserError],
    device: torch.device,
    jobs: int,
) -> Path:
    """Align a set by the networks of a round, every speaker by one that has not heard them.

    Several processes share the utterances among them.

    Args:
        out: of the training.
        number: of the round.
        source: the set.
        words: of its utterances; the others are left as they are, out of the training.
        device: where to compute.
        jobs: processes of this process.

    Raises:
        UserError: nothing could be aligned.
    """
    here, name = ranks(), source.dataset.path.name
    folder = out.part(f"round{number}-{name}")
    if (folder / _SUMMARY).exists():
        return folder
    items: list[alignment_stage.Item] = [
        (u, words[u.id]) for u in source.dataset.utterances if u.id in words
    ]
    alignment_stage.forget_model()
    model = out.part(f"round{number}").resolve()
    rows, skipped = alignment_stage.align_all(
        lambda part: out.part(f"round{number}-{name}-{here.rank}of{here.world}-{part}"),
        items[here.rank :: here.world],
        partial(
            alignment_stage.align_utterance,
            am=str(model),
            root=source.root.resolve(),
            device=device.type,
        ),
        jobs=jobs if device.type == "cpu" else 1,  # others would not know this one's GPU
        on_error="skip",
        executor="local",
    )
    rows, skipped = _gathered(rows), _gathered(skipped)
    if not rows:
        raise UserError(f"No utterance of {source.dataset.path} could be aligned again.")
    if not here.rank:
        place = {item[0].id: position for position, item in enumerate(items)}
        rows.sort(key=lambda row: place[row["utt"]])
        folder.mkdir(exist_ok=True)
        ark = str((folder / "ali.ark").relative_to(source.root))
        alignment_stage.write_alignment(folder, ark, source.labels, SHIFT_S, rows, skipped)
    wait()
    return folder


def _gathered(rows: list[Any]) -> list[Any]:
    """Rows of all processes."""
    world = ranks().world
    if world == 1:
        return rows
    parts: list[list[Any]] = [[] for _ in range(world)]
    torch.distributed.all_gather_object(parts, rows)
    return [row for part in parts for row in part]


def wait() -> None:
    """Until all processes are here."""
    if ranks().world > 1:
        torch.distributed.barrier()


def changed_share(before: Source, after: Source) -> float:
    """Share of the frames whose label another alignment of the same set changed."""
    old, new = (ArkTable(s.alignment / "ali.scp", s.root) for s in (before, after))
    changed = frames = 0
    for utterance in after.aligned():
        if utterance.id in old:
            one, other = old[utterance.id] // 3, new[utterance.id] // 3
            both = min(len(one), len(other))
            changed, frames = changed + int((one[:both] != other[:both]).sum()), frames + both
    return changed / max(frames, 1)


def store(out: Output, sources: Sequence[Source]) -> None:
    """Copy the alignments of the last round into the model's folder: ``align/<set>/``."""
    for source in sources:
        name = source.dataset.path.name
        folder = out.path / "align" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file in (*ALIGNMENT, "words.ctm", _SUMMARY, "skipped.tsv", "readings.tsv"):
            if (source.alignment / file).exists() and not file.startswith("ali."):
                (folder / file).write_bytes((source.alignment / file).read_bytes())
        ark = str((out.final / "align" / name / "ali.ark").relative_to(source.root))
        table = ArkTable(source.alignment / "ali.scp", source.root)
        with ArkWriter(folder / "ali.ark", folder / "ali.scp", ark) as writer:
            for utterance in source.aligned():
                writer.write(utterance.id, table[utterance.id])
