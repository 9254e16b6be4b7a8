"""compare pronunciation: differences by hand, what may not be compared, the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pronunciation_sets import make_scored
from scipy import stats

from speechkit.base.errors import UserError
from speechkit.pronunciation import train as training
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.pronunciation.evaluate import (
    ComparisonConfig,
    EvaluationConfig,
    compare,
    evaluate,
)
from speechkit.task.scores import read_table
from speechkit.workdir import WorkDir

SMALL = {"batch_size": 5, "width": 4, "depth": 1, "warm_up": 4}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("work")
    make_scored(path, "train", utterances=20)
    make_scored(path, "test", utterances=24, speakers=12, seed=1)
    work = WorkDir(path)
    for name, epochs, seeds in (("base", 2, [0, 1]), ("more", 4, [0, 1, 2]), ("same", 2, [0, 1])):
        training.train(work, name, PronunciationConfig(epochs=epochs, **SMALL), seeds)
        evaluate(work, EvaluationConfig(name, "test", samples=100))
    return path


def test_differences_by_hand(root):
    folder = compare(WorkDir(root), ComparisonConfig("test", "base", samples=300))
    found = json.loads((folder / "summary.json").read_text())["experiments"]
    assert set(found) == {"more", "same"}
    one = found["more"]["word_accuracy_pcc"]
    tables = [
        read_table(root / f"exp/pronunciation/{name}/eval/test", "word")
        for name in ("more", "base")
    ]
    each = [
        np.subtract(
            *(stats.pearsonr(t[f"word_accuracy_seed{s}"], t["word_accuracy"])[0] for t in tables)
        )
        for s in (0, 1)
    ]
    assert one["per_seed"] == pytest.approx(each, abs=1e-4) and one["seeds"] == 2
    assert one["estimate"] == pytest.approx(np.mean(each), abs=1e-4)
    assert one["low"] <= one["estimate"] <= one["high"]
    assert one["items"] == len(tables[0])
    same = found["same"]
    assert all(
        row["estimate"] == row["low"] == row["high"] == 0
        for row in same.values()
        if row["estimate"] is not None
    )
    assert same["utterance_completeness_pcc"]["estimate"] is None
    assert same["utterance_completeness_mse"]["estimate"] == 0


def test_what_may_not_be_compared(root):
    work = WorkDir(root)
    with pytest.raises(UserError, match="'x' was not evaluated on 'test'"):
        compare(work, ComparisonConfig("test", "base", ("x",)))
    with pytest.raises(UserError, match="baseline itself"):
        ComparisonConfig("test", "base", ("base",))
    with pytest.raises(UserError, match="'pcc' is not known"):
        ComparisonConfig("test", "base", measures=("pcc",))
    table = root / "exp/pronunciation/same/eval/test/words.tsv"
    text = table.read_text()
    try:
        table.write_text("\n".join(text.splitlines()[:-1]) + "\n")
        with pytest.raises(UserError, match="different words"):
            compare(work, ComparisonConfig("test", "base", ("same",)), "cut")
    finally:
        table.write_text(text)


def test_command(root, run):
    done = run(
        *("compare", "pronunciation", "-C", root, "--baseline", "base", "--name", "more"),
        *("--measure", "phone_accuracy_pcc", "--out-name", "one"),
    )
    assert done.code == 0 and "phone_accuracy_pcc" in done.out, done.err
    lines = (root / "exp/compare/pronunciation/test-one/differences.tsv").read_text().splitlines()
    assert len(lines) == 2 and lines[0].startswith("experiment\tmeasure\tbaseline")
