"""Files of predictions for other programs: JSON, CSV, CTM, TextGrid, written as results come.

Only a ``.jsonl`` file (:mod:`speechkit.task.prediction.saved`) can be gone on with after a stop.
What of the others is there after a stop is whole up to the last result; a TextGrid, of which
there is one a recording, is there or not.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from speechkit.base.errors import ConfigError, UserError
from speechkit.base.files import make_dirs
from speechkit.base.log import worded
from speechkit.base.tables import json_text
from speechkit.base.textgrid import Tier, textgrid
from speechkit.task.config import CSV, CTM, JSON, SUFFIX, TEXTGRID, suffix_of
from speechkit.task.prediction import outputs
from speechkit.task.prediction.jobs import Inputs, Job
from speechkit.task.prediction.saved import ERROR, Row

_CHANNEL = "1"


@dataclass(frozen=True)
class Forms:
    """A task's results as tables and as parts of the recording.

    Args:
        columns: first columns of the CSV, in order; others that the first result has follow.
        lines: of a result's row, those of the CSV: column -> value.
        tiers: of a result's row; None for a task that says nothing of parts.
        ctm: tiers that can be written as CTM: that of a name ``...NAME.ctm``, else the first.
    """

    columns: Sequence[str]
    lines: Callable[[Row], list[Mapping[str, Any]]]
    tiers: Callable[[Row], list[Tier]] | None = None
    ctm: Sequence[str] = ()


def plan(inputs: Inputs, save: Path | None, forms: Forms, force: bool) -> Inputs:
    """Refuse before a model is loaded what cannot be written; TextGrids become outputs of jobs.

    Args:
        inputs: the recordings.
        save: the file or folder to write.
        forms: of the task.
        force: replace what exists.

    Raises:
        UserError: a format that the task has not, a file that exists, or two recordings of one
            name.
    """
    kind = SUFFIX if save is None else suffix_of(save)
    if save is None or kind == SUFFIX:
        return inputs
    if kind in (CTM, TEXTGRID) and forms.tiers is None:
        raise ConfigError(
            "save",
            f"{save}: this task says nothing of parts of a recording.",
            f"Accepted here: {', '.join((SUFFIX, JSON, CSV))}.",
        )
    if kind != TEXTGRID:
        names(inputs.jobs if kind == CTM else ())
        _refuse(save, force)
        return inputs
    folder = save if save.is_dir() or not save.suffix else None
    if folder is None and len(inputs.jobs) > 1:
        raise ConfigError(
            "save",
            f"{save} is one TextGrid, of {len(inputs.jobs)} recordings.",
            f"Name a folder for them: {save.with_suffix('')}.",
        )
    files = {
        job: save if folder is None else folder / f"{name}{TEXTGRID}"
        for job, name in names(inputs.jobs).items()
    }
    for file in files.values():
        _refuse(file, force)
    planned = {job: replace(job, outputs=(*job.outputs, file)) for job, file in files.items()}
    return Inputs(
        list(planned.values()), {planned[job]: why for job, why in inputs.missing.items()}
    )


def _refuse(path: Path, force: bool) -> None:
    if path.exists() and not (force and path.is_file()):
        raise UserError(
            f"{path} exists.",
            "Replace it with `force`, or give `save` another name. (A file that ends in "
            f"{SUFFIX} is gone on with.)",
        )


def names(jobs: Sequence[Job]) -> dict[Job, str]:
    """A name for each: that of its file, and for its second text ``<name>_2``.

    Raises:
        UserError: two recordings would have the same.
    """
    texts: dict[Path, int] = {}
    found: dict[str, Job] = {}
    for job in jobs:
        texts[job.file] = count = texts.get(job.file, 0) + 1
        name = job.stem if count == 1 else f"{job.stem}_{count}"
        other = found.setdefault(name, job)
        if other is not job:
            raise UserError(
                f"{other.file} and {job.file} would have the same name in `save`: {name}.",
                "Take them in two runs, with another `save`.",
            )
    return {job: name for name, job in found.items()}


class Sink:
    """Where results go: this one, nowhere."""

    def add(self, row: Row, job: Job) -> None:
        """Write one, or that it could not be made."""

    def close(self) -> None:
        """End the file."""


@contextmanager
def open_sink(save: Path | None, forms: Forms | None, jobs: Sequence[Job]) -> Iterator[Sink]:
    """Where the results of a run go beside stdout; nowhere for ``.jsonl``, and for None.

    Args:
        save: what :func:`plan` accepted.
        forms: of the task.
        jobs: the recordings.
    """
    kind = SUFFIX if save is None else suffix_of(save)
    if save is None or kind == SUFFIX:
        yield Sink()
        return
    assert forms is not None, "plan() is told of them"
    if kind == TEXTGRID:
        yield _TextGrids(forms)
        return
    make_dirs(save.parent)
    with save.open("w", encoding="utf-8", newline="") as file:
        sink: Sink = JsonList(file)
        if kind == CSV:
            sink = _Csv(file, forms)
        elif kind == CTM:
            sink = _Ctm(file, forms, names(jobs), _tier(save, forms))
        try:
            yield sink
        finally:
            sink.close()
            file.flush()
            os.fsync(file.fileno())
            if not file.tell():  # stopped before the first result
                save.unlink()


def _tier(save: Path, forms: Forms) -> str:
    stem = save.stem.lower()
    return next((name for name in forms.ctm if stem.endswith(name)), forms.ctm[0])


class JsonList(Sink):
    """A list of JSON objects, whole also after a stop; with none nothing is written."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._some = out, False

    def add(self, row: Row, job: Job | None = None) -> None:
        """Write the next object."""
        if ERROR in row:
            row = {**row, ERROR: worded(row[ERROR])}
        item = json_text([row], indent=2).removeprefix("[\n").removesuffix("\n]")
        self._out.write(("," if self._some else "[") + "\n" + item)
        self._out.flush()
        self._some = True

    def close(self) -> None:
        """End the list."""
        if self._some:
            self._out.write("\n]\n")
            self._out.flush()


