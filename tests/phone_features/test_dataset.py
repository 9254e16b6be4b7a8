"""Sets with scores and features in memory; windows; normalisation."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from pronunciation_sets import make_scored, write_gop

from speechkit.base.errors import UserError
from speechkit.labels.score_files import read_scores, write_scores
from speechkit.phone_features import dataset
from speechkit.phone_features.feature_folder import read_features
from speechkit.pronunciation.data import Windows, cut
from speechkit.pronunciation.models import ModelConfig
from speechkit.training import normaliser as normalise
from speechkit.workdir import WorkDir


@pytest.fixture
def work(tmp_path):
    make_scored(tmp_path, utterances=6, speakers=3)
    return WorkDir(tmp_path)


def rewrite(work, change, name="train"):
    """Change features and rows of ``exp/gop/<name>``."""
    gop = read_features(work.root / "exp/gop" / name)
    features, rows = {u: gop.table[u].copy() for u in gop.table}, gop.rows
    change(features, rows)
    write_gop(work.root, name, features, rows)


def test_everything_in_its_place(work):
    found = dataset.load(work, "train", [""])
    scores = read_scores(work.data("train"))
    gop = read_features(work.root / "exp/gop/train")
    assert found.utterances == sorted(scores.utterances) and found.skipped == []
    for u, name in enumerate(found.utterances):
        rows = slice(found.first[u], found.first[u + 1])
        assert found.speakers[u] == name.partition("-")[0]
        assert np.allclose(found.features[rows], gop.table[name])
        assert found.phones[rows] == [p.phone for p in scores.phones[name]]
        words = found.words[rows] - found.first_word[u]
        assert words.tolist() == [p.word_index for p in scores.phones[name]]
        given = [w.scores["stress"] / 5 for w in scores.words[name]]
        own = slice(found.first_word[u], found.first_word[u + 1])
        assert np.allclose(found.labels["word_stress"][own], given)
        assert np.allclose(found.of_phones("word_stress")[rows], np.array(given)[words])
        assert np.isclose(found.labels["utterance_total"][u], scores.utterances[name]["total"] / 5)
        accuracies = [p.accuracy for p in scores.phones[name]]
        assert np.allclose(found.labels["phone_accuracy"][rows], accuracies)


def test_another_scale_and_missing_scores(work):
    folder = work.data("train")
    scores = read_scores(folder)
    name = sorted(scores.utterances)[0]
    scores.scales["utterance"]["total"] = (0.0, 20.0)
    del scores.utterances[name]["fluency"]
    scores.words[name] = []
    for level in ("word", "phone"):
        (folder / f"{level}_scores.tsv").unlink()
    scores.words, scores.phones = {}, {}
    write_scores(folder, scores)
    found = dataset.load(work, "train", [""])
    assert found.labels["utterance_total"][0] == pytest.approx(
        scores.utterances[name]["total"] / 10
    )
    assert np.isnan(found.labels["utterance_fluency"][0])
    assert np.isnan(found.labels["phone_accuracy"]).all()
    assert found.phones and found.texts[0] == "W0"


def test_features_side_by_side(work, tmp_path):
    gop = read_features(tmp_path / "exp/gop/train")
    other = {u: gop.table[u][:, :2] + 7 for u in gop.table}
    write_gop(tmp_path, "train", other, gop.rows, "other", "more")
    found = dataset.load(work, "train", ["", "more"])
    assert found.features.shape[1] == 8
    assert np.allclose(found.features[:, 6:], found.features[:, :2] + 7)
    assert [one["fingerprint"] for one in found.features_of] == ["made", "other"]


def test_every_disagreement_is_listed(work):
    def change(features, rows):
        names = sorted(rows)
        rows[names[0]].pop()
        features[names[0]] = features[names[0]][:-1]
        row = rows[names[2]][0]
        rows[names[2]][0] = type(row)(0, 0, "W0", "ZH" if row.phone != "ZH" else "Z", *[0.0] * 4)

    rewrite(work, change)
    with pytest.raises(UserError, match="disagree in 2 utterances") as caught:
        dataset.load(work, "train", [""])
    assert str(caught.value).count("\n  s") == 2


def test_missing_features_are_counted(work, caplog):
    def change(features, rows):
        name = sorted(rows)[1]
        del features[name], rows[name]

    rewrite(work, change)
    found = dataset.load(work, "train", [""])
    assert len(found.utterances) == 5 and found.skipped[0][1] == "no features"


@pytest.mark.parametrize("wrong", ["nan", "width", "phone", "none", "gone"])
def test_unusable_features(work, wrong):
    def change(features, rows):
        name = sorted(rows)[0]
        if wrong == "nan":
            features[name][0, 0] = np.nan
        if wrong == "none":
            features.clear()
            rows.clear()
            features["x"], rows["x"] = np.zeros((1, 6), np.float32), []

    if wrong in ("nan",):
        rewrite(work, change)
    folder = work.root / "exp/gop/train"
    if wrong == "width":
        config = json.loads((folder / "features.json").read_text())
        config["columns"] = config["columns"][:-1]
        (folder / "features.json").write_text(json.dumps(config))
    if wrong == "phone":
        for path in (folder / "rows.tsv", work.data("train") / "phone_scores.tsv"):
            lines = path.read_text().splitlines()
            cells = lines[1].split("\t")
            cells[4 if path.name == "rows.tsv" else 3] = "QQ"
            path.write_text("\n".join([lines[0], "\t".join(cells), *lines[2:]]) + "\n")
    if wrong == "none":
        for name in ("gop.scp", "rows.tsv"):
            lines = (folder / name).read_text().splitlines()
            kept = lines[:1] if name == "rows.tsv" else []
            (folder / name).write_text("".join(f"{line}\n" for line in kept))
    name = "other" if wrong == "gone" else ""
    with pytest.raises(UserError) as caught:
        dataset.load(work, "train", [name])
    said = {
        "nan": "not finite",
        "width": "has a matrix",
        "phone": "inventory of the models: QQ",
        "none": "No utterance",
        "gone": "extract-gop --set train --name other",
    }
    assert said[wrong] in str(caught.value)


def test_windows_between_words():
    draw = np.random.default_rng(0)
    for count, limit in ((7, 50), (50, 50), (51, 50), (180, 50), (23, 5)):
        words = np.cumsum(draw.random(count) < 0.4).tolist()
        spans = cut(words, limit)
        assert spans[0][0] == 0 and spans[-1][1] == count
        assert all(a[1] == b[0] for a, b in pairwise(spans))
        assert all(end - start <= limit for start, end in spans)
        longest_word = max(words.count(w) for w in words)
        if longest_word <= limit:
            assert all(words[a[1] - 1] != words[a[1]] for a in spans[:-1])
        if count > limit > 10:
            sizes = [end - start for start, end in spans]
            assert max(sizes) - min(sizes) < 3 * longest_word
    assert cut([0] * 12, 5) == [(0, 4), (4, 8), (8, 12)]


def test_normalisation():
    draw = np.random.default_rng(0)
    features = (draw.standard_normal((500, 3)) * [1, 5, 0] + [2, -3, 4]).astype(np.float32)
    phones = draw.integers(1, 4, 500)
    features[:, 1] += 10 * phones
    columns = normalise.fit(features, phones, "column", 40)(features, phones)
    assert np.allclose(columns.mean(0), 0, atol=1e-4)
    assert np.allclose(columns.std(0), [1, 1, 0], atol=1e-4)
    whole = normalise.fit(features, phones, "scalar", 40)(features, phones)
    assert np.allclose(whole, (features - features.mean()) / features.std(), atol=1e-4)
    each = normalise.fit(features, phones, "phone", 40)
    assert each.mean.shape == (40, 3)
    found = each(features, phones)
    assert abs(found[phones == 3, 1].mean()) < 0.3 < columns[phones == 3, 1].mean()
    assert np.allclose(each.mean[39], features.mean(0), atol=1e-4)  # a phone that never came
    with pytest.raises(UserError, match="`normalise`"):
        normalise.fit(features, phones, "max", 40)


def test_batches_hold_what_the_set_has(work):
    found = dataset.load(work, "train", [""])
    config = ModelConfig(6, max_phones=4)
    plain = normalise.Normaliser(np.zeros((1, 6), np.float32), np.ones((1, 6), np.float32))
    windows = Windows(found, plain, config)
    assert int(windows.length.max()) <= 4 and int(windows.length.sum()) == len(found.phones)
    chosen = torch.tensor([[0, 2, 1], [3, 4, len(windows) - 1]])
    batch = windows.batch(chosen)
    for s, row in enumerate(chosen.tolist()):
        at = 0
        for b, w in enumerate(row):
            rows = slice(int(windows.start[w]), int(windows.start[w] + windows.length[w]))
            own = slice(at, at + int(windows.length[w]))
            assert np.allclose(batch.features[s, own], found.features[rows])
            assert batch.phones[s, own].tolist() == found.phone_ids[rows].tolist()
            assert np.allclose(batch.tokens[s, own, 2], found.of_phones("word_stress")[rows])
            u = int(windows.utterance[w])
            assert np.isclose(batch.utterances[s, b, 4], found.labels["utterance_total"][u])
            at += int(windows.length[w])
        assert torch.isnan(batch.tokens[s, at:]).all()
