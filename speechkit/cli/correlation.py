"""``speechkit analyze-correlation``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from speechkit.cli import options


def analyze_correlation(
    model: Annotated[
        str,
        typer.Option("--model", "--name", help="Experiment whose evaluation of the set is read."),
    ],
    set_name: Annotated[str, typer.Option("--set", help="The set of mixtures.")] = "test_2mix",
    evaluation: Annotated[
        str, typer.Option("--eval", help="Read eval/SET-NAME (evaluate --out-name).")
    ] = "",
    prosody: Annotated[
        str, typer.Option("--prosody", help="Read exp/prosody/SET-NAME (extract-prosody --name).")
    ] = "",
    xvector: Annotated[
        str, typer.Option("--xvector", help="Read exp/xvector/SET-NAME (extract-xvector --name).")
    ] = "",
    param_tsv: Annotated[
        Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option("--param-tsv", help="Table of utterances with further parameters."),
    ] = None,
    column: Annotated[
        Optional[list[str]],  # noqa: UP045 - Typer evaluates this at run time
        typer.Option("--column", help="Column of --param-tsv; may be given several times."),
    ] = None,
    samples: Annotated[int, typer.Option(help="Bootstrap samples.")] = 2000,
    out_name: Annotated[
        str, typer.Option(help="Write to SET-NAME, so that variants live on.")
    ] = "",
    seed: options.Seed = 0,
    jobs: options.Jobs = 1,
    directory: options.Dir = Path("."),
    force: options.Force = False,
    as_json: options.Json = False,
    config: options.Config = None,
) -> None:
    """Which parameters of the speakers go with SI-SNRi: pitch, energy, x-vectors, any column.

    Reads `evaluate separation`, `extract-prosody` and `extract-xvector`; writes
    exp/correlation/SET/: correlation.tsv, pairs.tsv and fig2.png.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.separation.correlation import Settings, analyze, read_correlations, short
    from speechkit.workdir import WorkDir

    settings = Settings(
        set=set_name,
        model=model,
        evaluation=evaluation,
        prosody=prosody,
        xvector=xvector,
        param_tsv=str(param_tsv or ""),
        columns=tuple(column or ()),
        samples=samples,
        seed=seed,
    )
    folder = analyze(WorkDir(directory), settings, out_name, options.resolve_jobs(jobs), force)
    rows = read_correlations(folder)
    if as_json:
        print_json(rows)
        return
    columns = ("parameter", "genders", "n", "Pearson", "Spearman")
    print_table(f"{folder} (95 % intervals)", columns, [short(row) for row in rows])
