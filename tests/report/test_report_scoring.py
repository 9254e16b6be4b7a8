"""The report on transfer scoring: the page against the files, and a look in a browser."""

import json
import shutil

import browser
import numpy as np
import pytest
import scored_runs
import soundfile
from conftest import voice

from speechkit.report import page, scoring, scoring_runs
from speechkit.report.experiments import Evaluation
from speechkit.scoring import evaluate, paper
from speechkit.task.evaluation import read_summary
from speechkit.workdir import WorkDir


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("scoring")
    scored_runs.make_all(path)
    soundfile.write(path / "a.wav", voice(120, 0.4), 16000)
    evaluate.compare(WorkDir(path), evaluate.ComparisonConfig("test", "gop", samples=100))
    lines = ["utt\trater\ttotal", *(f"s0-u0000\tr{k}\t{k}" for k in (7, 8, 9))]
    lines += [f"s1-u0001\tr{k}\t{k - 3}" for k in (7, 8, 9)]
    lines += [f"s2-u0002\tr{k}\t{k - 5}" for k in (7, 8, 9)]
    (path / "data/test/rater_scores.tsv").write_text("\n".join(lines) + "\n")
    (path / "data/test/score_scales.json").write_text('{"utterance": {"total": [0, 10]}}')
    synthetic = path / "exp/synthetic/sc_b-x"
    synthetic.mkdir(parents=True)
    (synthetic / "manifest.json").write_text(
        '{"command": "synthesize-scores", "params": {}, "counts": {"utterances": 300}, '
        '"finished": "2026-01-01", "seconds": 1.0}'
    )
    return path


@pytest.fixture(scope="module")
def sections(root):
    return {section.title: section for section in page.collect(WorkDir(root))}


def table_of(section, title):
    return next(table for table in section.tables if table.title == title)


def first_lines(table):
    """What stands first in each row, and its smaller line."""
    return [(row[0].text, *row[0].under) for row in table.cells()]


def test_sections_and_tables(sections):
    assert list(sections) == [
        "Sets", "Transfer scoring", "Transfer scoring: test",
        "Transfer scoring, worst scored: test", "Stages",
    ]  # fmt: skip
    section = sections["Transfer scoring: test"]
    assert [table.title for table in section.tables] == [
        "Deep features and GOP baselines", "Inputs of the scoring module",
        "With and without self-attention", "Pre-training and fine-tuning",
        "Differences to 'gop'", "Adaptation to other scores", "Agreement of raters",
        "Errors by score", "All runs",
    ]  # fmt: skip
    assert len(section.pictures) == 5 and "60 utterances of 6 speakers" in section.text[0]
    counts = table_of(sections["Transfer scoring"], "Parameters").cells()
    assert [cell.text for cell in counts[0][1:]] == ["946,686", "8,165,047"]
    assert [cell.text for cell in counts[1][1:]] == ["20,289", "20,289"]
    models = table_of(sections["Transfer scoring"], "Acoustic models").cells()
    assert {row[0].text: row[2].text for row in models}["small"] == "1.23"
    assert models[0][-1].text == "41.0"


def test_runs_stand_in_the_rows_of_their_cards(sections):
    section = sections["Transfer scoring: test"]
    by_title = {table.title: first_lines(table) for table in section.tables}
    assert by_title["Deep features and GOP baselines"] == [
        ("GOP (2BLSTM + MLP)", "blstm"), ("GOP (GBT)", "gbt"), ("deep features", "ours"),
        ("", "plain <b>deep"),
    ]  # fmt: skip
    assert by_title["Inputs of the scoring module"] == [
        ("GOP", "gop"), ("GOP with transitions (STP)", "gop_stp"), ("deep features", "ours"),
        ("", "plain <b>deep"),
    ]  # fmt: skip
    assert [line[1] for line in by_title["With and without self-attention"]] == [
        "mean", "ours", "plain <b>deep",
    ]  # fmt: skip
    table = table_of(section, "Pre-training and fine-tuning")
    assert [(*row[0].under, row[0].text, row[1].text) for row in table.cells()] == [
        ("ours", "frozen", "frozen"), ("deep_unfrozen", "unfrozen", "unfrozen"),
        ("deep_half", "unfrozen", "frozen"), ("deep_no_labels", "unfrozen", "–"),
        ("plain <b>deep", "–", "frozen"),
    ]  # fmt: skip
    assert [cell.text for cell in table.cells()[0][6:10]] == ["0.87", "0.86", "0.82", "0.72"]
    assert [cell.text for cell in table.cells()[3][6:10]] == ["–", "0.80", "–", "0.65"]


def test_numbers_are_those_of_the_files(root, sections):
    section = sections["Transfer scoring: test"]
    summaries = {
        name: read_summary(root / "exp/scoring/ours/eval" / name) for name in ("sc", "test")
    }
    row = table_of(section, "Pre-training and fine-tuning").cells()[0]
    for cell, name in zip(row[2:4], ("sc", "test"), strict=True):
        found = summaries[name]["utterance_total_pcc"]
        assert cell.text == f"{found['mean']:.3f}" and cell.under[0] == f"± {found['std']:.3f}"
    assert row[3].under[1] == f"[{found['low']:.2f}, {found['high']:.2f}]"
    assert (row[4].text, row[5].text) == ("60", "2")
    caption = table_of(section, "Pre-training and fine-tuning").caption
    for reason in (
        "tested on: speechocean762, 60 utterances, paper's speechocean762, 2500 utterances",
        "acoustic model: small, 1.2 h of speech, 0.95 M parameters, paper's 1960 h of speech",
        "epochs: 30, paper's 15",
    ):  # fmt: skip
        assert reason in caption
    assert "trained on: speechocean762, 60 utterances" in row[-1].text
    assert "synthetic scores: 300, paper's 50000" in row[-1].text
    runs = {row[0].text: row for row in table_of(section, "All runs").cells()}
    assert runs["ours_50"][5].text == "0.810" and runs["ours_50"][4].text == "50"
    assert runs["deep_no_labels"][5].text == "-"
    whole = summaries["test"]["utterance_total_pcc_ensemble"]["mean"]
    assert runs["ours"][7].text == f"{whole:.3f}"
    adapted = table_of(section, "Adaptation to other scores").cells()
    assert [cell.text for cell in adapted[0][:4]] == ["fluency", "fluency", "50", "20,289"]
    plain = read_summary(root / "exp/scoring/fluency_plain/eval/test")
    assert adapted[0][5].text == f"{plain['utterance_fluency_pcc']['mean']:.3f}"
    raters = table_of(section, "Agreement of raters").cells()
    assert [cell.text for cell in raters[0]] == ["total", "3", *["1.000"] * 4]


