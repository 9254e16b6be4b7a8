"""The report on pronunciation: numbers of the page against the files, and a look in a browser."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import browser
import numpy as np
import pytest
import soundfile
from conftest import voice
from pronunciation_sets import make_scored, write_gop

from speechkit.kaldi import data
from speechkit.labels.scores import ASPECTS
from speechkit.phone_features.feature_folder import read_features
from speechkit.pronunciation import evaluate, paper
from speechkit.pronunciation import train as training
from speechkit.pronunciation.config import PronunciationConfig
from speechkit.report import (
    experiments,
    page,
    pronunciation,
    pronunciation_runs,
)
from speechkit.task.evaluation import read_summary
from speechkit.task.scores import read_table
from speechkit.workdir import WorkDir

PLAIN = PronunciationConfig(epochs=2, track="test", warm_up=5)
ARMS = {
    "lstm_mse": replace(PLAIN, model="lstm"),
    "gopt_mse": PLAIN,
    "gopt_mse_wide": replace(PLAIN, gop=("wide",)),
    "gopt_sb-num": replace(PLAIN, loss="sb-num"),
    "half <b>beta</b>": replace(PLAIN, loss="sb-num", beta=0.5),
    "gopt_sb-label": replace(PLAIN, loss="sb-label"),
    "best": replace(PLAIN, dropout=0.1, epochs=3),
}


def add_audio(root, name):
    """A short recording of each utterance, and features with columns of zeros beside."""
    folder = root / "data" / name
    table = read_features(root / "exp" / "gop" / name, root)
    wide = {u: np.pad(table.table[u], ((0, 0), (0, 2))) for u in table.table}
    write_gop(root, name, wide, table.rows, "wide", "wide")
    wav = root / "a.wav"
    soundfile.write(wav, voice(120, 0.4), 16000)
    data.write_table(folder / "wav.scp", dict.fromkeys(wide, "a.wav"))
    (folder / "manifest.json").write_text(
        json.dumps(
            {"command": "prepare speechocean762", "params": {}, "counts": {"utterances": 9},
             "finished": "2026-01-01", "seconds": 1.0}
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A working directory with trained and evaluated arms."""
    root = tmp_path_factory.mktemp("pronunciation")
    for name, seed in (("train", 1), ("test", 2)):
        make_scored(root, name, utterances=24, speakers=4, seed=seed)
        add_audio(root, name)
    work = WorkDir(root)
    for name, config in ARMS.items():
        folder = name.replace(" ", "_").replace("<b>", "b_").replace("</b>", "_b")
        training.train(work, folder, config, [0, 1])
        evaluate.evaluate(work, evaluate.EvaluationConfig(folder, "test", samples=100))
    evaluate.compare(work, evaluate.ComparisonConfig("test", "gopt_mse", samples=100))
    return root


@pytest.fixture(scope="module")
def sections(made) -> dict:
    return {section.title: section for section in page.collect(WorkDir(made))}


def table_of(section, title):
    return next(table for table in section.tables if table.title == title)


def test_sections_tables_and_figures(sections):
    assert list(sections) == [
        "Sets", "Scores of pronunciation", "Training of pronunciation", "Pronunciation: test",
        "Worst scored: test", "Stages",
    ]  # fmt: skip
    section = sections["Pronunciation: test"]
    assert [table.title for table in section.tables] == [
        "Results", "Features", "Seeds averaged", "Differences to 'gopt_mse'", "Beside the paper",
        "Class of the prediction or of the label", "Weights by β",
        "Lowest predictions, best and worst aspect", "Errors by score class, averaged",
        "Errors by score class", "Low scores found",
    ]  # fmt: skip
    figures = [
        p.caption for s in sections.values() for p in s.pictures if "of the paper)" in p.caption
    ]
    assert [sum(f"(Fig. {n} of the paper)" in c for c in figures) for n in range(1, 6)] == [1] * 5
    assert "24 utterances" in section.text[0] and "4 speakers" in section.text[0]


