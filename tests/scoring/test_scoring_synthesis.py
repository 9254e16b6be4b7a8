"""synthesize-scores: what the regressor learns, what is said of it, leaks, the files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pronunciation_sets import make_scored, write_gop

from speechkit.base.errors import UserError
from speechkit.kaldi import data
from speechkit.kaldi import split as splitting
from speechkit.labels.score_files import read_scores
from speechkit.phone_features.feature_folder import PhoneRow
from speechkit.scoring import synthesis, trees
from speechkit.scoring.data import Inputs, load
from speechkit.scoring.synthesis import SynthesisConfig, synthesize
from speechkit.task.evaluation import read_summary
from speechkit.workdir import WorkDir

SMALL = trees.TreeConfig(trees=30, leaf_samples=4, learning_rate=0.2)
UNSCORED = ("utterance_scores.tsv", "word_scores.tsv", "score_scales.json")


@pytest.fixture
def work(tmp_path):
    """Sets ``scored`` (6 speakers) and ``plain`` (3 others), with a GOP that tells the score."""
    make_scored(tmp_path, "all", utterances=240, speakers=9)
    work = WorkDir(tmp_path)
    splitting.split(work, splitting.SplitConfig("all", ("scored", "plain"), speakers=3))
    for name in ("all", "scored", "plain"):
        scores, rng, rows = read_scores(work.data(name)), np.random.default_rng(2), {}
        for utterance, phones in scores.phones.items():
            rows[utterance] = [
                PhoneRow(k, p.word_index, "W", p.phone, 0.1 * k, 0.1, -1.0,
                    min(0.0, 3 * (p.accuracy - 2) + rng.normal()))
                for k, p in enumerate(phones)
            ]  # fmt: skip
        write_gop(tmp_path, name, {u: np.zeros((len(r), 1), np.float32) for u, r in rows.items()},
                  rows)  # fmt: skip
    return work


def test_scores_of_a_set_that_has_none(work):
    for name in UNSCORED:
        (work.data("plain") / name).unlink()
    folder = synthesize(work, SynthesisConfig("plain", "scored", targets=("total",), trees=SMALL))
    found = read_scores(folder)
    assert set(found.utterances) == set(data.read_table(work.data("plain") / "utt2spk"))
    assert found.aspects() == ("utterance_total",)
    assert found.scales["utterance"]["total"] == (0, 10)
    inputs = Inputs("gop")
    scored, plain = load(work, "scored", inputs), load(work, "plain", inputs, need_scores=False)
    expected = 10 * trees.fit(scored, 0, SMALL).predict(plain)
    made = [found.utterances[name]["total"] for name in plain.utterances]
    assert made == pytest.approx(expected, abs=1e-5)
    assert len(set(made)) > 10 and any(value != round(value) for value in made)
    one = read_summary(folder)["targets"]["total"]
    assert one["agreement"] is None and one["trained_on"] == len(scored.utterances)
    assert one["scores"]["mean"] == pytest.approx(np.mean(made), abs=1e-5)
    assert sum(one["scores"]["counts"]) == len(made) and one["scores"]["edges"][-1] == 10
    read = load(work, "plain", inputs, synthetic="")  # as training reads them
    assert read.labels == pytest.approx(np.array(made) / 10, abs=1e-5)


def test_summary_and_agreement(work):
    folder = synthesize(work, SynthesisConfig("plain", "scored", folds=3, seed=5, trees=SMALL), "x")
    assert folder.name == "plain-x"
    summary = read_summary(folder)
    assert list(summary["targets"]) == ["accuracy", "completeness", "fluency", "prosodic", "total"]
    assert summary["shared_speakers"] == 0
    one = summary["targets"]["total"]
    own, made = (read_scores(path).utterances for path in (work.data("plain"), folder))
    pairs = [(own[name]["total"], made[name]["total"]) for name in own]
    pcc = np.corrcoef(np.array(pairs).T)[0, 1]
    assert one["agreement"]["pcc"] == pytest.approx(pcc, abs=1e-4) and pcc > 0.5
    assert one["agreement"]["utterances"] == len(own)
    assert one["cross_validation"]["pcc"] > 0.3 and one["cross_validation"]["folds"] == 3
    same = summary["targets"]["completeness"]  # every label is 10
    assert same["cross_validation"]["pcc"] is None and same["cross_validation"]["mse"] == 0
    table = [line.split("\t") for line in (folder / "utterance_scores.tsv").open()]
    assert len(table) == len(own) + 1


def test_own_scores_of_the_set_are_not_learned(work):
    first = synthesize(
        work, SynthesisConfig("plain", "scored", targets=("total",), trees=SMALL), "a"
    )
    path = work.data("plain") / "utterance_scores.tsv"
    lines = path.read_text().splitlines()
    turned = ["\t".join([*line.split("\t")[:-1], "0"]) for line in lines[1:]]
    path.write_text("\n".join([lines[0], *turned]) + "\n")
    second = synthesize(
        work, SynthesisConfig("plain", "scored", targets=("total",), trees=SMALL), "b"
    )
    tables = [(folder / "utterance_scores.tsv").read_text() for folder in (first, second)]
    assert tables[0] == tables[1]


def test_folds_keep_speakers_together(work, monkeypatch):
    scored = load(work, "scored", Inputs("gop"))
    columns, seen = trees.features_of(scored), []
    speakers = np.array(scored.speakers)
    fit = trees.fit_columns

    def spy(x, y, seed, settings=None):
        inside = {tuple(np.nan_to_num(row)) for row in x}
        seen.append({s for s, row in zip(speakers, columns, strict=True)
                     if tuple(np.nan_to_num(row)) not in inside})  # fmt: skip
        assert len(x) == np.isin(speakers, list(set(speakers) - seen[-1])).sum()
        return fit(x, y, seed, settings)

    monkeypatch.setattr(trees, "fit_columns", spy)
    synthesis.cross_validate(scored, SynthesisConfig("plain", "scored", folds=3, trees=SMALL))
    assert [len(held) for held in seen] == [2, 2, 2] and set().union(*seen) == set(speakers)


def test_constant_targets_are_said(work, caplog):
    path = work.data("scored") / "utterance_scores.tsv"
    header, *lines = path.read_text().splitlines()
    place = header.split("\t").index("completeness")
    rows = [[*c[:place], "10", *c[place + 1 :]] for c in (line.split("\t") for line in lines)]
    path.write_text("\n".join([header, *map("\t".join, rows), ""]))
    config = SynthesisConfig("plain", "scored", targets=("completeness", "total"), trees=SMALL)
    folder = synthesize(work, config)
    said = next(m for m in caplog.messages if "nothing is learned" in m)
    assert caplog.text.count("nothing is learned") == 1
    assert said.startswith(f"'completeness' is 10 in {len(rows)} utterances")
    assert {row["completeness"] for row in read_scores(folder).utterances.values()} == {10}


def test_what_is_refused(work):
    with pytest.raises(UserError, match="share 6 speakers"):
        synthesize(work, SynthesisConfig("all", "scored", trees=SMALL))
    folder = synthesize(
        work, SynthesisConfig("all", "scored", targets=("total",), allow_shared=True, trees=SMALL)
    )
    assert read_summary(folder)["shared_speakers"] == 6
    config = work.exp("gop", "plain") / "features.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "fingerprint": "other"}))
    with pytest.raises(UserError, match="different acoustic models"):
        synthesize(work, SynthesisConfig("plain", "scored", trees=SMALL))
    for name in UNSCORED:
        (work.data("scored") / name).unlink()
    with pytest.raises(UserError, match="has no scores of utterances"):
        synthesize(work, SynthesisConfig("plain", "scored", trees=SMALL))
    with pytest.raises(UserError, match=r"'fluent' is not known. Did you mean 'fluency'"):
        SynthesisConfig("a", "b", targets=("fluent",))
    with pytest.raises(UserError, match="`folds` 1"):
        SynthesisConfig("a", "b", folds=1)


def test_command(work, run):
    command = ("synthesize-scores", "--set", "plain", "--train", "scored", "-C", work.root)
    ran = run(*command, "--targets", "total,fluency")
    assert ran.code == 0 and "fluency" in ran.out, ran.err
    assert "up to date" in run(*command, "--targets", "total,fluency").err
    assert run(*command, "--targets", "total").code == 2  # made with other parameters
    ran = run(*command, "--targets", "total", "--name", "two", "--json")
    assert list(json.loads(ran.out)["targets"]) == ["total"]
    assert run(*command, "--gop", "none").code == 2
