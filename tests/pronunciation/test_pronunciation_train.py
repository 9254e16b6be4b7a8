"""train pronunciation: against a plain loop, seeds alone and together, resuming, wrong input."""

from __future__ import annotations

import csv
import json
import shutil
import threading

import numpy as np
import pytest
import torch
from pronunciation_sets import make_scored

from speechkit.base.errors import UserError
from speechkit.base.random_draws import rng
from speechkit.phone_features import dataset
from speechkit.pronunciation import model_folder
from speechkit.pronunciation import train as training
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.pronunciation.data import Windows
from speechkit.pronunciation.loss import MultiAspectMSE, make_criterion
from speechkit.pronunciation.models import build
from speechkit.stats.score_metrics import measure
from speechkit.training import normaliser as normalise
from speechkit.training import stacked_runs
from speechkit.workdir import Output, WorkDir

SMALL = {"epochs": 3, "batch_size": 5, "width": 8, "depth": 2, "warm_up": 4, "halve_from": 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("work")
    make_scored(path, "train", utterances=23)
    make_scored(path, "dev", utterances=8, seed=1)
    return path


def group(root, seeds, **settings):
    """A group of seeds on the training set, tracking dev."""
    work, config = WorkDir(root), PronunciationConfig(**{**SMALL, **settings})
    found, dev = (dataset.load(work, name, ("",)) for name in ("train", "dev"))
    shape = config.network(6)
    norm = normalise.fit(found.features, found.phone_ids, "column", 40)
    windows = Windows(found, norm, shape)
    criterion = make_criterion(config, training.counted_labels(found, config))
    measured = {"track": Windows(dev, norm, shape)}
    return training.Group(config, windows, criterion, measured, seeds, torch.device("cpu"))


def trained(root, seeds, epochs=3, **settings):
    made = group(root, seeds, **settings)
    made.advance(epochs, threading.Event())
    return made


def close(one, other, atol=1e-5):
    return all(torch.allclose(one[name], other[name], atol=atol) for name in one)


def test_against_a_plain_loop(root):
    """One model, PyTorch's Adam on its own parameters, a loss aspect by aspect."""
    made = trained(root, [7])
    config, windows = made.config, made.windows
    net = build(windows.config, [7])
    adam = torch.optim.Adam(net.parameters(), betas=(0.95, 0.999), weight_decay=5e-7)
    criterion, step = MultiAspectMSE(), 0
    names = (windows.config.token_aspects, windows.config.utterance_aspects)
    for epoch in range(3):
        order = torch.from_numpy(rng(7, 0x50, epoch).permutation(len(windows)))
        total = []
        for chosen in order.split(5):
            batch = windows.batch(chosen[None])
            found = net(batch.features, batch.phones, batch.layout)
            parts = zip(names, (found.tokens, found.utterances), strict=True)
            predicted = {n: v[..., k] for ns, v in parts for k, n in enumerate(ns)}
            parts = zip(names, (batch.tokens, batch.utterances), strict=True)
            labels = {n: v[..., k] for ns, v in parts for k, n in enumerate(ns)}
            loss = criterion(predicted, labels)
            adam.param_groups[0]["lr"] = 1e-3 * min(1, (step + 1) / 4) * (0.5 if epoch == 2 else 1)
            adam.zero_grad()
            loss.backward()
            adam.step()
            total.append(loss.item())
            step += 1
        assert made.rows[0][epoch]["train_loss"] == pytest.approx(np.mean(total), rel=1e-4)
    assert close(made.weights(0), {n: p.detach()[0] for n, p in net.named_parameters()})
    assert config.rate(2, 99) == 5e-4


@pytest.mark.parametrize(
    "settings",
    [{"loss": "sb-num"}, {"loss": "sb-rank", "model": "lstm"}, {"dropout": 0.2}],
    ids=["sb-num", "lstm", "dropout"],
)
def test_a_seed_becomes_the_same_alone_and_in_company(root, settings):
    together = trained(root, [0, 1, 2], **settings)
    for place, seed in enumerate([0, 1, 2]):
        alone = trained(root, [seed], **settings)
        assert close(alone.weights(0), together.weights(place)), seed
        for one, other in zip(alone.rows[0], together.rows[place], strict=True):
            assert one == pytest.approx(other, rel=1e-3, abs=1e-4, nan_ok=True)
    assert not close(together.weights(0), together.weights(1))


def test_states_go_on_as_if_nothing_had_happened(root):
    straight = trained(root, [3, 4], dropout=0.1)
    first = trained(root, [3, 4], 2, dropout=0.1)
    second = group(root, [3, 4], dropout=0.1)
    second.load(first.states())
    second.advance(5, threading.Event())
    for place in range(2):
        assert close(second.weights(place), straight.weights(place), 0.0)
        assert repr(second.rows[place]) == repr(straight.rows[place])


def test_groups_of_seeds(tmp_path):
    cpu, seeds = torch.device("cpu"), range(5)
    files = {seed: tmp_path / f"{seed}.pt" for seed in seeds}

    def groups(files, workers, device=cpu):
        found = stacked_runs.arrange(seeds, files, workers, device)
        return [(one.seeds, one.file.stem) for one in found]

    whole = [([0, 1], "0"), ([2, 3], "2"), ([4], "4")]
    assert groups(files, 2) == whole
    assert groups(files, 8) == [([seed], str(seed)) for seed in seeds]
    assert groups(files, 1, torch.device("cuda")) == [([0, 1, 2, 3, 4], "0")]
    # a finished seed is company of the one that it is trained with, and of no other
    assert groups({seed: files[seed] for seed in (1, 4)}, 2) == [([0, 1], "1"), ([4], "4")]
    # what was saved is taken up as it was, also with other workers
    torch.save({"seeds": [2, 3], "states": [{"epoch": 5}, {"epoch": 5}]}, files[2])
    assert groups(files, 2) == [whole[1], whole[0], whole[2]]
    assert groups(files, 8)[0] == whole[1]
    torch.save({"epoch": 5}, files[4])  # as earlier versions did
    found = stacked_runs.arrange(seeds, files, 2, cpu)
    assert (found[1].seeds, found[1].states) == ([4], [{"epoch": 5}])


def config(**settings):
    return PronunciationConfig(**{**SMALL, **settings})


def test_a_killed_run_is_taken_up(root, tmp_path, monkeypatch):
    make_scored(tmp_path, "train", utterances=23)
    work = WorkDir(tmp_path)
    monkeypatch.setattr(stacked_runs, "_BLOCK", 1)
    training.train(work, "whole", config(), [0, 1, 2], jobs=2)
    save, saved = stacked_runs.save, []

    def fail(made, file):
        save(made, file)
        saved.append(made.epoch)
        if len(saved) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(stacked_runs, "save", fail)
    with pytest.raises(KeyboardInterrupt):
        training.train(work, "killed", config(), [0, 1, 2], jobs=2)
    assert not (tmp_path / "exp/pronunciation/killed/seed0").exists()
    monkeypatch.setattr(stacked_runs, "save", save)
    whole = tmp_path / "exp/pronunciation/whole"
    folders = training.train(work, "killed", config(), [0, 1, 2], jobs=2)
    assert all(same(folder, whole / folder.name) for folder in folders)


def same(folder, other):
    """Whether two seeds are equal to the byte."""
    names = ("log.tsv", "config.yaml", "summary.json", model_folder.WEIGHTS)
    return all((folder / name).read_bytes() == (other / name).read_bytes() for name in names)


@pytest.mark.parametrize("kept", ["state", "nothing"])
def test_a_run_killed_between_its_seeds(root, tmp_path, monkeypatch, kept):
    """Seeds 0 and 1 are trained together; as the run dies only one of them is in place."""
    make_scored(tmp_path, "train", utterances=23)
    work, base = WorkDir(tmp_path), tmp_path / "exp/pronunciation"
    training.train(work, "whole", config(), [0, 1])
    commit = Output._commit

    def die(self):
        if self.final.name == ("seed0" if kept == "state" else "seed1"):
            raise KeyboardInterrupt
        commit(self)

    if kept == "nothing":
        (base / "killed").mkdir()
        shutil.copytree(base / "whole/seed0", base / "killed/seed0")
    else:
        monkeypatch.setattr(Output, "_commit", die)
        with pytest.raises(KeyboardInterrupt):
            training.train(work, "killed", config(), [0, 1])
        assert [p.name for p in (base / "killed").glob("seed*")] == ["seed1"]
        monkeypatch.setattr(Output, "_commit", commit)
        monkeypatch.setattr(training.Group, "_train", None)  # nothing is left to be trained
    before = {path: path.stat().st_mtime_ns for path in (base / "killed").glob("seed*/*")}
    for folder in training.train(work, "killed", config(), [0, 1]):
        assert same(folder, base / "whole" / folder.name)
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())


