"""Published results on RAVDESS: Gavali and Verma's tables, and what others report.

M. P. Gavali and A. Verma, "Automatic Recognition of Emotions in Speech With Large
Self-Supervised Learning Transformer Models". Their test set is a random fifth of the clips of
all 24 actors (the supports of their figures are those of a stratified random division), and
the step was chosen on it.
"""

from __future__ import annotations

from speechkit.emotion.config import encoder_config
from speechkit.task.paper import PublishedRow

SOURCE = "Gavali and Verma, Table III and Figs. 1, 5, 8 and 11"
CORPUS = "ravdess"
SPLIT = "random-80-20"
CLASSES = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
SUPPORT = (38, 39, 38, 39, 38, 19, 38, 39)
MEASURES = ("accuracy", "best_step", "disk_bytes", "train_seconds")

FACTS = {
    "corpus": CORPUS,
    "split": SPLIT,
    "divisions": 1,
    "clips": "whole",
    "step chosen on": "the test clips",
}
"""What decides the results beside the configuration."""


def _row(
    name: str, upstream: str, costs: tuple[float, float, float, float], recall: str, f1: str
) -> PublishedRow:
    """A model of the paper.

    Args:
        name: as the paper calls it.
        upstream: its hub name.
        costs: accuracy in percent, best step, bytes on disk and seconds of training (Table III).
        recall: of each class, in percent.
        f1: the same.
    """
    measured = dict(zip(MEASURES, costs, strict=True))
    for what, listed in (("recall", recall), ("f1", f1)):
        for label, value in zip(CLASSES, listed.split(), strict=True):
            measured[f"{what}_{label}"] = float(value)
    measured["uar"] = sum(measured[f"recall_{label}"] for label in CLASSES) / len(CLASSES)
    values = {measure: (value, None) for measure, value in measured.items()}
    facts = {"upstream": upstream, **FACTS}
    return PublishedRow("III", name, encoder_config("paper", {}), values, facts)


ROWS = (
    _row(
        "Wav2vec2.0 Base",
        "facebook/wav2vec2-base-960h",
        (84, 1300, 380e6, 39 * 60),
        "84 100 97 82 84 47 66 90",
        "89 92 94 88 78 55 66 92",
    ),
    _row(
        "Wav2vec2.0-XLS-R-300M",
        "facebook/wav2vec2-xls-r-300m",
        (85, 800, 1.27e9, 21 * 60 + 40),
        "84 97 95 85 82 68 74 85",
        "88 86 92 88 81 70 76 89",
    ),
    _row(
        "Wav2vec2.0-XLS-R-1B",
        "patrickvonplaten/wav2vec2-xls-r-1b-common_voice-tr-ft",
        (82, 500, 3.86e9, 25 * 60 + 40),
        "92 64 95 97 50 100 74 92",
        "90 78 95 86 66 63 78 90",
    ),
    _row(
        "HuBERT large",
        "facebook/hubert-large-ls960-ft",
        (88, 600, 1.27e9, 16 * 60 + 34),
        "82 95 100 90 68 84 89 92",
        "87 92 88 95 78 80 91 87",
    ),
)
