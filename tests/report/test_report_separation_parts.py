"""Parts of the report on separation: published rows, comparability, marks, lines of figures."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from speechkit.report import reader, separation_figures, separation_tables
from speechkit.report.experiments import Seed
from speechkit.report.separation_figures import Line
from speechkit.report.separation_runs import Evaluation, Experiment, differences_to_paper
from speechkit.separation import paper
from speechkit.separation.config import SIZES, MixingConfig, SeparationConfig
from speechkit.separation.paper import Recipe
from speechkit.workdir import WorkDir


def published_experiment(size="light", **changes):
    """An experiment that was run as published, but for ``changes`` of its configuration."""
    config = replace(SeparationConfig(), network=SIZES[size], set_name="train", **changes)
    card = {"sample_rate": 8000, "network": asdict(SIZES[size]), "training": config.params()}
    seed = Seed(0, card, {"epoch": list(map(float, range(100)))}, {}, {})
    one = Experiment("dm", [seed], recipe=Recipe(True))
    return one, Evaluation(Path(), "test", {}, False, None)


def reasons(tmp_path, one, found):
    for name in ("test", "train"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        prepared = {"command": "prepare wsj0-2mix", "params": {}}
        (folder / "manifest.json").write_text(json.dumps(prepared))
    row = paper.find("dm", one.recipe, paper.size_of(one.network))
    return differences_to_paper(WorkDir(tmp_path), one, found, row)


def test_what_was_run_as_published_is_comparable(tmp_path):
    assert reasons(tmp_path, *published_experiment()) == []
    assert reasons(tmp_path, *published_experiment("full")) == []
    one, found = published_experiment(epoch_size=500, mixing=MixingConfig(8000, segment=3.0))
    assert reasons(tmp_path, one, found) == [
        "mixing.segment: 3, paper's 4",
        "epoch_size: 500, paper's 0",
    ]
    one, found = published_experiment()
    one.seeds[0].card["network"]["mask"] = "sigmoid"
    one.seeds[0].card["sample_rate"] = 16000
    assert reasons(tmp_path, one, found) == [
        "mixing.sample_rate: 16000, paper's 8000",
        "network.mask: sigmoid, paper's relu",
    ]


def test_corpus_is_found_through_mix_and_split(tmp_path):
    for name, command, source in (
        ("all", "prepare wsj0", ""),
        ("fit", "split", "all"),
        ("fit_2mix", "mix", "fit"),
        ("loop", "split", "loop"),
    ):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        manifest = {"command": command, "params": {"set": source}}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    work = WorkDir(tmp_path)
    assert reader.corpus(work, "fit_2mix") == "wsj0"
    assert reader.corpus(work, "loop") == reader.corpus(work, "none") == ""


def test_published_rows():
    assert [len(paper.ROWS[size]) for size in ("light", "full")] == [19, 5]
    for rows in paper.ROWS.values():
        assert all(r.values["hsr5_percent"] < r.values["hsr10_percent"] for r in rows.values())
    found = paper.find("full_dm_wvl_xvector_pm04_ps30", None, "full")
    assert [found.values[m][0] for m in paper.MEASURES] == [17.18, 0.93, 2.17]
    assert paper.find("dm_wvl", None, "full") is None  # Table 4 has no such row
    assert paper.find("other", Recipe(True), "light") is None
    # `dm` evaluated with its weighted-best weights is the row of dm_wvl.
    assert paper.find("dm", Recipe(True, wvl=True), "light").values["hsr5_percent"] == (3.15, None)


def test_marks_of_differences():
    def cell(measure, estimate, low, high, baseline=1.0):
        values = {"estimate": estimate, "low": low, "high": high, "seed_std": None}
        one = {"measures": {measure: {**values, "baseline": baseline}}, "seeds": [0], "mixtures": 9}
        summary = {"baseline": "dm", "experiments": {"x": one}}
        return separation_tables.differences(summary, []).rows[0][1]

    assert cell("si_snri_db", 0.5, 0.1, 0.9).text == "▲ +0.50"
    assert cell("hsr5_percent", 0.5, 0.1, 0.9).text == "▼ +0.50"
    assert cell("hsr5_percent", -0.5, -0.9, -0.1).text == "▲ −0.50"
    unsure = cell("si_snri_db", 0.5, -0.1, 0.9)
    assert (unsure.text, unsure.strong, unsure.under) == ("+0.50", False, ["[−0.10, 0.90]"])
    assert cell("better_by_1db_percent", 5.0, 3.0, 7.0, None).text == "5.00"
    assert cell("si_snri_db", -0.001, -0.1, 0.1).text == "0.00"


def test_many_lines_are_divided_among_figures():
    trainings = {**paper.RECIPES, "base": Recipe(True), "?": None}
    lines = [
        Line(name, t, {"si_snri_db": separation_figures.PERCENT / 5})
        for name, t in sorted(trainings.items())
    ]
    parts = separation_figures.split(lines)
    assert [len(part) for part in parts] == [7, 8, 8]
    assert separation_figures.split(lines[:10]) == [lines[:10]]
    for part in parts:
        looks = [json.dumps(style, default=str) for style in separation_figures.styles(part)]
        assert len(set(looks)) == len(looks)
        assert separation_figures.plain_mixing(part).label == "dm"  # not base


def test_any_name_is_shown_in_a_legend():
    for name in ("_hidden", "$a$", "long_" * 20, "x" * 100, ""):
        line = Line(name, None, {"si_snri_db": separation_figures.PERCENT})
        assert separation_figures.tails([line]).startswith(b"\x89PNG")
        wrapped = separation_figures._wrapped(name)
        assert wrapped.replace("\n", "") == name
        assert all(len(part) <= separation_figures.LABEL for part in wrapped.split("\n"))


def test_one_seed_has_no_spread():
    assert separation_tables.spread((1.5, None)).under == ()
    assert separation_tables.spread((-1.5, 0.25)).under == ("± 0.25",)
    assert asdict(separation_tables.spread(None))["text"] == "-"