def test_differences_and_curves(root, sections):
    table = table_of(sections["Transfer scoring: test"], "Differences to 'gop'")
    summary = json.loads((root / "exp/compare/scoring/test/summary.json").read_text())
    assert "fluency" not in summary["experiments"]  # another score
    rows = {row[0].text: row for row in table.cells()}
    value = summary["experiments"]["ours"]["utterance_total_pcc"]["estimate"]
    assert rows["ours"][1].text.lstrip("▲▼ ") == f"{value:+.3f}".replace("-", "−")
    work = WorkDir(root)
    found = scoring_runs.collect(work)
    pairs = [(one, one.on("test")) for one in found]
    main = scoring_runs.main_experiment(found)
    lines = scoring.lines_by_labels(work, pairs, main)
    assert {name: sorted(x for x, *_ in line) for name, line in lines.items()} == {
        "pre-trained, acoustic model frozen": [25, 50, 60, 100],
        "not pre-trained": [25, 50, 60, 100],
        "pre-trained, acoustic model updated": [0, 60],
    }
    hours = scoring.lines_by_hours(work, pairs, main)
    (line,) = hours.values()
    assert np.allclose(sorted(x for x, *_ in line), [0.3, 0.6, 1.23])


def test_as_published_is_comparable(tmp_path):
    for name in ("sc", "test"):
        scored_runs.make_set(tmp_path, name, utterances=2500, speakers=5)
    scored_runs.make_acoustic(tmp_path, "big", 1960, paper.ACOUSTIC_PARAMETERS)
    scored_runs.make_run(tmp_path, "x", 0.1, seeds=1, acoustic="big")
    (one,) = scoring_runs.collect(WorkDir(tmp_path))
    counts = {"utterances": {"mean": 2500, "std": None, "n": 1}}
    found = Evaluation(tmp_path, "test", counts)
    row = paper.TABLES_4_5[-1]  # without pre-training
    assert scoring_runs.differences_to_paper(WorkDir(tmp_path), one, found, row) == [
        "epochs: 30, paper's 15"
    ]
    one.card["training"]["epochs"] = 15
    assert scoring_runs.differences_to_paper(WorkDir(tmp_path), one, found, row) == []


def test_damaged_parts_are_left_out(root, tmp_path, caplog):
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    base = copy / "exp/scoring"
    (base / "gop/eval/test/summary.json").write_text("{")
    (base / "blstm/seed0/config.yaml").write_text("kind: other")
    (base / "ours/eval/test/classes.tsv").write_text("score\nx\n")
    (base / "ours/eval/test/worst.tsv").write_text("rank\n1\n")
    found = {section.title: section for section in scoring.sections(WorkDir(copy))}
    assert list(found) == ["Transfer scoring", "Transfer scoring: test"]
    titles = [table.title for table in found["Transfer scoring: test"].tables]
    assert "Errors by score" not in titles and "All runs" in titles
    inputs = table_of(found["Transfer scoring: test"], "Inputs of the scoring module").cells()
    assert inputs[0][0].text == "GOP" and inputs[0][-1].text == "not run"
    for said in ("gop/eval/test: ", "blstm/seed0: "):
        assert said in caplog.text


def test_players_and_figures_load_and_nothing_is_fetched(root, tmp_path):
    found = [s for s in page.collect(WorkDir(root)) if s.title.startswith("Transfer")]
    html = page.render(found, "Transfer scoring")
    assert "plain &lt;b&gt;deep" in html and "<B>BEAR" not in html
    assert browser.look(html, tmp_path) == (25, 0, 0)


def test_rows_of_stages_are_of_the_acoustic_model_that_was_updated(tmp_path):
    made = [scored_runs.make_set(tmp_path, name) for name in ("sc", "test")]
    frozen = {"pretrain": "frozen", "pretrain_set": "sc_b"}
    runs = {
        "big": {**frozen, "acoustic": "large"},
        "big_plain": {"acoustic": "large"},
        "big_gop": {"acoustic": "large", "input": "gop"},
        "small": frozen,
        "small_updated": {**frozen, "pretrain": "unfrozen"},
    }
    for name, settings in runs.items():
        scored_runs.make_run(tmp_path, name, 0.1, 2, sets=made, **settings)
    (section,) = (s for s in page.collect(WorkDir(tmp_path)) if s.title == "Transfer scoring: test")
    inputs = first_lines(table_of(section, "Inputs of the scoring module"))
    assert ("", "big_plain") in inputs and ("deep features", "big") in inputs
    stages = first_lines(table_of(section, "Pre-training and fine-tuning"))
    assert [row[1:] for row in stages if len(row) > 1][:2] == [("small",), ("small_updated",)]
