"""Configurations of what trained networks are used for: measurements, comparisons, recordings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from speechkit.base.config import Flag, OneOf, Seed, check_fields
from speechkit.base.errors import ConfigError, UserError
from speechkit.separation.config import CHECKPOINTS, Decibels
from speechkit.task import config as task_config
from speechkit.task.config import require_samples

BLOCK_SECONDS, OVERLAP_SECONDS = 20.0, 5.0
DEFAULT_MEASURES = (
    *("si_snri_db", "hsr5_percent", "hsr10_percent"),
    *("si_snri_p01_db", "si_snri_p05_db", "si_snri_p10_db"),
)


@dataclass(frozen=True)
class EvaluationConfig:
    """Separate a set of mixtures with all seeds of a model, and measure means and tail.

    Writes exp/separation/NAME/eval/SET/: utterances.tsv, summary.json, and clips of the
    worst mixtures. A killed run is taken up by the same command.

    Data:
        name: Name of the experiment: exp/separation/NAME.
        set: Mixtures to separate: a folder of data/.
        checkpoint: Checkpoint to use: plain or weighted; by default the choice of each model.
        resample: Resample a set of another rate to the model's.
        hsr: Hard sample rates: thresholds of SI-SNRi in dB.
        sdr: Measure SDR and SDRi (BSS Eval, 512 taps).
        stoi: Measure STOI and ESTOI (slow; extra [metrics]).

    Raises:
        UserError: a value that is not accepted.
    """

    name: Annotated[str, Flag(default="default")]
    set: Annotated[str, Flag("set", default="test_2mix")]
    checkpoint: Annotated[str, OneOf("", *CHECKPOINTS)] = ""
    sdr: bool = True
    stoi: Annotated[bool, Flag("stoi")] = False
    hsr: tuple[Decibels, ...] = (5, 10)
    resample: Annotated[bool, Flag("resample")] = False

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.hsr:
            raise ConfigError("hsr", "needs thresholds in dB.", "As in `hsr` 5,10.")


@dataclass(frozen=True)
class CorrelationConfig:
    """Correlate speaker parameters with SI-SNRi: pitch, energy, x-vectors, any column.

    Reads `evaluate separation`, `extract-prosody` and `extract-xvector`; writes
    exp/correlation/SET/: correlation.tsv, pairs.tsv and fig2.png.

    Data:
        model: Experiment whose evaluation of the set is read.
        set: Set of mixtures.
        evaluation: Read eval/SET-NAME (evaluate --out-name).
        prosody: Read exp/prosody/SET-NAME (extract-prosody --name).
        xvector: Read exp/xvector/SET-NAME (extract-xvector --name).
        param_tsv: Table of utterances with further parameters, with a column utt.
        columns: Column of `param_tsv`; may be given several times.
        samples: Number of bootstrap samples.
        seed: Seed of every random draw.

    Raises:
        UserError: a value that is not accepted.
    """

    set: Annotated[str, Flag("set", default="test_2mix")]
    model: Annotated[str, Flag("model", "name")]
    evaluation: Annotated[str, Flag("eval")] = ""
    prosody: str = ""
    xvector: str = ""
    param_tsv: Path | None = None
    columns: Annotated[tuple[str, ...], Flag("column", several=True)] = ()
    samples: int = 2000
    seed: Seed = 0

    def __post_init__(self) -> None:
        require_samples(self.samples)


@dataclass(frozen=True)
class ComparisonConfig(task_config.ComparisonConfig):
    """Differences to a baseline on the same mixtures and seeds, with intervals over speakers.

    With `baseline_set`: how much harder the mixtures of a hard set are than their random
    counterparts (mix --hard), for each experiment by itself.

    Reads evaluations of `evaluate separation`, writes exp/compare/separation/SET/.

    Data:
        baseline_set: Set of random mixtures to compare a hard set with, instead of `baseline`.
    """

    set: Annotated[str, Flag("set", default="test_2mix")]
    baseline: str = ""
    measures: Annotated[
        tuple[str, ...],
        Flag("measure", shown="mean, HSR5, HSR10 and percentiles 1, 5, 10 of SI-SNRi"),
    ] = DEFAULT_MEASURES
    baseline_set: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.baseline) == bool(self.baseline_set):
            raise UserError(
                "Experiments are compared to `baseline`, or hard mixtures to `baseline_set`; "
                f"{'both are' if self.baseline else 'neither is'} given.",
                "Give one of the two.",
            )

    def check_measures(self) -> None:
        if not self.measures:
            raise ConfigError("measure", "is empty.", "Leave it out for the usual measures.")
        from speechkit.separation.results import find_measure

        for name in self.measures:
            find_measure(name)

    def params(self) -> dict[str, Any]:
        """For the manifest; what older comparisons lack only where it is set."""
        found = asdict(self)
        if not self.baseline_set:
            del found["baseline_set"]
        return found


@dataclass(frozen=True)
class PredictConfig:
    """Separate the speakers of recordings into STEM_s1.wav, STEM_s2.wav ...

    Any length, rate and number of channels (they are averaged, or the louder is taken where
    they would cancel). Outputs are 16-bit WAV files of the recording's own rate and length.

    Data:
        block_seconds: Seconds that the network sees at a time.
        overlap_seconds: Shortest overlap of blocks in seconds.
        sample_rate: Sample rate in Hz, of a model that does not state it.
    Model:
        checkpoint: Weights that the plain or the weighted validation selected.
    Machine:
        device: auto, cpu or cuda.
    Output:
        out: Folder of the outputs.
    """

    checkpoint: Annotated[str, Flag(shown="the model's own choice")] = ""
    sample_rate: Annotated[int, Flag(shown="what the model states", least=0)] = 0
    block_seconds: float = BLOCK_SECONDS
    overlap_seconds: float = OVERLAP_SECONDS
    device: str = "auto"
    out: Annotated[Path | None, Flag(shown="that of each recording")] = None
