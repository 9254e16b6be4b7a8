"""``speechkit evaluate TASK``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options
from speechkit.cli.evaluate_emotion import evaluate_emotion
from speechkit.cli.evaluate_pronunciation import evaluate_pronunciation
from speechkit.cli.evaluate_scoring import evaluate_scoring

app = typer.Typer(no_args_is_help=True, help="Measure a trained model; a task is a subcommand.")
app.command("emotion")(evaluate_emotion)
app.command("pronunciation")(evaluate_pronunciation)
app.command("scoring")(evaluate_scoring)


@app.callback()
def _tasks() -> None:
    """Measure a trained model; a task is a subcommand."""


@app.command("separation")
def evaluate_separation(
    name: Annotated[str, typer.Option(help="Of the experiment: exp/separation/NAME.")] = "default",
    set_name: Annotated[
        str, typer.Option("--set", help="The mixtures: a folder of data/.")
    ] = "test_2mix",
    checkpoint: Annotated[
        str, typer.Option(help="plain or weighted; by default the choice of each model.")
    ] = "",
    sdr: Annotated[
        bool, typer.Option("--sdr/--no-sdr", help="Measure SDR and SDRi (BSS Eval, 512 taps).")
    ] = True,
    stoi: Annotated[
        bool, typer.Option("--stoi", help="Measure STOI and ESTOI (slow; extra [metrics]).")
    ] = False,
    hsr: Annotated[
        str, typer.Option(help="Hard sample rates: thresholds of SI-SNRi in dB.")
    ] = "5,10",
    resample: Annotated[
        bool, typer.Option("--resample", help="Resample a set of another rate to the model's.")
    ] = False,
    batch_seconds: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds of audio (at 8 kHz) per batch; 0: one mixture on the CPU, 120 s on CUDA.",
        ),
    ] = 0.0,
    out_name: Annotated[
        str, typer.Option(help="Write to eval/SET-NAME, so that variants live on.")
    ] = "",
    on_error: options.OnError = "stop",
    directory: options.Dir = Path("."),
    device: options.Device = "auto",
    jobs: options.Jobs = 1,
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Separate a set of mixtures with all seeds of a model, and measure means and tail.

    Writes exp/separation/NAME/eval/SET/: utterances.tsv, summary.json, and clips of the
    worst mixtures. A killed run is taken up by the same command.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.separation import evaluate, results
    from speechkit.workdir import WorkDir

    settings = evaluate.Settings(
        name, set_name, checkpoint, sdr, stoi, options.numbers("--hsr", hsr, float), resample
    )
    folder = evaluate.evaluate(
        WorkDir(directory),
        settings,
        out_name=out_name,
        batch_seconds=batch_seconds,
        device=device,
        jobs=options.resolve_jobs(jobs),
        on_error=on_error,
        force=force,
    )
    summary = results.read_summary(folder)
    if as_json:
        print_json({"output": str(folder), **summary})
        return
    rows = [[key, value["mean"], value["std"], value["n"]] for key, value in summary.items()]
    print_table(str(folder), ("measure", "mean", "std", "seeds"), rows)
