"""Published results on RAVDESS: Gavali and Verma's tables, and what others report.

M. P. Gavali and A. Verma, "Automatic Recognition of Emotions in Speech With Large
Self-Supervised Learning Transformer Models". Their test set is a random fifth of the clips of
all 24 actors (the supports of their figures are those of a stratified random division), and
the step was chosen on it.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "Gavali and Verma, Table III and Figs. 1, 5, 8 and 11"
CORPUS, CLIPS, SPEAKERS = "ravdess", 1440, 24
SPLIT = "random-80-20"
CLASSES = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
SUPPORT = (38, 39, 38, 39, 38, 19, 38, 39)


@dataclass(frozen=True)
class Row:
    """One model of the paper.

    Args:
        name: as the paper calls it.
        upstream: its hub name.
        accuracy: in percent (Table III).
        steps: at which it was reached.
        size: on disk.
        time: of training until then.
        recall: of each class, in the order of ``CLASSES``, in percent.
        f1: the same.
    """

    name: str
    upstream: str
    accuracy: float
    steps: int
    size: str
    time: str
    recall: tuple[int, ...]
    f1: tuple[int, ...]

    @property
    def uar(self) -> float:
        """Mean recall in percent."""
        return sum(self.recall) / len(self.recall)


ROWS = (
    Row(
        "Wav2vec2.0 Base",
        "facebook/wav2vec2-base-960h",
        84,
        1300,
        "380 MB",
        "39 min",
        (84, 100, 97, 82, 84, 47, 66, 90),
        (89, 92, 94, 88, 78, 55, 66, 92),
    ),
    Row(
        "Wav2vec2.0-XLS-R-300M",
        "facebook/wav2vec2-xls-r-300m",
        85,
        800,
        "1.27 GB",
        "21 min 40 s",
        (84, 97, 95, 85, 82, 68, 74, 85),
        (88, 86, 92, 88, 81, 70, 76, 89),
    ),
    Row(
        "Wav2vec2.0-XLS-R-1B",
        "patrickvonplaten/wav2vec2-xls-r-1b-common_voice-tr-ft",
        82,
        500,
        "3.86 GB",
        "25 min 40 s",
        (92, 64, 95, 97, 50, 100, 74, 92),
        (90, 78, 95, 86, 66, 63, 78, 90),
    ),
    Row(
        "HuBERT large",
        "facebook/hubert-large-ls960-ft",
        88,
        600,
        "1.27 GB",
        "16 min 34 s",
        (82, 95, 100, 90, 68, 84, 89, 92),
        (87, 92, 88, 95, 78, 80, 91, 87),
    ),
)


def find(upstream: str) -> Row | None:
    """The paper's row of an upstream; None if it has none."""
    return next((row for row in ROWS if row.upstream == upstream), None)
