"""Configurations of what trained models of emotion are used for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from speechkit.base.config import Flag
from speechkit.base.errors import require_range


@dataclass(frozen=True)
class EvaluationConfig:
    """Measure all folds and seeds of an emotion model on clips that they were not trained on.

    Writes exp/emotion/NAME/eval/folds/ (or eval/SET/): predictions, accuracy, UAR, measures of
    each class, calibration, confusion, intervals over speakers, and the clips most confidently
    wrong. Clips of another set whose labels are no class of the model are left out and counted.

    Data:
        name: Name of the model: exp/emotion/NAME.
        set: Another labelled set, for all models.
        label_map: With `set`: which label is which class of the model: table 'from<TAB>to', YAML.
    """

    name: str = "fbank-cnn"
    set: Annotated[str, Flag("set", shown="the test part of each fold")] = ""
    label_map: Annotated[Path | None, Flag(metavar="FILE", shown="same and like names")] = None


@dataclass(frozen=True)
class WindowConfig:
    """How recordings are cut.

    Data:
        window: Seconds of a window of a long recording.
        hop: Seconds from one window to the next.
        whole: Recordings of at most this many seconds are one window.
    """

    window: float = 4.0
    hop: float = 2.0
    whole: float = 10.0

    def check(self, most: float) -> None:
        """Raises UserError for impossible values; ``most`` is the model's longest clip."""
        window, hop, whole = self.window, self.hop, self.whole
        require_range("window", f"{window:g}", 0.1 <= window <= most, f"0.1 to {most:g} s")
        accepted = f"above 0, and at most the window ({window:g} s)"
        require_range("hop", f"{hop:g}", 0 < hop <= window, accepted)
        require_range("whole", f"{whole:g}", 0 <= whole <= most, f"0 to {most:g} s")

    def starts(self, samples: int, rate: int) -> tuple[list[int], int]:
        """First samples of the windows, and their length; the last window ends at the end."""
        size, hop = max(1, round(self.window * rate)), max(1, round(self.hop * rate))
        if samples <= max(size, round(self.whole * rate)):
            return [0], samples
        starts = list(range(0, samples - size, hop))
        return [*starts, samples - size], size


@dataclass(frozen=True)
class PredictConfig:
    """Recognise the emotion of recordings: a label and the probability of each class.

    Any rate, length and number of channels (they are averaged, or the louder is taken where
    they would cancel). Long recordings are classified window by window; their label is that of
    the mean over the windows that are not silent.

    Model:
        ensemble: The mean of all folds and seeds of the model.
    Machine:
        device: auto, cpu or cuda.
    Output:
        timeline: Write STEM_emotion.png and .tsv: the course over time.
        out: Folder of these files.
    """

    window_config: WindowConfig = field(default_factory=WindowConfig)
    ensemble: Annotated[bool, Flag("ensemble")] = False
    timeline: Annotated[bool, Flag("timeline")] = False
    out: Annotated[Path | None, Flag(shown="of each recording")] = None
    device: str = "auto"
