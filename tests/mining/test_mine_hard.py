"""Hard sets against sorting of full float64 distance matrices."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hardref import (
    brute_force,
    cosine_matrix,
    speech_like,
    write_prosody,
    write_set,
    write_vectors,
)

from speechkit.mining import HardPairSampler, block_search, search, sorted_search
from speechkit.mining.config import MiningConfig
from speechkit.mining.distance import Cosine
from speechkit.mining.inputs import MiningProblem, Population
from speechkit.mining.mine import mine
from speechkit.workdir import WorkDir

MODES = ("pairs", "thresholds")


def mined(root: Path, store: str, param: str, pm: float, **more) -> HardPairSampler:
    settings = MiningConfig(param, pm, store=store, **more)
    return HardPairSampler(mine(WorkDir(root), settings, name=store, device="cpu"))


def check(sampler: HardPairSampler, expected: list[dict]) -> None:
    assert [e["m"] for e in expected] == sampler.m.tolist()
    table = (sampler.folder / "thresholds.tsv").read_text().splitlines()[1:]
    for row, want in enumerate(expected):
        assert sampler.hard_set(row).tolist() == want["hard"], row
        threshold = sampler.thresholds[row]
        nearest = sampler.utterances[want["nearest"]] if want["m"] else ""
        assert table[row].split("\t")[3] == nearest, row
        if not want["m"]:
            assert np.isnan(threshold)
        elif want["first"] == np.inf:
            assert threshold == np.nextafter(want["last"], np.inf)
        elif want["first"] == want["last"]:
            assert threshold == want["last"]
        else:
            assert want["last"] <= threshold < want["first"]
            assert threshold == pytest.approx((want["last"] + want["first"]) / 2, abs=1e-12)


def differences(values) -> np.ndarray:
    values = np.asarray(values, float)
    return np.abs(values[:, None] - values[None, :])


CASES = {
    "continuous": lambda rng, n: rng.uniform(80, 250, n),
    "many ties": lambda rng, n: rng.integers(100, 106, n).astype(float),
    "symmetric ties": lambda rng, n: 100 + rng.integers(-2, 3, n) * 0.5,
    "all equal": lambda rng, n: np.full(n, 120.0),
    "some unvoiced": lambda rng, n: np.where(rng.random(n) < 0.2, np.nan, rng.integers(90, 99, n)),
    "lost in rounding": lambda rng, n: rng.choice([1e-16, 2e-16, 3e-16, 5.0, 7.0], n),
}


@pytest.mark.parametrize("store", MODES)
@pytest.mark.parametrize("pm", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("case", CASES)
def test_pitch_equals_sorting(tmp_path, case, pm, store):
    rng = np.random.default_rng(3)
    speakers = [f"s{k}" for k in rng.integers(0, 9, 70)] + ["alone", "only2", "only2"]
    values = CASES[case](rng, len(speakers))
    write_prosody(tmp_path, write_set(tmp_path, speakers), values)
    expected = brute_force(differences(values), speakers, pm)
    check(mined(tmp_path, store, "pitch", pm), expected)


@pytest.mark.parametrize("store", MODES)
def test_small_chunks_change_nothing(tmp_path, store, monkeypatch):
    monkeypatch.setattr(sorted_search, "PIVOTS_AT_ONCE", 7)
    monkeypatch.setattr(search, "_EXPAND_AT_ONCE", 11)
    rng = np.random.default_rng(5)
    speakers = [f"s{k}" for k in rng.integers(0, 5, 60)]
    values = rng.integers(100, 112, 60).astype(float)
    write_prosody(tmp_path, write_set(tmp_path, speakers), values)
    check(mined(tmp_path, store, "pitch", 0.2), brute_force(differences(values), speakers, 0.2))


@pytest.mark.parametrize("store", MODES)
def test_semitones_and_energy(tmp_path, store):
    rng = np.random.default_rng(1)
    speakers = [f"s{k % 6}" for k in range(60)]
    f0, energy = rng.uniform(80, 300, 60), 10 ** rng.uniform(-6, -1, 60)
    energy[4] = 0.0
    write_prosody(tmp_path, write_set(tmp_path, speakers), f0, energy)
    semitones = np.abs(12 * np.log2(f0[:, None] / f0))
    check(
        mined(tmp_path, store, "pitch", 0.1, pitch_unit="semitones"),
        brute_force(semitones, speakers, 0.1),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 10 * np.abs(np.log10(energy[:, None] / energy))
    ratio[~np.isfinite(ratio)] = np.nan
    check(mined(tmp_path, store, "energy", 0.1), brute_force(ratio, speakers, 0.1))


@pytest.mark.parametrize("store", MODES)
@pytest.mark.parametrize("pm", [0.01, 0.04, 1.0])
def test_xvector_equals_sorting(tmp_path, pm, store):
    vectors, speakers = speech_like(12, 9, 16)
    speakers[-1] = "alone"
    vectors[10] = 0  # no x-vector
    vectors[20] = vectors[40]  # equal, different speakers
    vectors[60:64] = vectors[64]
    vectors[70] = 2 * vectors[71]
    order = np.random.default_rng(0).permutation(len(vectors))
    vectors, speakers = vectors[order], [speakers[k] for k in order]
    write_vectors(tmp_path, write_set(tmp_path, speakers), vectors)
    check(mined(tmp_path, store, "xvector", pm), brute_force(cosine_matrix(vectors), speakers, pm))


@pytest.mark.parametrize("limits", [None, (0, 1 << 21), (0, 10)])
@pytest.mark.parametrize("noise", [1e-5, 0.0])
def test_nearly_equal_vectors_are_settled_in_float64(tmp_path, noise, limits, monkeypatch):
    """Vectors that float32 cannot order: decided pair by pair, by float64 blocks, by halves."""
    if limits:
        monkeypatch.setattr(block_search, "UNDECIDED_FEW", limits[0])
        monkeypatch.setattr(block_search, "UNDECIDED_MANY", limits[1])
    rng = np.random.default_rng(2)
    vectors = (1 + noise * rng.standard_normal((80, 8))).astype(np.float32)
    speakers = [f"s{k % 8}" for k in range(80)]
    write_vectors(tmp_path, write_set(tmp_path, speakers), vectors)
    expected = brute_force(cosine_matrix(vectors), speakers, 0.1)
    for store in MODES:
        check(mined(tmp_path, store, "xvector", 0.1), expected)


@pytest.mark.parametrize("store", MODES)
@pytest.mark.parametrize("param", ["pitch", "xvector"])
def test_same_gender(tmp_path, param, store):
    vectors, speakers = speech_like(9, 6, 8)
    gender = {name: "fm"[k % 2] for k, name in enumerate(sorted(set(speakers)))}
    gender["s000"] = "x"  # alone in its group
    utts = write_set(tmp_path, speakers, gender)
    values = 100 + np.round(vectors[:, 0], 1)
    write_prosody(tmp_path, utts, values)
    write_vectors(tmp_path, utts, vectors)
    distance = cosine_matrix(vectors) if param == "xvector" else differences(values)
    expected = brute_force(distance, speakers, 0.1, [gender[s] for s in speakers])
    sampler = mined(tmp_path, store, param, 0.1, same_gender=True)
    check(sampler, expected)
    assert not sampler.has_hard[:6].any()


def test_genders_that_hold_a_dash(tmp_path):
    vectors, speakers = speech_like(6, 4, 8)
    gender = {name: ("-1", "a-b", "f")[k % 3] for k, name in enumerate(sorted(set(speakers)))}
    write_vectors(tmp_path, write_set(tmp_path, speakers, gender), vectors)
    sampler = mined(tmp_path, MODES[0], "xvector", 0.1)
    check(sampler, brute_force(cosine_matrix(vectors), speakers, 0.1))
    assert list(tmp_path.rglob("distances.png"))


@pytest.mark.parametrize("rows", [1, 5, 64])
@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_blocks_and_devices_give_the_same(monkeypatch, rows, device):
    """``cpu`` here is the PyTorch code that CUDA runs."""
    monkeypatch.setattr(block_search, "MOST_ROWS", rows)
    vectors, speakers = speech_like(7, 11, 12, seed=4)
    vectors[5] = vectors[30]
    expected = brute_force(cosine_matrix(vectors), speakers, 0.07)
    number = np.unique(speakers, return_inverse=True)[1].astype(np.int32)
    zeros, m = np.zeros(77, np.int32), np.array([e["m"] for e in expected])
    problem = MiningProblem(
        Cosine(vectors), Population([], number, []), zeros, np.ones(77, bool), pm=0.07
    )
    miner = block_search.BlockMiner(problem, m, device)
    for task in miner.tasks():
        found = miner.run(task, keep=True)
        starts = np.r_[0, np.cumsum(found.m)]
        for k, row in enumerate(found.table["row"]):
            assert found.partners[starts[k] : starts[k + 1]].tolist() == expected[row]["hard"]
            assert found.table["nearest"][k] == expected[row]["nearest"]


def test_blocks_of_many_candidates_have_enough_pivots(monkeypatch):
    monkeypatch.setattr(block_search, "BLOCK_BYTES", 1)
    monkeypatch.setattr(block_search, "LEAST_ROWS", 20)
    vectors, speakers = speech_like(7, 11, 12)
    number = np.unique(speakers, return_inverse=True)[1].astype(np.int32)
    zeros, valid = np.zeros(77, np.int32), np.ones(77, bool)
    problem = MiningProblem(Cosine(vectors), Population([], number, []), zeros, valid, pm=0.04)
    miner = block_search.BlockMiner(problem, zeros + 3)
    tasks = miner.tasks()
    assert [task.stop - task.start for task in tasks] == [20, 20, 20, 17]
    found = np.concatenate([miner.run(task, keep=True).partners for task in tasks])
    monkeypatch.setattr(block_search, "BLOCK_BYTES", 1 << 20)
    (whole,) = miner.tasks()
    assert np.array_equal(found, miner.run(whole, keep=True).partners)


@pytest.mark.parametrize("param", ["pitch", "xvector"])
def test_candidates_estimate_the_threshold(tmp_path, param):
    vectors, speakers = speech_like(40, 25, 16)
    utts = write_set(tmp_path, speakers)
    write_vectors(tmp_path, utts, vectors)
    write_prosody(tmp_path, utts, 150 + 20 * vectors[:, 0])
    sampler = mined(tmp_path, "thresholds", param, 0.1, candidates=200)
    distance = cosine_matrix(vectors)
    if param == "pitch":
        distance = differences((150 + 20 * vectors[:, 0]).astype(float))
    other = np.array(speakers)[:, None] != np.array(speakers)
    share = ((distance <= sampler.thresholds[:, None]) & other).sum(1) / other.sum(1)
    standard_error = np.sqrt(0.1 * 0.9 / 200)
    assert 0.5 * standard_error < np.sqrt(np.mean((share - 0.1) ** 2)) < 1.3 * standard_error
    error = json.loads((sampler.folder / "summary.json").read_text())["candidates_error"]
    assert error["standard_error"] == pytest.approx(standard_error, abs=1e-8)
    assert error["measured_rms_error"] == pytest.approx(standard_error, rel=0.5)
    inside = np.flatnonzero((distance[7] <= sampler.thresholds[7]) & other[7])
    assert sampler.hard_set(7).tolist() == inside.tolist()


def test_candidates_that_cover_everything_are_exact(tmp_path):
    vectors, speakers = speech_like(6, 5, 8)
    write_vectors(tmp_path, write_set(tmp_path, speakers), vectors)
    sampler = mined(tmp_path, "thresholds", "xvector", 0.2, candidates=1000)
    check(sampler, brute_force(cosine_matrix(vectors), speakers, 0.2))


def test_summary_counts_and_shares(tmp_path):
    vectors, speakers = speech_like(8, 6, 8)
    names = sorted(set(speakers))
    gender = {name: "fm"[k >= 4] for k, name in enumerate(names)}
    age = {name: "9" if k < 2 else "30" for k, name in enumerate(names)}
    vectors[speakers.index("s003") :][:6] = vectors[:6] + 0.01  # s000 and s003: hardest
    write_vectors(tmp_path, write_set(tmp_path, speakers, gender, age), vectors)
    summaries = []
    for store in MODES:
        sampler = mined(tmp_path, store, "xvector", 0.1)
        summaries.append(json.loads((sampler.folder / "summary.json").read_text()))
    expected = brute_force(cosine_matrix(vectors), speakers, 0.1)
    pairs = [(speakers[i], speakers[j]) for i, e in enumerate(expected) for j in e["hard"]]
    for summary in summaries:
        assert summary["counts"]["hard_pairs"] == len(pairs)
        assert summary["counts"]["candidate_pairs"] == 48 * 42
        combination = summary["gender_pairs"]["f-f"]
        share = np.mean([gender[a] == gender[b] == "f" for a, b in pairs])
        assert combination["hard_percent"] == pytest.approx(100 * share, abs=1.0)
        assert combination["chance_percent"] == pytest.approx(100 * 12 / 56, abs=1.0)
        assert set(summary["age_pairs"]) == {"adult-adult", "adult-child", "child-child"}
        top = summary["hardest_speaker_pairs"][0]
        assert (top["speaker_a"], top["speaker_b"]) == ("s000", "s003")
        both = sum({a, b} == {"s000", "s003"} for a, b in pairs)
        assert top["hard_percent"] == pytest.approx(100 * both / 72, abs=1e-3)
        mean = cosine_matrix(vectors)[:6, 18:24].mean()
        assert top["mean_distance"] == pytest.approx(mean, abs=1e-5)
        hard = summary["distance_percentiles"]["hard"]
        assert hard["p50"] < summary["distance_percentiles"]["all"]["p50"]
    assert summaries[0]["hardest_speaker_pairs"] == summaries[1]["hardest_speaker_pairs"]
