"""``speechkit mine-hard``: names, outputs, resuming, bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hardref import speech_like, write_prosody, write_set, write_vectors

from speechkit.mining import block_search, search
from speechkit.mining.config import MiningConfig
from speechkit.workdir import WorkDir


@pytest.fixture
def root(tmp_path: Path) -> Path:
    vectors, speakers = speech_like(8, 12, 8, seed=3)
    gender = {name: "fm"[k % 2] for k, name in enumerate(sorted(set(speakers)))}
    age = {name: str(8 + 5 * k) for k, name in enumerate(sorted(set(speakers)))}
    utts = write_set(tmp_path, speakers, gender, age)
    write_vectors(tmp_path, utts, vectors)
    rng = np.random.default_rng(0)
    write_prosody(tmp_path, utts, 150 + 20 * vectors[:, 0], 10 ** rng.uniform(-5, -2, len(utts)))
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    files = {p.name: p.read_bytes() for p in sorted(folder.iterdir())}
    del files["manifest.json"]  # holds dates
    return files


def test_files_and_table(root, run):
    done = run("mine-hard", "--param", "xvector", "--pm", "4e-2", "-C", root)
    assert done.code == 0, done.err
    folder = root / "exp" / "hard" / "xvector_pm0.04"
    names = {"thresholds.tsv", "indptr.npy", "indices.npy", "summary.json", "distances.png"}
    assert set(contents(folder)) == names
    assert "Hardest speaker pairs" in done.out and "mean distance" in done.out
    indptr = np.load(folder / "indptr.npy", mmap_mode="r")
    indices = np.load(folder / "indices.npy", mmap_mode="r")
    assert indptr.dtype == np.int64 and indices.dtype == np.int32
    assert indptr[-1] == len(indices) == 96 * round(0.04 * 84)
    lines = (folder / "thresholds.tsv").read_text().splitlines()
    assert lines[0] == "utt\tm\tthreshold\tnearest"
    assert [line.split("\t")[0] for line in lines[1:]] == [f"u{k:05d}" for k in range(96)]
    assert (folder / "distances.png").read_bytes()[1:4] == b"PNG"


def test_json_is_the_summary(root, run):
    done = run("mine-hard", "--param", "pitch", "-C", root, "--json")
    printed = json.loads(done.out)
    folder = root / "exp" / "hard" / "pitch_pm0.02"  # the paper's P_M for pitch
    assert printed.pop("output") == str(folder)
    assert printed == json.loads((folder / "summary.json").read_text())
    assert len(printed["hardest_speaker_pairs"]) == 10
    again = run("mine-hard", "--param", "pitch", "-C", root, "--json")
    assert "up to date" in again.err and json.loads(again.out)["pm"] == 0.02


@pytest.mark.parametrize(
    ("pm", "name"),
    [(0.04, "pm0.04"), (1.0, "pm1"), (1e-5, "pm0.00001"), (0.123456789, "pm0.123456789")],
)
def test_folder_names(pm, name):
    path = MiningConfig("energy", pm).output(WorkDir(Path("w")), "x")
    assert path == Path(f"w/exp/hard/energy_{name}-x")


def test_variants_are_read_by_name(root, run):
    vectors, _ = speech_like(8, 12, 8, seed=4)
    write_vectors(root, [f"u{k:05d}" for k in range(96)], vectors, "train-other")
    for extra in ([], ["--xvector", "other", "--name", "o"]):
        assert run("mine-hard", "--param", "xvector", "-C", root, *extra).code == 0
    hard = root / "exp" / "hard"
    one, two = (contents(hard / f"xvector_pm0.04{x}")["thresholds.tsv"] for x in ("", "-o"))
    assert one != two


def test_changed_parameters_are_refused_and_inputs_noticed(root, run):
    base = ("mine-hard", "--param", "pitch", "-C", root)
    assert run(*base).code == 0
    refused = run(*base, "--pitch-unit", "semitones")
    assert refused.code == 2 and "pitch_unit: hz there, semitones now" in refused.err
    assert run(*base, "--pitch-unit", "semitones", "--force").code == 0
    before = contents(root / "exp" / "hard" / "pitch_pm0.02")
    write_prosody(root, [f"u{k:05d}" for k in range(96)], np.arange(96) + 80.0)
    changed = run(*base, "--pitch-unit", "semitones")
    assert changed.code == 0 and "prosody.tsv changed" in changed.err
    assert contents(root / "exp" / "hard" / "pitch_pm0.02") != before


def test_config_file(root, run, tmp_path):
    (tmp_path / "mine.yaml").write_text("param: energy\nsame-gender: true\npm: 0.1\n")
    done = run("mine-hard", "--config", tmp_path / "mine.yaml", "-C", root, "--json")
    assert done.code == 0, done.err
    printed = json.loads(done.out)
    assert printed["same_gender"] is True and printed["param"] == "energy"
    assert set(printed["gender_pairs"]) == {"f-f", "m-m"}


@pytest.mark.parametrize("store", ["pairs", "thresholds"])
@pytest.mark.parametrize("how", ["interrupted", "killed"])
def test_unbroken_and_resumed_runs_are_equal(root, run, monkeypatch, store, how):
    monkeypatch.setattr(block_search, "MOST_ROWS", 7)
    monkeypatch.setattr(search, "PIVOTS_PER_PART", 20)
    command = ("mine-hard", "--param", "xvector", "--store", store, "-C", str(root))
    assert run(*command, "--name", "whole").code == 0
    if how == "killed":
        _killed_after_parts(3, command)
    else:
        save, done = search._save_part, []

        def interrupted(path, found):
            save(path, found)
            done.append(path)
            if len(done) == 3:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(search, "_save_part", interrupted)
            assert run(*command).code == 130
    hard = root / "exp" / "hard"
    assert not (hard / "xvector_pm0.04").exists()
    mined = []
    monkeypatch.setattr(
        block_search.BlockMiner, "run", _counting(block_search.BlockMiner.run, mined), raising=True
    )
    again = run(*command)
    assert again.code == 0 and "taking up an unfinished run" in again.err
    assert 0 < len(mined) < 14  # the finished parts were not mined again
    assert contents(hard / "xvector_pm0.04") == contents(hard / "xvector_pm0.04-whole")


def _counting(function, calls):
    def call(self, *arguments, **more):
        calls.append(arguments)
        return function(self, *arguments, **more)

    return call


def _killed_after_parts(parts: int, command: tuple[str, ...]) -> None:
    code = f"""
