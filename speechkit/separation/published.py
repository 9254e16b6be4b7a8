"""Published results to stand beside our own.

K. Wang, Y. Peng, H. Huang, Y. Hu and S. Li, "Mining Hard Samples Locally and Globally for Improved
Speech Separation", Tables 1 to 4 and section 5.1: one run of each row on 3000
mixtures of WSJ0 (8 kHz), after 100 epochs on segments of 4 s.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "Wang et al., Mining hard samples locally and globally for improved speech separation"
CORPORA = ("wsj0", "wsj0-2mix")
SAMPLE_RATE, EPOCHS, SEGMENT, LEARNING_RATE, CLIP = 8000, 100, 4.0, 1e-3, 5.0
CORRELATION = {"pitch_difference_hz": 0.443, "xvector_distance": 0.447}  # Pearson, with SI-SNRi


@dataclass(frozen=True)
class Training:
    """What tells one row of the tables from another.

    Args:
        dm: dynamic mixing.
        wtl: weighted training loss.
        wvl: the weighted validation loss selects the model.
        param: parameter that hard pairs were mined by; empty for none.
        pm: P_M in percent.
        ps: P_S in percent.
    """

    dm: bool
    wtl: bool = False
    wvl: bool = False
    param: str = ""
    pm: float | None = None
    ps: float | None = None

    def named(self) -> dict[str, bool | str | float | None]:
        """Fields by the names that the paper gives them."""
        return {
            "DM": self.dm,
            "WTL": self.wtl,
            "WVL": self.wvl,
            "mining": self.param,
            "P_M": self.pm,
            "P_S": self.ps,
        }


@dataclass(frozen=True)
class Row:
    """A row of the tables.

    Args:
        tables: where it stands.
        training: how the model was trained.
        si_snri_db: mean SI-SNRi in dB.
        hsr5_percent: mixtures with an SI-SNRi below 5 dB.
        hsr10_percent: below 10 dB.
    """

    tables: str
    training: Training
    si_snri_db: float
    hsr5_percent: float
    hsr10_percent: float


def _mined(param: str, pm: float, ps: float) -> Training:
    return Training(True, False, True, param, pm, ps)


_WEIGHTED = {
    "static": Training(False),
    "dm": Training(True),
    "dm_wtl": Training(True, True),
    "dm_wvl": Training(True, False, True),
    "dm_wtl_wvl": Training(True, True, True),
}
TRAININGS = {  # by the names that the recipes give their experiments
    **_WEIGHTED,
    **{
        f"dm_wvl_{param}_pm{pm:02d}_ps{ps}": _mined(param, pm, ps)
        for param, best in (("pitch", 2), ("xvector", 4))
        for pm, ps in [*((pm, 30) for pm in range(1, 6)), (best, 20), (best, 40)]
    },
}

ROWS = {
    "light": (
        Row("1", TRAININGS["static"], 14.41, 8.00, 15.00),
        Row("1", TRAININGS["dm"], 15.75, 3.30, 7.20),
        Row("1", TRAININGS["dm_wtl"], 15.44, 2.86, 7.77),
        Row("1", TRAININGS["dm_wvl"], 15.72, 3.15, 7.20),
        Row("1", TRAININGS["dm_wtl_wvl"], 15.72, 2.40, 6.37),
        Row("2", _mined("pitch", 1, 30), 15.71, 2.63, 6.50),
        Row("2, 3", _mined("pitch", 2, 30), 15.81, 2.40, 6.00),
        Row("2", _mined("pitch", 3, 30), 15.78, 2.53, 6.30),
        Row("2", _mined("pitch", 4, 30), 15.63, 3.17, 6.60),
        Row("2", _mined("pitch", 5, 30), 15.50, 3.10, 7.13),
        Row("2", _mined("xvector", 1, 30), 15.32, 3.00, 7.00),
        Row("2", _mined("xvector", 2, 30), 15.46, 2.77, 6.93),
        Row("2", _mined("xvector", 3, 30), 15.50, 2.57, 6.17),
        Row("2, 3", _mined("xvector", 4, 30), 15.68, 2.00, 6.50),
        Row("2", _mined("xvector", 5, 30), 15.62, 2.63, 6.53),
        Row("3", _mined("pitch", 2, 20), 15.63, 2.90, 6.97),
        Row("3", _mined("pitch", 2, 40), 15.49, 2.77, 7.13),
        Row("3", _mined("xvector", 4, 20), 15.57, 2.73, 6.93),
        Row("3", _mined("xvector", 4, 40), 15.43, 2.27, 6.33),
    ),
    "full": (
        Row("4", TRAININGS["static"], 15.73, 5.70, 10.63),
        Row("4", TRAININGS["dm"], 17.47, 2.17, 3.67),
        Row("4", TRAININGS["dm_wtl"], 17.24, 1.13, 2.83),
        Row("4", _mined("pitch", 2, 30), 17.25, 1.13, 2.70),
        Row("4", _mined("xvector", 4, 30), 17.18, 0.93, 2.17),
    ),
}


def find(name: str, training: Training | None, size: str) -> Row | None:
    """The row for an experiment: that of its training, else that of its name.

    Args:
        name: of the experiment; only those of the recipes (``dm``, ``full_dm`` ...) are looked up.
        training: how it was really trained, where that is known.
        size: ``light`` or ``full``.
    """
    named = TRAININGS.get(name.removeprefix("full_"))
    if named is None:
        return None
    rows = {row.training: row for row in ROWS[size]}
    found = rows.get(training) if training is not None else None
    return found or rows.get(named)
