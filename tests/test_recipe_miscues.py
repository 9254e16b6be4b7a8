"""The recipe of words that nobody said on a small scored corpus, from speech to the report."""

import json
from pathlib import Path

import pytest
from in_process import run_script
from scored_speech import make_corpus

RECIPE = Path(__file__).parents[1] / "recipes/speechocean762/miscues/run.sh"
SMALL = [
    "--acoustic-epochs", 1, "--again-epochs", 1, "--last-epochs", 1, "--realign", 1, "--folds", 2,
    "--acoustic", "--widths 16", "--texts", 1, "--seeds", 2, "--epochs", 2,
]  # fmt: skip


@pytest.mark.slow
def test_from_speech_to_the_report(tmp_path, monkeypatch):
    corpus, work = make_corpus(tmp_path), tmp_path / "work"
    code, _, err, called = run_script(
        RECIPE, "--corpus", corpus, "--dir", work, *SMALL, monkeypatch=monkeypatch
    )
    assert code == 0, err[-3000:]
    assert [words[0] for words in called].count("make-miscues") == 1
    for arm in ("plain", "told", "both", "no_pitch"):
        measure = "near_accuracy_auc" if arm == "plain" else "near_said_auc"
        folder = work / "exp/pronunciation" / arm / "eval/test-miscues"
        summary = json.loads((folder / "summary.json").read_text())
        assert 0 <= summary[measure]["mean"] <= 1 and (folder / "roc.png").stat().st_size
    page = (work / "report/index.html").read_text()
    assert "Words that nobody said: test" in page