def test_lowest_predictions_and_the_ratio_of_best_to_worst_aspect(made, sections):
    found = table_of(sections["Pronunciation: test"], "Lowest predictions, best and worst aspect")
    rows = {row[0].text: row for row in found.cells()}
    folder = made / "exp/pronunciation/gopt_sb-num/eval/test"
    words, summary = read_table(folder, "word"), read_summary(folder)
    seeds = words[["word_stress_seed0", "word_stress_seed1"]].to_numpy(float)
    cell = rows["gopt_sb-num"][1]
    assert cell.text == f"{seeds.min(axis=0).mean():.2f}".replace("-", "−")
    assert cell.under[0] == f"± {np.std(seeds.min(axis=0), ddof=1):.2f}"
    place = np.unravel_index(seeds.argmin(), seeds.shape)[0]
    assert cell.under[1] == f"label {words['word_stress'].iloc[place]:.1f}"
    pccs = {
        a: m["mean"] for a in ASPECTS if (m := summary.get(f"{a}_pcc")) and m["mean"] is not None
    }
    best, worst = max(pccs, key=pccs.get), min(pccs, key=pccs.get)
    assert rows["gopt_sb-num"][3].under == (best.replace("_", " "),)
    assert rows["gopt_sb-num"][4].under == (worst.replace("_", " "),)
    ratio = f"{pccs[best] / pccs[worst]:.1f}" if pccs[worst] > 0 else "-"
    assert rows["gopt_sb-num"][5].text == ratio
    # the paper's own, of its Table 1: prosody to completeness, then to stress
    assert [c.text for c in rows["GOPT, their own run"]][1:] == [
        "1.67",
        "1.90",
        "0.756",
        "0.134",
        "5.6",
    ]
    assert [c.text for c in rows["+ SB_num"]][1:] == ["1.58", "1.69", "0.752", "0.386", "1.9"]


def test_numbers_are_those_of_the_files(made, sections):
    summary = read_summary(made / "exp/pronunciation/gopt_sb-num/eval/test")
    losses = table_of(sections["Pronunciation: test"], "Results")
    names = [row[0].text for row in losses.cells()]
    assert names == [
        "lstm_mse",
        "gopt_mse",
        "half_b_beta_b",
        "gopt_sb-num",
        "gopt_sb-label",
        "best",
    ]
    assert losses.cells()[-1][0].under == ["gopt, mse", "dropout 0.1", "epochs 3"]
    row = losses.cells()[names.index("gopt_sb-num")]
    assert row[0].under == ["gopt, sb-num, β 0.9"]
    for cell, measure in zip(row[1:11], paper.MEASURES, strict=True):
        found = summary.get(measure)
        if found is None or found["mean"] is None:
            assert cell.text == "-"
            continue
        assert cell.text == f"{found['mean']:.3f}".replace("-", "−")
        assert cell.under[0] == f"± {found['std']:.3f}"
        if measure.endswith("_pcc"):
            low, high = (f"{found[end]:.2f}".replace("-", "−") for end in ("low", "high"))
            assert cell.under[1] == f"[{low}, {high}]"
    features = table_of(sections["Pronunciation: test"], "Features")
    assert [(row[0].text, row[1].text) for row in features.cells()] == [
        ("default", "6"), ("wide", "8"),
    ]  # fmt: skip
    together = table_of(sections["Pronunciation: test"], "Seeds averaged").cells()
    whole = next(row for row in together if row[0].text == "gopt_sb-num")
    mean = summary["phone_accuracy_pcc_ensemble"]["mean"]
    assert whole[2].text == f"{mean:.3f}".replace("-", "−")


