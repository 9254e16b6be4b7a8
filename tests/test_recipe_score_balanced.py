"""The recipe of the score-balanced losses on a small scored corpus, from speech to the report."""

import json
import runpy
from pathlib import Path

import numpy as np
from in_process import run_script
from scored_speech import make_corpus

RECIPE = Path(__file__).parents[1] / "recipes/speechocean762/score_balanced/run.sh"
SMALL = [
    "--acoustic-epochs", 1, "--again-epochs", 1, "--last-epochs", 1, "--realign", 1, "--folds", 2,
    "--acoustic", "--widths 16", "--best", "--dropout 0.1",
    "--blocks", "tdnn_both_prosody", "--gop", "tdnn_both_prosody",
    "--arms", "gopt_mse gopt_sb-num", "--betas", "", "--features", "",
    "--seeds", 2, "--epochs", 2,
]  # fmt: skip


def test_from_speech_to_the_report(tmp_path, monkeypatch):
    corpus, work = make_corpus(tmp_path), tmp_path / "work"
    code, out, err, called = run_script(
        RECIPE, "--corpus", corpus, "--dir", work, *SMALL, monkeypatch=monkeypatch
    )
    assert code == 0, err[-3000:]
    assert [words[0] for words in called].count("extract-gop") == 2
    for arm in ("gopt_mse", "gopt_sb-num", "best"):
        folder = work / "exp/pronunciation" / arm / "eval/test"
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["utterances"]["mean"] == 12 and summary["phone_accuracy_mse"]["n"] == 2
    assert "paper: + SB_num" in out and "gopt_sb-num, mean of seeds" in out
    page = (work / "report/index.html").read_text()
    for said in ("Beside the paper", "(Fig. 5 of the paper)", "Worst scored: test"):
        assert said in page


def test_recall_at_a_precision():
    """Lowest first: bad, good, bad, good have precisions of 1, 1/2, 2/3 and 1/2."""
    recall = runpy.run_path(str(RECIPE.with_name("tail.py")))["recall"]
    bad, scores = np.array([True, False, True, False]), np.array([0.1, 0.2, 0.3, 0.4])
    assert [recall(bad, scores, wanted) for wanted in (1.0, 0.7, 0.6)] == [0.5, 0.5, 1.0]
    assert recall(bad, -scores, 0.9) == 0.0  # the lowest is good