class _Csv(Sink):
    def __init__(self, file: TextIO, forms: Forms) -> None:
        self._file, self._forms = file, forms
        self._writer: csv.DictWriter[str] | None = None
        self._waiting: list[Mapping[str, Any]] = []  # errors before the first result

    def add(self, row: Row, job: Job) -> None:
        if ERROR in row:
            self._waiting.append({**row, ERROR: worded(row[ERROR])})
        else:
            lines = self._forms.lines(row)
            self._begin(lines)
            self._waiting += lines
        if self._writer is not None:
            self._writer.writerows(self._waiting)
            self._file.flush()
            self._waiting = []

    def _begin(self, lines: Sequence[Mapping[str, Any]]) -> None:
        if self._writer is None:
            found = dict.fromkeys(
                [*self._forms.columns, *(name for line in lines for name in line)]
            )
            columns = [name for name in found if name != ERROR] + [ERROR]
            self._writer = csv.DictWriter(
                self._file, columns, extrasaction="ignore", lineterminator="\n"
            )
            self._writer.writeheader()

    def close(self) -> None:
        if self._waiting:  # there was no result
            self._begin(self._waiting)
            assert self._writer is not None
            self._writer.writerows(self._waiting)


class _Ctm(Sink):
    def __init__(self, file: TextIO, forms: Forms, names: Mapping[Job, str], tier: str) -> None:
        self._file, self._forms, self._names, self._tier = file, forms, names, tier

    def add(self, row: Row, job: Job) -> None:
        if ERROR in row or self._forms.tiers is None:
            return
        name = "_".join(self._names[job].split())
        for tier in self._forms.tiers(row):
            for start, end, label, share in tier.intervals if tier.name == self._tier else ():
                sure = "" if share is None else f" {share:.4f}"
                line = f"{name} {_CHANNEL} {start:.3f} {end - start:.3f} {label}{sure}\n"
                self._file.write(line)
        self._file.flush()


class _TextGrids(Sink):
    def __init__(self, forms: Forms) -> None:
        self._forms = forms

    def add(self, row: Row, job: Job) -> None:
        if ERROR not in row and self._forms.tiers is not None:
            text = textgrid(self._forms.tiers(row), row["seconds"])
            outputs.part(job.outputs[-1]).write_text(text, encoding="utf-8")
