"""evaluate scoring: predictions of the seeds in its tables, other features, unscored utterances."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest
from pronunciation_sets import make_scored
from scipy import stats
from scoring_models import write_scorers

from speechkit.base.errors import UserError
from speechkit.phone_features.feature_folder import read_features
from speechkit.scoring import model_folder
from speechkit.scoring.data import Inputs, load
from speechkit.scoring.evaluate import COLUMNS, EvaluationConfig, evaluate, table
from speechkit.scoring.results import CALIBRATION_FIGURE, SCATTER_FIGURE
from speechkit.task.evaluation import read_summary
from speechkit.workdir import WorkDir


@pytest.fixture
def root(tmp_path):
    make_scored(tmp_path, "test", utterances=14, seed=1)
    features = read_features(tmp_path / "exp/gop/test").config
    write_scorers(tmp_path, features, 6)
    return tmp_path


def test_tables_hold_what_the_seeds_predict(root):
    work = WorkDir(root)
    folder = evaluate(work, EvaluationConfig("tiny", "test", samples=100))
    assert folder == root / "exp/scoring/tiny/eval/test"
    table = pandas.read_csv(folder / "utterances.tsv", sep="\t")
    found = load(work, "test", Inputs("gop-vector"))
    for seed in (0, 1):
        model = model_folder.read_model(root / f"exp/scoring/tiny/seed{seed}")
        own = model.predict(found)
        assert np.allclose(table[f"utterance_total_seed{seed}"], own, atol=1e-5)
        alone = [model.predict(found.part(np.array([u])))[0] for u in range(3)]
        assert np.allclose(alone, own[:3], atol=1e-6)
    labels = pandas.read_csv(root / "data/test/utterance_scores.tsv", sep="\t")
    assert np.allclose(table["utterance_total"], labels["total"] / 10)
    each = [
        stats.pearsonr(table[f"utterance_total_seed{k}"], table["utterance_total"])[0]
        for k in (0, 1)
    ]
    summary = read_summary(folder)
    assert summary["utterance_total_pcc"]["mean"] == pytest.approx(np.mean(each), abs=1e-3)
    for name in (SCATTER_FIGURE, CALIBRATION_FIGURE):
        assert (folder / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    before = (folder / "summary.json").stat().st_mtime_ns
    evaluate(work, EvaluationConfig("tiny", "test", samples=100))
    assert (folder / "summary.json").stat().st_mtime_ns == before


def test_other_features_are_refused(root):
    make_scored(root, "test", utterances=14, seed=1, fingerprint="changed", gop="other")
    with pytest.raises(UserError, match="The set 'test' has features of made"):
        evaluate(WorkDir(root), EvaluationConfig("tiny", "test", "other"))
    with pytest.raises(UserError, match="no trained scorer 'none'"):
        evaluate(WorkDir(root), EvaluationConfig("none", "test"))
    with pytest.raises(UserError, match="100 or more"):
        EvaluationConfig("tiny", "test", samples=10)


def test_unscored_utterances_are_left_out_and_named(root, caplog):
    path = root / "data/test/utterance_scores.tsv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *lines[3:]]) + "\n")
    folder = evaluate(WorkDir(root), EvaluationConfig("tiny", "test", samples=100))
    summary = read_summary(folder)
    assert summary["utterances"]["mean"] == 12 and summary["utterances_skipped"]["mean"] == 2
    assert lines[1].split("\t")[0] in (folder / "skipped.tsv").read_text()
    assert "left out 2 of 14 utterances" in caplog.text


def test_table_counts_the_seeds_that_were_measured():
    spread = {"mean": 0.03, "std": None, "n": 2, "low": None, "high": None}
    constant = {"mean": None, "std": None, "n": 0, "low": None, "high": None}
    names = ("pcc_ensemble", "mse", "macro_mae_points")
    summary = {f"utterance_total_{name}": spread for name in names}
    row = table(["flat"], [{"utterance_total_pcc": constant, **summary}])[0]
    assert dict(zip(COLUMNS, row, strict=True))["seeds"] == "2"


def test_command(root, run):
    write_scorers(root, read_features(root / "exp/gop/test").config, 6, "other", kind="mean")
    done = run("evaluate", "scoring", "-C", root, "--name", "tiny,other", "--samples", "100")
    assert done.code == 0, done.err
    assert "tiny" in done.out and "other" in done.out and "MAE by score" in done.out
    done = run("compare", "scoring", "-C", root, "--baseline", "tiny", "--samples", "100", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert list(found["experiments"]["other"]) == ["utterance_total_pcc", "utterance_total_mse"]
    done = run("evaluate", "scoring", "-C", root, "--name", "tiny", "--samples", "100", "--json")
    assert json.loads(done.out)["speakers"]["mean"] == 5


def test_a_cluster_is_refused_where_it_has_nothing_to_do(root, run):
    done = run("evaluate", "scoring", "-C", root, "--name", "tiny", "--executor", "dask://a:1")
    assert done.code == 2 and "--executor is for acoustic networks" in done.err
    assert not (root / "exp/scoring/tiny/eval/test").exists()
