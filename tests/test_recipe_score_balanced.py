"""The recipe of the score-balanced losses on a small scored corpus, from speech to the report."""

import json
import os
import subprocess
import sys
from pathlib import Path

from scored_speech import make_corpus

RECIPE = Path(__file__).parents[1] / "recipes/speechocean762/score_balanced/run.sh"
SMALL = [
    "--acoustic-epochs", 1, "--again-epochs", 1, "--realign", 0, "--folds", 2,
    "--acoustic", "--widths 16", "--best", "--dropout 0.1",
    "--blocks", "tdnn_prosody", "--arms", "gopt_mse gopt_sb-num", "--betas", "", "--features", "",
    "--seeds", 2, "--epochs", 2,
]  # fmt: skip


def recipe(*arguments):
    bin_folder = Path(sys.executable).parent
    path = f"{bin_folder}:{os.environ['PATH']}"
    return subprocess.run(
        [str(RECIPE), *map(str, arguments)],
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )


def test_from_speech_to_the_report(tmp_path):
    corpus, work = make_corpus(tmp_path), tmp_path / "work"
    done = recipe("--corpus", corpus, "--dir", work, *SMALL)
    assert done.returncode == 0, done.stderr[-3000:]
    for arm in ("gopt_mse", "gopt_sb-num", "best"):
        folder = work / "exp/pronunciation" / arm / "eval/test"
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["utterances"]["mean"] == 12 and summary["phone_accuracy_mse"]["n"] == 2
    assert "paper: + SB_num" in done.stdout and "gopt_sb-num, mean of seeds" in done.stdout
    page = (work / "report/index.html").read_text()
    for said in ("Beside the paper", "(Fig. 5 of the paper)", "Worst scored: test"):
        assert said in page
