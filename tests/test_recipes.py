"""The recipes on small trees in the layouts of the corpora: from the corpus to the report."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from conftest import voice
from in_process import run_script

ROOT = Path(__file__).parents[1]
NETWORK = "--model tiny --filters 16 --bottleneck 8 --skip 8 --hidden 8 --blocks 2 --segment 1"


@pytest.fixture
def recipe(monkeypatch):
    """Run a recipe: its exit code and what it printed to stderr."""

    def call(name, *arguments):
        script = ROOT / "recipes" / name / "run.sh"
        code, _, err, _ = run_script(script, *arguments, monkeypatch=monkeypatch)
        return code, err

    return call


def librispeech(root):
    """Three subsets of three speakers with four utterances each."""
    lines = ["; ID | SEX | SUBSET | MINUTES | NAME"]
    number = 0
    for subset in ("train-clean-100", "dev-clean", "test-clean"):
        for k in range(3):
            number += 1
            chapter = root / subset / str(number) / "10"
            chapter.mkdir(parents=True)
            lines.append(f"{number} | {'FM'[k % 2]} | {subset} | 1 | N")
            text = []
            for j in range(4):
                name = f"{number}-10-{j:04d}"
                sound = voice(110 + 25 * k + j, 1.6, 16000, seed=10 * number + j)
                soundfile.write(chapter / f"{name}.flac", sound, 16000)
                text.append(f"{name} AH")
            (chapter / f"{number}-10.trans.txt").write_text("\n".join(text) + "\n")
    (root / "SPEAKERS.TXT").write_text("\n".join(lines) + "\n")


def test_librispeech_table_3(recipe, tmp_path):
    corpus, work = tmp_path / "LibriSpeech", tmp_path / "work"
    librispeech(corpus)
    common = ["--corpus", corpus, "--dir", work, "--table", 3, "--epochs", 1]
    sizes = ["--xvector-epochs", 1, "--mixtures", 6, "--network", NETWORK]
    code, said = recipe("librispeech/hard_mining", *common, *sizes, "--stop-stage", 5)
    assert code == 0, said[-3000:]
    # a P_M of 2 % of so few pairs is less than one: the message says so
    code, said = recipe("librispeech/hard_mining", *common, *sizes, "--stage", 6)
    names = [
        "dm",
        *(f"dm_wvl_pitch_pm02_ps{ps}" for ps in (20, 30, 40)),
        *(f"dm_wvl_xvector_pm04_ps{ps}" for ps in (20, 30, 40)),
    ]
    assert code == 0, said[-3000:]
    for name in names:
        summary = work / "exp/separation" / name / "eval/test_2mix/summary.json"
        assert "hsr5_percent" in summary.read_text()
    correlation = json.loads((work / "exp/correlation/test_2mix/manifest.json").read_text())
    assert correlation["params"]["model"] == "dm"
    compared = json.loads((work / "exp/compare/separation/test_2mix/summary.json").read_text())
    assert compared["baseline"] == "dm" and list(compared["experiments"]) == sorted(names[1:])
    page = (work / "report/index.html").read_text()
    assert all(name in page for name in names)


@pytest.mark.slow
def test_wsj0_table_1(recipe, tmp_path):
    wsj0, mixed, work = tmp_path / "wsj0", tmp_path / "wav8k/min", tmp_path / "work"
    for k in range(4):
        folder = wsj0 / "si_tr_s" / f"0{k}a"
        folder.mkdir(parents=True)
        for j in range(4):
            sound = voice(110 + 25 * k + j, 1.6, 16000, seed=10 * k + j)
            soundfile.write(folder / f"0{k}a{j:05d}.wav", sound, 16000)
    rng = np.random.default_rng(0)
    for part, first in (("tr", 0), ("cv", 0), ("tt", 10)):
        for name in ("mix", "s1", "s2"):
            (mixed / part / name).mkdir(parents=True)
        for i in range(5):
            k = first + i % 3
            one, two = (0.3 * voice(100 + 20 * n, 1.2, 8000, seed=n) for n in (k, k + 1))
            gain = rng.uniform(0, 2)
            file = f"{k:02d}ao{i:04d}_{gain:.4f}_{k + 1:02d}bo{i:04d}_{-gain:.4f}.wav"
            for name, sound in (("s1", one), ("s2", two), ("mix", one + two)):
                soundfile.write(mixed / part / name / file, sound, 8000)
    code, said = recipe(
        "wsj0_2mix/hard_mining", "--corpus", wsj0, "--wsj0-2mix", mixed, "--dir", work,
        "--table", 1, "--epochs", 1, "--xvector-epochs", 1, "--network", NETWORK,
    )  # fmt: skip
    assert code == 0, said[-3000:]
    assert (work / "exp/separation/dm_wtl_wvl/eval/wsj0_2mix_tt/summary.json").is_file()
    static = yaml.safe_load((work / "exp/separation/static/seed0/config.yaml").read_text())
    assert static["training"]["set_name"] == "wsj0_2mix_tr"
    assert not list((work / "data").glob("train_2mix*"))


@pytest.mark.parametrize("table", ["1", "2", "3", "4", "all"])
def test_rows_of_a_table_run_all_epochs_and_stand_beside_dm(table, tmp_path):
    """What the shared part calls, with a ``speechkit`` that only notes it."""
    script = f"""
        set -euo pipefail
        at() {{ :; }}; speechkit() {{ echo "$@"; }}
        dir=w table={table} epochs=100 seeds=2 network="--model light" static_set=tr
        . {ROOT}/recipes/hard_mining.sh
        run_table train cv tt
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [f"{line} " for line in done.stdout.splitlines()]
    trained = [line for line in lines if line.startswith("train separation ")]
    rows = len({re.search(r"--name (\S+)", line)[1] for line in trained})
    assert rows == {"1": 5, "2": 11, "3": 7, "4": 5, "all": 7}[table] and len(trained) == 2 * rows
    assert all(" --patience 0 " in line and " --epochs 100 " in line for line in trained)
    for line in trained:
        static = "static" in line
        assert (" --set tr " in line, " --static " in line) == (static, static), line
    base = "full_dm" if table == "4" else "dm"
    assert any(f" --name {base} " in line for line in trained)
    compared = [line for line in lines if line.startswith("compare")]
    assert len(compared) == 1 and compared[0].endswith(f"--baseline {base} ")
    assert lines[-1].startswith("analyze-correlation") and lines[-1].endswith(f"--model {base} ")


def test_unknown_tables_and_options_are_named(recipe, tmp_path):
    code, said = recipe("demo/hard_mining", "--dir", tmp_path, "--table", 9)
    assert code == 2 and "--table 9" in said
    code, said = recipe("demo/hard_mining", "--dirr", tmp_path)
    assert code == 2 and "--dirr" in said
