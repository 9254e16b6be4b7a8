"""Figures of transfer scoring, as PNG bytes, and the points of their curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from speechkit.base import figures
from speechkit.base.figures import colours, dress, escape, panels
from speechkit.report.experiments import Evaluation
from speechkit.report.scoring_runs import FROM_OTHER, Experiment, Found, acoustic
from speechkit.scoring.metrics import class_width
from speechkit.scoring.paper import OURS
from speechkit.workdir import WorkDir

Point = tuple[float, float, "float | None"]  # x, mean PCC, standard deviation over seeds


def distribution(labels: np.ndarray, scale: tuple[float, float], target: str) -> bytes:
    """Fig. 4: how many utterances have each score.

    Args:
        labels: ``[n]`` on their own scale.
        scale: lowest and highest score.
        target: name of the score.
    """
    width = class_width(scale[1] - scale[0])
    classes = np.rint((labels - scale[0]) / width).astype(int)
    counts = np.bincount(classes, minlength=round((scale[1] - scale[0]) / width) + 1)
    place = scale[0] + width * np.arange(len(counts))
    figure, (axis,) = panels(5.2, 3.1)
    axis.bar(place, counts, 0.8 * width, color=figures.MALE)
    for x, count in zip(place, counts.tolist(), strict=True):
        if count:
            axis.text(x, count, f"{count:,}", fontsize=8, ha="center", va="bottom")
    axis.set_ylim(0, 1.12 * counts.max())
    axis.locator_params(axis="x", integer=True)
    dress(axis, x=f"score ({target})", y="utterances")
    return figures.png(figure)


def by_labels(lines: Mapping[str, Sequence[Point]]) -> bytes:
    """PCC by the number of labelled utterances, on a logarithmic axis that begins with none.

    Args:
        lines: name -> points.
    """
    counts = sorted({int(x) for points in lines.values() for x, _, _ in points})
    above = [count for count in counts if count]
    nowhere = np.log2(above[0]) - 1.5 if above else 0.0
    place = {count: float(np.log2(count)) if count else nowhere for count in counts}
    moved = {name: [(place[int(x)], y, s) for x, y, s in pts] for name, pts in lines.items()}
    return _curves(moved, "utterances with a human score", {place[n]: n for n in counts})


def by_hours(lines: Mapping[str, Sequence[Point]]) -> bytes:
    """PCC by hours of speech that the acoustic model learned from.

    Args:
        lines: name -> points.
    """
    return _curves(lines, "hours of speech that the acoustic model learned from", {})


def _curves(lines: Mapping[str, Sequence[Point]], x: str, ticks: Mapping[float, int]) -> bytes:
    figure, (axis,) = panels(6.6, 3.7)
    for (label, points), colour in zip(lines.items(), colours(lines), strict=False):
        place, mean, std = zip(*sorted(points, key=lambda p: p[0]), strict=True)
        axis.errorbar(
            *(place, mean), yerr=[one or 0.0 for one in std], fmt="o-", markersize=4.5,
            color=colour, linewidth=1.5, elinewidth=1, label=escape(label),
        )  # fmt: skip
    if ticks:
        axis.set_xticks(list(ticks), [f"{count:,}" for count in ticks.values()])
    else:
        axis.set_xlim(left=0)
    dress(axis, x=x, y="test PCC", grid="both")
    columns = min(2, len(lines))
    axis.legend(frameon=False, fontsize=8.5, ncols=columns, loc="lower left", bbox_to_anchor=(0, 1))
    return figures.png(figure)


def _point(one: Experiment, evaluation: Evaluation, x: float) -> Point | None:
    found = evaluation.value(f"{one.aspect}_pcc")
    return None if found is None else (x, *found)


def _same_labels(one: Experiment, main: Experiment) -> bool:
    """Whether a run was fine-tuned on the set of another, or not at all."""
    return one.recipe.finetune == "none" or one.setting("set_name") == main.setting("set_name")


def lines_by_labels(workdir: WorkDir, pairs: Found, main: Experiment) -> dict[str, list[Point]]:
    """A line for each pre-training, of runs of the scorer of the paper that differ in labels.

    A pre-trained scorer that was not fine-tuned is where its line begins, without labels.
    """
    found: dict[str, dict[int, tuple[int, Point]]] = {}
    for one, e in pairs:
        recipe, labels = one.recipe, one.labelled(workdir)
        alike = (recipe.model, recipe.input, one.target, one.acoustic) == (
            OURS.model, OURS.input, main.target, main.acoustic
        )  # fmt: skip
        known = recipe.finetune in ("frozen", "none") and recipe.pretrain != FROM_OTHER
        known = known and _same_labels(one, main)
        if not alike or not known or labels is None or (point := _point(one, e, labels)) is None:
            continue
        said = {"none": "not pre-trained", "frozen": "pre-trained, acoustic model frozen"}
        name = said.get(recipe.pretrain, "pre-trained, acoustic model updated")
        rank = one.otherwise(main)
        line = found.setdefault(name, {})
        if labels not in line or rank < line[labels][0]:
            line[labels] = rank, point
    lines = {name: [point for _, point in line.values()] for name, line in found.items()}
    return {name: points for name, points in lines.items() if len(points) > 1}


def lines_by_hours(workdir: WorkDir, pairs: Found, main: Experiment) -> dict[str, list[Point]]:
    """A line for each recipe and size of acoustic model that there is with several trainings,
    of runs with all labels of the same set."""
    found: dict[str, dict[float, Point]] = {}
    for one, e in pairs:
        known, recipe = acoustic(workdir, one.acoustic), one.recipe
        if known is None or known.hours is None or one.setting("labelled", 0):
            continue
        if not _same_labels(one, main):  # such as speakers that the acoustic model has heard
            continue
        if recipe.pretrain == FROM_OTHER or (point := _point(one, e, known.hours)) is None:
            continue
        size = int(known.summary.get("parameters") or 0) / 1e6
        parts = [recipe.input, one.target, recipe.model, f"{size:.2g} M parameters"]
        parts[2:2] = [] if recipe.pretrain == "none" else [f"pre-trained {recipe.pretrain}"]
        if recipe.finetune != "frozen":
            parts.append(f"fine-tuning {recipe.finetune}")
        found.setdefault(", ".join(parts), {})[known.hours] = point
    return {name: [*line.values()] for name, line in found.items() if len(line) > 1}
