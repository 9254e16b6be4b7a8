"""benchmarks/gpu.sh: what it refuses, how losses are compared, and a run of both steps on a CPU."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def run(*words: object, timeout: int = 60) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", str(BENCHMARKS / "gpu.sh"), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PATH": path},
    )


@pytest.fixture(scope="module")
def compare():
    spec = importlib.util.spec_from_file_location("gpu_compare", BENCHMARKS / "gpu_compare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--prepare"], "name the folder"),
        (["a", "b"], "two folders"),
        (["a", "--speed", "9"], "unknown option '--speed'"),
        (["a", "--minutes"], "needs a value"),
        (["a", "--minutes", "ten"], "from 1 to 99"),
        (["nowhere"], "was not made by"),
    ],
)
def test_bad_words_end_in_one_sentence(words, told, tmp_path) -> None:
    done = run(*words)
    assert done.returncode == 2 and told in done.stderr and not done.stdout


def test_a_folder_that_is_there_is_not_written_into(tmp_path) -> None:
    done = run("--prepare", tmp_path)
    assert done.returncode == 2 and "is there already" in done.stderr
    assert not list(tmp_path.iterdir())


def test_losses_are_compared_epoch_by_epoch(compare, tmp_path) -> None:
    assert compare.difference([1.0, 2.0], [1.0, 2.0]) == 0
    assert compare.difference([1.0, 2.0], [1.0, 2.5]) == pytest.approx(0.2)
    assert compare.difference([-4.0], [-5.0]) == pytest.approx(0.2)
    for bad in ([1.0], [1.0, math.nan]):
        assert compare.difference([1.0, 1.0], bad) == math.inf
    folder = tmp_path / "exp/xvector_nnet/one"
    folder.mkdir(parents=True)
    (folder / "log.tsv").write_text("epoch\ttrain_loss\teer\n1\t2.5\t0.1\n2\t1.5\t\n")
    assert compare.losses(tmp_path, "xvector", "one") == {"train_loss": [2.5, 1.5]}


@pytest.mark.slow
def test_both_steps_on_a_cpu(tmp_path) -> None:
    folder = tmp_path / "pack"
    done = run("--prepare", folder, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 40e6
    done = run(folder, "--device", "cpu", "--minutes", "8", timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("- ")]
    for task in ("separation", "xvector", "acoustic", "pronunciation", "scoring", "emotion"):
        found = [line for line in lines if line.startswith(f"- {task},")]
        assert found and all("0, equal" in line for line in found), done.stdout
    assert any("(whole, killed): 0, equal" in line for line in lines), done.stdout
    assert "not done: Asteroid and SpeechBrain" in done.stdout
    left = [p.name for p in folder.iterdir()]
    assert "log" not in left  # the carried folder stays as it was
