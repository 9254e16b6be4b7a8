"""The clips of a fold that can be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.labels.emotions import EmotionSet
from speechkit.labels.folds import Fold


def usable_parts(fold: Fold, dataset: EmotionSet, skipped: Mapping[str, str]) -> Fold:
    """The fold without the clips that were skipped as broken.

    Raises:
        UserError: nothing is left to validate with, or of a class to train on.
    """
    if not skipped:
        return fold
    left = replace(
        fold,
        train=tuple(name for name in fold.train if name not in skipped),
        valid=tuple(name for name in fold.valid if name not in skipped),
        test=tuple(name for name in fold.test if name not in skipped),
    )
    gone = len(fold.train) + len(fold.valid) - len(left.train) - len(left.valid)
    if gone:
        logger.warning(f"{gone} broken clips are left out of the training.")
    heard = {dataset.labels[name] for name in left.train}
    lacking = [name for name in dataset.classes if name not in heard]
    if lacking or not left.valid:
        what = f"to train '{lacking[0]}' on" if lacking else "to validate with"
        raise UserError(
            f"Without the broken clips none is left {what}.", "Mend them, or take another split."
        )
    return left
