"""The demo recipe from nothing to the report, and its options."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

RECIPE = REPOSITORY / "recipes/demo/hard_mining/run.sh"


def recipe(*words: object) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["bash", str(RECIPE), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    root = tmp_path_factory.mktemp("demo")
    return root, recipe("--dir", root, "--utterances", 72, "--epochs", 2)


def test_the_recipe_ends_with_the_page(demo):
    root, done = demo
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{root}/report/index.html"
    assert "generated" in done.stderr.lower()


def test_its_hard_pairs_are_near_and_of_two_speakers(demo):
    import numpy as np

    from speechkit.kaldi import data
    from speechkit.mining import HardPairSampler
    from speechkit.speaker import prosody

    root, _ = demo
    sampler = HardPairSampler(root / "exp/hard/pitch_pm0.02")
    table = prosody.read(root / "exp/prosody/train/prosody.tsv")
    speaker = data.read_table(root / "data/train/utt2spk")
    pivots = np.array([u for u in sampler.utterances for _ in range(5)])
    partners = sampler.sample(pivots, np.random.default_rng(0))
    for pivot, partner in zip(pivots, partners, strict=True):
        assert speaker[pivot] != speaker[partner]
        distance = abs(table[pivot].f0_median_hz - table[partner].f0_median_hz)
        assert distance < sampler.thresholds[sampler.utterances.index(pivot)]


def test_running_it_again_does_nothing(demo):
    root, _ = demo
    manifests = sorted(root.glob("exp/**/manifest.json"))
    before = [json.loads(m.read_text())["finished"] for m in manifests]
    again = recipe("--dir", root, "--utterances", 72, "--epochs", 2)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("up to date") == 3 + 3 + 1 + 3 + 2
    assert [json.loads(m.read_text())["finished"] for m in manifests] == before


def test_stage_and_stop_stage(demo):
    root, _ = demo
    done = recipe("--dir", root, "--stage", 6, "--stop-stage", 6)
    assert done.returncode == 0
    assert done.stderr.count("== stage") == 1
    assert recipe("--dir", root, "--stage", 7).returncode == 0


def test_unknown_options_are_refused():
    done = recipe("--utternaces", 3)
    assert done.returncode == 2
    assert "--utternaces" in done.stderr
    assert recipe("--dir").returncode == 2
