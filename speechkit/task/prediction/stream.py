"""Predictions as they come: in the order of the recordings, each kept as soon as it is made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from speechkit.base.digests import sha256
from speechkit.base.errors import SharedError, UserError
from speechkit.base.log import counted, logger
from speechkit.base.parallel import map_items
from speechkit.base.tables import plain
from speechkit.task.config import StreamConfig
from speechkit.task.prediction import outputs
from speechkit.task.prediction.jobs import MEND, Inputs, Job, called
from speechkit.task.prediction.saved import AUDIO, ERROR, Row, Saved, open_saved, result_of
from speechkit.task.prediction.written import Forms, Sink, open_sink

Made = TypeVar("Made")


@dataclass(frozen=True)
class Task(Generic[Made]):
    """What differs between tasks.

    Args:
        name: ``pronunciation`` ...
        verb: what is done to recordings: "scored" ...
        local: makes one in this process.
        in_worker: the same in another process: importable, so that it can travel there.
        row: of what was made, for JSON.
        restore: the reverse, from a saved row.
        made_with: the model and the parameters that results depend on; asked for only where
            results are saved.
        forms: results as tables and parts of recordings; None where they are only printed.
        named: what a row calls the recording.
        shows_itself: ``local`` has a progress line of its own.
    """

    name: str
    verb: str
    local: Callable[[Job], Made]
    in_worker: Callable[[Job], Made]
    row: Callable[[Made], Row]
    restore: Callable[[Row], Made]
    made_with: Callable[[], Mapping[str, Any]]
    forms: Forms | None = None
    named: str = "file"
    shows_itself: bool = False


class Head(NamedTuple):
    """Of a table of predictions.

    Args:
        title: above it.
        columns: their names.
        widest: the widest cells that are expected; empty where nothing is.
    """

    title: str
    columns: tuple[str, ...]
    widest: tuple[str, ...]


@dataclass(frozen=True)
class Predicted(Generic[Made]):
    """What was made of a recording, and the same for JSON."""

    made: Made
    row: Row


@dataclass(frozen=True)
class _Outcome(Generic[Made]):
    made: Made | None
    audio: str | None
    error: UserError | OSError | None = None


def predict(task: Task[Made], inputs: Inputs, config: StreamConfig) -> Iterator[Predicted[Made]]:
    """Yield what is made of each recording, in order.

    A recording that an earlier run saved, with the same audio, is not computed again. Closing
    the iterator early ends the work; what was yielded is saved.

    Args:
        task: what is made.
        inputs: the recordings.
        config: see there.

    Raises:
        UserError: a recording cannot be used (``stop``), or none can; the saved file is of
            another model or other parameters; an output exists.
    """
    opened: Any = nullcontext()
    if config.resumed_from is not None:
        opened = open_saved(config.resumed_from, plain(dict(task.made_with())), config.force)
    with opened as saved, open_sink(config.save, task.forms, inputs.jobs) as sink:
        if not config.force:
            outputs.refuse_existing(inputs.jobs, saved.rows if saved else ())
        run = _Run(task, inputs, config, saved, sink, _kept(saved, inputs))
        try:
            yield from run.results()
        finally:
            outputs.discard(run.left)
        run.report()


def _kept(saved: Saved | None, inputs: Inputs) -> dict[Job, Row]:
    """Recordings that need not be computed; those that have changed since are taken out."""
    kept: dict[Job, Row] = {}
    if saved is None:
        return kept
    old = {job: row for job in inputs.jobs if (row := saved.rows.get(job.key)) is not None}
    for job, row in old.items():
        if job not in inputs.missing and _is_current(job, row):
            kept[job] = row
    changed = [job.key for job in old if job not in kept and job not in inputs.missing]
    if changed:
        logger.info(f"{counted(len(changed), 'recording')} changed since {saved.path}: made anew.")
    saved.drop(changed)
    return kept


def _is_current(job: Job, row: Row) -> bool:
    """Whether a saved row is of the audio as it is now, and its outputs are there."""
    if ERROR not in row and not all(output.is_file() for output in job.outputs):
        return False
    return bool(row.get(AUDIO) == _digest(job))


def _digest(job: Job) -> str | None:
    try:
        return sha256(job.audio)
    except (OSError, ValueError):  # making the prediction will tell the reason
        return None


def _attempt(make: Callable[[Job], Made], saves: bool, job: Job) -> _Outcome[Made]:
    """Make one prediction; what goes wrong with a recording is a value, not an exception."""
    audio = _digest(job) if saves else None
    try:
        return _Outcome(make(job), audio)
    except (UserError, OSError) as error:
        return _Outcome(None, audio, error)


@dataclass
class _Run(Generic[Made]):
    task: Task[Made]
    inputs: Inputs
    config: StreamConfig
    saved: Saved | None
    sink: Sink
    kept: dict[Job, Row]
    left: list[Job] = field(init=False)
    skipped: int = 0

    def __post_init__(self) -> None:
        jobs, missing = self.inputs.jobs, self.inputs.missing
        self.left = [job for job in jobs if job not in self.kept and job not in missing]

    def results(self) -> Iterator[Predicted[Made]]:
        many = self.config.processes > 1 and len(self.left) > 1
        make = partial(
            _attempt, self.task.in_worker if many else self.task.local, self.saved is not None
        )
        outputs.make_folders(self.left)
        found: Any = map_items(
            make,
            self.left,
            jobs=self.config.processes,
            name=lambda job: called(job.file),
            label=self._label(many),
            unit="recording",
        )
        with closing(found):
            for job in self.inputs.jobs:
                yield from self._of_one(job, found)
            for _ in found:  # lets the map end its progress and its workers
                pass

    def _label(self, many: bool) -> str:
        """Of the progress: none for one recording, or where results appear on a terminal."""
        if len(self.left) < 2 or sys.stdout.isatty() or (self.task.shows_itself and not many):
            return ""
        return f"predict {self.task.name}"

    def _of_one(self, job: Job, found: Iterator[Any]) -> Iterator[Predicted[Made]]:
        if job in self.inputs.missing:
            listed = self.saved is not None and job.key in self.saved.rows
            self._fail(job, UserError(self.inputs.missing[job]), None, listed)
            return
        if job in self.kept:
            row = result_of(self.kept[job])
            if ERROR in row:
                self._fail(job, UserError(str(row[ERROR])), None, listed=True)
            else:
                yield Predicted(self.task.restore(row), row)
            return
        outcome = next(found).value
        if outcome.error is not None:
            self._fail(job, outcome.error, outcome.audio)
            return
        made, row = outcome.made, plain(self.task.row(outcome.made))
        if self.saved is not None:  # first of all: outputs without a line would be a stranger's
            self.saved.append(row, outcome.audio)
            made = self.task.restore(row)  # prints the same as when a later run takes it up
        self.sink.add(row, job)
        outputs.commit(job)
        yield Predicted(made, row)

    def _fail(
        self, job: Job, error: UserError | OSError, audio: str | None, listed: bool = False
    ) -> None:
        """Stop, or warn and list the recording."""
        if not isinstance(error, UserError) or isinstance(error, SharedError):
            raise error
        problem = error.problem
        if job.copy is not None:
            problem = problem.replace(str(job.copy), called(job.file))
        if called(job.file) not in problem:
            problem = f"{called(job.file)}: {problem}"
        if self.config.on_error == "stop":
            raise UserError(problem, error.remedy or MEND) from error
        logger.warning(f"skipped {problem}")
        self.skipped += 1
        text = {"text": job.text} if job.text else {}
        row = {self.task.named: str(job.file), **text, ERROR: problem}
        if self.saved is not None and not listed:
            self.saved.append(row, audio)
        self.sink.add(row, job)

    def report(self) -> None:
        """Say what became of all; raises UserError where nothing came out."""
        total = len(self.inputs.jobs)
        if self.skipped and total > 1:
            logger.warning(f"Skipped: {self.skipped} of {total} recordings.")
        if self.saved is not None:
            kept = f", {len(self.kept)} of them from before" if self.kept else ""
            done = "up to date" if not self.left else "written"
            logger.info(f"{self.saved.path} is {done}: {counted(total, 'recording')}{kept}.")
        elif self.config.save is not None:
            written = counted(total - self.skipped, "recording")
            logger.info(f"{self.config.save} is written: {written}.")
        if self.skipped == total:
            raise UserError(f"No recording could be {self.task.verb}.", "See the reasons above.")
