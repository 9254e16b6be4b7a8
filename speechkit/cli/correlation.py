"""``speechkit analyze-correlation``."""

from __future__ import annotations

from speechkit.cli.shared import Dir, Force, Jobs, Json, VariantName
from speechkit.separation.config import CorrelationConfig


def analyze_correlation(
    correlation: CorrelationConfig,
    out_name: VariantName,
    directory: Dir,
    force: Force,
    as_json: Json,
    jobs: Jobs = 1,
) -> None:
    """Which parameters of the speakers go with SI-SNRi: pitch, energy, x-vectors, any column.

    Reads `evaluate separation`, `extract-prosody` and `extract-xvector`; writes
    exp/correlation/SET/: correlation.tsv, pairs.tsv and fig2.png.
    """
    from speechkit.cli.output import print_json, print_table
    from speechkit.separation.correlation import analyze, read_correlations, short

    folder = analyze(directory, correlation, out_name, jobs, force)
    rows = read_correlations(folder)
    if as_json:
        print_json(rows)
        return
    columns = ("parameter", "genders", "n", "Pearson", "Spearman")
    print_table(f"{folder} (95 % intervals)", columns, [short(row) for row in rows])
