"""``speechkit mine-hard``, ``analyze-correlation`` and ``synthesize-scores``."""

from __future__ import annotations

from typing import Any

import typer

from speechkit.cli import output
from speechkit.cli.flags import command
from speechkit.cli.options import Dir
from speechkit.cli.output import Answer
from speechkit.mining.config import MiningConfig
from speechkit.scoring.inference_config import SynthesisConfig
from speechkit.separation.inference_config import CorrelationConfig

app = typer.Typer()


@command(app, "mine-hard", "name=out_name device executor directory force")
def mine_hard(config: MiningConfig, directory: Dir, **how: Any) -> Answer:
    """Find the hard pairs of each utterance: the closest utterances of other speakers.

    Reads exp/prosody/SET or exp/xvector/SET and writes exp/hard/PARAM_pmP_M: thresholds,
    pairs, a summary and a figure, for HardPairSampler and `train separation`.
    """
    from speechkit.mining.mine import mine, read_summary

    folder = mine(directory, config, **how)
    summary = read_summary(folder)
    rows = [list(row.values()) for row in summary["hardest_speaker_pairs"]]
    columns = ("speaker A", "speaker B", "genders", "hard %", "mean distance")
    title = f"Hardest speaker pairs ({summary['distance_unit']})"
    return output.output(folder, summary, title, columns, rows)


@command(app, "analyze-correlation", "out_name=variant_name directory force jobs=1")
def analyze_correlation(config: CorrelationConfig, directory: Dir, **how: Any) -> Answer:
    """Correlate speaker parameters with SI-SNRi: pitch, energy, x-vectors, any column.

    Reads `evaluate separation`, `extract-prosody` and `extract-xvector`; writes
    exp/correlation/SET/: correlation.tsv, pairs.tsv and fig2.png.
    """
    from speechkit.separation.correlation import analyze, read_correlations, short

    folder = analyze(directory, config, **how)
    rows = read_correlations(folder)
    columns = ("parameter", "genders", "n", "Pearson", "Spearman")
    return Answer(rows, [(f"{folder} (95 % intervals)", columns, [short(row) for row in rows])])


@command(app, "synthesize-scores", "name=out_name directory force")
def synthesize_scores(config: SynthesisConfig, directory: Dir, **how: Any) -> Answer:
    """Predict scores of unscored utterances by boosted trees on GOP, for pre-training.

    Writes exp/synthetic/SET/. The regressor learns from the scored set --train.
    """
    from speechkit.scoring import synthesis

    folder = synthesis.synthesize(directory, config, **how)
    summary = synthesis.read_summary(folder)
    title, rows = f"Synthetic scores in {folder}", synthesis.rows(summary)
    return output.output(folder, summary, title, synthesis.COLUMNS, rows)
