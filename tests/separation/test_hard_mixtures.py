"""Hard counterparts of random mixtures: what is the same, who is drawn, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_set

from speechkit.base.errors import UserError
from speechkit.kaldi.data import Utterance
from speechkit.labels.mixtures import load_mixtures
from speechkit.mining.config import MiningConfig
from speechkit.mining.mine import mine
from speechkit.mining.sampler import HardPairSampler
from speechkit.separation.config import MixConfig
from speechkit.separation.hard_mixtures import HardMixtureDraws
from speechkit.separation.mixture_draws import Candidate, DrawnMixture, MixtureDraws
from speechkit.separation.mixture_set import mix
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_manifest

PITCH = "exp/hard/pitch_pm0.3"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Five speakers; hard pairs are those of the nearest pitch: of 12 others, 4."""
    root = tmp_path_factory.mktemp("hard")
    make_set(root, speakers=5, utterances=3)
    lines = ["utt\tf0_median_hz\tvoiced_fraction\tenergy"]
    lines += [f"s{k}-u{j}\t{100 + 20 * k + j}\t0.5\t1.0" for k in range(5) for j in range(3)]
    folder = root / "exp/prosody/train"
    folder.mkdir(parents=True)
    (folder / "prosody.tsv").write_text("\n".join(lines) + "\n")
    mine(WorkDir(root), MiningConfig("pitch", 0.3))
    mine(WorkDir(root), MiningConfig("pitch", 0.3, store="thresholds"), name="thresholds")
    return root


@pytest.fixture
def mined(made: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(made, tmp_path / "work"))


def hard_sets(root: Path) -> dict[str, set[str]]:
    sampler = HardPairSampler(root / PITCH)
    return {name: set(sampler.hard_set(name).tolist()) for name in sampler.utterances}


def test_counterparts_differ_in_the_second_source_alone(mined: Path) -> None:
    folder = mix(WorkDir(mined), MixConfig("train", count=60, hard="pitch_pm0.3"))
    assert folder.name == "train_2mix-hard_pitch"
    random = load_mixtures(mined / "data/train_2mix", mined)
    hard = load_mixtures(folder, mined)
    alone = mix(WorkDir(mined), MixConfig("train", count=60), "alone")
    listed = [(path / "mixtures.tsv").read_text() for path in (alone, random.path)]
    assert listed[0] == listed[1]  # the usual set, as it is made without hard pairs
    assert "hard" not in (read_manifest(random.path) or {})["params"]
    near, changed = hard_sets(mined), 0
    for one, other in zip(random.mixtures, hard.mixtures, strict=True):
        assert (one.id, one.samples) == (other.id, other.samples)
        (a, b), (c, d) = one.sources, other.sources
        assert (a.utterance.id, a.offset) == (c.utterance.id, c.offset)
        mixed, sources = random.read(one)
        hard_mixed, hard_sources = hard.read(other)
        down = 10 ** ((c.gain_db - a.gain_db) / 20)  # all of a mixture is turned down together
        np.testing.assert_allclose(hard_sources[0], sources[0] * down, atol=1e-6)
        levels = [10 * np.log10((s.astype(float) ** 2).mean(1)) for s in (sources, hard_sources)]
        assert levels[0][0] - levels[0][1] == pytest.approx(levels[1][0] - levels[1][1], abs=1e-3)
        assert np.abs(hard_mixed).max() < 1 and len(mixed) == len(hard_mixed)
        if d.utterance.id == b.utterance.id:
            continue
        changed += 1
        assert d.utterance.id in near[c.utterance.id]
        frames = soundfile.info(d.utterance.wav).frames // 2
        assert frames >= other.samples and 0 <= -d.offset <= frames - other.samples
    manifest = read_manifest(folder) or {}
    assert manifest["random_set"] == "train_2mix" and manifest["counts"]["hard_mixtures"] == changed
    assert changed > 40


def pool() -> list[Candidate]:
    """Utterances u0 to u2 of each of five speakers, of 10, 11 and 12 samples."""
    return [
        Candidate(Utterance(f"s{k}-u{j}", "", f"s{k}"), 10 + j) for k in range(5) for j in range(3)
    ]


@pytest.mark.parametrize(("name", "mode"), [("", "pairs"), ("-thresholds", "windows")])
def test_partners_are_uniform_among_those_that_are_long_enough(mined, name, mode) -> None:
    sampler = HardPairSampler(mined / f"{PITCH}{name}")
    assert sampler.mode == mode
    by_id = {c.utterance.id: c for c in pool()}
    first, second = by_id["s2-u1"], by_id["s0-u2"]
    plans = [DrawnMixture(i, (first, second), (0.0, 1.0), (0, -1), 11) for i in range(4000)]
    drawn = HardMixtureDraws(plans, pool(), sampler, 1.0, 3).plans(4000)
    wanted = {name for name in hard_sets(mined)["s2-u1"] if by_id[name].samples >= 11}
    uses = Counter(plan.sources[1].utterance.id for plan in drawn)
    assert set(uses) == wanted and len(wanted) < len(hard_sets(mined)["s2-u1"])
    expected = 4000 / len(wanted)
    assert all(abs(n - expected) < 5 * np.sqrt(expected) for n in uses.values())
    starts = Counter(p.offsets[1] for p in drawn if p.sources[1].samples == 12)
    assert set(starts) == {0, -1} and min(starts.values()) > 0.4 * starts.total()
    assert all((p.offsets[0], p.snr_db, p.samples) == (0, (0.0, 1.0), 11) for p in drawn)


