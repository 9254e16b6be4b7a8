"""The sentences that open the report: the right experiment, its numbers, and none without any."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from speechkit.report import findings
from speechkit.report.elements import Section
from speechkit.report.experiments import Evaluation
from speechkit.report.page import render
from speechkit.report.scoring_paper import _percent


@dataclass
class Tested(Evaluation):
    __test__ = False
    table: pd.DataFrame = None
    about: dict = field(default_factory=dict)
    title: str = ""


def evaluation(table=None, about=None, title="", **means: float | dict) -> Tested:
    summary = {k: v if isinstance(v, dict) else {"mean": v} for k, v in means.items()}
    return Tested(Path("x"), "test", summary, table, about or {}, title)


def named(name: str, **more) -> SimpleNamespace:
    return SimpleNamespace(name=name, **more)


def test_the_best_separation_with_its_tail_and_interval() -> None:
    draw = np.random.default_rng(0)
    pairs = [(f"s{a}", f"s{b}") for a in range(8) for b in range(a)]
    table = pd.DataFrame(
        {
            "mixture": [f"m{k}" for k in range(len(pairs)) for _ in range(2)],
            "speaker1": [a for a, _ in pairs for _ in range(2)],
            "speaker2": [b for _, b in pairs for _ in range(2)],
            "si_snri_db": draw.normal(5, 1, 2 * len(pairs)),
        }
    )
    best = evaluation(table, si_snri_db=float(table.si_snri_db.mean()), si_snri_p05_db=-0.5)
    other = evaluation(table, si_snri_db=1.0)
    (said,) = findings.separation("test", [(named("dm"), other), (named("hard"), best)])
    assert (
        "'hard' improves" in said and "hardest 5 % of them by at most \N{MINUS SIGN}0.50 dB" in said
    )
    low, high = findings._interval_of_mixtures(best)
    assert low < table.si_snri_db.mean() < high and f"[{low:.2f}, {high:.2f}]" in said
    few = table[table.speaker1.isin(["s1", "s2"]) & table.speaker2.isin(["s0", "s1"])]
    assert findings._interval_of_mixtures(evaluation(few)) == (None, None)
    assert findings.separation("test", [(named("dm"), evaluation(table))]) == []


def test_agreement_and_the_low_scores() -> None:
    weak = evaluation(utterance_total_pcc=0.5)
    strong = evaluation(
        utterance_total_pcc={"mean": 0.8, "low": 0.7, "high": 0.9}, utterance_total_low_recall=0.64
    )
    (said,) = findings.pronunciation("test", [(named("b"), strong), (named("a"), weak)])
    assert said == (
        "On test, 'b' agrees with people on the total of utterances with a correlation of 0.800 "
        "(95 % interval [0.70, 0.90]); of the low scores it finds 64 %."
    )
    words = evaluation(word_accuracy_pcc=0.3)
    assert "accuracy of words" in findings.pronunciation("t", [(named("a"), words)])[0]
    assert findings.pronunciation("t", [(named("a"), evaluation())]) == []
    run = evaluation(utterance_fluency_pcc=0.4, utterance_fluency_macro_mae_points=1.5)
    (said,) = findings.scoring("t", named("ours", target="fluency"), run)
    assert "0.400" in said and "1.50 points off" in said
    assert findings.scoring("t", named("ours", target="total"), run) == []


def test_words_that_nobody_said() -> None:
    summary = {"far_said_recall": {"mean": 0.9, "low": 0.82, "high": 0.95},
               "near_said_recall": {"mean": 0.7}}  # fmt: skip
    (said,) = findings.miscues("test", summary, "told", "said")
    assert "finds 90 % [82, 95] of the words far" in said and "and 70 % of the words one" in said
    assert findings.miscues("test", summary, "told", "accuracy") == []


def test_emotion_names_the_hardest_class_and_leaks() -> None:
    about = {"classes": ["calm", "sad"], "leaks_speakers": True}
    values = {"uar": {"mean": 0.6, "low": 0.5, "high": 0.7}, "recall_calm": 0.9, "recall_sad": 0.3}
    (said,) = findings.emotion("test", [(None, evaluation(None, about, "cnn", **values))])
    assert "60.0 % of each emotion" in said and "[50.0, 70.0]" in said
    assert "of sad, the hardest, 30 %" in said and "were heard in training" in said


def test_findings_open_the_page_with_links() -> None:
    html = render([Section("One & all", findings=["5 < 6."]), Section("Two")], "title")
    assert '<li>5 &lt; 6. <a href="#one---all">More</a></li>' in html
    assert html.index('class="found"') < html.index("<nav") < html.index("<h2>")
    assert 'class="found"' not in render([Section("Two")], "title")


@pytest.mark.parametrize(
    ("share", "said"), [(1.5, "150 %"), (0.0188, "1.9 %"), (0.0052, "0.52 %"), (0.25, "25 %")]
)
def test_shares_that_people_read(share, said) -> None:
    assert _percent(share) == said