import os, signal, sys
from speechkit.cli.main import main
from speechkit.mining import block_search, search
block_search.MOST_ROWS, search.PIVOTS_PER_PART = 7, 20
save, done = search._save_part, []
def killing(path, found):
    save(path, found)
    done.append(path)
    if len(done) == {parts}:
        os.kill(os.getpid(), signal.SIGKILL)
search._save_part = killing
main({list(command)!r})
"""
    ran = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), capture_output=True)
    assert ran.returncode == -signal.SIGKILL


def test_left_out_utterances_are_counted(root, run):
    utts = [f"u{k:05d}" for k in range(96)]
    f0 = np.arange(96) + 80.0
    f0[[3, 40]] = np.nan
    write_prosody(root, utts[:-1], f0[:-1])  # the last one was skipped by extract-prosody
    (root / "exp" / "prosody" / "train" / "skipped.tsv").write_text("utt\treason\nu00095\tbroken\n")
    done = run("mine-hard", "--param", "pitch", "-C", root, "--json")
    assert done.code == 0, done.err
    assert "No hard pairs (m = 0) of 3 utterances without pitch (unvoiced)" in done.err
    assert json.loads(done.out)["counts"]["without_parameter"] == 3


def break_lines(root: Path, table: str, change) -> None:
    path = root / table
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


PROSODY = "exp/prosody/train/prosody.tsv"


def nothing(root: Path) -> None:
    pass


BAD = {
    "no parameter": ([], nothing, "Missing option '--param'"),
    "unknown parameter": (["--param", "picth"], nothing, "Did you mean 'pitch'?"),
    "pm 0": (["--param", "pitch", "--pm", "0"], nothing, "--pm 0.0 is out of range"),
    "pm 4": (["--param", "pitch", "--pm", "4"], nothing, "--pm 4.0 is out of range"),
    "pm nan": (["--param", "pitch", "--pm", "nan"], nothing, "nan is out of range"),
    "store": (["--param", "pitch", "--store", "all"], nothing, "auto, thresholds, pairs"),
    "unit": (["--param", "pitch", "--pitch-unit", "mel"], nothing, "hz, semitones"),
    "no pitch": (["--param", "energy", "--pitch-unit", "semitones"], nothing, "--pitch-unit"),
    "device": (["--param", "xvector", "--device", "tpu"], nothing, "auto, cpu, cuda"),
    "seed": (["--param", "pitch", "--seed", "-1"], nothing, "--seed"),
    "pairs of candidates": (
        ["--param", "xvector", "--candidates", "100", "--store", "pairs"],
        nothing,
        "Leave out one of the two",
    ),
    "few candidates": (["--param", "xvector", "--candidates", "9"], nothing, "at least 25"),
    "unknown set": (["--param", "pitch", "--set", "tset"], nothing, "There is no set 'tset'"),
    "no prosody": (
        ["--param", "pitch", "--prosody", "b"],
        nothing,
        "speechkit extract-prosody --set train --name b",
    ),
    "no vectors": (["--param", "xvector", "--xvector", "b"], nothing, "speechkit extract-xvector"),
    "missing utterance": (
        ["--param", "pitch"],
        lambda root: break_lines(root, PROSODY, lambda lines: lines[:-2]),
        "lacks 2 of the 96 utterances of the set (u00094, u00095)",
    ),
    "broken number": (
        ["--param", "pitch"],
        lambda root: break_lines(root, PROSODY, lambda x: [*x[:5], "u00004\tmany\t1\t1\n", *x[6:]]),
        "prosody.tsv:6: expected a f0_median_hz",
    ),
    "other table": (
        ["--param", "energy"],
        lambda root: (root / PROSODY).write_text("utt f0\n"),
        "no column 'utt'",
    ),
    "one speaker": (
        ["--param", "pitch"],
        lambda root: break_lines(
            root, "data/train/utt2spk", lambda lines: [f"{x.split()[0]} a\n" for x in lines]
        ),
        "has 1 speaker;",
    ),
    "no gender": (
        ["--param", "pitch", "--same-gender"],
        lambda root: (root / "data/train/spk2gender").unlink(),
        "the gender of 8 of 8 speakers is not known",
    ),
    "nobody left": (
        ["--param", "pitch"],
        lambda root: write_prosody(root, [f"u{k:05d}" for k in range(96)], [np.nan] * 96),
        "No utterance of the set 'train' has a candidate",
    ),
    "vector of another length": (
        ["--param", "xvector"],
        lambda root: write_vectors(
            root, [f"u{k:05d}" for k in range(96)], [[1.0]] + [[1.0, 2]] * 95
        ),
        "entry 'u00001' has the shape (2,)",
    ),
    "vector that is not finite": (
        ["--param", "xvector"],
        lambda root: write_vectors(root, [f"u{k:05d}" for k in range(96)], [[np.nan, 2.0]] * 96),
        "not finite",
    ),
    "vector whose square overflows": (
        ["--param", "xvector"],
        lambda root: write_vectors(root, [f"u{k:05d}" for k in range(96)], [[1e30, 2.0]] * 96),
        "not finite, or beyond 1e15",
    ),
    "cut archive": (
        ["--param", "xvector"],
        lambda root: os.truncate(root / "exp/xvector/train/xvector.ark", 900),
        "xvector.scp: entry",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(root, run, case):
    arguments, spoil, message = BAD[case]
    spoil(root)
    done = run("mine-hard", *arguments, "-C", root)
    assert done.code == 2
    assert message in " ".join(done.err.replace("│", " ").split())
    assert not list((root / "exp").glob("hard/*"))


def test_help_shows_every_default(run):
    done = run("mine-hard", "--help")
    assert done.code == 0
    for text in ("0.02 for pitch and energy", "[auto]", "[hz]", "--same-gender"):
        assert text in " ".join(done.out.replace("│", " ").split())
