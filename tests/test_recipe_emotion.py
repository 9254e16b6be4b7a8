"""The recipe of RAVDESS on sounds in its layout, from files to the report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from acted_speech import make_ravdess

pytest.importorskip("opensmile")
RECIPE = Path(__file__).parents[1] / "recipes/ravdess/emotion_ssl/run.sh"


def recipe(*arguments):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [str(RECIPE), *map(str, arguments)],
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )


def test_from_files_to_the_report(tmp_path):
    work = tmp_path / "work"
    corpus = make_ravdess(tmp_path, actors=6, emotions=2)
    small = ("--fold-size", 3, "--random-folds", 1, "--seeds", 1, "--epochs", 1)
    done = recipe("--corpus", corpus, "--dir", work, *small, "--upstream", "egemaps")
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("egemaps_speaker-folds", "egemaps_random-80-20"):
        summary = json.loads((work / f"exp/emotion/{name}/eval/folds/summary.json").read_text())
        assert 0 <= summary["uar"]["mean"] <= 1
    assert "LEAKS SPEAKERS" in done.stderr and "(speakers leak)" in done.stdout
    assert "The size of the leak" in (work / "report/index.html").read_text()


def test_unknown_option():
    done = recipe("--upstreams", "egemaps")
    assert done.returncode == 2 and "unknown option '--upstreams'" in done.stderr
