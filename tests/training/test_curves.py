"""Curves in TensorBoard, W&B and MLflow: one run of theirs for one of ours, taken up by its id."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import ClassVar

import pytest

from speechkit.base.errors import MissingDependency, UserError
from speechkit.training import curves
from speechkit.training.config import CurvesConfig
from speechkit.training.curves import listener, listeners, shown


class Refused(Exception):
    """As both services raise it."""


def fake_wandb(log):
    """What W&B is asked; ``offline`` in place of its process."""

    def init(**named):
        if named["project"] == "secret":
            raise Refused("no key")
        name = named["name"]
        log.append(("init", named))
        return SimpleNamespace(
            define_metric=lambda *a, **k: None,
            log=lambda row: log.append((name, row)),
            finish=lambda exit_code: log.append(("finish", exit_code)),
        )

    return SimpleNamespace(init=init, Error=Refused, __spec__=None)


@pytest.fixture
def wandb(monkeypatch):
    pytest.importorskip("lightning")
    from lightning.pytorch.loggers import wandb as loggers

    log: list = []
    modules = {
        "wandb": fake_wandb(log),
        "wandb.sdk": SimpleNamespace(),
        "wandb.sdk.lib": SimpleNamespace(RunDisabled=()),
        "wandb.wandb_run": SimpleNamespace(Run=()),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(loggers, "_WANDB_AVAILABLE", True)
    return log


def test_runs_begin_with_their_first_row_and_keep_their_id(wandb, tmp_path):
    exp = tmp_path / "exp" / "emotion" / "base" / "fold0"
    with shown(CurvesConfig(wandb="me/emotion"), tmp_path, {"epochs": 3}):
        first = listener(exp / ".seed0.partial" / "tensorboard")
        second = listener(exp / "seed1")
        listener(exp / "seed2")  # up to date: no row, no run
        first(100, {"train_loss": 1.0})
        second(100, {"train_loss": 1.1})
        first(200, {"train_loss": 0.5})
    assert [entry[0] for entry in wandb] == [
        "init", "emotion/base/fold0/seed0", "init", "emotion/base/fold0/seed1",
        "emotion/base/fold0/seed0", "finish", "finish",
    ]  # fmt: skip
    made = wandb[0][1]
    assert (made["entity"], made["project"], made["group"]) == ("me", "emotion", "emotion/base")
    assert made["config"] == {"epochs": 3} and made["resume"] == "allow"
    assert wandb[4][1] == {"train_loss": 0.5, "trainer/global_step": 200}
    assert wandb[-1] == ("finish", 0)
    before, _ = made["id"], wandb.clear()
    with (
        pytest.raises(RuntimeError),
        shown(CurvesConfig(wandb="me/emotion"), tmp_path, {"epochs": 3}),
    ):
        listener(exp / "seed0")(300, {"train_loss": 0.4})
        raise RuntimeError
    assert wandb[0][1]["id"] == before != ""
    assert wandb[-1] == ("finish", 1)
    listener(exp / "seed0")(1, {"loss": 1.0})  # nobody looks any more
    assert wandb[-1] == ("finish", 1)


def test_a_service_that_does_not_let_us_in(wandb, tmp_path):
    with (
        pytest.raises(UserError, match="Weights & Biases cannot be used: no key"),
        shown(CurvesConfig(wandb="secret"), tmp_path, {}),
    ):
        listener(tmp_path / "exp/scoring/a/seed0")(1, {"loss": 1.0})


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_without_the_package_it_says_how_to_get_it(monkeypatch, tmp_path, name):
    monkeypatch.setitem(sys.modules, name, None)
    with (
        pytest.raises(MissingDependency, match=name),
        shown(CurvesConfig(**{name: "project"}), tmp_path, {}),
    ):
        pass


class Client:
    """MLflow's client: runs by id, kept between commands."""

    runs: ClassVar[dict] = {}
    broken = False

    def __init__(self, uri):
        self.uri = uri

    def get_experiment_by_name(self, name):
        found = any(run["experiment"] == name for run in self.runs.values())
        return SimpleNamespace(experiment_id=name, lifecycle_stage="active") if found else None

    def create_experiment(self, name, artifact_location):
        return name

    def search_runs(self, ids, wanted):
        found = [i for i, run in self.runs.items() if run["tags"]["speechkit.run"] in wanted]
        return [SimpleNamespace(info=SimpleNamespace(run_id=i)) for i in found]

    def create_run(self, experiment_id, tags):
        name = f"run{len(self.runs)}"
        self.runs[name] = {"experiment": experiment_id, "tags": tags, "params": {}, "rows": []}
        return self.get_run(name)

    def get_run(self, name):
        run = self.runs[name]
        info = SimpleNamespace(run_id=name, experiment_id=run["experiment"])
        return SimpleNamespace(info=info, data=SimpleNamespace(params=run["params"]))

    def log_batch(self, run_id, metrics=(), params=()):
        if Client.broken:
            raise Refused("the server is gone")
        self.runs[run_id]["params"].update({p.key: p.value for p in params})
        self.runs[run_id]["rows"] += [(m.step, m.key, m.value) for m in metrics]

    def set_terminated(self, run_id, status):
        self.runs[run_id]["status"] = status


