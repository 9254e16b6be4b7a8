"""Results as tables say them: what a model is, how it was measured, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

MODEL_NAMES = {"mlp": "MLP", "logreg": "logistic regression"}


def title(about: Mapping[str, Any]) -> str:
    """What a model is, in a few words; per-speaker normalisation is always named."""
    words = [str(about["upstream"]), MODEL_NAMES.get(about["head"], "")]
    if about["speaker_norm"]:
        words.append("per-speaker normalisation (transductive)")
    return ", ".join(word for word in words if word)


def protocol(about: Mapping[str, Any]) -> str:
    """On what it was measured, in a few words; leaking speakers are always named."""
    if "kind" not in about:
        return f"trained on {about['trained_on']}, tested on {about['set']}"
    return str(about["split"]) + (" (speakers leak)" if about["leaks_speakers"] else "")


COST_COLUMNS = (
    "model", "split", "accuracy", "UAR", "macro F1", "model size", "best step",
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
        size_text(known.get("disk_bytes")),
        round(known["best_step"]) if "best_step" in known else None,
        duration_text(known.get("train_seconds")),
        f"{len(about['folds'])} x {len(about['seeds'])}",
    ]


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
