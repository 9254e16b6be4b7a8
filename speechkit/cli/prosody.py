"""``speechkit extract-prosody``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options


def extract_prosody(
    set_name: options.Set = "train",
    f0_min: Annotated[float, typer.Option(help="Lowest pitch in Hz.")] = 75.0,
    f0_max: Annotated[float, typer.Option(help="Highest pitch in Hz.")] = 600.0,
    name: options.OutName = "",
    directory: options.Dir = Path("."),
    jobs: options.Jobs = 0,
    executor: options.Executor = "local",
    on_error: options.OnError = "stop",
    allow_pipes: options.Pipes = False,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Median pitch, voiced fraction and energy of every utterance of a set.

    Writes exp/prosody/SET/prosody.tsv. Pitch is Praat's autocorrelation method.
    """
    from speechkit.cli.output import print_table
    from speechkit.speaker import prosody
    from speechkit.workdir import WorkDir

    folder = prosody.extract(
        WorkDir(directory),
        set_name,
        name=name,
        f0_min=f0_min,
        f0_max=f0_max,
        jobs=options.resolve_jobs(jobs),
        executor=executor,
        on_error=on_error,
        allow_pipes=allow_pipes,
        force=force,
    )
    summary = prosody.summarise(folder / "prosody.tsv")
    print_table(str(folder / "prosody.tsv"), ("measure", "value"), summary, as_json)
