"""``speechkit extract-hidden``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options


def extract_hidden(
    upstream: Annotated[
        str, typer.Option(help="An encoder of Hugging Face, by hub name or folder.")
    ],
    set_name: Annotated[str, typer.Option("--set", help="The labelled set.")] = "ravdess",
    layers: Annotated[
        str, typer.Option(help="last, weighted (all of them), or the number of a layer.")
    ] = "last",
    pooling: Annotated[
        str, typer.Option(help="Of the heads to come: mean and sum need less than max, attentive.")
    ] = "mean",
    max_seconds: Annotated[
        float, typer.Option(help="Of a longer clip only the middle is taken.")
    ] = 30.0,
    on_error: options.OnError = "stop",
    directory: options.Dir = Path("."),
    device: options.Device = "auto",
    jobs: options.Jobs = 1,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Keep the hidden states of a frozen encoder, so that heads train in seconds.

    Writes exp/hidden/SET-ENCODER.../. `train emotion --freeze encoder` does it by itself.
    """
    from speechkit.base.errors import require_choice
    from speechkit.cli.output import print_json, print_table
    from speechkit.emotion import hidden
    from speechkit.emotion.config import plan
    from speechkit.emotion.data import form_of
    from speechkit.emotion.hidden import Kind
    from speechkit.labels.emotions import load
    from speechkit.training.devices import resolve_device
    from speechkit.workdir import WorkDir

    require_choice("on_error", on_error, ("stop", "skip"))
    plan("frozen", {"layers": layers, "pooling": pooling})  # refuses what no head can use
    workdir = WorkDir(directory)
    found = hidden.extract(
        workdir,
        load(workdir, set_name),
        Kind(upstream, layers, form_of(pooling), max_seconds),
        device=resolve_device(device).type,
        jobs=options.resolve_jobs(jobs),
        on_error=on_error,
        force=force,
    )
    told = {
        "folder": str(found.folder),
        "clips": len(found.first),
        "skipped": len(found.skipped),
        "shape": list(found.values.shape),
        "megabytes": round(found.values.nbytes / 1e6, 1),
    }
    if as_json:
        print_json(told)
    else:
        print_table("Hidden states", ("", ""), [(key, str(value)) for key, value in told.items()])
