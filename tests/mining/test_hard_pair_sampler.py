"""The sampler: uniform in every mode, without state, light to import, strict about folders."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from hardref import speech_like, write_prosody, write_set, write_vectors
from scipy.stats import chisquare

from speechkit.base.errors import UserError
from speechkit.mining import HardPairSampler
from speechkit.mining.config import MiningConfig
from speechkit.mining.mine import mine
from speechkit.workdir import WorkDir

MODES = ("pairs", "windows", "rejection")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A hard folder for each mode; utterance 7 has no parameter; pitch has many ties."""
    root = tmp_path_factory.mktemp("mined")
    vectors, speakers = speech_like(8, 10, 8, seed=9)
    vectors[7] = 0
    vectors[30:34] = vectors[50]
    pitch = np.round(100 + 2 * vectors[:, 0])
    pitch[7] = np.nan
    utts = write_set(root, speakers)
    write_vectors(root, utts, vectors)
    write_prosody(root, utts, pitch)
    work = WorkDir(root)

    def run(param, store):
        return mine(work, MiningConfig(param, 0.15, store=store), name=store, device="cpu")

    return {
        "pairs": run("xvector", "pairs"),
        "windows": run("pitch", "thresholds"),
        "rejection": run("xvector", "thresholds"),
    }


@pytest.mark.parametrize("mode", MODES)
def test_uniform_over_the_hard_set(folders, mode):
    sampler = HardPairSampler(folders[mode])
    assert sampler.mode == mode
    rng = np.random.default_rng(1)
    p_values = []
    for pivot in (0, 31, 52, 79):
        hard = sampler.hard_set(pivot)
        drawn = sampler.sample(np.full(4000, pivot), rng)
        count = np.array([(drawn == row).sum() for row in hard])
        assert count.sum() == 4000  # nothing from outside
        p_values.append(chisquare(count).pvalue)
    assert min(p_values) > 1e-4


@pytest.mark.parametrize("mode", MODES)
def test_uniform_when_many_pivots_share_a_call(folders, mode):
    """Other rounds and numbers of proposals than for a single pivot."""
    sampler = HardPairSampler(folders[mode])
    rng = np.random.default_rng(2)
    pivots = np.tile(np.flatnonzero(sampler.has_hard), 60)
    drawn = np.concatenate([sampler.sample(pivots, rng) for _ in range(4)])
    pivots = np.tile(pivots, 4)
    statistic = freedom = 0
    for pivot in np.unique(pivots):
        hard = sampler.hard_set(pivot)
        mine_ = drawn[pivots == pivot]
        assert np.isin(mine_, hard).all()
        count = np.array([(mine_ == row).sum() for row in hard])
        statistic += chisquare(count).statistic
        freedom += len(hard) - 1
    assert abs(statistic - freedom) < 4 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("mode", MODES)
def test_ids_rows_and_empty_sets(folders, mode):
    sampler = HardPairSampler(folders[mode])
    assert not sampler.has_hard[7] and sampler.has_hard.sum() == 79
    assert sampler.m[7] == 0 and np.isnan(sampler.thresholds[7])
    assert sampler.hard_set(7).size == 0 and sampler.hard_set("u00007").size == 0
    ids = np.array([["u00000", "u00007"], ["u00040", "u00040"]])
    rows = np.array([[0, 7], [40, 40]])
    by_id = sampler.sample(ids, np.random.default_rng(3))
    by_row = sampler.sample(rows, np.random.default_rng(3))
    assert by_id.shape == by_row.shape == (2, 2)
    assert by_id[0, 1] == "" and by_row[0, 1] == -1
    some = by_row >= 0
    assert by_id[some].tolist() == [sampler.utterances[k] for k in by_row[some]]
    assert sampler.hard_set("u00000").tolist() == [
        sampler.utterances[k] for k in sampler.hard_set(0)
    ]
    assert isinstance(sampler.sample(["u00001"], np.random.default_rng(0))[0], str)
    assert sampler.sample([], np.random.default_rng(0)).size == 0
    assert sampler.sample(5, np.random.default_rng(0)).shape == ()


def test_modes_agree(folders):
    pairs, rejection = HardPairSampler(folders["pairs"]), HardPairSampler(folders["rejection"])
    for row in range(80):
        assert pairs.hard_set(row).tolist() == rejection.hard_set(row).tolist()
    assert (pairs.thresholds == rejection.thresholds)[pairs.has_hard].all()


