"""Sets of the scorer: features, labels and words as read; what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pronunciation_sets import write_gop
from scoring_sets import make_sets, write_deep, write_synthetic

from speechkit.base.errors import UserError
from speechkit.labels.phones import ARPABET
from speechkit.labels.score_files import read_scores, write_scores
from speechkit.phone_features.feature_folder import read_features, write_config
from speechkit.scoring.batches import Batches
from speechkit.scoring.data import Inputs, input_files, load, single
from speechkit.workdir import WorkDir


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return WorkDir(make_sets(tmp_path_factory.mktemp("scoring"), train=12))


@pytest.fixture
def own(tmp_path):
    return WorkDir(make_sets(tmp_path, train=6))


def test_a_set_is_read(work):
    found = load(work, "train", Inputs(), "fluency")
    scores = read_scores(work.data("train"))
    gop = read_features(work.exp("gop", "train"), work.root)
    assert (found.target, found.scale, found.skipped) == ("fluency", (0.0, 10.0), [])
    for u, name in enumerate(found.utterances):
        rows = gop.rows[name]
        span = slice(found.first[u], found.first[u + 1])
        assert found.labels[u] == pytest.approx(scores.utterances[name]["fluency"] / 10)
        assert found.phones[span] == [row.phone for row in rows]
        np.testing.assert_array_equal(found.features[span], gop.table[name])
        words = found.words[span] - found.first_word[u]
        assert words.tolist() == [row.word_index for row in rows]
        np.testing.assert_allclose(found.starts[span], [row.start for row in rows])
        assert found.phone_ids[found.first[u]] == 1 + ARPABET.index(rows[0].phone)
    sizes = np.bincount(found.words)
    for word in np.unique(found.words):
        place = found.positions[found.words == word].tolist()
        assert place == ([4] if sizes[word] == 1 else [1, *[2] * (sizes[word] - 2), 3])


def test_inputs(own):
    gop = read_features(own.exp("gop", "train"), own.root)
    rows = gop.rows
    scalar = load(own, "train", Inputs("gop")).features
    assert scalar.shape[1] == 1
    np.testing.assert_allclose(scalar[:, 0], -0.5)
    vector = load(own, "train", Inputs("gop-vector")).features
    assert vector.shape[1] == 6
    with pytest.raises(UserError, match="no column of STP-GOP"):
        load(own, "train", Inputs("stp-gop"))
    matrices = {name: gop.table[name] for name in rows}
    folder = write_gop(own.root, "train", matrices, rows, gop="stp")
    columns = [*(f"made:c{k}" for k in range(5)), "made:stp_gop"]
    write_config(folder, {**gop.config, "columns": columns})
    stp = load(own, "train", Inputs("stp-gop", "stp"))
    np.testing.assert_array_equal(stp.features[:, 0], vector[:, 5])
    name = stp.utterances[0]
    one = single(matrices[name], rows[name], Inputs("stp-gop"), {"columns": columns})
    np.testing.assert_array_equal(one.features, stp.features[: stp.first[1]])
    assert len(one.labels) == 1 and np.isnan(one.labels).all()
    with pytest.raises(UserError, match=r"`input` .deap. is not known\. Did you mean .deep."):
        Inputs("deap")
    with pytest.raises(UserError, match="extract-gop --set train --stp --name x"):
        input_files(own, "train", Inputs("stp-gop", "x"))


def test_frames_are_averaged(own):
    gop = read_features(own.exp("gop", "train"), own.root)
    draw = np.random.default_rng(0)
    frames = {n: draw.standard_normal((10 * len(r), 3)).astype(np.float32) for n, r in
              gop.rows.items()}  # fmt: skip
    write_deep(own.root, "train", frames, gop.rows, "frames", level="frame", frame_shift=0.01)
    found = load(own, "train", Inputs("deep", "frames"))
    means = [f.reshape(-1, 10, 3).mean(1) for f in (frames[n] for n in found.utterances)]
    np.testing.assert_allclose(found.features, np.concatenate(means), atol=1e-6)


def test_synthetic_scores(own):
    names = load(own, "train", Inputs()).utterances
    write_synthetic(own.root, "train", {name: k for k, name in enumerate(names)}, "x")
    found = load(own, "train", Inputs(), synthetic="x")
    np.testing.assert_allclose(found.labels, np.arange(6) / 10)
    assert own.exp("synthetic", "train-x", "utterance_scores.tsv") in input_files(
        own, "train", Inputs(), "x"
    )
    with pytest.raises(UserError, match="no synthetic scores of fluency"):
        load(own, "train", Inputs(), "fluency", synthetic="x")
    with pytest.raises(UserError, match=r"synthesize-scores --set train .* --name y"):
        load(own, "train", Inputs(), synthetic="y")


def test_utterances_without_scores(own, caplog):
    folder = own.data("train")
    scores = read_scores(folder)
    missing, bare = list(scores.utterances)[:2]
    del scores.utterances[missing], scores.utterances[bare]["total"]
    write_scores(folder, scores)
    found = load(own, "train", Inputs())
    assert len(found.utterances) == 4
    assert found.skipped == [(missing, "no score of total"), (bare, "no score of total")]
    assert missing in caplog.text and "2 of 6" in caplog.text
    everything = load(own, "train", Inputs(), need_scores=False)
    assert np.isnan(everything.labels).tolist() == [True, True, False, False, False, False]
    for of in scores.utterances.values():
        of.pop("total", None)
    write_scores(folder, scores)
    with pytest.raises(UserError, match="no scores of total") as caught:
        load(own, "train", Inputs())
    assert "`target` accuracy or completeness or fluency or prosodic" in caught.value.remedy


def test_bad_sets(own):
    folder = own.data("train")
    with pytest.raises(UserError, match=r"'totel' is not known. Did you mean 'total'"):
        load(own, "train", Inputs(), "totel")
    table = folder / "utterance_scores.tsv"
    text = table.read_text()
    head, line, *rest = text.splitlines()
    table.write_text("\n".join([head, "\t".join([line.split("\t")[0], *["11"] * 5]), *rest]))
    with pytest.raises(UserError, match=r"utterance_scores.tsv:2: .* 11 is outside 0 to 10"):
        load(own, "train", Inputs())
    table.write_text(text)
    scores = read_scores(folder)
    scores.phones = {n: p[:-1] for n, p in scores.phones.items() if len(p) > 2}
    (folder / "word_scores.tsv").unlink()
    scores.words = {}
    write_scores(folder, scores)
    with pytest.raises(UserError, match=r"disagree in \d+ utterances"):
        load(own, "train", Inputs())


def test_a_subset_is_what_its_utterances_are(work):
    found = load(work, "train", Inputs())
    part = found.part(np.array([7, 2, 3]))
    for new, old in enumerate((7, 2, 3)):
        a, b = slice(*part.first[new : new + 2]), slice(*found.first[old : old + 2])
        assert part.utterances[new] == found.utterances[old]
        assert part.phones[a] == found.phones[b]
        np.testing.assert_array_equal(part.features[a], found.features[b])
        np.testing.assert_array_equal(
            part.words[a] - part.first_word[new], found.words[b] - found.first_word[old]
        )
    np.testing.assert_array_equal(part.phone_ids, [1 + ARPABET.index(p) for p in part.phones])


def test_batches_hold_the_phones_of_each_model(work):
    found = load(work, "train", Inputs())
    chosen = [[3, 0], [5, 5], [1, 11]]
    for recurrent in (False, True):
        batch = Batches(found, recurrent).batch(torch.tensor(chosen))
        for model, utterances in enumerate(chosen):
            rows = np.concatenate([np.arange(*found.first[u : u + 2]) for u in utterances])
            n = len(rows)
            np.testing.assert_array_equal(batch.features[model, :n], found.features[rows])
            np.testing.assert_array_equal(batch.phones[model, :n], found.phone_ids[rows])
            assert not batch.features[model, n:].any() and not batch.phones[model, n:].any()
            np.testing.assert_array_equal(batch.labels[model], found.labels[utterances])
