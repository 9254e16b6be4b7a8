"""Files that a ``predict`` writes beside recordings: planned at first, each whole or absent.

A job writes to hidden parts beside its outputs; they get their names together when the job is
done. A stopped run leaves no outputs of a job that it had not finished.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from speechkit.base.errors import UserError
from speechkit.base.files import fsync_dir, make_dirs
from speechkit.task.prediction.jobs import Inputs, Job


def plan(inputs: Inputs, endings: Sequence[str], out: Path | None) -> Inputs:
    """Give every job its outputs ``<stem><ending>``.

    Args:
        inputs: recordings.
        endings: of the names, one an output.
        out: folder of the outputs; None for that of each recording.

    Raises:
        UserError: two recordings have the same output, an output is a recording, or a folder
            cannot be written to.
    """
    if not endings:
        return inputs
    recordings = {job.file.resolve() for job in inputs.jobs}
    maker: dict[Path, Job] = {}
    planned: dict[Job, Job] = {}
    for job in inputs.jobs:
        folder = job.file.parent if out is None else out
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(
                f"You may not write into {folder}.", "Write to another folder with `out`."
            )
        names = tuple(folder / f"{job.stem}{ending}" for ending in endings)
        for output in names:
            other = maker.setdefault(output.resolve(), job)
            if other is not job:
                raise UserError(
                    f"{other.file} and {job.file} would both be written to {output}.",
                    "Take them in two runs, with another `out`.",
                )
            if output.resolve() in recordings:
                raise UserError(
                    f"{output} is a recording that is given and an output of {job.file}.",
                    "Write to another folder with `out`.",
                )
        planned[job] = replace(job, outputs=names)
    missing = {planned[job]: reason for job, reason in inputs.missing.items()}
    return Inputs(list(planned.values()), missing)


def refuse_existing(jobs: Iterable[Job], own: Collection[tuple[str, str]]) -> None:
    """Raise UserError if an output exists, except those of jobs that an earlier run began.

    Args:
        jobs: with their outputs.
        own: keys of the jobs whose outputs this command wrote before.
    """
    for job in jobs:
        for output in job.outputs if job.key not in own else ():
            if output.exists():
                raise UserError(
                    f"{output} exists.",
                    "Replace it with `force`, or write elsewhere with `out`. (A run with `save` "
                    "FILE.jsonl knows what it has finished and goes on from there.)",
                )


def make_folders(jobs: Iterable[Job]) -> None:
    """Make the folders of the outputs."""
    for folder in {output.parent for job in jobs for output in job.outputs}:
        make_dirs(folder)


def part(output: Path) -> Path:
    """Where an output is written until it is whole."""
    return output.with_name(f".{output.name}.part")


def parts(job: Job) -> tuple[Path, ...]:
    """The same of all outputs of a job, in their order."""
    return tuple(map(part, job.outputs))


def commit(job: Job) -> None:
    """Give the finished outputs of a job their names."""
    for output in job.outputs:
        with part(output).open("rb") as file:
            os.fsync(file.fileno())
    for output in job.outputs:
        part(output).replace(output)
    for folder in {output.parent for output in job.outputs}:
        fsync_dir(folder)


def discard(jobs: Iterable[Job]) -> None:
    """Remove what was not finished."""
    for job in jobs:
        for output in job.outputs:
            part(output).unlink(missing_ok=True)
