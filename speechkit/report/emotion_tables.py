"""Tables of emotion: results as in the paper's Table III, the leak, classes, the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechkit.emotion import evaluate, model_folder, paper, results, tables
from speechkit.emotion.results import compare
from speechkit.labels import emotions
from speechkit.labels.config import PAPER
from speechkit.report import experiments
from speechkit.report.elements import NOTHING, Cell, Table, figure, player, with_interval
from speechkit.report.reader import Sources, corpus, read_rows
from speechkit.report.tables import comparable
from speechkit.task.evaluation import read_summary
from speechkit.task.paper import PublishedRow
from speechkit.workdir import WorkDir

NOTE = (
    "Accuracy is the weighted accuracy (WA) of emotion papers, UAR the unweighted average recall. "
    "±: standard deviation over folds (over seeds where there is one fold); below, the 95 % "
    "interval of a bootstrap over speakers. ECE: expected calibration error, the mean distance "
    "between the probability of the predicted class and the share that is right, over seeds; the "
    "temperatures were chosen on validation clips. Size, step and time are means over folds and "
    "seeds."
)


@dataclass
class Evaluation(experiments.Evaluation):
    """One folder ``eval/folds`` or ``eval/<set>``."""

    about: dict[str, Any]

    @property
    def own_folds(self) -> bool:
        """Whether it is of the test parts of the model's own split."""
        return "kind" in self.about

    @property
    def title(self) -> str:
        return tables.title(self.about)

    def predictions(self) -> results.Predictions:
        """One row per clip, fold and seed."""
        return results.read_predictions(self.folder)

    def share(self, measure: str) -> Cell:
        """A measure in percent, with spread and interval."""
        return _share(self.summary.get(measure))

    @property
    def figure(self) -> Path:
        return self.folder / evaluate.FIGURE


def _share(measured: Mapping[str, Any] | None) -> Cell:
    return with_interval(measured, digits=1, around=1, scale=100)


Experiment = experiments.Experiment[Evaluation]
Found = Sequence[tuple[Experiment, Evaluation]]


def collect(workdir: WorkDir) -> list[Experiment]:
    """All experiments by name, with the evaluation of their own folds first; damaged parts are
    left out."""
    found = list(experiments.collect(workdir, "emotion", Experiment, _card, _evaluation))
    for one in found:
        one.evaluations.sort(key=lambda e: (not e.own_folds, e.folder.name))
    return found


def _card(folder: Path) -> dict[str, Any]:
    model_folder.read_summary(folder)  # raises where its numbers are none
    return model_folder.read_card(folder)


def _evaluation(folder: Path) -> Evaluation:
    about = results.read_about(folder)
    found = Evaluation(folder, str(about["set"]), read_summary(folder), about)
    tables.cost_row(found.about, found.summary)  # raises where something is missing
    return found


def every_run(found: Found) -> Table:
    """One row per model and protocol, as Table III of the paper, with UAR and F1."""
    rows = []
    for one, evaluation in found:
        about = evaluation.about
        *_, size, step, time, runs = tables.cost_row(about, evaluation.summary)
        rows.append(
            {
                "model": evaluation.title,
                "protocol": tables.protocol(about),
                "accuracy (%)": evaluation.share("accuracy"),
                "UAR (%)": evaluation.share("uar"),
                "macro F1 (%)": evaluation.share("f1_macro"),
                "ECE (%)": evaluation.share("ece"),
                "ECE without temperature (%)": _share(about.get("ece_uncalibrated")),
                "model size": Cell(size, number=True),
                "best step": NOTHING if step is None else step,
                "training time": Cell(time, number=True),
                "folds x seeds": runs,
                "experiment": one.name,
            }
        )
    return Table.of(rows, NOTE)


def leaks(found: Found) -> Table | None:
    """For each model, what it gains where test speakers are also trained on."""
    honest: dict[str, Evaluation] = {}
    leaking: dict[str, list[Evaluation]] = {}
    for _, evaluation in found:
        if not evaluation.own_folds:
            continue
        if evaluation.about["leaks_speakers"]:
            leaking.setdefault(evaluation.title, []).append(evaluation)
        else:
            honest.setdefault(evaluation.title, evaluation)
    rows = []
    for title, ours in honest.items():
        for other in leaking.get(title, []):
            found_both = compare(ours.predictions(), other.predictions())
            if not found_both:
                continue
            cells: list[Any] = []
            for difference in found_both.values():
                both = (difference.first, difference.second)
                cells += [Cell(f"{100 * value:.1f}", True) for value in both]
                gap = {"mean": difference.gap, "low": difference.low, "high": difference.high}
                cells.append(with_interval(gap, 1, 1, 100, sign=True, strong=None))
            clips_both = next(iter(found_both.values())).clips
            splits = (tables.split_text(ours.about), tables.split_text(other.about))
            rows.append([title, *splits, *cells, clips_both])
    if not rows:
        return None
    measured = ("parted", "leaking", "gap") * 2
    return Table(
        ("model", "speakers parted", "speakers leak", *measured, "clips"),
        rows,
        "The gap is what a model seems to gain when the speakers (and sentences) that it is "
        "tested on are also in the training part: on the same clips, in percentage points, with "
        "the 95 % interval of a bootstrap over speakers. Training parts differ in size.",
        groups=(("", 3), ("accuracy (%)", 3), ("UAR (%)", 3), ("", 1)),
        title="The size of the leak",
        dense=False,
    )


