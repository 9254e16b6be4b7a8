"""Figures of speakers and of emotion that the report draws itself, as PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from speechkit.base import figures
from speechkit.base.figures import dress, panels

Log = Mapping[str, Sequence[float]]
_LETTER = 0.068  # inches of a letter of a legend


def pitch(sets: Sequence[tuple[str, Mapping[str, np.ndarray]]]) -> bytes:
    """Histograms of median f0 by gender, one panel a set, on common axes."""
    every = np.concatenate([v for _, by_gender in sets for v in by_gender.values()])
    low, high = np.percentile(every, (0, 99.8))
    edges = np.linspace(float(low), float(high), 41)
    figure, axes = panels(max(4.6, 3.4 * len(sets)), 3.1, len(sets), sharex=True)
    for axis, (name, by_gender) in zip(axes, sets, strict=True):
        for gender, values in sorted(by_gender.items()):
            colour = figures.GENDER_COLOUR.get(gender, figures.UNKNOWN)
            label = figures.GENDER_NAME.get(gender, gender)
            axis.hist(values, edges.tolist(), color=colour, alpha=0.65, label=label)
        dress(axis, name, y="utterances" if axis is axes[0] else "")
    axes[-1].legend(frameon=False, fontsize=9)
    figure.supxlabel("median f0 (Hz)", fontsize=10, color=figures.TEXT)
    return figures.png(figure)


def training(log: Log, best: int) -> bytes:
    """Loss, accuracy and equal error rate of an x-vector network by epoch.

    Args:
        log: columns of ``log.tsv`` by name.
        best: the selected epoch.
    """
    parts: dict[str, dict[str, str]] = {
        "loss": {"train_loss": "training", "held_out_loss": "held out"},
        "held-out accuracy": {"held_out_accuracy": ""},
    }
    if np.isfinite(log["held_out_eer_percent"]).any():  # it needs two utterances of a speaker
        parts["held-out EER (%)"] = {"held_out_eer_percent": ""}
    figure, axes = panels(3.2 * len(parts), 2.9, len(parts))
    for axis, (title, lines) in zip(axes, parts.items(), strict=True):
        shades = (figures.OTHER, figures.HARD)[-len(lines) :]
        for (column, label), shade in zip(lines.items(), shades, strict=True):
            axis.plot(log["epoch"], log[column], ".-", color=shade, label=label, linewidth=1.6)
        axis.axvline(best, color=figures.SPINE, linestyle="--", linewidth=1)
        axis.set_ylim(bottom=0)
        dress(axis, title, x="epoch", grid="both")
    axes[0].legend(frameon=False, fontsize=9)
    return figures.png(figure)


def cosines(sets: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> bytes:
    """Histograms of cosine similarity for pairs of one and of two speakers."""
    figure, axes = panels(max(4.6, 3.4 * len(sets)), 3.0, len(sets))
    low = min(float(scores.min()) for _, scores, _ in sets)
    edges = np.linspace(low, 1, 61)
    for axis, (name, scores, same) in zip(axes, sets, strict=True):
        for mask, colour, label in (
            (~same, figures.OTHER, "two speakers"),
            (same, figures.HARD, "one speaker"),
        ):
            if mask.any():
                axis.hist(
                    scores[mask], edges.tolist(), color=colour, alpha=0.7, label=label, density=True
                )
        axis.set_yticks([])
        dress(axis, name, left=False)
    axes[0].legend(frameon=False, fontsize=9, loc="upper left")
    figure.supxlabel("cosine similarity", fontsize=10, color=figures.TEXT)
    return figures.png(figure)


def emotion_curves(logs: Sequence[Log], best: Sequence[float]) -> bytes:
    """Training and validation loss, and validation accuracy and UAR, per step.

    Every fold and seed is a thin line; its selected step is a dot.

    Args:
        logs: columns of ``log.tsv`` by name.
        best: the selected step of each.
    """
    faint = max(0.25, 1 / len(logs) ** 0.5)
    dot = max(0.5, faint)
    figure, (left, right) = panels(7.4, 3.0, 2)
    for axis, title, lines in (
        (left, "loss", (("train_loss", "training"), ("valid_loss", "validation"))),
        (right, "validation", (("valid_accuracy", "accuracy"), ("valid_uar", "UAR"))),
    ):
        for (column, label), colour in zip(lines, (figures.OTHER, figures.HARD), strict=True):
            for log, chosen in zip(logs, best, strict=True):
                if column not in log:
                    continue
                steps = log["step"]
                axis.plot(steps, log[column], color=colour, alpha=faint, lw=1.1, label=label)
                label = "_"  # one entry in the legend
                if chosen in steps and column != "train_loss":
                    at = list(steps).index(chosen)
                    axis.plot(chosen, log[column][at], "o", color=colour, alpha=dot, ms=3)
        axis.set_ylim(bottom=0)
        dress(axis, title, x="step", grid="both")
        for entry in axis.legend(frameon=False, fontsize=9).get_lines():
            entry.set_alpha(1)  # the lines themselves are faint where there are many
    return figures.png(figure)


def recalls(models: Mapping[str, Sequence[float]], classes: Sequence[str]) -> bytes:
    """Recall of each class, one group of bars a class and one bar a model.

    Args:
        models: name -> recalls, from 0 to 1.
    """
    wide = max(7.4, 0.95 * len(classes))
    room = max(map(len, models)) * _LETTER + 0.6  # of an entry of the legend
    columns = max(1, min(3, len(models), int(wide / room)))
    figure, (axis,) = panels(wide, 2.8 + 0.2 * -(-len(models) // columns))
    width = 0.8 / len(models)
    shades = _shades(len(models))
    for number, (name, values) in enumerate(models.items()):
        places = np.arange(len(classes)) + width * (number - (len(models) - 1) / 2)
        axis.bar(places, values, width * 0.92, color=shades[number], label=name)
    axis.set_xticks(range(len(classes)), classes)
    axis.set_ylim(0, 1)
    dress(axis, y="recall")
    figure.legend(frameon=False, fontsize=8.5, loc="outside lower center", ncols=columns)
    return figures.png(figure)


def _shades(count: int) -> list[tuple[float, float, float]]:
    """Colours from one end of the palette to the other."""
    from matplotlib.colors import LinearSegmentedColormap

    ramp = LinearSegmentedColormap.from_list("", [figures.MALE, figures.OTHER, figures.HARD])
    return [ramp(x)[:3] for x in np.linspace(0, 1, count)]
