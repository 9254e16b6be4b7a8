"""Dynamic mixing: who is mixed, how loud, and that every draw depends on its place alone."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import make_set
from torch.utils.data import DataLoader

from speechkit.base import audio
from speechkit.base.errors import UserError
from speechkit.base.random_draws import rng
from speechkit.kaldi import data
from speechkit.mining.config import hard_folder
from speechkit.mining.sampler import HardPairSampler
from speechkit.separation.data import DynamicMixing, MixingConfig, collate
from speechkit.training.batches import ResumableBatches, durations

CONFIG = MixingConfig(8000, segment=0.5)


def mixing(root, config=CONFIG, name="train", sampler=None, seed=0):
    loaded = data.load(root / "data" / name, root)
    return DynamicMixing(loaded.utterances, durations(loaded.utterances), config, seed, sampler)


@pytest.fixture
def mined(tmp_path, run):
    """A set of five speakers with prosody and pitch mining of the closest quarter."""
    make_set(tmp_path, speakers=5, utterances=3)
    assert run("extract-prosody", "-C", tmp_path, "-j", 1).code == 0
    assert run("mine-hard", "-C", tmp_path, "--param", "pitch", "--pm", 0.25).code == 0
    return tmp_path


def speakers_of(dataset, rows):
    return [dataset.utterances[row].speaker for row in rows]


@pytest.mark.parametrize("speakers", [2, 3, 4])
def test_speakers_always_differ_and_all_others_are_equally_likely(tmp_path, speakers):
    make_set(tmp_path, speakers=4, utterances=3)
    dataset = mixing(tmp_path, replace(CONFIG, speakers=speakers))
    partners = Counter()
    for draw in range(1200):
        rows = dataset.choose(4, rng(0, draw))
        assert rows[0] == 4
        assert len(set(speakers_of(dataset, rows))) == speakers
        partners.update(rows[1:])
    expected = 1200 * (speakers - 1) / 9
    assert len(partners) == 9
    for count in partners.values():
        assert abs(count - expected) < 5 * np.sqrt(expected)


def test_a_sample_depends_on_seed_epoch_and_index_alone(tmp_path):
    make_set(tmp_path)
    one, two = mixing(tmp_path), mixing(tmp_path)
    two[(0, 0, 3)]  # history does not matter
    sources, length = one[(1, 5, 2)]
    again, length_again = two[(1, 0, 2)]
    assert length == length_again
    assert np.array_equal(sources, again)
    assert not np.array_equal(sources, one[(2, 5, 2)][0])
    assert not np.array_equal(sources, mixing(tmp_path, seed=1)[(1, 5, 2)][0])


def test_workers_resuming_and_ranks_see_the_same_mixtures(tmp_path):
    make_set(tmp_path)
    dataset = mixing(tmp_path)

    def batches(workers=0, **arguments):
        sampler = ResumableBatches(12, 4, 2, 7, **arguments)
        loader = DataLoader(dataset, batch_sampler=sampler, collate_fn=collate, num_workers=workers)
        return [sources for sources, _ in loader]

    whole = batches()
    assert len(whole) == 6
    for number, batch in enumerate(batches(workers=2)):
        assert torch.equal(batch, whole[number])
    for number, batch in enumerate(batches(start=2)):
        assert torch.equal(batch, whole[number + 2])
    parts = [batches(rank=rank, world=2) for rank in range(2)]
    for number, (even, odd) in enumerate(zip(*parts, strict=True)):
        assert torch.equal(even, whole[number][0::2])
        assert torch.equal(odd, whole[number][1::2])


def level_db(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20)


@pytest.mark.parametrize("mode", ["each", "pair"])
def test_gains(tmp_path, mode):
    make_set(tmp_path, seconds=1.5)
    dataset = mixing(tmp_path, replace(CONFIG, gain_mode=mode, gain_min=-4, gain_max=4))
    levels = []
    for index in range(120):
        sources, length = dataset[(0, 0, index)]
        assert length == 4000
        levels.append([level_db(each) for each in sources])
    levels = np.array(levels) + 25.0
    ratio = levels[:, 0] - levels[:, 1]
    if mode == "each":
        assert np.abs(levels).max() < 4.01
        assert np.abs(ratio).max() > 4.1
    else:
        assert np.abs(ratio).max() < 4.01
        assert np.abs(levels.sum(1)).max() < 0.02
    assert ratio.min() < -2 and ratio.max() > 2


def test_stored_levels_are_kept_if_asked(tmp_path):
    folder = make_set(tmp_path, seconds=0.5, utterances=1)
    dataset = mixing(tmp_path, replace(CONFIG, normalize=False, gain_min=0, gain_max=0))
    sources, length = dataset[(0, 0, 0)]
    stored, _ = audio.read(folder / "wav/s0-u0.wav", 8000)
    assert length == 4000
    assert np.allclose(sources[0], stored[:4000], atol=1e-5)


def test_crops_are_pieces_of_the_file_read_by_seek(tmp_path, monkeypatch):
    make_set(tmp_path, seconds=3.0, utterances=1, rate=8000)
    dataset = mixing(tmp_path)
    asked = []
    read = audio.read

    def spy(path, rate, start, end):
        asked.append((start, end))
        return read(path, rate, start, end)

    monkeypatch.setattr(audio, "read", spy)
    for index in range(60):
        dataset[(0, 0, index)]
    starts = np.array([start for start, _ in asked])
    assert np.allclose([end - start for start, end in asked], 0.5)
    assert starts.min() < 0.4 and starts.max() > 2.1  # from everywhere, not the beginning


def test_short_files_are_placed_and_the_rest_is_padding(tmp_path):
    folder = make_set(tmp_path, utterances=1, seconds=1.0, rate=8000)
    soundfile.write(folder / "wav/s0-u0.wav", 0.1 * np.ones(1000), 8000)
    soundfile.write(folder / "wav/s1-u0.wav", 0.1 * np.ones(1600), 8000)
    dataset = mixing(tmp_path)
    sources, length = dataset.mix([0, 1], rng(3))
    assert length == 1600 and sources.shape == (2, 4000)
    assert (sources[:, 1600:] == 0).all()
    assert (sources[1, :1600] != 0).all()
    sounding = np.flatnonzero(sources[0])
    assert len(sounding) == 1000 and sounding[-1] - sounding[0] == 999
    starts = {int(np.flatnonzero(dataset.mix([0, 1], rng(i))[0][0])[0]) for i in range(20)}
    assert len(starts) > 10


def test_speed_perturbation(tmp_path):
    make_set(tmp_path, seconds=2.0, rate=8000)
    dataset = mixing(tmp_path, replace(CONFIG, speeds=(0.8, 1.25)))
    lengths = {len(dataset.crop(0, rng(i))) for i in range(10)}
    assert lengths == {4000}
    long = mixing(tmp_path, replace(CONFIG, speeds=(0.8, 1.25), segment=10.0))
    lengths = {len(long.crop(0, rng(i))) for i in range(10)}
    assert {round(n / 100) for n in lengths} == {200, 128}  # 16000 / 0.8 and / 1.25


@pytest.mark.parametrize(("rate", "offset"), [(8000, 0.0), (8000, 0.2), (44100, 0.2)])
def test_silent_crops_are_drawn_again(tmp_path, rate, offset):
    folder = make_set(tmp_path, utterances=1, seconds=1.0, rate=8000)
    sound = np.zeros(10 * rate)
    sound[5 * rate :] = 0.1 * rng(1).standard_normal(5 * rate)
    soundfile.write(folder / "wav/s0-u0.wav", sound + offset, rate, subtype="FLOAT")
    dataset = mixing(tmp_path)
    crops = [dataset.crop(0, rng(i)) for i in range(200)]
    loud = [level_db(crop - crop.mean()) > -60 for crop in crops]
    assert sum(loud) >= 180  # half of all crops would be silent, 1/32 after five tries
    whole = [level_db(crop - crop.mean()) for crop in crops if crop[:400].std() > 0.01]
    assert whole == pytest.approx([-25] * len(whole), abs=0.1)


def test_hard_pairs_replace_the_asked_share(mined):
    sampler = HardPairSampler(mined / "exp/hard/pitch_pm0.25")
    hard = {name: set(sampler.hard_set(name)) for name in sampler.utterances}
    dataset = mixing(mined, replace(CONFIG, ps=0.3), sampler=sampler)
    plain = mixing(mined)
    replaced, other = 0, Counter()
    for draw in range(3000):
        first = draw % len(dataset)
        rows = dataset.choose(first, rng(0, draw))
        before = plain.choose(first, rng(0, draw))
        names = [dataset.utterances[row].id for row in rows]
        assert len(set(speakers_of(dataset, rows))) == 2
        if rows != before:
            replaced += 1
            assert rows[0] in before  # the pivot is one of the pair
            assert names[1] in hard[names[0]]
            other[before.index(rows[0])] += 1
    # a replacement may draw the very pair again, so slightly fewer than 30 % differ
    assert 0.22 < replaced / 3000 < 0.33
    assert min(other.values()) > 0.3 * replaced  # either of the pair may be the pivot


def test_all_pairs_are_hard_at_ps_1(mined):
    sampler = HardPairSampler(mined / "exp/hard/pitch_pm0.25")
    hard = {name: set(sampler.hard_set(name)) for name in sampler.utterances}
    dataset = mixing(mined, replace(CONFIG, ps=1.0, speakers=3), sampler=sampler)
    for draw in range(200):
        rows = dataset.choose(draw % len(dataset), rng(1, draw))
        names = [dataset.utterances[row].id for row in rows]
        assert names[1] in hard[names[0]]
        assert len(set(speakers_of(dataset, rows))) == 3


def test_hard_pairs_of_another_set_are_refused(mined):
    make_set(mined, name="other", speakers=3, utterances=2)
    sampler = HardPairSampler(mined / "exp/hard/pitch_pm0.25")
    with pytest.raises(UserError, match="mined on another set"):
        mixing(mined, name="other", sampler=sampler)


def test_one_speaker_cannot_be_mixed(tmp_path):
    make_set(tmp_path, speakers=1)
    with pytest.raises(UserError, match="the set has 1"):
        mixing(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain_mode": "both"}, "both"),
        ({"gain_min": 3.0, "gain_max": -3.0}, "above"),
        ({"ps": 1.5}, "from 0 to 1"),
        ({"segment": 0.0}, "0.0"),
        ({"speeds": (3.0,)}, "from 0.5 to 2"),
    ],
)
def test_impossible_values(tmp_path, changes, message):
    make_set(tmp_path)
    with pytest.raises(UserError, match=message):
        mixing(tmp_path, replace(CONFIG, **changes))


def test_a_broken_file_is_named(tmp_path):
    folder = make_set(tmp_path)
    dataset = mixing(tmp_path)
    (folder / "wav/s0-u0.wav").write_bytes(b"")
    problem = dataset[(0, 0, 0)]
    assert isinstance(problem, str) and "s0-u0" in problem and "empty" in problem
    assert collate([problem, problem]) == problem


def test_hard_folder_by_path_or_name(mined):
    folder = mined / "exp/hard/pitch_pm0.25"
    assert hard_folder(mined, "pitch_pm0.25") == folder
    assert hard_folder(mined, "exp/hard/pitch_pm0.25") == folder
    assert hard_folder(Path("/"), str(folder)) == folder
    with pytest.raises(UserError, match="no hard pairs"):
        hard_folder(mined, "pitch_pm0.5")