def test_more_seeds_later_and_up_to_date(root):
    work = WorkDir(root)
    first = training.train(work, "few", config(), [0, 1])
    before = [(f / model_folder.WEIGHTS).stat().st_mtime_ns for f in first]
    folders = training.train(work, "few", config(), [0, 1, 2])
    assert [f.name for f in folders] == ["seed0", "seed1", "seed2"]
    assert [(f / model_folder.WEIGHTS).stat().st_mtime_ns for f in first] == before
    with pytest.raises(UserError, match="other parameters"):
        training.train(work, "few", config(loss="sb-num"), [0])


def test_the_epoch_is_selected_on_another_set(root):
    work = WorkDir(root)
    wanted = config(epochs=6, learning_rate=0.02, select="dev", track="dev")
    (folder,) = training.train(work, "selected", wanted, [0])
    with (folder / "log.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    values = [float(row["select_mean_pcc"]) for row in rows]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["epoch"] == int(np.argmax(values)) + 1 and len(rows) == 6
    aspects = [a for a in wanted.aspects if a != "utterance_completeness"]
    assert values[0] == pytest.approx(
        np.mean([float(rows[0][f"track_{a}_pcc"]) for a in aspects]), abs=1e-4
    )
    assert rows[0]["track_utterance_completeness_pcc"] == "nan"
    assessor = model_folder.load([folder])
    found = dataset.load(work, "dev", ("",))
    windows = Windows(found, assessor.normaliser, assessor.config)
    again = training.SetScorer(windows, 1)(assessor.net)
    measured = measure(again, found.labels)
    best = rows[summary["epoch"] - 1]
    assert measured["phone_accuracy_pcc"][0] == pytest.approx(
        float(best["select_phone_accuracy_pcc"]), abs=1e-4
    )


def test_card_holds_what_scoring_needs(root):
    (folder,) = training.train(WorkDir(root), "card", config(loss="sb-num"), [3])
    card = model_folder.read_card(folder)
    assert card["seed"] == 3 and card["epoch"] == 3 and len(card["phones"]) == 39
    assert card["scales"]["word"]["stress"] == [0.0, 10.0]
    assert card["features"][0]["fingerprint"] == "made"
    assert card["training"]["loss"] == "sb-num" and card["training"]["gop"] == [""]
    assert sum(card["class_counts"]["utterance_total"]) == 23
    words = len((root / "data/train/word_scores.tsv").read_text().splitlines()) - 1
    assert sum(card["class_counts"]["word_total"]) == words
    assert set(card["low_thresholds"]) == set(config().aspects)


def test_features_beyond_the_limit_count_as_those_at_it(root):
    raw = np.linspace(-0.8, 0.8, 4 * 6).reshape(4, 6)
    outer = np.abs(raw) >= 0.5
    inside, beyond = np.where(outer, 0.8 * np.sign(raw), raw), np.where(outer, 9 * raw, raw)
    apart = []
    for name, limit in (("cut", 0.8), ("uncut", 0.0)):
        (folder,) = training.train(WorkDir(root), name, config(feature_limit=limit), [1])
        model = model_folder.load([folder])
        given = [model.normaliser.mean[0] + model.normaliser.std[0] * x for x in (inside, beyond)]
        one, other = (model.assess(x, ["AA", "T", "IY", "S"], [0, 0, 1, 1]) for x in given)
        apart.append(np.abs(one.scores["phone_accuracy"] - other.scores["phone_accuracy"]).max())
    assert apart[0] < 1e-5 and apart[1] > 1e-3
    assert "feature_limit" not in config().params()  # older models stay up to date


def test_published_code_counts_words_by_their_phones(root):
    found = dataset.load(WorkDir(root), "train", ("",))
    counted = training.counted_labels(found, config(loss="sb-num", variant="code"))
    assert len(counted["word_total"]) == len(found.phones)
    assert len(training.counted_labels(found, config())["word_total"]) == len(found.texts)


def test_subset_of_aspects(root):
    wanted = config(aspects=("utterance_total", "phone_accuracy"))
    assert wanted.aspects == ("phone_accuracy", "utterance_total")
    (folder,) = training.train(WorkDir(root), "subset", wanted, [0])
    assert model_folder.load([folder]).config.aspects == wanted.aspects


def test_loss_that_is_not_finite(root):
    with pytest.raises(UserError, match="not finite"):
        training.train(WorkDir(root), "wild", config(learning_rate=1e30, warm_up=0), [0])


def test_scores_that_are_not_there(root, tmp_path):
    make_scored(tmp_path, "train", utterances=8)
    (tmp_path / "data/train/word_scores.tsv").unlink()
    with pytest.raises(UserError, match="no scores of word_accuracy, word_stress, word_total"):
        training.train(WorkDir(tmp_path), "x", config(), [0])


def test_another_set_with_other_features(root, tmp_path):
    make_scored(tmp_path, "train", utterances=8)
    make_scored(tmp_path, "dev", utterances=4, fingerprint="else")
    with pytest.raises(UserError, match="different acoustic models"):
        training.train(WorkDir(tmp_path), "x", config(track="dev"), [0])


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": "l1"},
        {"beta": 1.0},
        {"class_width": 0.3},
        {"epochs": 0},
        {"learning_rate": -1.0},
        {"warm_up": -1},
        {"gop": ("", "")},
        {"normalise": "x"},
        {"feature_limit": -1.0},
        {"beta1": 1.0},
        {"aspects": ("utterance_speed",)},
        {"heads": 7},
    ],
)
def test_impossible_settings(wrong):
    with pytest.raises(UserError):
        config(**wrong).check()
