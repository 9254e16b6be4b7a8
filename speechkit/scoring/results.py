"""What ``evaluate scoring`` writes: tables of utterances, scores and calibration, and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speechkit.base import figures
from speechkit.base.tables import write_tsv
from speechkit.scoring.metrics import Scored, calibration, class_width
from speechkit.stats.score_metrics import class_errors
from speechkit.task import scores
from speechkit.task.scores import CLASSES, WORST, cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CALIBRATION = "calibration.tsv"
SCATTER_FIGURE, CALIBRATION_FIGURE = "scatter.png", "calibration.png"
FIXED = ("utt", "speaker", "phones", "words")
SIZE = 4.2  # inches
DOT = "#3d6f8e"
_SMALL = 0.006  # share of the scale that equal labels are spread by


def write_tables(folder: Path, scored: Scored, texts: Mapping[str, str]) -> None:
    """Write ``utterances.tsv``, ``classes.tsv``, ``calibration.tsv`` and ``worst.tsv``.

    Args:
        folder: an existing folder.
        scored: the predictions.
        texts: utterance -> what is read.
    """
    data, aspect = scored.data, scored.aspect
    sizes = (np.diff(data.first), np.diff(data.first_word))
    rows = [
        [name, speaker, str(phones), str(words), *cells]
        for name, speaker, phones, words, *cells in zip(
            *(data.utterances, data.speakers, *sizes),
            *scores.aspect_cells(scored.labels, scored.predictions),
            strict=True,
        )
    ]
    columns = [*FIXED, *scores.aspect_columns(aspect, scored.seeds)]
    write_tsv(folder / scores.TABLES["utterance"], columns, rows)
    predicted, labels = scored.points(scored.predictions), scored.points(scored.labels)
    errors = class_errors(predicted, labels, class_width(scored.span))
    write_tsv(folder / CLASSES, scores.CLASS_COLUMNS, scores.class_rows(errors))
    write_tsv(
        folder / CALIBRATION,
        ("count", "mean_prediction", "mean_label", "label_std"),
        [
            [str(int(n)), *map(cell, rest)]
            for n, *rest in calibration(scored.points(scored.ensemble), labels)
        ],
    )
    _write_worst(folder, scored, texts)


def _write_worst(folder: Path, scored: Scored, texts: Mapping[str, str]) -> None:
    """The utterances whose mean prediction is furthest from the label, in points."""
    data = scored.data
    labels, mean = scored.points(scored.labels), scored.points(scored.ensemble)
    off = np.abs(mean - labels)
    rows = [
        [
            *(str(rank), data.utterances[u], data.speakers[u]),
            *map(cell, (off[u], labels[u], mean[u])),
            texts.get(data.utterances[u], ""),
        ]
        for rank, u in enumerate(scores.furthest(off), 1)
    ]
    columns = ("rank", "utt", "speaker", "error", "label", "prediction", "text")
    write_tsv(folder / WORST, columns, rows)


def write_figures(folder: Path, scored: Scored, name: str) -> None:
    """Write ``scatter.png`` and ``calibration.png`` of the experiment ``name``."""
    labels, mean = scored.points(scored.labels), scored.points(scored.ensemble)
    scale, title = scored.data.scale, f"{name}: {scored.data.target}"
    (folder / SCATTER_FIGURE).write_bytes(draw_scatter(labels, mean, scale, title))
    bins = calibration(mean, labels)
    (folder / CALIBRATION_FIGURE).write_bytes(draw_calibration(bins, scale, title))


def draw_scatter(
    labels: np.ndarray, predicted: np.ndarray, scale: tuple[float, float], title: str = ""
) -> bytes:
    """What the model says against what was given, a dot an utterance.

    Args:
        labels: ``[U]`` on their own scale; NaN is left out.
        predicted: ``[U]``, mean of the seeds.
        scale: lowest and highest score.
        title: above.
    """
    given = np.isfinite(labels)
    x, y = labels[given], predicted[given]
    span = scale[1] - scale[0]
    # Labels are whole numbers: the same small steps aside at every drawing.
    aside = _SMALL * span * (np.arange(len(x)) * 7 % 11 - 5)
    figure, (axis,) = figures.panels(SIZE, SIZE)
    _diagonal(axis, scale)
    shade = float(np.clip(60 / max(len(x), 1) ** 0.75, 0.15, 0.7))
    axis.scatter(x + aside, y, s=12, color=DOT, alpha=shade, linewidths=0)
    figures.dress(axis, title, "score given", "score predicted", grid="both")
    return figures.png(figure)


def draw_calibration(
    bins: Sequence[Sequence[float]], scale: tuple[float, float], title: str = ""
) -> bytes:
    """Mean label by mean prediction; the bars are one standard deviation of the labels.

    Args:
        bins: of :func:`speechkit.scoring.metrics.calibration`.
        scale: lowest and highest score.
        title: above.
    """
    figure, (axis,) = figures.panels(SIZE, SIZE)
    _diagonal(axis, scale)
    if len(bins):
        _, x, y, std = np.asarray(bins, dtype=np.float64).T
        axis.errorbar(
            *(x, y), yerr=np.nan_to_num(std), fmt="o-", color=DOT, ecolor=figures.OTHER,
            markersize=5, linewidth=1.4, elinewidth=1,
        )  # fmt: skip
    figures.dress(axis, title, "mean score predicted", "mean score given", grid="both")
    return figures.png(figure)


def _diagonal(axis: Axes, scale: tuple[float, float]) -> None:
    axis.plot(scale, scale, color=figures.SPINE, linewidth=0.9, linestyle="--", zorder=0)
    room = 0.04 * (scale[1] - scale[0])
    axis.set_xlim(scale[0] - room, scale[1] + room)
    axis.set_ylim(scale[0] - room, scale[1] + room)
    axis.set_aspect("equal")
