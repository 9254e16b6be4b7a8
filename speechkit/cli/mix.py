"""``speechkit mix``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options


def mix(
    set_name: options.Set = "test",
    count: Annotated[int, typer.Option("--count", help="Number of mixtures.")] = 500,
    speakers: Annotated[int, typer.Option("--speakers", help="Speakers of each mixture.")] = 2,
    rate: Annotated[int, typer.Option("--rate", help="Sample rate of the mixtures in Hz.")] = 8000,
    mode: Annotated[
        str,
        typer.Option(
            "--mode", help="min: cut to the shortest source; max: as long as the longest."
        ),
    ] = "min",
    snr_min: Annotated[
        float, typer.Option("--snr-min", help="Lowest level of a source against another, in dB.")
    ] = -5.0,
    snr_max: Annotated[
        float, typer.Option("--snr-max", help="Highest level of a source against another, in dB.")
    ] = 5.0,
    min_seconds: Annotated[
        float, typer.Option("--min-seconds", help="Shorter utterances take no part.")
    ] = 1.0,
    write_audio: Annotated[
        bool, typer.Option("--write-audio", help="Store mixtures and sources as float WAV.")
    ] = False,
    name: Annotated[
        str, typer.Option("--name", help="Make data/SET_2mix-NAME, so that variants live on.")
    ] = "",
    seed: options.Seed = 0,
    on_error: options.OnError = "stop",
    directory: options.Dir = Path(),
    jobs: options.Jobs = 0,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Make a fixed set of mixtures of different speakers: data/SET_2mix/.

    It is a list of utterances, gains and offsets: audio is mixed when it is read.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.separation import mix as mixing
    from speechkit.workdir import WorkDir

    settings = mixing.Settings(
        set=set_name,
        count=count,
        speakers=speakers,
        rate=rate,
        mode=mode,
        snr_min=snr_min,
        snr_max=snr_max,
        min_seconds=min_seconds,
        seed=seed,
        write_audio=write_audio,
        on_error=on_error,
    )
    number = options.resolve_jobs(jobs)
    folder = mixing.mix(WorkDir(directory), settings, name, number, force)
    summary = mixing.summary(folder)
    if as_json:
        print_json({"output": str(folder), **summary})
    else:
        print_table(str(folder), ("measure", "value"), list(summary.items()))