def test_share_keeps_the_others_as_they_are(mined: Path) -> None:
    draws = MixtureDraws(pool(), 2, "min", (-5, 5), 0)
    plans, sampler = draws.plans(2000), HardPairSampler(mined / PITCH)
    whole = HardMixtureDraws(plans, pool(), sampler, 1.0, 0).plans(2000)
    half = HardMixtureDraws(plans, pool(), sampler, 0.5, 0).plans(2000)
    kept = [one == plan for one, plan in zip(half, plans, strict=True)]
    same = np.mean([one == plan for one, plan in zip(whole, plans, strict=True)])
    assert np.mean(kept) == pytest.approx(0.5 + 0.5 * same, abs=0.05)
    assert all(k or one == other for k, one, other in zip(kept, half, whole, strict=True))


def test_without_a_long_partner_a_mixture_stays_as_it_is(mined: Path, caplog) -> None:
    sampler = HardPairSampler(mined / PITCH)
    by_id = {c.utterance.id: c for c in pool()}
    plan = DrawnMixture(0, (by_id["s0-u0"], by_id["s4-u0"]), (0.0, 1.0), (0, 0), 13)
    assert HardMixtureDraws([plan], pool(), sampler, 1.0, 0).plans(1) == [plan]
    assert "No change from the random set in 1 of 1 mixture:" in caplog.text


def test_silent_partners_are_replaced_by_others_of_the_hard_set(mined: Path) -> None:
    folder = mix(WorkDir(mined), MixConfig("train", count=40))
    partners = hard_sets(mined)["s0-u0"]
    for name in sorted(partners)[:-1]:
        path = mined / f"data/train/wav/{name}.wav"
        soundfile.write(path, np.zeros(soundfile.info(path).frames, np.float32), 16000)
    made = mix(WorkDir(mined), MixConfig("train", count=40, hard=PITCH))
    random = load_mixtures(folder, mined)
    for one, other in zip(random.mixtures, load_mixtures(made, mined).mixtures, strict=True):
        used = other.sources[1].utterance.id
        assert used not in sorted(partners)[:-1]
        if other.sources[0].utterance.id == "s0-u0" and used != one.sources[1].utterance.id:
            assert used == sorted(partners)[-1]


def test_stored_audio_and_other_names(mined: Path, run) -> None:
    command = ("mix", "-C", mined, "--set", "train", "--count", 8, "--write-audio", "-j", 1)
    done = run(*command, "--name", "wav", "--hard", "pitch_pm0.3-thresholds", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["hard_mixtures"] >= 5
    folder = mined / "data/train_2mix-wav-hard_pitch-thresholds"
    hard = load_mixtures(folder, mined)
    random = load_mixtures(mined / "data/train_2mix-wav", mined)
    for one, other in zip(random.mixtures, hard.mixtures, strict=True):
        first, second = (Path(m.sources[0].utterance.wav) for m in (one, other))
        levels = [soundfile.read(path)[0] for path in (first, second)]
        scale = np.abs(levels[1]).max() / np.abs(levels[0]).max()
        np.testing.assert_allclose(levels[1], levels[0] * scale, atol=1e-5)
    assert "up to date" in run(*command, "--name", "wav", "--hard", "pitch_pm0.3-thresholds").err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--hard", "gone"), "no hard pairs in 'gone'"),
        (("--hard", PITCH, "--mode", "max"), "Leave out --mode"),
        (("--hard", PITCH, "--share", "0"), "--share"),
        (("--share", "0.5"), "Give --hard with it"),
        (("--hard", PITCH, "--set", "other"), "mined on another set"),
    ],
)
def test_what_is_refused(mined: Path, run, flags, said) -> None:
    make_set(mined, name="other", speakers=3, utterances=2)
    done = run("mix", "-C", mined, "--set", "train", "--count", 5, "-j", 1, *flags)
    assert done.code == 2 and said in " ".join(done.err.split()), done.err
    assert not list((mined / "data").glob("*hard*"))


def test_audio_of_the_random_set_that_broke_since(mined: Path) -> None:
    sampler = HardPairSampler(mined / PITCH)
    plans = MixtureDraws(pool(), 2, "min", (-5, 5), 0).plans(1)
    draws = HardMixtureDraws(plans, pool(), sampler, 1.0, 0)
    (plan,) = draws.plans(1)
    with pytest.raises(UserError, match="Make the random set again"):
        draws.again(plan, {0}, {plan.sources[0].utterance.id})
    with pytest.raises(UserError, match="Make the random set again"):
        draws.again(plans[0], {1}, {plan.sources[1].utterance.id})
