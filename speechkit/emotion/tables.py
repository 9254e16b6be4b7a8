"""Results as tables say them: by class, the worst clips, what a model is and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from speechkit.base import hub
from speechkit.base.tables import write_tsv
from speechkit.emotion import metrics
from speechkit.emotion.results import Predictions
from speechkit.labels.config import CHOSEN_ON_TEST

CLASSES, CONFUSION, WORST = "classes.tsv", "confusion.tsv", "worst.tsv"
WORST_CLIPS = 20
MODEL_NAMES = {"mlp": "MLP", "logreg": "logistic regression"}


def upstream_name(spec: str) -> str:
    """An upstream as tables call it: a folder by its name, a model of the hub as it is given."""
    return spec if spec.startswith(hub.PREFIX) else Path(spec).name or spec


def title(about: Mapping[str, Any]) -> str:
    """What a model is, in a few words; per-speaker normalisation is always named."""
    words = [upstream_name(about["upstream"]), MODEL_NAMES.get(about["head"], "")]
    if about["speaker_norm"]:
        words.append("per-speaker normalisation (transductive)")
    return ", ".join(word for word in words if word)


def split_text(about: Mapping[str, Any]) -> str:
    """The split; a step that was chosen on the test clips is always named."""
    return str(about["split"]) + (f" ({CHOSEN_ON_TEST})" if about.get("chosen_on_test") else "")


def protocol(about: Mapping[str, Any]) -> str:
    """On what it was measured, in a few words.

    Leaking speakers, and a step that was chosen on the test clips, are always named.
    """
    chosen = CHOSEN_ON_TEST if about.get("chosen_on_test") else ""
    if "kind" not in about:
        said = f" ({chosen} there)" if chosen else ""
        left_out = ", ".join(f"{a} ({n})" for a, n in about.get("left_out", {}).items())
        without = f" without {left_out}" if left_out else ""
        return f"trained on {about['trained_on']}{said}, tested on {about['set']}{without}"
    mind = ", ".join(filter(None, ("speakers leak" if about["leaks_speakers"] else "", chosen)))
    return str(about["split"]) + (f" ({mind})" if mind else "")


COST_COLUMNS = (
    "model", "split", "accuracy", "UAR", "macro F1", "ECE", "model size", "best step",
    "training time", "folds x seeds",
)  # fmt: skip


def cost_row(about: Mapping[str, Any], summary: Mapping[str, Any]) -> list[Any]:
    """As the paper's Table III, with UAR and F1: ``COST_COLUMNS``; means over the models."""
    cost = {key: [v for v in values if v is not None] for key, values in about["cost"].items()}
    known = {key: float(np.mean(values)) for key, values in cost.items() if values}
    return [
        title(about),
        protocol(about),
        *(percent(summary[name]) for name in ("accuracy", "uar", "f1_macro")),
        calibration_text(about, summary),
        size_text(known.get("disk_bytes")),
        round(known["best_step"]) if "best_step" in known else None,
        duration_text(known.get("train_seconds")),
        f"{len(about['folds'])} x {len(about['seeds'])}",
    ]


def calibration_text(about: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Expected calibration error in percent; what it was without temperatures stands behind it.

    ``-`` in evaluations of earlier versions, which did not measure it.
    """
    if "ece" not in summary:
        return "-"
    before = about.get("ece_uncalibrated")
    said = f" (without temperature {percent(before)})" if before else " (no temperature)"
    return percent(summary["ece"]) + said


def percent(value: Mapping[str, Any]) -> str:
    """Mean and spread in percent, and the interval if there is one."""
    text = f"{100 * value['mean']:.1f} %"
    if value["std"] is not None:
        text += f" ± {100 * value['std']:.1f}"
    if "low" in value:
        text += f" [{100 * value['low']:.1f}, {100 * value['high']:.1f}]"
    return text


def size_text(count: float | None) -> str:
    """Bytes as kB, MB or GB."""
    if count is None:
        return "-"
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e3:.0f} kB"


def duration_text(seconds: float | None) -> str:
    """Seconds, or minutes and seconds."""
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"


def class_rows(found: Predictions) -> list[list[Any]]:
    """As scikit-learn's report: class, precision, recall, F1, support; means over the seeds.

    All folds of a seed are taken together. The last rows are the macro and weighted means and
    the accuracy.
    """
    reports = [
        metrics.report(found.where(found.seeds == seed).matrix()) for seed in np.unique(found.seeds)
    ]
    names = ("precision", "recall", "f1")
    rows: list[list[Any]] = []
    for index, name in enumerate(found.classes):
        values = [float(np.mean([r.by_class[n][index] for r in reports])) for n in names]
        rows.append([name, *values, int(reports[0].support[index])])
    total = int(reports[0].support.sum())
    for title, kind in (("macro avg", "macro"), ("weighted avg", "weighted")):
        means = [float(np.mean([getattr(r, kind)[n] for r in reports])) for n in names]
        rows.append([title, *means, total])
    rows.append(["accuracy", None, None, float(np.mean([r.accuracy for r in reports])), total])
    return rows


def worst_rows(found: Predictions, count: int = WORST_CLIPS) -> list[dict[str, Any]]:
    """The clips that are most confidently wrong, worst first.

    Probabilities are the mean over the seeds (and models). ``confidence`` is that of the wrong
    class, ``p_label`` that of the true one; clips are ranked by their difference.
    """
    ids, first, place = np.unique(found.utterances, return_index=True, return_inverse=True)
    sums = np.zeros((len(ids), len(found.classes)))
    np.add.at(sums, place, found.probabilities)
    means = sums / np.bincount(place)[:, None]
    targets, guessed = found.targets[first], means.argmax(1)
    all_ids = np.arange(len(ids))
    margin = means[all_ids, guessed] - means[all_ids, targets]
    order = sorted(np.flatnonzero(guessed != targets), key=lambda i: (-margin[i], ids[i]))
    return [
        {
            "rank": rank,
            "utt": str(ids[i]),
            "speaker": str(found.speakers[first[i]]),
            "label": found.classes[targets[i]],
            "predicted": found.classes[guessed[i]],
            "confidence": float(means[i, guessed[i]]),
            "p_label": float(means[i, targets[i]]),
        }
        for rank, i in enumerate(order[:count], 1)
    ]


def write_tables(folder: Path, found: Predictions) -> None:
    """Write ``classes.tsv``, ``confusion.tsv`` (counts, then shares) and ``worst.tsv``."""
    columns = ("class", "precision", "recall", "f1", "support")
    write_tsv(folder / CLASSES, columns, class_rows(found), ".4f")
    counts = found.matrix()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    lines = [
        [kind, name, *(f"{v:g}" if kind == "count" else f"{v:.4f}" for v in matrix[i])]
        for kind, matrix in (("count", counts), ("share", shares))
        for i, name in enumerate(found.classes)
    ]
    write_tsv(folder / CONFUSION, ("kind", "true", *found.classes), lines)
    worst = worst_rows(found)
    names = ("rank", "utt", "speaker", "label", "predicted", "confidence", "p_label")
    write_tsv(folder / WORST, names, [[row[n] for n in names] for row in worst], ".4f")
