"""The published numbers of transfer scoring, to stand beside our own.

Lin and Wang, "Deep Feature Transfer Learning for Automatic Pronunciation Assessment" (Interspeech
2021), Tables 1 to 6: PCC of sentence scores on the authors' own set (L2: 10,000 sentences of 1,000
Chinese speakers for training, 1,000 for testing, scores from 1 to 5) and on speechocean762 (2,500
and 2,500). One run each; no spread is given.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "Lin and Wang, Deep feature transfer learning for automatic pronunciation assessment"
CORPUS, TRAIN_UTTERANCES, TEST_UTTERANCES = "speechocean762", 2500, 2500
L2_TRAIN_UTTERANCES, L2_TEST_UTTERANCES, L2_RATERS_PCC = 10_000, 1_000, 0.78
SYNTHETIC_UTTERANCES = 50_000
ACOUSTIC_HOURS = 1960.0
ACOUSTIC_PARAMETERS, SCORER_PARAMETERS = 8_165_047, 20_289


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


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Args:
        name: as in the paper.
        recipe: what was trained how.
        l2: test PCC on the authors' own set.
        speechocean: test PCC on speechocean762.
        l2_training: PCC on the training part, where it is given.
        speechocean_training: the same of speechocean762.
    """

    name: str
    recipe: Recipe
    l2: float
    speechocean: float
    l2_training: float | None = None
    speechocean_training: float | None = None


TABLE_2 = (
    Row("GOP (2BLSTM + MLP)", Recipe("blstm", "gop", "none"), 0.83, 0.67),
    Row("GOP (GBT)", Recipe("trees", "gop", "none"), 0.80, 0.65),
    Row("deep features", OURS, 0.86, 0.72),
)
TABLE_3 = (
    Row("GOP", Recipe(input="gop", pretrain="none"), 0.81, 0.64),
    Row("GOP with transitions (STP)", Recipe(input="stp-gop", pretrain="none"), 0.84, 0.66),
    Row("deep features", OURS, 0.86, 0.72),
)
TABLES_4_5 = (
    Row("frozen, frozen", Recipe(), 0.86, 0.72, 0.87, 0.82),
    Row(
        "unfrozen, unfrozen",
        Recipe(pretrain="unfrozen", finetune="unfrozen"),
        *(0.84, 0.71, 0.87, 0.84),
    ),
    Row("unfrozen, frozen", Recipe(pretrain="unfrozen"), 0.83, 0.69, 0.84, 0.80),
    Row("unfrozen, none", Recipe(pretrain="unfrozen", finetune="none"), 0.80, 0.65),
    Row("none, frozen", Recipe(pretrain="none"), 0.81, 0.68, 0.80, 0.80),
)
TABLE_6 = (
    Row("without self-attention", Recipe("mean"), 0.84, 0.69),
    Row("with self-attention", OURS, 0.86, 0.72),
)
