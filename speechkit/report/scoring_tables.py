"""Tables of transfer scoring beside the paper's: all runs, differences, adaptation, raters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from speechkit.report import tables as shared
from speechkit.report.elements import NOTHING, Cell, Table, count, figure, spread
from speechkit.report.experiments import Evaluation
from speechkit.report.scoring_paper import pcc_cell
from speechkit.report.scoring_runs import FROM_OTHER, Experiment, Found, acoustic
from speechkit.scoring.metrics import inter_rater
from speechkit.workdir import WorkDir

_MODEL = ("model", "trained on", "hours", "speakers", "parameters")


def acoustic_models(workdir: WorkDir, found: Sequence[Experiment]) -> Table | None:
    """What the acoustic models were trained on, and how well they hear held-out speakers."""
    names = dict.fromkeys(name for one in found for name in one.acoustic.split(" + "))
    known = [model for name in names if (model := acoustic(workdir, name)) is not None]
    if not known:
        return None
    rows: list[list[Any]] = []
    for model in known:
        own = {
            key.removeprefix("held_out_"): value
            for key, value in model.summary.items()
            if key.startswith("held_out_") and isinstance(value, float)
        }
        held = model.summary.get("held_out_sets") or {}
        parts = [*([("folds", own)] if own else []), *held.items()] or [("-", {})]
        for place, (heard, measures) in enumerate(parts):
            hours = model.hours and round(model.hours, 2)
            head = [model.name, model.sets, hours, model.summary.get("speakers")]
            head.append(count(model.summary.get("parameters")))
            shown = [
                figure((share := measures.get(key)) and 100 * float(share), 1)
                for key in ("frame_accuracy", "phone_accuracy", "phone_error_rate")
            ]
            rows.append([*([""] * len(head) if place else head), heard, *shown])
    return Table(
        [*_MODEL, "held out", "frames right (%)", "phones right (%)", "phone error rate (%)"],
        rows,
        "Hours of recordings, each counted once. Frames and phones (of the alignment) whose phone "
        "has the highest posterior; the phone error rate is that of free phone decoding.",
        title="Acoustic models",
    )


def every_run(workdir: WorkDir, found: Found) -> Table:
    """All experiments that were evaluated on a set."""
    rows = []
    for one, e in found:
        recipe = one.recipe
        rows.append(
            {
                "experiment": Cell(
                    one.name, under=(f"{recipe.model}, {recipe.input}", one.acoustic)
                ),
                "score": one.target,
                "pre-training": (
                    f"from '{one.setting('init')}'"
                    if recipe.pretrain == FROM_OTHER
                    else recipe.pretrain
                ),
                "fine-tuning": recipe.finetune,
                "labels": one.labelled(workdir),
                "training PCC": spread(one.training_pcc(), 3),
                "PCC": pcc_cell(one, e),
                "seeds averaged": figure((e.value(f"{one.aspect}_pcc_ensemble") or [None])[0]),
                "MSE": spread(e.value(f"{one.aspect}_mse"), 4),
                "MAE by score": spread(e.value(f"{one.aspect}_macro_mae_points"), 2),
                "seeds": len(one.seeds),
            }
        )
    return Table.of(
        rows,
        "±: standard deviation over seeds; in brackets the 95 % interval of a bootstrap over "
        "speakers. Seeds averaged: PCC of the mean of their predictions. MSE is of scores from 0 "
        "to 1; MAE by score, in points, is the mean over the scores that occur, so that rare ones "
        "count like others.",
        title="All runs",
    )


def differences(workdir: WorkDir, name: str, order: Sequence[str]) -> list[Table]:
    """Differences to a baseline, of every comparison on a set."""

    def heads(there: list[str]) -> tuple[dict[str, str], list[tuple[str, int]]]:
        return {measure: _measure(measure) for measure in there}, []

    def digits(measure: str) -> tuple[int, int]:
        shown = 4 if measure.endswith("_mse") else 3
        return shown, shown

    return shared.score_differences(workdir, "scoring", name, order, heads, "utterance", digits)


def _measure(name: str) -> str:
    """``utterance_total_pcc`` -> ``PCC (total)``."""
    aspect, _, kind = name.rpartition("_")
    return f"{kind.upper()} ({aspect.removeprefix('utterance_')})"


def adaptation(workdir: WorkDir, found: Found) -> Table | None:
    """One pre-trained scorer fine-tuned for several scores; None without such runs.

    Beside each run stands the one that began from nothing, with the same score, acoustic model
    and number of labels.
    """
    adapted = [pair for pair in found if pair[0].recipe.pretrain == FROM_OTHER]
    if not adapted:
        return None
    rows = []
    for one, e in sorted(adapted, key=lambda p: (p[0].labelled(workdir) or 0, p[0].target)):
        labels = one.labelled(workdir)
        plain = next(
            (
                (other, e_of)
                for other, e_of in found
                if other.recipe.pretrain == "none"
                and (other.target, other.acoustic, other.recipe.model, other.recipe.input)
                == (one.target, one.acoustic, one.recipe.model, one.recipe.input)
                and other.labelled(workdir) == labels
            ),
            None,
        )
        rows.append(
            {
                "score": one.target,
                "run": Cell(one.name, under=(f"from '{one.setting('init')}'",)),
                "labels": labels,
                "parameters that learn": count(
                    one.parameters("scorer") if one.recipe.finetune == "frozen" else None
                ),
                "PCC": pcc_cell(one, e),
                "without pre-training": NOTHING if plain is None else pcc_cell(*plain),
                "seeds": len(one.seeds),
            }
        )
    return Table.of(
        rows,
        "One pre-trained scorer, fine-tuned for each score.",
        title="Adaptation to other scores",
    )


def classes(found: Found, scale: tuple[float, float]) -> Table | None:
    """Mean absolute error of every score, one column a run; None without any."""
    return shared.score_errors(
        {one.name: e for one, e in found},
        lambda row: float(row["score"]),
        lambda score: [Cell(f"{score:g}", True)],
        ["score"],
        f"Mean absolute error in points ({scale[0]:g} to {scale[1]:g}) of the utterances with that "
        "label, and the mean prediction for them: how far the lowest scores are drawn to the mean.",
        "Errors by score",
    )


def raters(workdir: WorkDir, name: str) -> Table | None:
    """How far the raters of a set agree; None where it has no several raters."""
    found = inter_rater(workdir.root / "data" / name)
    if not found:
        return None
    names = sorted({rater for one in found.values() for rater in one.raters})
    rows = []
    for target, one in found.items():
        cells = [figure(v) for v in (one.mean, *(one.raters.get(rater) for rater in names))]
        rows.append([target, one.utterances, *cells])
    return Table(
        ["score", "utterances", "mean PCC", *names],
        rows,
        f"Each rater of '{name}' against the mean of the others (section 3.1 of the paper, where "
        "it is 0.78 on the authors' own set): about what a model can reach.",
        title="Agreement of raters",
    )


def worst(workdir: WorkDir, evaluation: Evaluation) -> Table | None:
    """A table with players of an evaluation's worst utterances; None where it lists none."""

    def points(row: Mapping[str, str], key: str) -> Cell:
        return figure(float(row[key]), 1)

    titles = {"given": "label", "predicted": "prediction", "error": "error"}
    columns = {title: partial(points, key=key) for title, key in titles.items()}
    caption = "In points of the score's own scale."
    return shared.worst_scored(workdir, evaluation, lambda _: columns, caption)
