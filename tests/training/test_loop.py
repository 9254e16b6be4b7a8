"""The fit loop on a toy problem: selection, early stop, resuming, bad batches."""

import logging
import math
import os
import signal
import threading
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from speechkit.base import signals
from speechkit.base.errors import UserError
from speechkit.training import loop
from speechkit.training.batches import ResumableBatches, checked_loader
from speechkit.training.config import FitConfig, learning_rate, linear_rate
from speechkit.training.guard import out_of_memory
from speechkit.training.loop import fit
from speechkit.training.state import State, Trainable

X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([1.0, -2.0, 0.5])
CPU = torch.device("cpu")


class Line(Trainable):
    """Linear regression with dropout (so that draws inside the model matter)."""

    def __init__(self, fail_from: int = 10**9, stop_at: int = 10**9) -> None:
        super().__init__()
        self.line = torch.nn.Linear(3, 1)
        self.steps, self.fail_from, self.stop_at = 0, fail_from, stop_at
        self.measured: list[float] | None = None

    def loss(self, batch):
        self.steps += 1
        if self.steps == self.stop_at:
            raise RuntimeError("the power went out")
        index = torch.tensor([i for _, _, i in batch])
        x = torch.nn.functional.dropout(X[index], 0.2)
        loss = (self.line(x).squeeze(1) - Y[index]).square().mean()
        return loss * math.nan if self.steps >= self.fail_from else loss

    def measure(self):
        if self.measured:
            return {"loss": self.measured.pop(0)}
        return {"loss": float((self.line(X).squeeze(1) - Y).square().mean())}


def run_fit(model, folder, dataset=None, workers=0, size=8, **changes):
    settings = {
        "epochs": 5, "learning_rate": 0.05, "clip": 5.0, "patience": 0, "monitor": "loss",
        "precision": "32-true", "checkpoint_minutes": 60.0, "seed": 3, **changes,
    }  # fmt: skip
    config = FitConfig(**settings)

    def loader(step):
        batches = ResumableBatches(64, size, config.epochs, config.seed, step)
        return checked_loader(dataset or Samples(), batches, list, workers, CPU)

    return fit(
        model, loader, config, per_epoch=64 // size, device=CPU, checkpoint=folder / "last.ckpt",
        tensorboard=folder / "tb", label="toy",
    )  # fmt: skip


class Samples(TensorDataset):
    def __init__(self):
        super().__init__(X)

    def __getitem__(self, sample):
        return sample


def fresh(**arguments):
    torch.manual_seed(0)
    return Line(**arguments)


def test_it_learns_and_keeps_the_best(tmp_path):
    fitted = run_fit(fresh(), tmp_path)
    losses = [row["loss"] for row in fitted.rows]
    assert len(losses) == 5
    assert losses[-1] < 0.5 * losses[0]
    assert fitted.best_epoch == 1 + losses.index(min(losses))
    assert list((tmp_path / "tb").glob("events*"))


@pytest.mark.parametrize("stop_at", [4, 8, 9, 21])
def test_a_killed_run_continues_the_same_curve(tmp_path, stop_at):
    """Also in the middle of an epoch: with a state saved at every step, nothing differs."""
    (tmp_path / "whole").mkdir()
    whole = run_fit(fresh(), tmp_path / "whole")
    with pytest.raises(RuntimeError, match="power"):
        run_fit(fresh(stop_at=stop_at), tmp_path, checkpoint_minutes=0.0)
    resumed = run_fit(fresh(), tmp_path, checkpoint_minutes=0.0)
    assert resumed.rows == whole.rows
    assert resumed.best_epoch == whole.best_epoch
    for name, value in whole.weights.items():
        assert torch.equal(resumed.weights[name], value)


class Kept:
    """Which samples were trained on, by epoch."""

    def __init__(self, model):
        self.seen, loss = [], model.loss
        model.loss = lambda batch: self.seen.extend(batch) or loss(batch)

    def of(self, epoch):
        return [index for e, _, index in self.seen if e == epoch]


