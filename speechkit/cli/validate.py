"""``speechkit validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from speechkit.base.errors import UserError, require_choice
from speechkit.cli import options


def validate(
    sets: Annotated[
        Optional[list[str]],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option("--set", help="A set to check: a folder of data/; may be given again."),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended; originals go to .backup/.")
    ] = False,
    label_case: Annotated[
        str,
        typer.Option(
            help="With --fix, emotions that differ in case only: stop (leave them), lower or keep."
        ),
    ] = "stop",
    with_audio: Annotated[
        bool, typer.Option("--audio/--no-audio", help="Read the header of every audio file.")
    ] = True,
    decode: Annotated[
        bool, typer.Option("--decode", help="Read every sample too: finds NaN and cut FLAC.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=0, help="Problems shown of a kind in a file; 0: all.")
    ] = 3,
    directory: options.Dir = Path(),
    jobs: options.Jobs = 0,
    allow_pipes: options.Pipes = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """List every problem of the sets in data/, with file, line and remedy.

    Checks all sets unless --set names some. Exit code 2 if there are errors, 0 if there
    are none or only warnings.
    """
    from speechkit.base.log import logger, worded
    from speechkit.base.tables import json_text
    from speechkit.cli.output import print_table
    from speechkit.corpora.check import fix as fixing
    from speechkit.corpora.check import problems, validate
    from speechkit.labels import emotions

    require_choice(emotions.CASE_FIELD, label_case, emotions.CASE_MODES)
    if label_case != emotions.STOP and not fix:
        raise UserError(f"--label-case {label_case} changes sets.", "Give --fix with it.")
    how: dict[str, Any] = {
        "with_audio": with_audio or decode,
        "decode": decode,
        "allow_pipes": allow_pipes,
        "jobs": options.resolve_jobs(jobs),
    }
    folders = validate.find_sets(directory, sets or ())
    actions = {
        f.name: fixing.fix(f, directory, case=label_case, **how) if fix else [] for f in folders
    }
    reports = [validate.check(folder, directory, **how) for folder in folders]
    if as_json:
        print(worded(json_text(problems.as_json(reports, actions), indent=2)))
    else:
        for name, done in actions.items():
            for action in done:
                logger.info(f"{name}/{action}")
        print_table("Sets", problems.SET_COLUMNS, [problems.set_row(r) for r in reports])
        rows = problems.grouped([p for report in reports for p in report.problems], limit)
        if rows:
            shown = [[worded(cell) for cell in row] for row in rows]
            print_table("Problems", ("level", "where", "problem", "remedy"), shown)
    if any(report.count("error") for report in reports):
        raise typer.Exit(2)
