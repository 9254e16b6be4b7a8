"""``speechkit extract-xvector``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options


def extract_xvector(
    set_name: options.Set = "train",
    model: Annotated[
        str,
        typer.Option(
            help="A name in exp/xvector_nnet (default: the newest), a folder of `train xvector` "
            "or of a SpeechBrain x-vector or ECAPA model, or hf:OWNER/NAME."
        ),
    ] = "",
    batch_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds of audio per batch; 0: 60 on CPU, 600 on CUDA.")
    ] = 0.0,
    precision: Annotated[
        str, typer.Option(help="32, or bf16: faster, vectors differ by about one in a thousand.")
    ] = "32",
    name: options.OutName = "",
    directory: options.Dir = Path("."),
    device: options.Device = "auto",
    jobs: options.Jobs = 1,
    executor: options.Executor = "local",
    on_error: options.OnError = "stop",
    allow_pipes: options.Pipes = False,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Speaker vectors of every utterance of a set, and the mean of each speaker.

    Writes exp/xvector/SET/xvector.{ark,scp}, spk_xvector.{ark,scp} and summary.json, which
    has the equal error rate over all pairs of utterances of the set.
    """
    from speechkit.cli.output import print_summary
    from speechkit.speaker import extraction
    from speechkit.workdir import WorkDir

    folder = extraction.extract(
        WorkDir(directory),
        set_name,
        model=model,
        name=name,
        batch_seconds=batch_seconds,
        precision=precision,
        device=device,
        jobs=options.resolve_jobs(jobs),
        executor=executor,
        on_error=on_error,
        allow_pipes=allow_pipes,
        force=force,
    )
    print_summary(folder, as_json)