@pytest.mark.parametrize(("stop_at", "size"), [(17, 4), (17, 16), (22, 3), (24, 16)])
def test_going_on_with_another_batch_size(tmp_path, stop_at, size):
    """Finished epochs stay; what is left of the one that was begun is trained on as well."""
    with pytest.raises(RuntimeError, match="power"):
        run_fit(fresh(stop_at=stop_at), tmp_path, checkpoint_minutes=0.0)
    before = torch.load(tmp_path / "last.ckpt", weights_only=True)
    model = fresh()
    kept = Kept(model)
    fitted = run_fit(model, tmp_path, size=size)
    assert fitted.rows[:2] == before["rows"] and len(fitted.rows) == 5
    whole = [i for b in ResumableBatches(64, size, 3, 3) for epoch, _, i in b if epoch == 2]
    done = 8 * (stop_at - 17)  # samples of the third epoch that were seen before
    skipped = len(whole) - len(kept.of(2))
    assert kept.of(2) == whole[skipped:]
    assert done - size <= skipped <= done
    assert len(kept.of(3)) == len(kept.of(4)) == len(whole)


def test_rates_follow_the_epochs_whatever_the_batch_size(tmp_path):
    for schedule in ("cosine", "linear", "plateau"):
        folder = tmp_path / schedule
        folder.mkdir()
        with pytest.raises(RuntimeError, match="power"):
            run_fit(fresh(stop_at=17), folder, schedule=schedule)  # after two epochs of eight steps
        config = FitConfig(5, 0.05, 5.0, 0, "loss", "32-true", 60.0, 3, schedule=schedule)
        rates = []
        for per_epoch in (8, 16):
            state = State(config, per_epoch, folder / "last.ckpt", lambda *_: None)
            state.load(fresh())
            assert state.step == 2 * per_epoch
            state.step = 2 * per_epoch + per_epoch // 2
            rates.append(state.learning_rate())
        assert rates[0] == pytest.approx(rates[1], rel=0.03)


def test_states_of_older_versions_go_on_from_the_last_finished_epoch(tmp_path):
    with pytest.raises(RuntimeError, match="power"):
        run_fit(fresh(stop_at=21), tmp_path, checkpoint_minutes=0.0)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    for name in ("per_epoch", "total"):
        del saved[name]
    torch.save(saved, tmp_path / "last.ckpt")
    config = FitConfig(5, 0.05, 5.0, 0, "loss", "32-true", 60.0, 3)
    for per_epoch, step in ((8, 20), (4, 8), (16, 32)):
        state = State(config, per_epoch, tmp_path / "last.ckpt", lambda *_: None)
        state.load(fresh())
        assert state.step == step


def test_what_is_finished_stays_finished_with_another_batch_size(tmp_path):
    rows = run_fit(fresh(), tmp_path).rows
    assert run_fit(fresh(stop_at=1), tmp_path, size=4).rows == rows


@pytest.mark.parametrize(
    ("changes", "kept", "said"),
    [
        ({"batch_size": 8}, "", "Try `batch_size` 4, or"),
        ({"batch_size": 8}, "epoch 7 of 20", "`batch_size` 4 `continue`"),
        ({"batch_size": 9}, "epoch 7 of 20", "`batch_size` 3 `continue`"),
        ({"batch_size": 8, "unit": "step", "accumulate": 2}, "step 50 of 90",
         "`batch_size` 4 `accumulate` 4 `continue`"),
        ({"batch_size": 1}, "epoch 1 of 2", "smaller model"),
    ],
)  # fmt: skip
def test_out_of_memory_says_what_becomes_of_finished_epochs(changes, kept, said):
    config = FitConfig(5, 0.05, 5.0, 0, "loss", "32-true", 60.0, 3, **changes)
    error = out_of_memory(config, kept)
    assert said in error.remedy
    assert (f"What was learnt until {kept} is kept." in error.problem) == (
        bool(kept) and changes["batch_size"] > 1
    )


def test_early_stop_and_selection(tmp_path):
    model = fresh()
    model.measured = [3.0, 1.0, 2.0, 1.5, 4.0]
    fitted = run_fit(model, tmp_path, patience=2)
    assert len(fitted.rows) == 4
    assert fitted.best_epoch == 2
    # a finished run does nothing when it is asked again
    again = fresh(stop_at=1)
    assert run_fit(again, tmp_path, patience=2).best_epoch == 2


def test_bad_batches_change_nothing_and_end_a_diverged_run(tmp_path):
    torch.manual_seed(0)
    model = Line(fail_from=4)
    with pytest.raises(UserError, match="diverged"):
        run_fit(model, tmp_path)
    assert torch.isfinite(model.line.weight).all()