@pytest.mark.parametrize("mode", MODES)
def test_unknown_pivots(folders, mode):
    sampler = HardPairSampler(folders[mode])
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match=r"'u0000' is not in .* Did you mean"):
        sampler.sample(["u00001", "u0000"], rng)
    for row in (-1, 80):
        with pytest.raises(UserError, match=f"Row {row} is outside"):
            sampler.sample(np.array([row, 3]), rng)


@pytest.mark.parametrize("mode", MODES)
def test_copies_draw_the_same_and_carry_no_arrays_of_files(folders, mode):
    sampler = HardPairSampler(folders[mode])
    sent = pickle.dumps(sampler)
    copy = pickle.loads(sent)
    pivots = np.arange(80)
    one = sampler.sample(pivots, np.random.default_rng(5))
    assert one.tolist() == copy.sample(pivots, np.random.default_rng(5)).tolist()
    assert len(sent) < 10_000  # 80 ids, sizes and thresholds; not the pairs or vectors


class _Draws(torch.utils.data.Dataset):
    """Draws a partner per item from (seed, item), as a training set would."""

    def __init__(self, sampler: HardPairSampler) -> None:
        self.sampler = sampler

    def __len__(self) -> int:
        return 80

    def __getitem__(self, item: int) -> int:
        rng = np.random.default_rng([0, item])
        return int(self.sampler.sample(np.array([item]), rng)[0])


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_in_dataloader_workers(folders, context):
    draws = _Draws(HardPairSampler(folders["rejection"]))
    loader = torch.utils.data.DataLoader(
        draws, batch_size=16, num_workers=2, multiprocessing_context=context
    )
    assert torch.cat(list(loader)).tolist() == [draws[k] for k in range(80)]


def test_import_is_light():
    code = (
        "import sys; from speechkit.mining import HardPairSampler;"
        "print([m for m in ('torch','pandas','scipy','matplotlib','typer') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


def _shorter(path):
    np.save(path, np.load(path)[:-1])


def _other_steps(indptr):
    """As long as before, to the same end, by other steps."""
    return np.r_[indptr[:1], indptr[1:-1] - 1, indptr[-1:]]


DAMAGE = [
    ("pairs", "thresholds.tsv", lambda p: p.unlink(), "not a folder of hard pairs"),
    ("pairs", "thresholds.tsv", lambda p: p.write_text("a\tb\n"), "the header is not"),
    ("pairs", "thresholds.tsv", lambda p: p.write_text(p.read_text() + "x\n"), "four columns"),
    ("pairs", "indptr.npy", lambda p: p.unlink(), "indptr.npy is missing"),
    ("pairs", "indices.npy", lambda p: p.unlink(), "indices.npy is missing"),
    ("pairs", "indices.npy", _truncate, "is damaged"),
    ("pairs", "indices.npy", lambda p: p.write_bytes(b""), "is damaged"),
    ("pairs", "indices.npy", _shorter, "expected int32"),
    ("pairs", "indptr.npy", _shorter, "expected int64"),
    ("pairs", "indptr.npy", lambda p: np.save(p, _other_steps(np.load(p))), "disagrees"),
    ("windows", "windows.npy", lambda p: p.unlink(), "is damaged"),
    ("windows", "values.npy", _shorter, "expected float64"),
    ("rejection", "vectors.npy", lambda p: p.unlink(), "is damaged"),
    ("rejection", "vectors.npy", _shorter, "expected float32"),
    ("rejection", "speakers.npy", lambda p: p.unlink(), "speakers.npy is missing"),
]


@pytest.mark.parametrize(("mode", "name", "damage", "message"), DAMAGE)
def test_damaged_folder(folders, tmp_path, mode, name, damage, message):
    copy = tmp_path / "copy"
    shutil.copytree(folders[mode], copy)
    damage(copy / name)
    with pytest.raises(UserError, match=message) as caught:
        HardPairSampler(copy)
    assert "mine-hard" in caught.value.remedy


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="not a folder of hard pairs"):
        HardPairSampler(tmp_path / "nothing")


def test_a_threshold_that_nothing_meets_ends(folders, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folders["rejection"], copy)
    lines = (copy / "thresholds.tsv").read_text().splitlines()
    fields = lines[1].split("\t")
    lines[1] = "\t".join([fields[0], fields[1], "-1.0", fields[3]])
    (copy / "thresholds.tsv").write_text("\n".join(lines) + "\n")
    with pytest.raises(UserError, match="nothing lies within the threshold of 'u00000'"):
        HardPairSampler(copy).sample(["u00000"], np.random.default_rng(0))
