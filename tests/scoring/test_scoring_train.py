"""``train scoring``: seeds alone and together, stages, resuming, and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from scoring_sets import make_sets, make_spoken, write_deep, write_synthetic
from typer.testing import CliRunner

from speechkit.acoustic.tdnn import folder as tdnn_folder
from speechkit.base.errors import UserError
from speechkit.base.random_draws import rng
from speechkit.cli.main import app
from speechkit.phone_features.feature_folder import read_features
from speechkit.scoring import joint_network, model_folder
from speechkit.scoring import train as training
from speechkit.scoring.batches import Batches
from speechkit.scoring.config import ScoringConfig
from speechkit.scoring.data import Inputs, load
from speechkit.scoring.seeds import Group, begin, draw_pool, stacked, statistics
from speechkit.stats.score_metrics import pcc
from speechkit.task.trained import find
from speechkit.training import stacked_runs
from speechkit.training.config import learning_rate
from speechkit.training.weights import read_weights
from speechkit.workdir import WorkDir

CPU = torch.device("cpu")
SMALL = {"set_name": "sc", "epochs": 3, "pretrain_epochs": 3, "joint_epochs": 2, "batch_size": 8,
         "dropout": 0.1,
         "width": 8, "heads": 2}  # fmt: skip


def config(**settings):
    return ScoringConfig(**{**SMALL, **settings})


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    root = make_sets(tmp_path_factory.mktemp("training"), sc=30, un=20, dev=15)
    work = WorkDir(root)
    gop = read_features(work.exp("gop", "un"), root)
    draw = np.random.default_rng(0)
    write_synthetic(root, "un", {name: float(draw.integers(4, 10)) for name in gop.rows})
    return work


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    return make_spoken(tmp_path_factory.mktemp("spoken"), "sc", "un")


def run(work, name, seeds=(0,), force=False, **settings):
    return training.train(work, name, config(**settings), seeds, device="cpu", force=force)


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def log(folder):
    with (folder / "log.tsv").open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def trained(found, seeds, kind="attention", epochs=3, pools=None):
    """A group after its epochs."""
    network = config(model=kind, dropout=0.2).network(found.features.shape[1])
    starts = [begin(network, seed, statistics(found.features)) for seed in seeds]
    count = len(found.utterances)
    pools = torch.arange(count).expand(len(seeds), -1) if pools is None else pools
    plan = config(epochs=epochs, batch_size=8, learning_rate=3e-3)
    batches = Batches(found, kind == "blstm")
    group = Group(plan, stacked(network, starts), batches, pools, {}, seeds, CPU, (1, 2))
    for _ in range(epochs):
        group._measure(group._train())
        group.epoch += 1
    return group


@pytest.mark.parametrize("kind", ["attention", "mean", "blstm"])
def test_a_seed_is_the_same_in_any_company(work, kind):
    found = load(work, "sc", Inputs())
    together = trained(found, [4, 0, 7], kind)
    for place, seed in ((0, 4), (2, 7)):
        alone = trained(found, [seed], kind)
        for name, value in alone.weights(0).items():
            torch.testing.assert_close(value, together.weights(place)[name], atol=1e-4, rtol=1e-3)
        np.testing.assert_allclose(
            alone.rows[0][-1]["train_mse"], together.rows[place][-1]["train_mse"], rtol=1e-4
        )


def test_against_a_plain_loop(work):
    """AdamW on the mean squared error, one batch after another."""
    found = load(work, "sc", Inputs())
    made = config(dropout=0.0).network(6)
    net, batches = stacked(made, [begin(made, 2, statistics(found.features))]), Batches(found)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1.0, weight_decay=0.01)
    plan = config(epochs=2, batch_size=8, learning_rate=3e-3)
    for epoch in range(2):
        order = torch.from_numpy(rng(2, 1, epoch).permutation(30))
        for step, chosen in enumerate(order.split(8)):
            batch = batches.batch(chosen[None])
            optimizer.param_groups[0]["lr"] = learning_rate(4 * epoch + step, 8, 3e-3)
            optimizer.zero_grad()
            (net(batch) - batch.labels).square().mean().backward()
            optimizer.step()
    pools = torch.arange(30)[None]
    fresh = stacked(made, [begin(made, 2, statistics(found.features))])
    group = Group(plan, fresh, batches, pools, {}, [2],
                  CPU, (1, 2))  # fmt: skip
    for _ in range(2):
        group._measure(group._train())
        group.epoch += 1
    for name, value in net.named_parameters():
        torch.testing.assert_close(group.weights(0)[name], value.data[0], atol=1e-4, rtol=1e-3)


def test_folders_hold_what_scores(work):
    folders = run(work, "plain", seeds=(0, 1), epochs=25, learning_rate=0.01, track="dev")
    found = load(work, "dev", Inputs())
    models = [model_folder.read_model(f) for _, f in find(work, "scoring", "plain")]
    assert [model.card["seed"] for model in models] == [0, 1]
    for model, folder in zip(models, folders, strict=True):
        model.check_features(found.features_of, "dev")
        scores = model.predict(found)
        assert scores.shape == (15,) and 0 <= scores.min() <= scores.max() <= 1
        told, rows = summary(folder), log(folder)
        assert told["track_pcc"] == pytest.approx(pcc(scores, found.labels), abs=1e-5)
        assert told["train_pcc"] > 0.8 and told["epoch"] == len(rows) == 25
        assert told["scorer_parameters"] == model.model.parameters_each
        assert float(rows[-1]["track_pcc"]) == pytest.approx(told["track_pcc"], abs=1e-5)
        assert model.card["training"]["input"] == "deep" and model.card["scale"] == [0, 10]
        weights = read_weights(folder / "model.safetensors")
        train = load(work, "sc", Inputs())
        np.testing.assert_allclose(weights["mean"], train.features.mean(0), atol=1e-5)
        with pytest.raises(UserError, match=r"'dev' has features of other .* learned from .* made"):
            model.check_features([{"fingerprint": "x", "am": ["other"]}], "'dev'")
        with pytest.raises(UserError, match=r"have 5 columns, the model in .* expects 6"):
            model.predict(found.with_features(found.features[:, :5]))
    before = (folders[0] / "manifest.json").read_bytes()
    run(work, "plain", seeds=(0, 1), epochs=25, learning_rate=0.01, track="dev")
    assert (folders[0] / "manifest.json").read_bytes() == before


def test_a_set_chooses_the_epoch(work):
    (folder,) = run(work, "chosen", select="dev", epochs=6, learning_rate=0.02)
    values = [float(row["select_pcc"]) for row in log(folder)]
    told = summary(folder)
    assert told["epoch"] == 1 + int(np.argmax(values))
    found = load(work, "dev", Inputs())
    scores = model_folder.read_model(folder).predict(found)
    assert pcc(scores, found.labels) == pytest.approx(max(values), abs=1e-5)


@pytest.mark.parametrize("finetune", ["frozen", "none"])
def test_a_killed_run_is_taken_up(work, monkeypatch, finetune):
    flags = {"pretrain": "frozen", "pretrain_set": "un", "finetune": finetune, "dropout": 0.2}
    monkeypatch.setattr(stacked_runs, "_BLOCK", 1)
    whole = run(work, f"whole-{finetune}", (0, 1, 2), **flags)
    save, saved = stacked_runs.save, []

    def fail(group, file):
        save(group, file)
        saved.append(group.epoch)
        if len(saved) == (5 if finetune == "frozen" else 2):
            raise KeyboardInterrupt

    monkeypatch.setattr(stacked_runs, "save", fail)
    with pytest.raises(KeyboardInterrupt):
        run(work, f"killed-{finetune}", (0, 1, 2), **flags)
    monkeypatch.setattr(stacked_runs, "save", save)
    again = run(work, f"killed-{finetune}", (0, 1, 2), **flags)
    for one, other in zip(whole, again, strict=True):
        for name in ("model.safetensors", "log.tsv", "summary.json"):
            assert (one / name).read_bytes() == (other / name).read_bytes()
    stages = [row["stage"] for row in log(again[0])]
    assert stages == ["pretrain"] * 3 + ["finetune"] * (3 if finetune == "frozen" else 0)


def test_a_seed_whose_company_is_finished(work):
    """It is trained in the same company: equal to the byte to that of an unbroken run."""
    flags = {"pretrain": "frozen", "pretrain_set": "un", "dropout": 0.2}
    whole = run(work, "whole-company", (0, 1), **flags)
    killed = work.exp("scoring", "killed-company")
    killed.mkdir()
    shutil.copytree(whole[0], killed / "seed0")
    for one, other in zip(whole, run(work, "killed-company", (0, 1), **flags), strict=True):
        for name in ("model.safetensors", "log.tsv", "summary.json"):
            assert (one / name).read_bytes() == (other / name).read_bytes()


def test_pretraining_alone_learns_the_synthetic_scores(work):
    flags = {"pretrain": "frozen", "pretrain_set": "un", "finetune": "none"}
    (folder,) = run(work, "synthetic", **flags, pretrain_epochs=40, pretrain_learning_rate=0.01)
    found = load(work, "un", Inputs(), synthetic="")
    scores = model_folder.read_model(folder).predict(found)
    assert pcc(scores, found.labels) == pytest.approx(summary(folder)["train_pcc"], abs=1e-5)
    assert summary(folder)["train_pcc"] > 0.7


def test_labelled_utterances_are_drawn_by_each_seed(work):
    folders = run(work, "few", (0, 1), labelled=6)
    drawn = [summary(folder)["labelled_utterances"] for folder in folders]
    assert all(len(set(names)) == 6 for names in drawn) and drawn[0] != drawn[1]
    found = load(work, "sc", Inputs())
    pool = draw_pool(found, 6, 1)
    assert drawn[1] == [found.utterances[u] for u in pool]
    weights = read_weights(folders[1] / "model.safetensors")
    np.testing.assert_allclose(weights["mean"], found.part(pool).features.mean(0), atol=1e-5)
    alone = trained(found.part(pool), [1], epochs=2)
    same = trained(found, [1], epochs=2, pools=torch.from_numpy(pool)[None])
    assert alone.rows[0][0]["train_mse"] != same.rows[0][0]["train_mse"]  # other statistics
    with pytest.raises(UserError, match="`labelled` 31: 'sc' has 30 utterances"):
        run(work, "many", labelled=31)


def test_starting_from_another_experiment(work):
    flags = {"pretrain": "frozen", "pretrain_set": "un"}
    (whole,) = run(work, "two-stages", **flags)
    run(work, "first-stage", **flags, finetune="none")
    (after,) = run(work, "adapted", init="first-stage")
    a, b = (read_weights(folder / "model.safetensors") for folder in (whole, after))
    for name in a:
        torch.testing.assert_close(a[name], b[name], msg=name)
    assert run(work, "fluent", init="first-stage", target="fluency")
    with pytest.raises(UserError, match="`init` first-stage has no seed 1; it has 0"):
        run(work, "x", (0, 1), init="first-stage")
    with pytest.raises(UserError, match="scorer with width 8, another"):
        run(work, "x", init="first-stage", width=16)
    with pytest.raises(UserError, match="no trained scorer 'nobody'"):
        run(work, "x", init="nobody")
    gop = read_features(work.exp("deep", "sc"), work.root)
    matrices = {name: gop.table[name] for name in gop.rows}
    write_deep(work.root, "sc", matrices, gop.rows, "other", fingerprint="else")
    with pytest.raises(UserError, match=r"'sc' has features of made .*else.* learned from .*made"):
        run(work, "x", init="first-stage", features="other")


@pytest.mark.parametrize(
    ("pretrain", "finetune", "own"),
    [
        ("frozen", "frozen", False),
        ("unfrozen", "unfrozen", True),
        ("unfrozen", "frozen", True),
        ("unfrozen", "none", True),
        ("none", "frozen", False),
    ],
)
def test_the_rows_of_table_5(spoken, pretrain, finetune, own):
    flags = {"pretrain": pretrain, "finetune": finetune}
    flags |= {"pretrain_set": "un"} if pretrain != "none" else {}
    name = f"{pretrain}-{finetune}"
    folders = run(spoken, name, (0, 1), **flags, track="un", joint_learning_rate=0.01)
    found = load(spoken, "un", Inputs())
    for folder in folders:
        assert joint_network.is_joint(folder) == own
        heard = found.features
        if own:
            (heard,) = joint_network.features_of_models(spoken, found, [folder])
        scores = model_folder.read_model(folder).predict(found.with_features(heard))
        told = summary(folder)
        assert told["track_pcc"] == pytest.approx(pcc(scores, found.labels), abs=1e-3)
        assert told["acoustic_parameters"] > 1000
        stages = [row["stage"] for row in log(folder)]
        assert ("pretrain" in stages, "finetune" in stages) == (
            pretrain != "none",
            finetune != "none",
        )
        assert {"train_mse", "track_pcc"} <= log(folder)[0].keys()
    if own:
        start = tdnn_folder.read_card(spoken.exp("acoustic", "tiny"))
        prints = {tdnn_folder.read_card(folder / "acoustic").fingerprint() for folder in folders}
        assert len(prints | {start.fingerprint()}) == 3


def test_an_updated_acoustic_model_is_taken_along(spoken):
    if not spoken.exp("scoring", "unfrozen-none", "seed0").exists():
        run(spoken, "unfrozen-none", pretrain="unfrozen", pretrain_set="un", finetune="none")
    (folder,) = run(spoken, "adapted", init="unfrozen-none")
    before = tdnn_folder.read_card(spoken.exp("scoring", "unfrozen-none", "seed0", "acoustic"))
    assert tdnn_folder.read_card(folder / "acoustic").weights == before.weights
    (folder,) = run(spoken, "adapted-too", init="unfrozen-none", finetune="unfrozen",
                    joint_learning_rate=0.01)  # fmt: skip
    assert tdnn_folder.read_card(folder / "acoustic").weights != before.weights


def test_a_killed_unfrozen_run_is_taken_up(spoken, monkeypatch):
    flags = {"pretrain": "unfrozen", "pretrain_set": "un", "joint_learning_rate": 0.01}
    whole = run(spoken, "w", (0, 1), **flags)
    write, count = joint_network.write, []

    def fail(*given):
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt
        return write(*given)

    monkeypatch.setattr(joint_network, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        run(spoken, "k", (0, 1), **flags)
    monkeypatch.setattr(joint_network, "write", write)
    for one, other in zip(whole, run(spoken, "k", (0, 1), **flags), strict=True):
        for name in ("model.safetensors", "acoustic/full.safetensors", "log.tsv"):
            assert (one / name).read_bytes() == (other / name).read_bytes()


def test_trees(work):
    folders = run(work, "trees", (0, 1), model="trees", track="dev")
    model = model_folder.read_model(folders[0])
    found = load(work, "dev", Inputs("gop"))
    assert model.predict(found).shape == (15,)
    assert model.card["model"] == "trees" and model.card["training"]["input"] == "gop"
    assert summary(folders[0])["scorer_parameters"] == model.model.parameters
    with pytest.raises(UserError, match="Trees read scalar GOP"):
        run(work, "x", model="trees", input="deep")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pretrain": "frozen"}, "needs a set"),
        ({"pretrain_set": "un"}, "of pre-training, which is off"),
        ({"finetune": "none"}, "nothing to train"),
        ({"finetune": "frosen"}, "Did you mean 'frozen'"),
        ({"init": "x", "pretrain": "frozen", "pretrain_set": "un"}, "exclude each other"),
        ({"pretrain": "frozen", "pretrain_set": "un", "finetune": "none", "labelled": 5},
         "is of fine-tuning"),
        ({"finetune": "unfrozen", "input": "gop"}, "with deep features only, not gop"),
        ({"model": "atention"}, "Did you mean 'attention'"),
        ({"input": "deap"}, "Did you mean 'deep'"),
        ({"target": "totl"}, "Did you mean 'total'"),
        ({"labelled": 1}, "too few"),
        ({"epochs": 0}, "1 or more"),
        ({"learning_rate": 0.0}, "above 0"),
        ({"weight_decay": -1.0}, "0 or more"),
        ({"heads": 3}, "does not divide"),
        ({"set_name": "nobody"}, "no set 'nobody'"),
        ({"features": "big"}, "exp/deep/sc-big does not exist"),
        ({"pretrain": "frozen", "pretrain_set": "un", "synthetic": "y"}, "un-y does not exist"),
        ({"pretrain": "frozen", "pretrain_set": "un", "target": "fluency"},
         "no synthetic scores of fluency"),
        ({"finetune": "unfrozen"}, "made"),
    ],
)  # fmt: skip
def test_impossible_settings(work, settings, message):
    with pytest.raises(UserError, match=message):
        run(work, "x", **settings)
    assert not work.exp("scoring", "x").exists() or not list(work.exp("scoring", "x").glob("s*"))


def test_other_features_are_refused(work):
    gop = read_features(work.exp("deep", "dev"), work.root)
    matrices = {name: gop.table[name] for name in gop.rows}
    write_deep(work.root, "dev", matrices, gop.rows, "mixed", fingerprint="else")
    whole = read_features(work.exp("deep", "sc"), work.root)
    write_deep(work.root, "sc", {n: whole.table[n] for n in whole.rows}, whole.rows, "mixed")
    with pytest.raises(UserError, match="'dev' and 'sc' have features of different"):
        run(work, "x", features="mixed", track="dev")


def test_the_command(work):
    flags = ["train", "scoring", "--name", "cli", "--set", "sc", "--epochs", "2", "--seeds", "2",
             "--seed", "3", "--width", "8", "-C", str(work.root), "--json"]  # fmt: skip
    result = CliRunner().invoke(app, flags)
    assert result.exit_code == 0, result.output
    assert [path[-5:] for path in json.loads(result.stdout)] == ["seed3", "seed4"]
