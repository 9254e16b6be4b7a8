"""train separation: one command to a model, resuming, two processes, selection, bad input."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile
import torch
from conftest import make_set

from speechkit.labels.mixtures import load_mixtures
from speechkit.separation import model_folder
from speechkit.separation import train as training
from speechkit.separation.validation import Validation, summarize
from speechkit.training.config import halvings
from speechkit.workdir import WorkDir

NET = ["--filters", 16, "--bottleneck", 8, "--skip", 8, "--hidden", 12, "--blocks", 2]
SMALL = [*NET, "--repeats", 1, "--segment", 0.5, "--epochs", 3, "--batch-size", 4, "-j", 0]


@pytest.fixture
def mixed(tmp_path, run):
    """Sets train and dev, and eight mixtures of dev."""
    make_set(tmp_path, speakers=4, utterances=3, rate=8000)
    make_set(tmp_path, name="dev", speakers=3, utterances=2, rate=8000)
    assert run("mix", "-C", tmp_path, "--set", "dev", "--count", 8, "-j", 1).code == 0
    return tmp_path


def log_of(folder):
    with (Path(folder) / "log.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def train(run, root, *more, name="m"):
    done = run("train", "separation", "-C", root, "--name", name, *SMALL, *more)
    assert done.code == 0, done.err
    return root / "exp/separation" / name / "seed0"


def test_one_command_gives_a_model_and_its_log(mixed, run):
    folder = train(run, mixed)
    rows = log_of(folder)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[-1]["valid_loss"]) < float(rows[0]["valid_loss"])
    summary = json.loads((folder / "summary.json").read_text())
    losses = [float(row["valid_loss"]) for row in rows]
    weighted = [float(row["valid_weighted_loss"]) for row in rows]
    assert summary["best_epoch_plain"] == 1 + int(np.argmin(losses))
    assert summary["best_epoch_weighted"] == 1 + int(np.argmin(weighted))
    assert list((folder / "tensorboard").glob("events*"))
    # what was kept gives the very loss that the log tells
    loaded = model_folder.load(folder)
    assert (loaded.sample_rate, loaded.speakers, loaded.selection) == (8000, 2, "plain")
    valid = load_mixtures(mixed / "data/dev_2mix", mixed)
    with torch.no_grad():
        found = Validation(valid, 3)(loaded.net, torch.device("cpu"))
    assert found["valid_loss"] == pytest.approx(min(losses), abs=1e-3)
    again = run("train", "separation", "-C", mixed, "--name", "m", *SMALL)
    assert again.code == 0 and "up to date" in again.err


def test_the_mixture_itself_scores_zero():
    """SI-SNRi of a net that returns the mixture twice is 0, by definition."""

    class Copy(torch.nn.Module):
        def forward(self, mixture, lengths=None):
            return torch.stack([mixture, mixture], dim=1)

    rng = np.random.default_rng(0)

    class Some:
        mixtures: ClassVar = [type("M", (), {"samples": n, "id": str(n)}) for n in (400, 300)]
        path = Path("x")

        def __len__(self):
            return 2

        def read(self, mixture):
            sources = rng.normal(size=(2, mixture.samples)).astype(np.float32)
            return sources.sum(0), sources

    found = Validation(Some(), 2)(Copy(), torch.device("cpu"))
    assert found["valid_si_snri_db"] == pytest.approx(0, abs=1e-3)
    assert found["valid_hsr5_percent"] == 100


def test_measures_by_hand():
    found = summarize(np.array([10.0, 2.0, 6.0]), np.array([5.0, 4.999, 12.0]))
    assert found["valid_loss"] == pytest.approx(-6.0)
    # ranks of the sorted values 10, 6, 2 are 1, 2, 3 of 6
    assert found["valid_weighted_loss"] == pytest.approx(-(10 * 1 + 6 * 2 + 2 * 3) / 6)
    assert found["valid_hsr5_percent"] == pytest.approx(100 / 3)  # strictly below
    assert found["valid_hsr10_percent"] == pytest.approx(200 / 3)


def test_a_killed_run_continues_the_same_curve(mixed, run, monkeypatch):
    whole = train(run, mixed, name="whole")
    losses = training.SeparationNet.loss
    steps = []

    def fail(self, batch):
        steps.append(1)
        if len(steps) == 5:  # in the middle of the second epoch
            raise KeyboardInterrupt
        return losses(self, batch)

    monkeypatch.setattr(training.SeparationNet, "loss", fail)
    cut = ["train", "separation", "-C", mixed, "--name", "cut", *SMALL]
    assert run(*cut, "--checkpoint-minutes", 0).code == 130
    folder = mixed / "exp/separation/cut/seed0"
    assert not folder.exists()
    monkeypatch.undo()
    assert run(*cut).code == 0
    assert (folder / "log.tsv").read_text() == (whole / "log.tsv").read_text()
    for name in model_folder.FILES.values():
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_two_processes_follow_the_curve_of_one(mixed, run):
    """DDP over two CPU processes, rank-weighted loss and all, against one with the whole batch."""
    more = ["--loss", "wsi-snr"]
    one = train(run, mixed, *more, name="one")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--standalone", "-m", "speechkit", "train", "separation"]
    command += ["-C", mixed, "--name", "two", *SMALL, *more]
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    two = mixed / "exp/separation/two/seed0"
    for a, b in zip(log_of(one), log_of(two), strict=True):
        for name, value in a.items():
            assert float(b[name]) == pytest.approx(float(value), abs=2e-3), name
    assert (two / "manifest.json").is_file()


def test_weighted_validation_takes_the_checkpoints_of_its_twin(mixed, run):
    plain = train(run, mixed, name="dm")
    started = (plain / "manifest.json").stat().st_mtime
    done = run(
        "train", "separation", "-C", mixed, "--name", "dm_wvl", *SMALL, "--weighted-validation"
    )
    assert done.code == 0 and "taking its checkpoints" in done.err
    weighted = mixed / "exp/separation/dm_wvl/seed0"
    assert model_folder.load(weighted).selection == "weighted"
    for name in (*model_folder.FILES.values(), "log.tsv"):
        assert (weighted / name).read_bytes() == (plain / name).read_bytes()
    assert (plain / "manifest.json").stat().st_mtime == started
    other = run("train", "separation", "-C", mixed, "--name", "x", *SMALL, "--clip", 4)
    assert other.code == 0 and "taking its checkpoints" not in other.err


def test_starting_from_a_model(mixed, run):
    base = train(run, mixed, name="base")
    more = ["--epochs", 1, "--segment", 0.5, "-j", 0, "--batch-size", 4, "--learning-rate", 1e-9]
    done = run("train", "separation", "-C", mixed, "--name", "fork", "--init", "base", *more)
    assert done.code == 0, done.err
    fork = mixed / "exp/separation/fork/seed0"
    first, start = model_folder.load(fork), model_folder.load(base)
    assert first.net.config == start.net.config
    for name, value in start.net.state_dict().items():
        assert torch.allclose(first.net.state_dict()[name], value, atol=1e-6)
    best = min(float(row["valid_loss"]) for row in log_of(base))
    assert float(log_of(fork)[0]["valid_loss"]) == pytest.approx(best, abs=1e-3)
    wrong = run("train", "separation", "-C", mixed, "--init", "base", *NET, "--hidden", 13)
    assert wrong.code == 2 and "other hyperparameters" in wrong.err


def test_training_on_hard_pairs_and_on_fixed_mixtures(mixed, run):
    assert run("extract-prosody", "-C", mixed, "-j", 1).code == 0
    assert run("mine-hard", "-C", mixed, "--param", "pitch", "--pm", 0.3).code == 0
    hard = train(run, mixed, "--hard", "pitch_pm0.3", "--ps", 1.0, name="hard")
    plain = train(run, mixed, name="plain")
    assert (hard / "log.tsv").read_text() != (plain / "log.tsv").read_text()
    assert run("mix", "-C", mixed, "--set", "train", "--count", 8, "-j", 1).code == 0
    train(run, mixed, "--static", "--set", "train_2mix", name="static")


def test_every_hyperparameter_from_a_file(mixed, run):
    wanted = {
        "filters": 20, "kernel": 12, "stride": 4, "bottleneck": 6, "skip": 0, "hidden": 10,
        "conv-kernel": 5, "blocks": 3, "repeats": 1, "norm": "chLN", "input-norm": "cLN",
        "padding": "reflect", "encoder-relu": True, "mask": "sigmoid",
    }  # fmt: skip
    lines = [f"{name}: {value}" for name, value in wanted.items()]
    (mixed / "net.yaml").write_text("\n".join([*lines, "epochs: 1", "segment: 0.5", "jobs: 0"]))
    done = run("train", "separation", "-C", mixed, "--config", mixed / "net.yaml")
    assert done.code == 0, done.err
    config = model_folder.load(mixed / "exp/separation/default/seed0").net.config
    for name, value in wanted.items():
        assert getattr(config, name.replace("-", "_")) == value
    assert not config.causal


def test_the_rate_halves_on_a_plateau():
    values = [5, 4, 4.1, 4.2, 3, 3, 3, 3, 2.9]
    assert [halvings(values[:n], 2) for n in range(10)] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert halvings([3] * 20, 0) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--valid-set", "dev"], "not a set of mixtures"),
        (["--static", "--set", "train"], "not a set of mixtures"),
        (["--hard", "nowhere"], "no hard pairs"),
        (["--init", "nobody"], "no trained model 'nobody'"),
        (["--loss", "mse"], "mse"),
        (["--model", "huge"], "huge"),
        (["--batch-size", 0], "--batch-size 0"),
        (["--batch-size", 1, "--loss", "wsi-snr"], "ranks the mixtures"),
        (["--segment", 0.001], "0.001"),
        (["--kernel", 0], "--kernel 0 is out of range"),
        (["--learning-rate", "nan"], "Accepted: above 0."),
        (["--device", "cpu", "--compile"], "CUDA"),
        (["--name", "../x"], "cannot be the name"),
    ],
)
def test_bad_input(mixed, run, flags, message):
    done = run("train", "separation", "-C", mixed, *SMALL, *flags)
    assert done.code == 2, done.err
    assert message in done.err.replace("\n", " ")
    assert not list((mixed / "exp").glob("separation/*/seed0"))


def test_a_set_with_one_speaker(mixed, run):
    make_set(mixed, name="lonely", speakers=1, utterances=4, rate=8000)
    done = run("train", "separation", "-C", mixed, *SMALL, "--set", "lonely")
    assert done.code == 2 and "the set has 1" in done.err


def test_hard_pairs_of_another_set(mixed, run):
    make_set(mixed, name="other", speakers=5, utterances=2, rate=8000)
    assert run("extract-prosody", "-C", mixed, "--set", "other", "-j", 1).code == 0
    mine = ["mine-hard", "-C", mixed, "--set", "other", "--param", "pitch", "--pm", 0.3]
    assert run(*mine).code == 0
    done = run("train", "separation", "-C", mixed, *SMALL, "--hard", "pitch_pm0.3")
    assert done.code == 2 and "mined on another set" in done.err


def test_checkpoints_that_cannot_be_used(mixed, run):
    folder = train(run, mixed)
    weights = folder / "best.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    done = run("train", "separation", "-C", mixed, "--name", "fork", "--init", "m", "--epochs", 1)
    assert done.code == 2 and "best.safetensors cannot be read" in done.err


def test_a_broken_file_is_named(mixed, run):
    soundfile.write(mixed / "data/train/wav/s1-u1.wav", np.full(8000, np.nan), 8000, "FLOAT")
    done = run("train", "separation", "-C", mixed, *SMALL)
    assert done.code == 2 and "s1-u1" in done.err and "NaN" in done.err


def test_out_of_memory_says_what_to_try(mixed, run, monkeypatch):
    def fail(self, batch):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.setattr(training.SeparationNet, "loss", fail)
    done = run("train", "separation", "-C", mixed, *SMALL)
    assert done.code == 2 and "--batch-size 2" in done.err


def test_a_silent_source_is_left_out_and_counted(mixed, caplog):
    class Silent(Validation):
        def read(self, index):
            mixture, sources = super().read(index)
            sources = sources.copy()
            if index == 2:
                sources[1] = 0
            return mixture, sources

    valid = load_mixtures(mixed / "data/dev_2mix", mixed)
    net = model_folder.ConvTasNet(model_folder.ConvTasNetConfig(filters=8, blocks=1, repeats=1))
    with torch.no_grad():
        found = Silent(valid, 3)(net, torch.device("cpu"))
    assert np.isfinite(list(found.values())).all()
    assert WorkDir(mixed).sets()