def classes(found: Found) -> list[Table]:
    """Recall and F1 of each class, for models that share their classes."""
    names = found[0][1].about["classes"]
    same = [evaluation for _, evaluation in found if evaluation.about["classes"] == names]
    made = []
    for what, title in (("recall", "Recall of each class (%)"), ("f1", "F1 of each class (%)")):
        rows = [
            [
                evaluation.title,
                tables.protocol(evaluation.about),
                *(Cell(f"{100 * evaluation.summary[f'{what}_{n}']['mean']:.0f}", True)
                  for n in names),
            ]
            for evaluation in same
        ]  # fmt: skip
        made.append(Table(("model", "protocol", *names), rows, title=title))
    return made


def beside_paper(workdir: WorkDir, found: Found) -> Table:
    """The paper's Table III, our results with the same encoders, and why they differ."""
    lines: list[tuple[PublishedRow, Evaluation | None]] = [
        (row, own)
        for row in paper.ROWS
        for own in [e for _, e in found if e.about["upstream"] == row.facts["upstream"]] or (None,)
    ]
    said, texts = comparable(
        [differences_to_paper(workdir, e, row) if e else None for row, e in lines]
    )
    rows: list[list[Any]] = []
    for (row, e), text in zip(lines, texts, strict=True):
        value = {name: row.values[name][0] for name in ("uar", *paper.MEASURES)}
        theirs = (
            f"{value['accuracy']:g}",
            f"{value['uar']:.0f}",
            tables.size_text(value["disk_bytes"]),
            f"{value['best_step']:g}",
            tables.duration_text(value["train_seconds"]),
        )
        ours: list[Any] = [NOTHING, NOTHING, "", "not run here: the encoder is a download"]
        if e:
            ours = [e.share("accuracy"), e.share("uar"), tables.protocol(e.about), text]
        rows.append([row.name, *(Cell(cell, True) for cell in theirs), *ours])
    columns = ("model", "accuracy (%)", "UAR (%)", "model size", "best step", "training time")
    return Table(
        (*columns, "accuracy (%)", "UAR (%)", "protocol", "comparable?"),
        rows,
        f"{said}Paper: {paper.SOURCE}. Its test clips are a random fifth of RAVDESS, of actors who "
        "are trained on, and its step was chosen on those clips: that is the split paper here. The "
        "split random-80-20 chooses the step on other clips.",
        groups=(("", 1), ("paper", 5), ("ours", 4)),
        title="Beside the paper",
    )


def differences_to_paper(workdir: WorkDir, evaluation: Evaluation, row: PublishedRow) -> list[str]:
    """What was otherwise than in the paper: at least the clips that the step was chosen on."""
    about, longest = evaluation.about, 6.0  # seconds: longer than any clip of RAVDESS
    seconds = float(about.get("training", {}).get("max_seconds", longest))
    facts = {
        "upstream": about["upstream"],
        "corpus": corpus(workdir, str(about["set"])) or "unknown",
        "split": about.get("kind", "trained on another set"),
        "divisions": len(about.get("folds", ())),
        "clips": "whole" if seconds >= longest else f"at most {seconds:g} s",
        "step chosen on": "the test clips" if about.get("chosen_on_test") else "validation clips",
    }
    if facts["split"] == PAPER:  # such a division too, but for the clips that choose
        facts["split"] = paper.SPLIT
    return row.differences(about.get("training") or {}, facts)


def worst(workdir: WorkDir, evaluation: Evaluation, count: int = 10) -> Table | None:
    """The clips most confidently wrong, with players; None where there are none."""
    rows = read_rows(evaluation.folder / tables.WORST)[:count]
    if not rows:
        return None
    name = str(evaluation.about["set"])
    sources, statements = Sources(workdir, name), emotions.load(workdir, name).statements

    def line(row: Mapping[str, str]) -> list[Any]:
        sure = [figure(100 * float(row[key]), 0) for key in ("confidence", "p_label")]
        who = (row["utt"], row["speaker"], statements.get(row["utt"], ""))
        labels = (row["label"], row["predicted"])
        return [int(row["rank"]), *who, *labels, *sure, player(sources.get(row["utt"]))]

    columns = ("rank", "clip", "speaker", "said", "true", "taken for", "sure (%)", "true (%)", "")
    return Table(
        columns,
        [line(row) for row in rows],
        "Probabilities are means over seeds; ranked by that of the wrong class minus that of the "
        "true one.",
        title=f"Most confidently wrong: {evaluation.title}",
    )