def test_learning_rate_schedule_by_hand():
    rates = [learning_rate(step, 100, 1.0) for step in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5] == 1.0
    assert rates[52] == pytest.approx(0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * 47 / 95)))
    assert 0.01 <= rates[-1] < 0.011
    assert rates[5:] == sorted(rates[5:], reverse=True)


def test_linear_schedule_by_hand():
    assert [linear_rate(s, 4, 1.0) for s in range(4)] == [1.0, 0.75, 0.5, 0.25]
    rates = [linear_rate(s, 10, 2.0, 0.2) for s in range(10)]
    assert rates[:3] == [1.0, 2.0, 2.0]
    assert rates[9] == pytest.approx(2 / 8)
    assert all(int(n * 0.05 + 1e-9) == n // 20 for n in range(1, 5000))


def test_accumulated_batches_are_one_large_batch(tmp_path, monkeypatch):
    """Without dropout, two batches of 4 make the step of one batch of 8."""

    class Sure(Line):
        def loss(self, batch):
            index = torch.tensor([i for _, _, i in batch])
            return (self.line(X[index]).squeeze(1) - Y[index]).square().mean()

    def run(size, accumulate, folder):
        torch.manual_seed(0)
        config = FitConfig(
            3, 0.05, 5.0, 0, "loss", "32-true", 60.0, 3, schedule="linear",
            accumulate=accumulate, batches=20 * accumulate, unit="step",
        )  # fmt: skip

        def loader(step):
            batches = ResumableBatches(64, 8, 3, 3, step // accumulate)
            small = [b[k : k + size] for b in batches for k in range(0, 8, size)]
            return DataLoader(Samples(), batch_sampler=small, collate_fn=list)

        counts = []
        monkeypatch.setattr(
            loop, "listener", lambda _: lambda count, row: counts.append((count, row["loss"]))
        )
        fitted = fit(
            Sure(), loader, config, per_epoch=8 * accumulate, device=CPU,
            checkpoint=folder / f"{size}.ckpt", tensorboard=folder / f"tb{size}", label="toy",
        )  # fmt: skip
        return counts, fitted

    large, _ = run(8, 1, tmp_path)
    small, fitted = run(4, 2, tmp_path)
    assert [count for count, _ in large] == [8, 16, 20]  # measured at the end too
    assert [count for count, _ in small] == [8, 16, 20]
    for (_, a), (_, b) in zip(large, small, strict=True):
        assert a == pytest.approx(b, rel=1e-4)
    assert len(fitted.seconds) == 3


@pytest.mark.parametrize("stop_at", [3, 6, 11])
def test_a_killed_run_with_accumulation_continues_the_same_curve(tmp_path, stop_at):
    more = {"accumulate": 3, "batches": 24, "unit": "step", "monitor": "-score"}

    class Scored(Line):
        def measure(self):
            return {"score": -super().measure()["loss"]}

    def fresh_scored(**arguments):
        torch.manual_seed(0)
        return Scored(**arguments)

    def run(model, folder, **changes):
        return run_fit(model, folder, epochs=3, **more, **changes)

    (tmp_path / "whole").mkdir()
    whole = run(fresh_scored(), tmp_path / "whole")
    with pytest.raises(RuntimeError, match="power"):
        run(fresh_scored(stop_at=stop_at), tmp_path, checkpoint_minutes=0.0)
    resumed = run(fresh_scored(), tmp_path, checkpoint_minutes=0.0)
    assert resumed.rows == whole.rows
    assert resumed.best_epoch == whole.best_epoch
    best = max(range(len(whole.rows)), key=lambda k: whole.rows[k]["score"])
    assert whole.best_epoch == best + 1


@pytest.mark.parametrize("accumulate", [1, 3])
def test_fabric_makes_the_same_steps(tmp_path, monkeypatch, accumulate):
    """And either of them goes on from the state that the other has saved."""
    more = {"accumulate": accumulate, "batches": 16, "clip": 0.5, "unit": "step", "epochs": 2}
    found = []
    for name, precision in (("plain", loop.FLOAT32), ("fabric", "none has this name")):
        monkeypatch.setattr(loop, "FLOAT32", precision)
        (tmp_path / name).mkdir()
        found.append(run_fit(fresh(), tmp_path / name, **more))
    assert found[0].rows == found[1].rows
    for name, value in found[0].weights.items():
        assert torch.equal(found[1].weights[name], value)
    with pytest.raises(RuntimeError, match="power"):
        run_fit(fresh(stop_at=11), tmp_path, checkpoint_minutes=0.0, **more)
    monkeypatch.undo()
    again = run_fit(fresh(), tmp_path, checkpoint_minutes=0.0, **more)
    assert again.rows == found[0].rows


@pytest.mark.parametrize("accumulate", [1, 2])
def test_fewer_bits_learn_too(tmp_path, accumulate):
    fitted = run_fit(fresh(), tmp_path, precision="bf16-mixed", accumulate=accumulate)
    assert fitted.rows[-1]["loss"] < 0.7 * fitted.rows[0]["loss"]
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["precision"] == {}


class Stopped(Samples):
    """Reads in a process that, at one item, sends SIGTERM as SLURM does: to all of the group."""

    def __init__(self, parent):
        super().__init__()
        self.parent = parent

    def __getitem__(self, sample):
        if sample[:2] == (1, 5) and os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(self.parent, signal.SIGTERM)
        return sample


@pytest.mark.parametrize("workers", [0, 2])
def test_sigterm_saves_behind_the_batch(tmp_path, workers):
    """Also where it hits the workers too; the run then continues the same curve."""
    signals.forget()
    (tmp_path / "whole").mkdir()
    whole = run_fit(fresh(), tmp_path / "whole")
    handlers = [signal.getsignal(number) for number in signals.STOPS]

    class Stops(Line):
        def loss(self, batch):
            if not workers and self.steps == 12:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().loss(batch)

    torch.manual_seed(0)
    dataset = Stopped(os.getpid()) if workers else Samples()
    with pytest.raises(KeyboardInterrupt):
        run_fit(Stops(), tmp_path, dataset=dataset, workers=workers)
    assert signals.exit_code() == 143
    assert [signal.getsignal(number) for number in signals.STOPS] == handlers
    step = torch.load(tmp_path / "last.ckpt", weights_only=True)["step"]
    assert step == 13 if not workers else 0 < step < 40
    assert run_fit(fresh(), tmp_path).rows == whole.rows


@pytest.mark.parametrize("stop", signals.STOPS)
def test_a_second_stop_ends_at_once(tmp_path, monkeypatch, stop):
    signals.forget()
    monkeypatch.setattr(signals, "_COPIES_S", 0)

    class Stops(Line):
        def loss(self, batch):
            if self.steps == 12:
                os.kill(os.getpid(), stop)
                os.kill(os.getpid(), stop)
            return super().loss(batch)

    model = Stops()
    with pytest.raises(KeyboardInterrupt):
        run_fit(model, tmp_path)
    assert model.steps == 12
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["step"] == 8


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError("can't allocate memory")]
)
def test_memory_runs_out_in_a_step(tmp_path, error):
    class Large(Line):
        def loss(self, batch):
            raise error

    with pytest.raises(UserError, match="Memory ran out in a step"):
        run_fit(Large(), tmp_path)


