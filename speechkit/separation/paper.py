"""Published results to stand beside our own.

K. Wang, Y. Peng, H. Huang, Y. Hu and S. Li, "Mining Hard Samples Locally and Globally for Improved
Speech Separation", Tables 1 to 4 and section 5.1: one run of each row on 3000 mixtures of WSJ0
(8 kHz, two speakers), after 100 epochs on segments of 4 s, gains of -5 to 5 dB, Adam at 0.001,
gradients clipped to a norm of 5 (section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from speechkit.separation.config import SIZES, MixingConfig, SeparationConfig
from speechkit.task.paper import PublishedRow

SOURCE = "Wang et al., Mining hard samples locally and globally for improved speech separation"
CORPORA = ("wsj0", "wsj0-2mix")
CORRELATION = {"pitch_difference_hz": 0.443, "xvector_distance": 0.447}  # Pearson, with SI-SNRi
MEASURES = ("si_snri_db", "hsr5_percent", "hsr10_percent")
_MEAN_BLOCKS = 18  # of the separator: between the light (2 x 6) and the full model (3 x 8)


@dataclass(frozen=True)
class Recipe:
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

    @property
    def facts(self) -> dict[str, Any]:
        """What of it is in no configuration: it names a folder of hard pairs."""
        return {"hard pairs by": self.param, "P_M (%)": self.pm}


def _mined(param: str, pm: float, ps: float) -> Recipe:
    return Recipe(True, False, True, param, pm, ps)


RECIPES = {  # by the names that `recipes/` gives the experiments
    "static": Recipe(False),
    "dm": Recipe(True),
    "dm_wtl": Recipe(True, True),
    "dm_wvl": Recipe(True, False, True),
    "dm_wtl_wvl": Recipe(True, True, True),
    **{
        f"dm_wvl_{param}_pm{pm:02d}_ps{ps}": _mined(param, pm, ps)
        for param, best in (("pitch", 2), ("xvector", 4))
        for pm, ps in [*((pm, 30) for pm in range(1, 6)), (best, 20), (best, 40)]
    },
}


def _row(table: str, size: str, recipe: Recipe, *values: float) -> PublishedRow:
    config = SeparationConfig(
        mixing=MixingConfig(8000, ps=(recipe.ps or 0.0) / 100),
        dynamic=recipe.dm,
        loss="wsi-snr" if recipe.wtl else "si-snr",
        weighted_validation=recipe.wvl,
        network=SIZES[size],
    )
    facts = {"trained on": "WSJ0", "tested on": "published mixtures of WSJ0", **recipe.facts}
    measured = {name: (value, None) for name, value in zip(MEASURES, values, strict=True)}
    return PublishedRow(f"{table} ({size})", f"Conv-TasNet, {size}", config, measured, facts)


def _table(size: str, *rows: tuple[str, Recipe, float, float, float]) -> dict[Any, PublishedRow]:
    return {recipe: _row(table, size, recipe, *values) for table, recipe, *values in rows}


ROWS: Mapping[str, Mapping[Recipe, PublishedRow]] = {
    "light": _table(
        "light",
        ("1", RECIPES["static"], 14.41, 8.00, 15.00),
        ("1", RECIPES["dm"], 15.75, 3.30, 7.20),
        ("1", RECIPES["dm_wtl"], 15.44, 2.86, 7.77),
        ("1", RECIPES["dm_wvl"], 15.72, 3.15, 7.20),
        ("1", RECIPES["dm_wtl_wvl"], 15.72, 2.40, 6.37),
        ("2", _mined("pitch", 1, 30), 15.71, 2.63, 6.50),
        ("2, 3", _mined("pitch", 2, 30), 15.81, 2.40, 6.00),
        ("2", _mined("pitch", 3, 30), 15.78, 2.53, 6.30),
        ("2", _mined("pitch", 4, 30), 15.63, 3.17, 6.60),
        ("2", _mined("pitch", 5, 30), 15.50, 3.10, 7.13),
        ("2", _mined("xvector", 1, 30), 15.32, 3.00, 7.00),
        ("2", _mined("xvector", 2, 30), 15.46, 2.77, 6.93),
        ("2", _mined("xvector", 3, 30), 15.50, 2.57, 6.17),
        ("2, 3", _mined("xvector", 4, 30), 15.68, 2.00, 6.50),
        ("2", _mined("xvector", 5, 30), 15.62, 2.63, 6.53),
        ("3", _mined("pitch", 2, 20), 15.63, 2.90, 6.97),
        ("3", _mined("pitch", 2, 40), 15.49, 2.77, 7.13),
        ("3", _mined("xvector", 4, 20), 15.57, 2.73, 6.93),
        ("3", _mined("xvector", 4, 40), 15.43, 2.27, 6.33),
    ),
    "full": _table(
        "full",
        ("4", RECIPES["static"], 15.73, 5.70, 10.63),
        ("4", RECIPES["dm"], 17.47, 2.17, 3.67),
        ("4", RECIPES["dm_wtl"], 17.24, 1.13, 2.83),
        ("4", _mined("pitch", 2, 30), 17.25, 1.13, 2.70),
        ("4", _mined("xvector", 4, 30), 17.18, 0.93, 2.17),
    ),
}


def size_of(network: Mapping[str, Any]) -> str:
    """``light`` or ``full``: the model of the paper that is nearer in depth.

    Args:
        network: fields of ``ConvTasNetConfig``; those that are missing are the full model's.
    """
    full = SIZES["full"]
    depth = network.get("blocks", full.blocks) * network.get("repeats", full.repeats)
    return "full" if depth > _MEAN_BLOCKS else "light"


def find(name: str, recipe: Recipe | None, size: str) -> PublishedRow | None:
    """The row for an experiment: that of its recipe, else that of its name.

    Args:
        name: of the experiment; only those of ``recipes/`` (``dm``, ``full_dm`` ...) are looked up.
        recipe: how it was really trained, where that is known.
        size: ``light`` or ``full``.
    """
    named = RECIPES.get(name.removeprefix("full_"))
    if named is None:
        return None
    return ROWS[size].get(recipe or named) or ROWS[size].get(named)