def test_differences_are_those_of_the_comparison(made, sections):
    table = table_of(sections["Pronunciation: test"], "Differences to 'gopt_mse'")
    summary = json.loads((made / "exp/compare/pronunciation/test/summary.json").read_text())
    assert [row[0].text for row in table.cells()] == [
        "lstm_mse", "gopt_mse_wide", "half_b_beta_b", "gopt_sb-num", "gopt_sb-label", "best",
    ]  # fmt: skip
    values = summary["experiments"]["lstm_mse"]["phone_accuracy_mse"]
    cell = table.cells()[0][1]
    assert cell.text.lstrip("▲▼ ") == f"{values['estimate']:+.3f}".replace("-", "−")
    sure = values["low"] > 0 or values["high"] < 0
    assert (
        cell.strong == sure and cell.text.startswith("▼" if values["estimate"] > 0 else "▲") == sure
    )


def test_the_paper_stands_beside_ours_with_the_reason(sections):
    table = table_of(sections["Pronunciation: test"], "Beside the paper")
    rows = table.cells()
    ours = [row[0].text for row in rows if row[-1].text]
    assert ours == ["lstm_mse", "gopt_mse", "gopt_sb-num", "gopt_sb-label", "best"]
    assert [rows[k + 1][0].text for k in (0, 2, 4, 6)] == [
        "LSTM", "GOPT, their own run", "+ SB_num", "+ SB_num (no pred)",
    ]  # fmt: skip
    assert rows[5][4].text == "0.386" and rows[5][4].under == ("± 0.015",)
    assert rows[8][-1].text == "no; dropout: 0.1, paper's 0; epochs: 3, paper's 100"
    assert [row[0].text for row in rows[9:]] == [row.name for row in paper.OTHERS]
    for reason in (
        "tested on: speechocean762, 9 utterances, paper's speechocean762, 2500 utterances",
        "trained on: speechocean762, 9 utterances", "seeds: 2, paper's 5",
        "features: default, paper's GOP of Kaldi's model of 960 h of LibriSpeech",
    ):  # fmt: skip
        assert reason in table.caption
    assert {row[-1].text for row in rows[:8:2]} == {"no; epochs: 2, paper's 100"}