def test_curves_that_cannot_be_written(tmp_path, monkeypatch, caplog):
    """A full disk costs TensorBoard's file alone, and is said once."""
    monkeypatch.setattr(logging.getLogger("speechkit"), "propagate", True)
    whole = run_fit(fresh(), tmp_path)
    folder = tmp_path / "full"
    folder.mkdir()
    opened = Path.open

    def full(self, *rest, **more):
        return opened(Path("/dev/full") if self.parent.name == "tb" else self, *rest, **more)

    monkeypatch.setattr(Path, "open", full)
    threads = {thread.ident for thread in threading.enumerate()}
    assert run_fit(fresh(), folder).rows == whole.rows
    said = {id(r) for r in caplog.records if "goes on without TensorBoard" in r.getMessage()}
    assert len(said) == 1
    assert {thread.ident for thread in threading.enumerate()} <= threads


def test_curves_are_what_tensorboard_reads(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(RuntimeError, match="power"):
        run_fit(fresh(stop_at=26), tmp_path)  # its last checkpoint is of the epoch before
    rows = run_fit(fresh(), tmp_path).rows
    read = EventAccumulator(str(tmp_path / "tb")).Reload()
    assert set(read.Tags()["scalars"]) == set(rows[0])
    points = [(event.step, event.value) for event in read.Scalars("loss")]
    assert points == [(k, pytest.approx(row["loss"])) for k, row in enumerate(rows, 1)]
