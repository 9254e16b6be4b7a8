"""Weights & Biases: one run of theirs for one of ours, taken up under the same id."""

import sys
from types import SimpleNamespace

import pytest

from speechkit.base.errors import MissingDependency
from speechkit.training.tracking import Wandb


def fake(log):
    def init(**named):
        log.append(("init", named))
        return SimpleNamespace(
            log=lambda row, step: log.append(("log", step, row)),
            finish=lambda exit_code: log.append(("finish", exit_code)),
        )

    return SimpleNamespace(init=init)


def test_runs_begin_with_their_first_row_and_keep_their_id(monkeypatch, tmp_path):
    log = []
    monkeypatch.setitem(sys.modules, "wandb", fake(log))
    with Wandb("me/emotion", tmp_path) as tracker:
        first = tracker.run("base", "fold0/seed0", {"epochs": 3})
        second = tracker.run("base", "fold0/seed1", {"epochs": 3})
        tracker.run("base", "fold0/seed2", {"epochs": 3})  # up to date: no row, no run
        first(100, {"train_loss": 1.0})
        first(200, {"train_loss": 0.5})
        second(100, {"train_loss": 1.1})
    kinds = [entry[0] for entry in log]
    assert kinds == ["init", "log", "log", "finish", "init", "log", "finish"]
    made = log[0][1]
    assert (made["entity"], made["project"], made["group"]) == ("me", "emotion", "base")
    assert made["config"] == {"epochs": 3} and made["resume"] == "allow"
    assert log[2] == ("log", 200, {"train_loss": 0.5})
    again = []
    monkeypatch.setitem(sys.modules, "wandb", fake(again))
    with pytest.raises(RuntimeError), Wandb("me/emotion", tmp_path) as tracker:
        tracker.run("base", "fold0/seed0", {"epochs": 3})(300, {"train_loss": 0.4})
        raise RuntimeError
    assert again[0][1]["id"] == made["id"]
    assert again[-1] == ("finish", 1)


def test_without_the_package_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingDependency, match="wandb"):
        Wandb("emotion", tmp_path)
