"""Batches of ``evaluate separation``: long mixtures, memory, STOI, audio read ahead."""

import sys
from functools import partial

import numpy as np
import pytest
import torch
from separation_models import RATE, make_mixtures, make_model, settings

from speechkit.base.errors import MissingDependency, UserError
from speechkit.base.parallel import read_ahead
from speechkit.labels.mixtures import load_mixtures
from speechkit.separation import measurement, metrics, results
from speechkit.separation.evaluate import evaluate
from speechkit.task import trained
from speechkit.workdir import WorkDir


@pytest.fixture
def world(tmp_path):
    make_mixtures(tmp_path)
    make_model(tmp_path, seed=0)
    make_model(tmp_path, seed=3)
    return tmp_path


def test_long_mixtures_are_separated_by_blocks(world, monkeypatch):
    whole = evaluate(WorkDir(world), settings(), out_name="whole", device="cpu")
    called = []

    def by_blocks(*arguments, **options):
        called.append(1)
        return separate_long(*arguments, **options)

    separate_long = measurement.separate_long
    monkeypatch.setattr(measurement, "separate_long", by_blocks)
    monkeypatch.setattr(measurement, "LONG", 3400)  # mix3, mix4, mix5 are longer
    folder = evaluate(WorkDir(world), settings(), device="cpu")
    clips = [
        line.split("\t")[2]
        for name in ("worst.tsv", "median.tsv")
        for line in (folder / name).read_text().splitlines()
    ]
    long = sum(clips.count(name) for name in ("mix3", "mix4", "mix5"))
    assert len(called) == 2 * 3 + long  # two seeds, then the clips
    tables = [results.read_utterances(each) for each in (folder, whole)]
    assert np.allclose(tables[0]["si_snri_db"], tables[1]["si_snri_db"], atol=1e-3)


def test_memory_that_runs_out_is_the_users_to_mend(world, monkeypatch):
    def greedy(*_):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(measurement, "separate", greedy)
    with pytest.raises(UserError, match="Memory ran out with 4 mixtures") as caught:
        evaluate(WorkDir(world), settings(), batch_seconds=2.0, device="cpu")
    assert "`batch_seconds`" in caught.value.remedy


def test_stoi_is_that_of_pystoi(world):
    pystoi = pytest.importorskip("pystoi", reason="pystoi (extra [metrics]) is not installed")
    rng = np.random.default_rng(0)
    sources = rng.standard_normal((2, 8000)).astype(np.float32)
    estimates = sources + rng.standard_normal((2, 8000)).astype(np.float32)
    for extended in (False, True):
        expected = [
            pystoi.stoi(s, e, RATE, extended) for s, e in zip(sources, estimates, strict=True)
        ]
        found = metrics.stoi(estimates, sources, RATE, extended)
        assert found == pytest.approx(np.mean(expected))
    assert np.isnan(metrics.stoi(estimates[:, :800], sources[:, :800], RATE, False))
    folder = evaluate(WorkDir(world), settings(stoi=True), device="cpu")
    assert {"stoi", "estoi"} < set(results.read_utterances(folder).columns)


def test_stoi_without_pystoi(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pystoi", None)
    with pytest.raises(MissingDependency, match="pystoi"):
        evaluate(WorkDir(tmp_path), settings(stoi=True))


def test_measuring_read_ahead_gives_the_same(world):
    """The way of CUDA: audio is read in threads, measured in this one."""
    work = WorkDir(world)
    models = tuple((s, f, "plain") for s, f in trained.find(work, "separation", "dm"))
    task = measurement.Task(models, world / "data" / "test_2mix", world, sdr=False)
    batches = [(0, 1), (2,), (3, 4, 5)]
    heard = read_ahead(partial(measurement.read_batch, task=task), batches, 2, 4)
    found = [measurement.measure(each, task).rows for each in heard]
    assert found == [measurement.score_batch(batch, task).rows for batch in batches]


@pytest.mark.slow
def test_processes_give_the_same(world):
    one = evaluate(WorkDir(world), settings(), device="cpu")
    two = evaluate(WorkDir(world), settings(), out_name="two", device="cpu", jobs=2)
    tables = [results.read_utterances(folder) for folder in (one, two)]
    assert np.allclose(tables[0]["si_snri_db"], tables[1]["si_snri_db"], atol=1e-3)


def test_batches_change_nothing(world):
    one = evaluate(WorkDir(world), settings(), device="cpu")
    several = evaluate(WorkDir(world), settings(), out_name="b", batch_seconds=2.0, device="cpu")
    dataset = load_mixtures(world / "data" / "test_2mix", world)
    assert max(map(len, measurement.make_batches(dataset, 16000, RATE))) > 2
    tables = [results.read_utterances(folder) for folder in (one, several)]
    assert np.allclose(tables[0]["si_snri_db"], tables[1]["si_snri_db"], atol=1e-3)


def test_batches_hold_at_most_so_many_samples_with_padding(world):
    dataset = load_mixtures(world / "data" / "test_2mix", world)
    lengths = [m.samples for m in dataset.mixtures]
    batches = measurement.make_batches(dataset, 2 * 4 * max(lengths), 2 * RATE)  # at twice the rate
    assert sorted(i for batch in batches for i in batch) == list(range(6))
    assert [len(batch) for batch in batches] == [4, 2]
    assert [lengths[i] for batch in batches for i in batch] == sorted(lengths, reverse=True)
    assert [len(batch) for batch in measurement.make_batches(dataset, 0, RATE)] == [1] * 6
