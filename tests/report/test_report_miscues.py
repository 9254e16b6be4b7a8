"""The report on words that nobody said: its numbers against the files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from speechkit.base.tables import write_tsv
from speechkit.pronunciation.miscue_measures import Findings, summarize
from speechkit.report import page, pronunciation, pronunciation_miscues
from speechkit.workdir import WorkDir


def write_evaluation(root, name: str, said: bool):
    """What ``evaluate pronunciation --miscues`` writes of made-up words."""
    draw = np.random.default_rng(len(name))
    kinds = np.array(["true"] * 40 + ["near", "far", "omission", "text", "third"] * 8)
    of = np.repeat(np.arange(len(kinds)), 3)
    status = np.zeros(len(of), int)
    for kind, number, what in (("near", 1, 1), ("far", 1, 1), ("omission", 2, 2), ("third", 0, 1)):
        status[np.flatnonzero(kinds == kind) * 3 + number] = what
    status[np.isin(of, np.flatnonzero(kinds == "text"))] = 1
    values = np.clip(draw.normal(0.8 - 0.6 * (status > 0), 0.1), 0, 1)
    chances = np.stack([values, 0.6 * (1 - values), 0.4 * (1 - values)], axis=1)
    human = np.where(status > 0, 0.0, draw.choice([4.0, 8.0, 10.0], len(of)))
    tested = Findings(
        np.arange(len(kinds)) % 5, kinds, of, status, human, 10 * values,
        *((chances, chances.argmax(1), np.full(len(kinds), 8.0)) if said else ()),
    )  # fmt: skip
    folder = root / f"exp/pronunciation/{name}/eval/test-miscues"
    folder.mkdir(parents=True)
    (folder / "miscues.tsv").write_text("utt\n")
    summary = summarize(tested, 100, 2)
    (folder / "summary.json").write_text(json.dumps(summary))
    evidence = "said" if said else "accuracy"
    lines = [
        [kind, evidence, *point]
        for kind in ("near", "far", "replaced", "omission")
        for point in tested.detection(tested.evidence()[evidence], tested.unsaid(kind)).curve()
    ]
    write_tsv(folder / "roc.tsv", ("kind", "evidence", "false_alarm", "recall"), lines)
    manifest = {"command": "evaluate pronunciation, miscues", "params": {"set": "test"},
                "counts": {}, "finished": "2026-01-01", "seconds": 1.0}  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return summary


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("miscues")
    summaries = {n: write_evaluation(root, n, n == "told") for n in ("plain", "told")}
    return root, summaries


def test_models_stand_side_by_side(made) -> None:
    root, summaries = made
    (section,) = pronunciation.sections(WorkDir(root))
    assert section.title == "Words that nobody said: test"
    assert "16 words replaced, 8 words left out, 24 wrong texts" not in section.text[0]
    assert "16 words replaced, 8 words left out, 8 wrong texts" in section.text[0]
    (table,) = section.tables
    rows = {row[0].text: row for row in table.cells()}
    assert [rows[n][0].under[0] for n in ("plain", "told")] == ["by word accuracy", "by P(said)"]
    titles = list(table.columns)
    for name, evidence in (("plain", "accuracy"), ("told", "said")):
        summary, row = summaries[name], rows[name]
        auc, found = (summary[f"near_{evidence}_auc"], summary[f"replaced_{evidence}_recall"])
        cell = row[titles.index("near")]
        assert cell.text == f"{auc['mean']:.3f}"
        assert cell.under == (f"[{auc['low']:.2f}, {auc['high']:.2f}]",)
        assert row[titles.index("found")].text == f"{100 * found['mean']:.1f}"
    assert rows["plain"][titles.index("taken for unsaid")].text == "-"
    error = summaries["told"]["third_completeness_error"]["mean"]
    assert rows["told"][titles.index("completeness off")].text == f"{error:.3f}"
    assert sum(width for _, width in table.groups) == len(titles)
    (picture,) = section.pictures
    assert picture.png[:4] == b"\x89PNG" and "ROC" in picture.caption


def test_a_damaged_curve_is_left_out(made, caplog) -> None:
    root, _ = made
    path = root / "exp/pronunciation/told/eval/test-miscues/roc.tsv"
    text = path.read_text()
    path.write_text("kind\tevidence\nnear\tsaid\n")
    (section,) = pronunciation.sections(WorkDir(root))
    path.write_text(text)
    assert section.tables and not section.pictures
    assert "left out: the ROC curves of 'test'" in caplog.text


def test_the_page_holds_it(made) -> None:
    root, _ = made
    html = page.render(page.collect(WorkDir(root)), "Pronunciation")
    assert "Words that nobody said: test" in html and "by P(said)" in html
    assert not list(pronunciation_miscues.sections("test", []))
