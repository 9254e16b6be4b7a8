"""The section on words that nobody said: how well each experiment finds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from speechkit.base.log import counted
from speechkit.pronunciation.miscue_evaluation import ROC, SHOWN
from speechkit.pronunciation.miscue_measures import draw_roc
from speechkit.report import findings
from speechkit.report.elements import Cell, Picture, Section, Table, with_interval
from speechkit.report.experiments import Evaluation
from speechkit.report.pronunciation_runs import Found
from speechkit.report.reader import read_rows, undamaged

EVIDENCE = {"said": "P(said)", "accuracy": "word accuracy"}
_DRAWN = 6  # experiments, so that their lines can be told apart
# Group -> title of a column -> measure ("{}": by the evidence), in percent or not.
_COLUMNS: dict[str, dict[str, tuple[str, bool]]] = {
    "replaced": {
        "near": ("near_{}_auc", False),
        "far": ("far_{}_auc", False),
        "both": ("replaced_{}_auc", False),
        "found": ("replaced_{}_recall", True),
        "far found": ("far_{}_recall", True),
        "score": ("replaced_word_accuracy", False),
    },
    "left out": {
        "area": ("omission_{}_auc", False),
        "found": ("omission_{}_recall", True),
        "appended found": ("appended_{}_recall", True),
        "score": ("omission_word_accuracy", False),
    },
    "whole text": {
        "wrong found": ("text_{}_recall", True),
        "completeness off": ("third_completeness_error", False),
    },
    "inserted": {
        "found": ("insertion_recall", True),
        "in right texts": ("right_texts_called_inserted", True),
    },
    "said badly": {"taken for unsaid": ("badly_said_called_unsaid", True)},
}


def sections(name: str, found: Found) -> Iterator[Section]:
    """The section of a set; none without an evaluation.

    Args:
        found: experiments and their evaluations with ``--miscues``.
    """
    if found:
        pictures = undamaged(f"the ROC curves of '{name}'", lambda: _curves(found))
        title = f"Words that nobody said: {name}"
        section = Section(title, _about(found), [_table(found)], pictures)
        told = [pair for pair in found if evidence_of(pair[1]) == "said"]
        one, evaluation = (told or found)[0]  # the first that predicts P(said), else the first
        evidence = evidence_of(evaluation)
        section.findings = findings.miscues(name, evaluation.summary, one.name, evidence)
        yield section


def evidence_of(evaluation: Evaluation) -> str:
    """What words are told apart by: P(said), or the word's accuracy where a model has no other."""
    there = any("_said_auc" in measure for measure in evaluation.summary)
    return "said" if there else "accuracy"


def _about(found: Found) -> list[str]:
    counts = found[0][1].count
    named = {
        "words replaced": counts("replaced_words"),
        "words left out": counts("omission_words"),
        "words appended": counts("appended_words"),
        "wrong texts": counts("wrong_texts"),
    }
    made = ", ".join(f"{count:,} {what}" for what, count in named.items() if count)
    return [
        "Texts were changed so that the recordings do not say them: "
        f"{made or 'none'}. They are compared with {counted(counts('right_words') or 0, 'word')} "
        f"that were said well, of {counted(counts('speakers') or 0, 'speaker')}. Near words "
        "differ from what was said in one or two phones, far ones in more."
    ]


def _table(found: Found) -> Table:
    columns = [column for of in _COLUMNS.values() for column in of.items()]
    rows = []
    for one, evaluation in found:
        evidence = evidence_of(evaluation)
        cells = [
            _cell(evaluation.summary.get(measure.format(evidence)), percent)
            for _, (measure, percent) in columns
        ]
        rows.append([Cell(one.name, under=(f"by {EVIDENCE[evidence]}",)), *cells])
    return Table(
        ["experiment", *(title for title, _ in columns)],
        rows,
        "Near, far, both, area: area under the ROC curve (1: every false word has a lower value "
        "than every right one; 0.5: chance). Found: percent of the false words where 2 percent of "
        "the right ones are flagged too (of whole texts: 1 percent of the right ones). Score: mean "
        "word accuracy of the false words, of 10. Completeness off: mean distance from the true "
        "share of words said, of 10, where about a third were not. Inserted: percent of the texts "
        "that lack a word in whose place speech is found, and of the true texts where any is. "
        "Taken for unsaid: percent of the words that people gave 1 to 5 of 10. Mean of all seeds; "
        "in brackets the 95 % interval of a bootstrap over speakers.",
        groups=[("", 1), *((group, len(of)) for group, of in _COLUMNS.items())],
        title="How well they are found",
    )


def _cell(found: Mapping[str, Any] | None, percent: bool) -> Cell:
    shown = {key: value for key, value in (found or {}).items() if key != "std"}
    return with_interval(shown, 1, 0, 100) if percent else with_interval(shown)


def _curves(found: Found) -> Picture | None:
    shown: dict[str, dict[str, np.ndarray]] = {}
    for one, evaluation in found[:_DRAWN]:
        label = f"{one.name}, {EVIDENCE[evidence_of(evaluation)]}"
        for kind, points in _points(evaluation).items():
            shown.setdefault(kind, {})[label] = np.array(points)
    if not shown:
        return None
    return Picture(
        draw_roc({kind: shown[kind] for kind in SHOWN if kind in shown}),
        "ROC curves: how many of the false words are found, by how many of the right ones are "
        "flagged too. Dashed: the working point, 2 percent of the right words.",
        "ROC curves of replaced and of left out words, a line an experiment.",
    )


def _points(evaluation: Evaluation) -> dict[str, list[Sequence[float]]]:
    """Corners of the curves of an evaluation, by kind."""
    evidence, found = evidence_of(evaluation), dict[str, list[Sequence[float]]]()
    for row in read_rows(evaluation.folder / ROC):
        if row["evidence"] == evidence and row["kind"] in SHOWN:
            point = float(row["false_alarm"]), float(row["recall"])
            found.setdefault(row["kind"], []).append(point)
    return found