def test_imported_features_are_all_that_a_run_as_published_has_otherwise(tmp_path):
    for name in ("train", "test"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        manifest = {"command": "prepare speechocean762", "counts": {"utterances": 2500}}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    card = {"training": PronunciationConfig().params(), "features": [{"method": "imported"}]}
    row = paper.find("gopt", "mse")
    one = pronunciation_runs.Experiment("x", [experiments.Seed(k, card, {}, {}) for k in range(5)])
    found = experiments.Evaluation(Path("test"), "test", {})
    assert pronunciation_runs.differences_to_paper(WorkDir(tmp_path), one, found, row) == [
        "features: imported, of a model that is not recorded, "
        "paper's GOP of Kaldi's model of 960 h of LibriSpeech"  # noise can be imported too
    ]


def test_tail_and_ablation(made, sections):
    section = sections["Pronunciation: test"]
    ablation = table_of(section, "Class of the prediction or of the label").cells()
    assert [row[0].text for row in ablation] == ["of the label", "of the prediction (SB_num)"]
    weights = table_of(section, "Weights by β").cells()
    assert [cell.text for cell in weights[2][1:]] == [
        "0.5420",
        "0.2670",
        "0.1750",
        "0.0950",
        "0.0880",
    ]
    classes = table_of(section, "Errors by score class")
    assert classes.columns[3:] == ["lstm_mse", "gopt_mse", "gopt_sb-num", "gopt_sb-label"]
    folder = made / "exp/pronunciation/gopt_sb-num/eval/test"
    phones = read_table(folder, "phone")
    counts = np.bincount((phones["phone_accuracy"] * 5 + 1e-4).astype(int))
    of_phones = [row for row in classes.cells() if float(row[1].text) >= 0][: (counts > 0).sum()]
    assert [int(row[2].text) for row in of_phones] == counts[counts > 0].tolist()
    assert of_phones[0][0].text == "phone accuracy" and of_phones[1][0].text == ""
    found = table_of(section, "Low scores found")
    assert (
        "phone accuracy",
        3,
    ) in found.groups and "Low ones here: phone accuracy" in found.caption


def test_worst_utterances_have_players(made, sections):
    (table,) = sections["Worst scored: test"].tables
    rows = table.cells()
    assert len(rows) == 20 and all(row[3].player is not None for row in rows)
    errors = [float(row[4].text) for row in rows]
    assert errors == sorted(errors, reverse=True)
    one = experiments.Evaluation(
        made / "exp/pronunciation/gopt_mse/eval/test", "test", {}
    )  # fmt: skip
    (made / "a.wav").rename(made / "b.wav")
    try:
        broken = pronunciation.worst(WorkDir(made), one)
    finally:
        (made / "b.wav").rename(made / "a.wav")
    assert broken is not None and {row[3].text for row in broken.cells()} == {"-"}


def test_damaged_parts_are_left_out(made, tmp_path, caplog):
    root = tmp_path / "copy"
    shutil.copytree(made, root)
    base = root / "exp/pronunciation"
    (base / "gopt_mse/eval/test/summary.json").write_text("{")
    (base / "lstm_mse/seed0/config.yaml").write_text("kind: other")
    (base / "gopt_sb-num/eval/test/classes.tsv").write_text("aspect\nx\n")
    (root / "data/train/phone_scores.tsv").write_text("broken\n")
    found = {section.title: section for section in pronunciation.sections(WorkDir(root))}
    losses = table_of(found["Pronunciation: test"], "Results")
    assert [row[0].text for row in losses.cells()] == [
        "lstm_mse", "half_b_beta_b", "gopt_sb-num", "gopt_sb-label", "best",
    ]  # fmt: skip
    titles = [table.title for table in found["Pronunciation: test"].tables]
    assert "Errors by score class" not in titles and "Scores of pronunciation" not in found
    for said in (
        "gopt_mse/eval/test: ",
        "seed0: ",
        "left out: the scores of 'train'",
    ):
        assert said in caplog.text


def test_scores_alone_have_their_histograms(made, tmp_path):
    shutil.copytree(made / "data", tmp_path / "data")
    (section,) = pronunciation.sections(WorkDir(tmp_path))
    assert section.title == "Scores of pronunciation" and len(section.pictures) == 1
    values = pronunciation.scaled_labels(WorkDir(tmp_path), "train")
    assert set(values) == set(ASPECTS) and values["word_stress"].max() == 2.0


def test_a_corpus_with_totals_only(made, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(made, root)
    shutil.rmtree(root / "exp" / "compare")
    for name in ("train", "test"):
        (root / "data" / name / "manifest.json").unlink()
    for folder in (root / "exp/pronunciation").iterdir():
        if folder.name != "best":
            shutil.rmtree(folder)
    folder = root / "exp/pronunciation/best/eval/test"
    summary = json.loads((folder / "summary.json").read_text())
    kept = {k: v for k, v in summary.items() if k.startswith(("utterance_total", "utterances"))}
    (folder / "summary.json").write_text(json.dumps(kept))
    found = {section.title: section for section in pronunciation.sections(WorkDir(root))}
    section = found["Pronunciation: test"]
    results_table = table_of(section, "Results")
    assert results_table.columns == ["experiment", "Total", "seeds"]
    assert "Completeness" not in results_table.caption
    assert "Beside the paper" not in [table.title for table in section.tables]
    assert any(
        "Densities of labels" in p.alt and "utterance_total" in p.alt for p in section.pictures
    )


def test_published_rows():
    assert paper.find("gopt", "mse").name == "GOPT, their own run"
    assert paper.find("gopt", "sb-rank").values["utterance_completeness_pcc"] == (0.335, 0.235)
    assert paper.find("lstm", "sb-num") is None
    assert "phone_accuracy_mse" not in paper.OTHERS[-1].values


def test_players_and_figures_load_and_nothing_is_fetched(made, tmp_path):
    html = page.render(page.collect(WorkDir(made)), "Pronunciation")
    assert "half_b_beta_b" in html
    assert browser.look(html, tmp_path) == (26, 0, 0)
