"""The report's sections on emotion, from trained and evaluated models."""

import numpy as np
import pytest
from acted_speech import make_ravdess
from browser import look

from speechkit.cli.main import main
from speechkit.emotion import paper, results
from speechkit.report import emotion, emotion_tables, page
from speechkit.workdir import WorkDir

pytest.importorskip("opensmile")


GEMAPS = ("--upstream", "egemaps")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two protocols of one model, one of another, all of 8 classes."""
    root = tmp_path_factory.mktemp("report")
    make_ravdess(root, actors=4, emotions=8)
    commands = [
        ["prepare", "ravdess", root / "ravdess"],
        ["split-folds", "--fold-size", 2, "--valid-speakers", 1],
        ["split-folds", "--split", "random-80-20", "--folds", 2, "--valid-share", 0.25],
        ["train", "emotion", *GEMAPS, "--name", "honest", "--seeds", 2, "--epochs", 6],
        ["train", "emotion", *GEMAPS, "--name", "leaky", "--split", "random-80-20", "--epochs", 6],
        ["train", "emotion", *GEMAPS, "--name", "norm", "--speaker-norm", "--head", "logreg"],
        *(["evaluate", "emotion", "--name", name] for name in ("honest", "leaky", "norm")),
    ]
    for command in commands:
        assert main([*map(str, command), "-C", str(root), "-j", "1"]) == 0
    return root


def tables(made):
    return {t.title: t for s in emotion.sections(WorkDir(made)) for t in s.tables}


def test_sections(made):
    found = {section.title: section for section in emotion.sections(WorkDir(made))}
    assert list(found) == [
        "Emotions of ravdess",
        "Training of emotion",
        "Emotion: results on ravdess",
        "Emotion: worst clips of ravdess",
    ]
    labels, splits = found["Emotions of ravdess"].tables
    assert labels.rows[0] == ["neutral", 8, 4, 4]
    assert [row[0] for row in splits.rows] == ["random-80-20", "speaker-folds"]
    assert splits.rows[0][6] > 0 and splits.rows[1][6] == 0
    assert len(found["Training of emotion"].pictures) == 3
    assert "transductive" in found["Emotion: results on ravdess"].text[0]


def test_rows_name_what_makes_them_too_good(made):
    found = {section.title: section for section in emotion.sections(WorkDir(made))}
    results = found["Emotion: results on ravdess"].tables[0]
    said = {row[-1]: (row[0], row[1]) for row in results.rows}
    assert said["honest"] == ("egemaps, MLP", "speaker-folds")
    assert said["leaky"] == ("egemaps, MLP", "random-80-20 (speakers leak)")
    assert "per-speaker normalisation (transductive)" in said["norm"][0]
    assert [row[-1] for row in results.rows][-1] == "leaky"  # honest rows first


def test_the_size_of_the_leak(made):
    table = tables(made)["The size of the leak"]
    ((title, parted, leaking, *cells, clips),) = table.rows
    assert (title, parted, leaking) == ("egemaps, MLP", "speaker-folds", "random-80-20")
    first, second = (
        results.read_predictions(made / f"exp/emotion/{name}/eval/folds")
        for name in ("honest", "leaky")
    )
    common = set(second.utterances)
    assert clips == len(common) < len(set(first.utterances))
    means = []
    for found in (first, second):
        own = found.where(np.isin(found.utterances.astype(str), sorted(common)))
        means.append(100 * np.mean(own.predicted == own.targets))
    assert [float(cells[0].text), float(cells[1].text)] == pytest.approx(means, abs=0.06)
    gap = float(cells[2].text.replace("−", "-"))
    assert gap == pytest.approx(means[1] - means[0], abs=0.11)
    low, high = (float(v) for v in cells[2].under[0].replace("−", "-").strip("[]").split(","))
    assert low <= gap <= high


def test_beside_the_paper(made):
    table = tables(made)["Beside the paper"]
    assert [row[0] for row in table.rows] == [row.name for row in paper.ROWS]
    assert all(row[-1].startswith("not run here") for row in table.rows)
    found = emotion_tables.collect(WorkDir(made))
    evaluation = next(one for one in found if one.name == "leaky").evaluations[0]
    evaluation.about["upstream"] = "facebook/hubert-large-ls960-ft"
    own = [(found[0], evaluation)]
    beside = emotion_tables.beside_paper(WorkDir(made), own)
    assert next(r for r in beside.rows if "HuBERT" in r[0])[-1] == "no"
    for said in ("divisions: 2, paper's 1", "step chosen on: validation clips", "epochs: 6, paper"):
        assert said in beside.caption


def test_the_papers_numbers_agree_with_its_figures():
    for row in paper.ROWS:
        recall = [row.values[f"recall_{label}"][0] for label in paper.CLASSES]
        right = np.array(recall) / 100 @ np.array(paper.SUPPORT)
        accuracy = row.values["accuracy"][0]
        assert 100 * right / sum(paper.SUPPORT) == pytest.approx(accuracy, abs=1.1)
    assert sum(paper.SUPPORT) == 288


def test_a_damaged_evaluation_is_left_out(made, caplog):
    path = made / "exp/emotion/norm/eval/folds/about.json"
    before = path.read_text()
    path.write_text("{}")
    try:
        found = emotion_tables.collect(WorkDir(made))
        assert [len(one.evaluations) for one in found] == [1, 1, 0]
    finally:
        path.write_text(before)


def test_the_page_in_a_browser(made, tmp_path):
    html = page.render(page.collect(WorkDir(made)), "emotions")
    assert "Most confidently wrong" in html
    loaded, fetched, over = look(html, tmp_path)
    assert loaded >= 8 and fetched == 0 and over == 0


def test_pictures_are_of_different_upstreams_first():
    from types import SimpleNamespace

    from speechkit.report.emotion import _varied

    names = ["a", "a", "b", "a", "c", "b"]
    found = [
        (number, SimpleNamespace(about={"upstream": name})) for number, name in enumerate(names)
    ]
    assert [number for number, _ in _varied(found)] == [0, 2, 4, 1, 5, 3]