@pytest.fixture
def mlflow(monkeypatch):
    from lightning.pytorch.loggers import mlflow as loggers

    named = SimpleNamespace
    modules = {
        "mlflow": named(
            set_tracking_uri=lambda uri: None,
            exceptions=named(MlflowException=Refused),
            tracking=named(MlflowClient=Client),
        ),
        "mlflow.tracking": named(MlflowClient=Client),
        "mlflow.entities": named(Param=named, Metric=named),
        "mlflow.utils": named(),
        "mlflow.utils.mlflow_tags": named(MLFLOW_RUN_NAME="mlflow.runName"),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(loggers, "_MLFLOW_AVAILABLE", True)
    monkeypatch.setattr(loggers, "_get_resolve_tags", lambda: lambda tags: tags)
    monkeypatch.setattr(Client, "runs", {})
    monkeypatch.setattr(Client, "broken", False)
    return Client


def test_mlflow_continues_the_run_of_a_training(mlflow, tmp_path, caplog):
    where, folder = CurvesConfig(mlflow="http://here"), tmp_path / "exp/separation/hard/seed0"
    for step in (1, 2):
        with shown(where, tmp_path, {"config": {"epochs": 2}}):
            listener(folder)(step, {"loss": 1.0 / step})
    (run,) = mlflow.runs.values()
    assert run["rows"] == [(1, "loss", 1.0), (2, "loss", 0.5)]
    assert (run["experiment"], run["params"]) == ("separation/hard", {"config/epochs": "2"})
    assert run["tags"]["mlflow.runName"] == "seed0" and run["status"] == "FINISHED"
    with shown(where, tmp_path, {"config": {"epochs": 2}}):
        tell = listener(folder)
        tell(3, {"loss": 0.1})
        mlflow.broken = True
        tell(4, {"loss": 0.1})  # the training goes on
        mlflow.broken = False
        tell(5, {"loss": 0.1})
    assert run["rows"][2:] == [(3, "loss", 0.1)]


def test_seeds_that_are_trained_in_one(tmp_path):
    """TensorBoard has a curve of each seed that is to be finished."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    exp, place = tmp_path / "exp/scoring/a", tmp_path / "curves"
    outputs = {seed: SimpleNamespace(path=exp / f".seed{seed}.partial") for seed in (0, 2)}
    with shown(CurvesConfig(curves=str(place)), tmp_path, {}):
        for number, tell in enumerate(listeners(outputs, [0, 1, 2], "finetune")):
            tell(1, {"loss": float(number)})
    assert sorted(p.name for p in (place / "scoring/a").iterdir()) == ["seed0", "seed2"]
    read = EventAccumulator(str(place / "scoring/a/seed2/finetune")).Reload()
    assert [(e.step, e.value) for e in read.Scalars("loss")] == [(1, 2.0)]
    assert not curves._open
