"""Tables of emotion: results as in the paper's Table III, the leak, classes, the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speechkit.base.audio import Pipe
from speechkit.emotion import paper
from speechkit.emotion.results import Difference, compare
from speechkit.emotion.tables import cost_row, duration_text, protocol, size_text
from speechkit.report import clips
from speechkit.report.emotion_experiments import Evaluation, Experiment
from speechkit.report.model import Cell, Player, Table
from speechkit.report.reader import corpus
from speechkit.report.tables import comparable
from speechkit.task.paper import PublishedRow
from speechkit.workdir import WorkDir

Found = Sequence[tuple[Experiment, Evaluation]]
_MINUS = "\N{MINUS SIGN}"
NOTE = (
    "Accuracy is the weighted accuracy (WA) of emotion papers, UAR the unweighted average recall. "
    "±: standard deviation over folds (over seeds where there is one fold); below, the 95 % "
    "interval of a bootstrap over speakers. Size, step and time are means over folds and seeds."
)


def share(value: dict[str, Any] | None) -> Cell:
    """Percent with spread and interval."""
    if value is None:
        return Cell("-", number=True)
    under = [f"± {100 * value['std']:.1f}"] if value["std"] is not None else []
    if "low" in value:
        under.append(f"[{100 * value['low']:.1f}, {100 * value['high']:.1f}]")
    return Cell(f"{100 * value['mean']:.1f}", True, under=under)


def results(found: Found) -> Table:
    """One row per model and protocol, as Table III of the paper, with UAR and F1."""
    rows = []
    for one, evaluation in found:
        about = evaluation.about
        _, _, _, _, _, size, step, time, runs = cost_row(about, evaluation.summary)
        measured = [share(evaluation.summary.get(name)) for name in ("accuracy", "uar", "f1_macro")]
        cells = [Cell(str(v), number=True) for v in (size, "-" if step is None else step, time)]
        rows.append([evaluation.title, protocol(about), *measured, *cells, runs, one.name])
    columns = ["model", "protocol", "accuracy (%)", "UAR (%)", "macro F1 (%)", "model size"]
    columns += ["best step", "training time", "folds x seeds", "experiment"]
    return Table(columns, rows, NOTE, dense=True)


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
                cells.append(_gap(difference))
            clips_both = next(iter(found_both.values())).clips
            rows.append([title, ours.about["split"], other.about["split"], *cells, clips_both])
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
    )


def _gap(difference: Difference) -> Cell:
    def signed(value: float) -> str:
        return f"{100 * value:+.1f}".replace("-", _MINUS)

    low, high = difference.low, difference.high
    under = [] if low is None or high is None else [f"[{signed(low)}, {signed(high)}]"]
    sure = bool(under) and (low > 0 or high < 0)  # type: ignore[operator]
    return Cell(signed(difference.gap), True, sure, under)


def classes(found: Found) -> list[Table]:
    """Recall and F1 of each class, for models that share their classes."""
    names = found[0][1].about["classes"]
    same = [evaluation for _, evaluation in found if evaluation.about["classes"] == names]
    made = []
    for what, title in (("recall", "Recall of each class (%)"), ("f1", "F1 of each class (%)")):
        rows = [
            [
                evaluation.title,
                protocol(evaluation.about),
                *(Cell(f"{100 * evaluation.summary[f'{what}_{n}']['mean']:.0f}", True)
                  for n in names),
            ]
            for evaluation in same
        ]  # fmt: skip
        made.append(Table(("model", "protocol", *names), rows, dense=True, title=title))
    return made


def beside_paper(workdir: WorkDir, found: Found) -> Table:
    """The paper's Table III, our results with the same encoders, and why they differ."""
    lines: list[tuple[PublishedRow, Evaluation | None]] = [
        (row, own) for row in paper.ROWS for own in _with_upstream(found, row) or (None,)
    ]
    said, texts = comparable([differences(workdir, e, row) for row, e in lines if e])
    own = iter(texts)
    rows: list[list[Any]] = []
    for row, e in lines:
        accuracy, uar, step, size, seconds = (
            row.values[name][0]
            for name in ("accuracy", "uar", "best_step", "disk_bytes", "train_seconds")
        )
        costs = (size_text(size), f"{step:g}", duration_text(seconds))
        theirs = [Cell(text, True) for text in (f"{accuracy:g}", f"{uar:.0f}", *costs)]
        ours: list[Any] = [*[Cell("-", True)] * 2, "", "not run here: the encoder is a download"]
        if e:
            measured = [share(e.summary["accuracy"]), share(e.summary["uar"])]
            ours = [*measured, protocol(e.about), next(own)]
        rows.append([row.name, *theirs, *ours])
    columns = ("model", "accuracy (%)", "UAR (%)", "model size", "best step", "training time")
    return Table(
        (*columns, "accuracy (%)", "UAR (%)", "protocol", "comparable?"),
        rows,
        f"{said}Paper: {paper.SOURCE}. Its test clips are a random fifth of RAVDESS, of actors who "
        "are trained on, and its step was chosen on those clips: that is the split random-80-20 "
        "here, with the step chosen on other clips.",
        groups=(("", 1), ("paper", 5), ("ours", 4)),
        dense=True,
        title="Beside the paper",
    )


def _with_upstream(found: Found, row: PublishedRow) -> Sequence[Evaluation]:
    return [e for _, e in found if e.about["upstream"] == row.facts["upstream"]]


def differences(workdir: WorkDir, evaluation: Evaluation, row: PublishedRow) -> list[str]:
    """What was otherwise than in the paper: at least the clips that the step was chosen on."""
    about, longest = evaluation.about, 6.0  # seconds: longer than any clip of RAVDESS
    seconds = float(about.get("training", {}).get("max_seconds", longest))
    facts = {
        "upstream": about["upstream"],
        "corpus": corpus(workdir, str(about["set"])) or "unknown",
        "split": about.get("kind", "trained on another set"),
        "divisions": len(about.get("folds", ())),
        "clips": "whole" if seconds >= longest else f"at most {seconds:g} s",
        "step chosen on": "validation clips",
    }
    return row.differences(about.get("training") or {}, facts)


def worst(workdir: WorkDir, evaluation: Evaluation, count: int = 10) -> Table | None:
    """The clips most confidently wrong, with players; None where there are none."""
    from speechkit.labels import emotions as data

    rows = evaluation.worst()[:count]
    if not rows:
        return None
    dataset = data.load(workdir, str(evaluation.about["set"]))
    lines = []
    for row in rows:
        player = Cell("-")
        utterance = dataset.by_id.get(row["utt"])
        if utterance is not None and not isinstance(utterance.wav, Pipe):
            try:
                sound, mime = clips.clip(utterance)
                player = Cell("", player=Player(sound, mime, row["utt"]))
            except clips.UserError:
                pass
        sure = [Cell(f"{100 * float(row[name]):.0f}", True) for name in ("confidence", "p_label")]
        said = dataset.statements.get(row["utt"], "")
        lines.append(
            [int(row["rank"]), row["utt"], row["speaker"], said, row["label"], row["predicted"],
             *sure, player]
        )  # fmt: skip
    columns = ("rank", "clip", "speaker", "said", "true", "taken for", "sure (%)", "true (%)", "")
    return Table(
        columns,
        lines,
        "Probabilities are means over seeds; ranked by that of the wrong class minus that of the "
        "true one.",
        dense=True,
        title=f"Most confidently wrong: {evaluation.title}",
    )
