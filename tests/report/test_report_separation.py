"""The report on separation: numbers of the page against the files, and a look in a browser."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import browser
import numpy as np
import pytest
import soundfile
import torch
from conftest import make_set
from separation_models import NETWORK, RATE, make_mixtures

from speechkit.base.tables import write_json
from speechkit.report import page, separation_tables
from speechkit.report.reader import read_log
from speechkit.separation import compare, evaluate, model_folder, results
from speechkit.separation.config import MixingConfig, SeparationConfig
from speechkit.separation.conv_tasnet import ConvTasNet
from speechkit.separation.inference_config import EvaluationConfig
from speechkit.task.evaluation import read_summary
from speechkit.workdir import Output, WorkDir

PLAIN = SeparationConfig(network=NETWORK, mixing=MixingConfig(RATE), epochs=3)
HARD = replace(PLAIN, hard="exp/hard/pitch_pm0.2", mixing=MixingConfig(RATE, ps=0.3))
MINED = "dm_wvl_pitch_pm02_ps30"
CONFIGS = {
    "static": replace(PLAIN, set_name="train_2mix", dynamic=False),
    "dm": PLAIN,
    "dm_wvl": replace(PLAIN, weighted_validation=True),
    "mine_first": replace(HARD, hard="gone/xvector_pm0.04", weighted_validation=True),
    MINED: replace(HARD, weighted_validation=True),
}
SHIFT = {"static": -2.0, "dm_wvl": 0.5, "mine_first": 1.0, MINED: 3.0}


def train(root, name, config, seed):
    """A model folder with random weights and a made-up log."""
    selection = "weighted" if config.weighted_validation else "plain"
    rng = np.random.default_rng([seed, config.dynamic, len(config.hard)])
    rows = [
        {
            "train_loss": -5 + loss,
            "valid_loss": -4 + loss,
            "valid_weighted_loss": -3 + loss,
            "valid_si_snri_db": 4 - loss,
            "valid_hsr5_percent": 50 + 10 * loss,
            "valid_hsr10_percent": 90.0,
            "skipped_batches": 0,
        }
        for loss in rng.standard_normal(3)
    ]
    torch.manual_seed(seed)
    weights = dict.fromkeys(model_folder.FILES, ConvTasNet(NETWORK).state_dict())
    config = replace(config, seed=seed)
    folder = root / "exp" / "separation" / name / f"seed{seed}"
    with Output(folder, "train separation", config.params()) as out:
        model_folder.write(out.path, NETWORK, RATE, selection, config.params(), weights, rows)
        epochs = {"best_epoch_plain": 2, "best_epoch_weighted": 3}
        write_json(out.path / "summary.json", epochs)


def evaluate_like(root, name, base, shift, selection):
    """An evaluation with the mixtures of another one and other values."""
    rng = np.random.default_rng(len(name))
    table = base.copy()
    change = 30 + shift + rng.standard_normal(len(table))
    table["si_snr_db"] += change
    table["si_snri_db"] += change
    table["sdri_db"] = table["si_snri_db"] + 0.5
    rows = table.round(4).to_dict("records")
    final = root / "exp" / "separation" / name / "eval" / "test_2mix"
    with Output(
        final, evaluate.COMMAND, {"set": "test_2mix", "checkpoint": selection}, force=True
    ) as out:
        results.write_utterances(out.path, results.columns(2, False), rows)
        found = results.read_utterances(out.path)
        counts = {seed: {"mixtures": 8, "mixtures_silent": 0} for seed in (0, 1)}
        write_json(out.path / "summary.json", results.summarize(found, (5.0, 10.0), counts))
        if (final / "worst").is_dir():
            for kind in ("worst", "median"):
                shutil.copytree(final / kind, out.path / kind)
                shutil.copy(final / f"{kind}.tsv", out.path)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    from speechkit.cli.main import main

    root = tmp_path_factory.mktemp("separation_report")
    make_set(root, "train", speakers=4, utterances=3, rate=RATE, seconds=0.5)
    make_mixtures(root, count=8)
    for words in (
        ["extract-prosody", "--set", "train", "-j", "1"],
        ["extract-prosody", "--set", "test_2mix", "-j", "1"],
        ["mine-hard", "--param", "pitch", "--pm", "0.2"],
    ):
        assert main([*words, "-C", str(root)]) == 0
    for name, config in CONFIGS.items():
        for seed in (0, 1):
            train(root, name, config, seed)
    work = WorkDir(root)
    clips = evaluate.evaluate(work, EvaluationConfig("dm", "test_2mix", sdr=False))
    base = results.read_utterances(clips)
    evaluate_like(root, "dm", base, 0.0, "plain")
    for name, shift in SHIFT.items():
        selection = "weighted" if CONFIGS[name].weighted_validation else "plain"
        evaluate_like(root, name, base, shift, selection)
    compare.compare(work, compare.ComparisonConfig("test_2mix", "dm", samples=200))
    words = ["analyze-correlation", "--set", "test_2mix", "--model", "dm", "--samples", "200"]
    assert main([*words, "-C", str(root)]) == 0
    return root


@pytest.fixture(scope="module")
def html(made) -> str:
    return page.write(WorkDir(made)).read_text(encoding="utf-8")


class Tables(HTMLParser):
    """Rows of cells (texts joined by a space) of each table below a heading."""

    def __init__(self):
        super().__init__()
        self.found, self.rows, self.heading, self.inside = {}, [], "", ""

    def handle_starttag(self, tag, attrs):
        if tag in ("h2", "h3"):
            self.heading, self.inside = "", tag
        elif tag == "table":
            self.rows = self.found.setdefault(self.heading, [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append([])
            self.inside = tag

    def handle_endtag(self, tag):
        if tag in ("h2", "h3", "td", "th"):
            self.inside = ""

    def handle_data(self, text):
        if self.inside in ("h2", "h3"):
            self.heading += text
        elif self.inside:
            self.rows[-1][-1].append(text)


def tables(html):
    parser = Tables()
    parser.feed(html)
    return {
        heading: [[" ".join(cell).replace("\u00a0", " ") for cell in row] for row in rows]
        for heading, rows in parser.found.items()
    }


def minus(text):
    return text.replace("-", "\N{MINUS SIGN}")


def summary_of(root, name):
    return read_summary(root / "exp/separation" / name / "eval/test_2mix")


def test_sections(html):
    headings = re.findall(r"<h2>(.*?)</h2>", html)
    start = headings.index("Training of separation")
    assert headings[start:] == [
        *("Training of separation", "Separation: test_2mix", "Worst mixtures: test_2mix"),
        *("Correlation: test_2mix", "Stages"),
    ]


def test_results_are_those_of_the_files(made, html):
    rows = tables(html)["Separation: test_2mix"]
    assert rows[1] == [
        *("experiment", "DM", "WTL", "WVL", "pairs by", "P_M (%)", "P_S (%)"),
        *("SI-SNRi", "SDRi", "HSR5", "HSR10", "1 %", "5 %", "10 %", "seeds"),
    ]
    named = {row[0]: row for row in rows[2:]}
    assert list(named) == ["static", "dm", "dm_wvl", MINED, "mine_first"]
    assert named["static"][1:7] == [""] * 6
    assert named["dm"][1:7] == ["✓", "", "", "", "", ""]
    assert named["dm_wvl"][1:7] == ["✓", "", "✓", "", "", ""]
    # P_M is that of the folder of hard pairs, not what the experiment's name says.
    assert named[MINED][1:7] == ["✓", "", "✓", "pitch", "20", "30"]
    assert named["mine_first"][1:7] == ["✓", "", "✓", "xvector", "4", "30"]
    keys = ("si_snri_db", "sdri_db", "hsr5_percent", "hsr10_percent")
    keys += ("si_snri_p01_db", "si_snri_p05_db", "si_snri_p10_db")
    for name in named:
        summary = summary_of(made, name)
        shown = [f"{summary[k]['mean']:.2f} ± {summary[k]['std']:.2f}" for k in keys]
        assert named[name][7:] == [*map(minus, shown), "2"]


def test_the_paper_stands_beside_ours_with_the_reason(made, html):
    assert "Beside the paper" not in tables(html)  # of another corpus, and not asked for
    assert "Pearson in the paper" not in html
    html = page.write(WorkDir(made), papers=True).read_text(encoding="utf-8")
    assert "Pearson in the paper" in html
    rows = {row[0]: row for row in tables(html)["Beside the paper"][2:]}
    assert set(rows) == {"static", "dm", "dm_wvl", MINED}
    assert rows["dm"][2::2][:3] == ["15.75", "3.30", "7.20"]
    assert rows[MINED][2:8:2] == ["15.81", "2.40", "6.00"]
    assert rows[MINED][7] == "2, 3 (light)"
    ours = summary_of(made, "dm")["hsr5_percent"]
    assert rows["dm"][3] == f"{ours['mean']:.2f} ± {ours['std']:.2f}"
    for said in ("network.filters: 16, paper&#39;s 512", "epochs: 3, paper&#39;s", "unknown data"):
        assert said in html  # of all rows, below the table
    assert rows[MINED][8] == "no; P_M (%): 20, paper's 2"
    assert rows["dm"][8] == "no"


def test_differences_by_gender_and_correlation(made):
    found = tables(page.write(WorkDir(made), papers=True).read_text(encoding="utf-8"))
    rows = {row[0]: row for row in found["Differences to 'dm'"][1:]}
    assert list(rows) == ["static", "dm_wvl", MINED, "mine_first"]
    summary = read_summary(made / "exp/compare/separation/test_2mix")
    for name, one in summary["experiments"].items():
        values = one["measures"]["si_snri_db"]
        mark = {True: "▲ ", False: "▼ "}[values["estimate"] > 0]
        mark = mark if values["low"] > 0 or values["high"] < 0 else ""
        text = f"{mark}{values['estimate']:+.2f} [{values['low']:.2f}, {values['high']:.2f}]"
        assert rows[name][1] == minus(f"{text} ± {values['seed_std']:.2f}")
    assert rows[MINED][1].startswith("▲")
    assert rows["static"][1].startswith("▼")
    genders = {row[0]: row for row in found["By gender"][2:]}
    combinations = found["By gender"][1][1:]
    half = len(combinations) // 2
    assert combinations[:half] == combinations[half:]
    for i, gender in enumerate(combinations[:half]):
        for place, key in ((i, f"si_snri_{gender}_db"), (half + i, f"hsr5_{gender}_percent")):
            values = summary_of(made, "dm")[key]
            assert genders["dm"][1 + place].startswith(minus(f"{values['mean']:.2f}"))
    lines = (made / "exp/correlation/test_2mix/correlation.tsv").read_text().splitlines()
    header, first = (line.split("\t") for line in lines[:2])
    row = found["Correlation: test_2mix"][1]
    assert row[0] == first[0] == "pitch_difference_hz"
    assert row[2] == first[header.index("mixtures")]
    assert row[5].startswith(minus(f"{float(first[header.index('pearson')]):.3f}"))
    assert row[7] == "0.443"


def test_training(made, html):
    rows = {row[0]: row for row in tables(html)["Training of separation"][1:]}
    count = sum(p.numel() for p in ConvTasNet(NETWORK).parameters())
    assert rows["dm"][1:7] == ["train", "scratch", f"{count:,}", "2", "3", "2, 2"]
    logs = [read_log(made / f"exp/separation/dm_wvl/seed{seed}/log.tsv") for seed in (0, 1)]
    assert rows["dm_wvl"][6] == "3, 3"
    chosen = np.mean([log["valid_si_snri_db"][2] for log in logs])
    assert rows["dm_wvl"][7] == minus(f"{chosen:.2f}")
    alt = next(a for a in re.findall(r'alt="(.*?)"', html) if a.startswith("Validation loss"))
    assert "of static, dm, dm_wvl, " in alt  # dm and dm_wvl: one curve
    assert "Networks of" in html


def test_worst_mixtures_have_players(made, html):
    found = tables(html)
    rows = found["The lowest SI-SNRi"]
    assert rows[1][5:] == ["mixture", *["source", "estimate"] * 2]
    listed = (made / "exp/separation/dm/eval/test_2mix/worst.tsv").read_text().splitlines()
    first = listed[1].split("\t")
    assert rows[2][:2] == [first[0], first[2]]
    assert len(rows) - 2 == len(listed) - 1 == 8
    assert len(found["Around the median, to compare"]) - 2 == 3
    section = html[html.index('<section id="worst-mixtures--test-2mix">') :]
    section = section[: section.index("</section>")]
    assert section.count("<audio") == 5 * (8 + 3)
    assert f'aria-label="{first[2]}, estimate2"' in section


def test_players_and_figures_load_and_nothing_is_fetched(html, tmp_path):
    sources = re.findall(r'(?:src|href)="(.*?)"', html)
    assert all(s.startswith(("data:", "#")) for s in sources)
    images, players = html.count("<img"), html.count("<audio")
    assert images >= 5 and players >= 55
    assert browser.look(html, tmp_path) == (images + players, 0, 0)


def test_a_damaged_experiment_costs_itself_only(made, tmp_path, capsys):
    root = tmp_path / "copy"
    shutil.copytree(made, root)
    base = root / "exp/separation"
    (base / "static/eval/test_2mix/summary.json").write_text("{")
    (base / "dm_wvl/seed1/config.yaml").write_text("kind: other\n")
    (base / "mine_first/eval/test_2mix/utterances.tsv").write_text("nonsense\n")
    (root / "exp/correlation/test_2mix/correlation.tsv").write_text("x\n1\n")
    (root / "exp/compare/separation/test_2mix/summary.json").write_text("[]")
    clip = next((base / "dm/eval/test_2mix/worst").glob("01_*_mixture.wav"))
    clip.write_bytes(b"RIFF")
    html = page.write(WorkDir(root)).read_text(encoding="utf-8")
    said = capsys.readouterr().err
    for part in ("static/eval", "dm_wvl/seed1", "mine_first/eval", "correlation", "compare", "01_"):
        assert part in said
    rows = tables(html)
    assert [row[0] for row in rows["Separation: test_2mix"][2:]] == ["dm", "dm_wvl", MINED]
    assert next(r for r in rows["Training of separation"] if r[0] == "dm_wvl")[4] == "1"
    assert "<h2>Correlation" not in html and "Differences to" not in html
    assert rows["The lowest SI-SNRi"][2][5] == "-"


def test_hard_mixtures_beside_their_counterparts(made, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(made, root)
    hard = "test_2mix-hard_pitch"
    shutil.copytree(root / "data/test_2mix", root / "data" / hard)
    (root / "data" / hard / "manifest.json").write_text(
        json.dumps({"command": "mix", "params": {"set": "test", "hard": "exp/hard/x"},
                    "counts": {"hard_mixtures": 7}, "random_set": "test_2mix"})
    )  # fmt: skip
    for name in ("dm", "static"):
        base = root / "exp/separation" / name / "eval"
        table = results.read_utterances(base / "test_2mix")
        for column in ("si_snr_db", "si_snri_db"):
            table[column] -= 2.0
        params = {"set": hard, "checkpoint": "plain"}
        with Output(base / hard, evaluate.COMMAND, params) as out:
            rows = table.to_dict("records")
            results.write_utterances(out.path, results.columns(2, False), rows)
            found = results.read_utterances(out.path)
            counts = {seed: {"mixtures": 8} for seed in (0, 1)}
            write_json(out.path / "summary.json", results.summarize(found, (5.0, 10.0), counts))
    config = compare.ComparisonConfig(hard, baseline_set="test_2mix", samples=200)
    folder = compare.compare(WorkDir(root), config)
    html = page.write(WorkDir(root)).read_text(encoding="utf-8")
    assert "Hard counterparts of &#39;test_2mix&#39;: 7 mixtures" in html
    found = tables(html)["Hard mixtures and their counterparts in 'test_2mix'"]
    assert [row[0] for row in found[2:]] == ["static", "dm"]
    values = read_summary(folder)["experiments"]["dm"]["measures"]["si_snri_db"]
    assert values["estimate"] == pytest.approx(-2.0)
    assert found[3][1:3] == [minus(f"{values[end]:.2f}") for end in ("baseline", "value")]
    assert found[3][3].startswith(minus("▼ -2.00 [-2.00, -2.00]"))


def test_one_run_gives_two_rows(made, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(made, root)
    base = root / "exp/separation/dm/eval"
    shutil.copytree(base / "test_2mix", base / "test_2mix-weighted")
    path = base / "test_2mix-weighted/manifest.json"
    path.write_text(path.read_text().replace('"checkpoint": "plain"', '"checkpoint": "weighted"'))
    html = page.write(WorkDir(root), papers=True).read_text(encoding="utf-8")
    found = tables(html)
    rows = {row[0]: row for row in found["Separation: test_2mix"][2:]}
    assert rows["dm"][1:4] == ["✓", "", ""]
    assert rows["dm (weighted)"][1:4] == ["✓", "", "✓"]
    paper = {row[0]: row for row in found["Beside the paper"][2:]}
    assert (paper["dm"][4], paper["dm (weighted)"][4]) == ("3.30", "3.15")
    assert [row[0] for row in found["By gender"][2:]].count("dm") == 1  # pictures too: one each


def test_long_parameters_unfold(html):
    rows = [row for row in tables(html)["Stages"] if row[0] == "exp/separation/dm/seed0"]
    text = rows[0][2]
    assert "mixing.segment=4.0" in text and "network.filters=16" in text
    assert "{" not in text
    assert "<details><summary>set_name=train, " in html


def test_results_without_models_and_names_that_are_markup(made, tmp_path):
    work = WorkDir(tmp_path)
    target = tmp_path / "exp/separation/<i>x/eval/test_2mix"
    shutil.copytree(made / "exp/separation/dm/eval/test_2mix", target)
    manifest = json.loads((target / "manifest.json").read_text())
    manifest["params"]["set"] = "<b>set"
    (target / "manifest.json").write_text(json.dumps(manifest))
    html = page.render(page.collect(work), "t")
    assert "<i>x" not in html and "<b>set" not in html
    rows = tables(html)["Separation: <b>set"]
    assert rows[2][0].startswith("<i>x") and rows[2][1:7] == ["-"] * 6
    assert "Training of separation" not in html


def test_a_clip_outside_of_the_evaluation_is_refused(made, tmp_path):
    folder = tmp_path / "eval"
    shutil.copytree(made / "exp/separation/dm/eval/test_2mix", folder)
    soundfile.write(tmp_path / "secret_mixture.wav", np.zeros(800), 8000)
    text = (folder / "worst.tsv").read_text()
    clip = text.splitlines()[1].split("\t")[1]
    (folder / "worst.tsv").write_text(text.replace(clip, "../secret"))
    with pytest.raises(Exception, match="outside"):
        separation_tables.worst(folder)
