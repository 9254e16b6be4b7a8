"""The utterances whose scores were missed by most, to listen to."""

from __future__ import annotations

from typing import Any

from speechkit.base.audio import Pipe
from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.kaldi import data
from speechkit.labels.scores import ASPECTS
from speechkit.report import clips
from speechkit.report.cells import number
from speechkit.report.model import Cell, Player, Table
from speechkit.report.pronunciation_experiments import Evaluation
from speechkit.report.reader import read_rows
from speechkit.task.scores import WORST
from speechkit.workdir import WorkDir

SECONDS = 8.0


def table(workdir: WorkDir, evaluation: Evaluation) -> Table | None:
    """A table with players of an evaluation's worst utterances; None where it lists none.

    Args:
        workdir: the working directory, for the audio.
        evaluation: of an experiment.

    Raises:
        UserError: the set is gone, or breaks its format.
        KeyError: the list has other columns.
    """
    path = evaluation.folder / WORST
    rows = read_rows(path) if path.is_file() else []
    if not rows:
        return None
    found = data.load(workdir.data(evaluation.set), workdir.root, allow_pipes=True)  # none is run
    utterances = {u.id: u for u in found.utterances}
    aspects = [aspect for aspect in ASPECTS if f"{aspect}_mean" in rows[0]]
    lines: list[list[Any]] = []
    for row in rows:
        pairs = [_pair(row[aspect], row[f"{aspect}_mean"]) for aspect in aspects]
        who = f"{row['speaker']} ({found.gender.get(row['speaker'], '?')})"
        error = Cell(number(float(row["error"])), number=True)
        sound = player(utterances.get(row["utt"]))
        text = Cell(row["text"], under=(row["utt"],))
        lines.append([int(row["rank"]), text, who, sound, error, *pairs])
    return Table(
        ["rank", "text", "speaker", "recording", "error", *(a.partition("_")[2] for a in aspects)],
        lines,
        "Error: mean over the scores of the utterance. Of each score the label, and the prediction "
        f"below it, from 0 to 2. Recordings: the first {SECONDS:g} s.",
        dense=True,
    )


def _pair(label: str, prediction: str) -> Cell:
    shown = number(float(label), 1) if label else "-"
    return Cell(shown, True, under=(number(float(prediction)),) if prediction else ())


def player(utterance: data.Utterance | None) -> Cell:
    """A player, or nothing where the recording cannot be read."""
    if utterance is None or isinstance(utterance.wav, Pipe):
        return Cell("-")
    try:
        sound, mime = clips.clip(utterance, SECONDS)
    except UserError as error:
        logger.warning(f"report: no player for {utterance.id}: {error}")
        return Cell("-")
    return Cell("", player=Player(sound, mime, utterance.id))
