"""The demo recipe from nothing to the report, and its options."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import REPOSITORY
from in_process import run_script

SIZES = ["--utterances", 72, "--xvector-epochs", 2, "--epochs", 1]
RECIPE = REPOSITORY / "recipes/demo/hard_mining/run.sh"


@dataclass
class Done:
    """How the recipe ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def recipe(*words: object) -> Done:
    with pytest.MonkeyPatch.context() as patch:
        code, out, err, _ = run_script(RECIPE, *words, monkeypatch=patch)
    return Done(code, out, err)


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, Done]:
    root = tmp_path_factory.mktemp("demo")
    return root, recipe("--dir", root, *SIZES)


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


def test_every_row_is_measured_on_the_same_mixtures(demo):
    root, done = demo
    names = "static dm dm_wtl dm_wvl dm_wtl_wvl dm_wvl_pitch_pm02_ps30 dm_wvl_xvector_pm04_ps30"
    sets = []
    for name in names.split():
        folder = root / "exp/separation" / name / "eval/test_2mix"
        summary = json.loads((folder / "summary.json").read_text())
        lines = (folder / "utterances.tsv").read_text().splitlines()[1:]
        rows = [line.split("\t") for line in lines]
        sets.append([row[0] for row in rows])
        gains = [float(row[7]) for row in rows]
        assert summary["si_snri_db"]["mean"] == pytest.approx(sum(gains) / len(gains), abs=1e-3)
        hard = 100 * sum(gain < 5 for gain in gains) / len(gains)
        assert summary["hsr5_percent"]["mean"] == pytest.approx(hard)
    assert all(mixtures == sets[0] for mixtures in sets)
    # one training gives two rows, with other epochs at most
    assert "taking its checkpoints" in done.stderr
    assert (root / "exp/correlation/test_2mix/fig2.png").stat().st_size > 10_000


def test_running_it_again_does_nothing(demo):
    root, _ = demo
    manifests = sorted(root.glob("exp/**/manifest.json"))
    before = [json.loads(m.read_text())["finished"] for m in manifests]
    again = recipe("--dir", root, *SIZES)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("up to date") == 3 + 3 + 1 + 3 + 3 + 7 + 2 + 7 + 2
    assert [json.loads(m.read_text())["finished"] for m in manifests] == before


def test_stage_and_stop_stage(demo):
    root, _ = demo
    done = recipe("--dir", root, "--stage", 5, "--stop-stage", 5)
    assert done.returncode == 0
    assert done.stderr.count("== stage") == 1
    assert recipe("--dir", root, "--stage", 9).returncode == 0


def test_unknown_options_are_refused():
    done = recipe("--utternaces", 3)
    assert done.returncode == 2
    assert "--utternaces" in done.stderr
    assert recipe("--dir").returncode == 2
