"""The published numbers of transfer scoring, to stand beside our own.

Lin and Wang, "Deep Feature Transfer Learning for Automatic Pronunciation Assessment" (Interspeech
2021), Tables 1 to 6: PCC of sentence scores on the authors' own set (L2: 10,000 sentences of 1,000
Chinese speakers for training, 1,000 for testing, scores from 1 to 5) and on speechocean762 (2,500
and 2,500). One run each; no spread is given.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from speechkit.scoring.config import ScoringConfig
from speechkit.task.paper import PublishedRow

SOURCE = "Lin and Wang, Deep feature transfer learning for automatic pronunciation assessment"
CORPUS = "speechocean762"
SYNTHETIC_UTTERANCES = 50_000
ACOUSTIC_HOURS = 1960.0
ACOUSTIC_PARAMETERS, SCORER_PARAMETERS = 8_165_047, 20_289
MEASURES = ("l2", "speechocean", "l2_training", "speechocean_training")
"""PCC on the test parts of the two sets, and on the training parts where they are given."""


@dataclass(frozen=True)
class Recipe:
    """What a row of Tables 2, 3, 5 and 6 stands for.

    Args:
        model: attention, mean, blstm or trees.
        input: deep, gop or stp-gop.
        pretrain: none, frozen or unfrozen.
        finetune: none, frozen or unfrozen.
    """

    model: str = "attention"
    input: str = "deep"
    pretrain: str = "frozen"
    finetune: str = "frozen"


OURS = Recipe()
"""The proposed method: the last row of Tables 2, 3 and 6, the first of Tables 4 and 5."""


FACTS = {
    "trained on": f"{CORPUS}, 2500 utterances",
    "tested on": f"{CORPUS}, 2500 utterances",
    "acoustic model": "1960 h of speech, 8.17 M parameters",
}
"""What decides the results on speechocean762 beside the configuration."""


def _row(table: str, name: str, recipe: Recipe, *values: float) -> PublishedRow:
    """A row with its values of ``MEASURES``."""
    config = ScoringConfig(**asdict(recipe))
    facts: dict[str, Any] = dict(FACTS)
    if recipe.pretrain != "none":
        facts["synthetic scores"] = SYNTHETIC_UTTERANCES
    if recipe.finetune == "none":
        del facts["trained on"]
    found = {name: (value, None) for name, value in zip(MEASURES, values, strict=False)}
    return PublishedRow(table, name, config, found, facts)


TABLE_2 = (
    _row("2", "GOP (2BLSTM + MLP)", Recipe("blstm", "gop", "none"), 0.83, 0.67),
    _row("2", "GOP (GBT)", Recipe("trees", "gop", "none"), 0.80, 0.65),
    _row("2", "deep features", OURS, 0.86, 0.72),
)
TABLE_3 = (
    _row("3", "GOP", Recipe(input="gop", pretrain="none"), 0.81, 0.64),
    _row("3", "GOP with transitions (STP)", Recipe(input="stp-gop", pretrain="none"), 0.84, 0.66),
    _row("3", "deep features", OURS, 0.86, 0.72),
)
TABLES_4_5 = (
    _row("4, 5", "frozen, frozen", OURS, 0.86, 0.72, 0.87, 0.82),
    _row(
        *("4, 5", "unfrozen, unfrozen", Recipe(pretrain="unfrozen", finetune="unfrozen")),
        *(0.84, 0.71, 0.87, 0.84),
    ),
    _row("4, 5", "unfrozen, frozen", Recipe(pretrain="unfrozen"), 0.83, 0.69, 0.84, 0.80),
    _row("4, 5", "unfrozen, none", Recipe(pretrain="unfrozen", finetune="none"), 0.80, 0.65),
    _row("4, 5", "none, frozen", Recipe(pretrain="none"), 0.81, 0.68, 0.80, 0.80),
)
TABLE_6 = (
    _row("6", "without self-attention", Recipe("mean"), 0.84, 0.69),
    _row("6", "with self-attention", OURS, 0.86, 0.72),
)


def recipe_of(row: PublishedRow) -> Recipe:
    """What a row stands for."""
    config = row.config
    return Recipe(config.model, config.input, config.pretrain, config.finetune)
