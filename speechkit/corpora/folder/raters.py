"""What each of several raters gave utterances of own data: one table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.corpora.common import full_path
from speechkit.corpora.folder.scores import given_scales, scales_remedy
from speechkit.corpora.scored import Problems
from speechkit.labels.score_files import RATED, examine_raters, mean_scores
from speechkit.labels.scores import RaterScores, Scores

FORM = f"a table with the columns utt, rater, and any of {', '.join(RATED)}"


def read_raters(
    path: Path, texts: Mapping[str, str], scores: Scores | None, scales: str = ""
) -> tuple[Scores, RaterScores, list[Path]]:
    """Read the table of raters, and compare it with the utterances that it is for.

    Args:
        path: the table.
        texts: by utterance, of the whole corpus.
        scores: of the corpus, where they are given on their own; their scales hold.
        scales: as :func:`speechkit.corpora.folder.scores.read_scores`.

    Returns:
        The scores (those given; where none are of utterances, the means of the raters), what
        each rater gave, and the files that were read.

    Raises:
        UserError: nothing there, or any problem in it; all of them are listed.
    """
    path = full_path(path)
    if not path.is_file():
        raise UserError(f"--raters {path} is not a file.", f"Expected: {FORM}.")
    problems, files = Problems(), [path]
    if scores is None:
        used, scales_file = given_scales(path, scales, problems)
        scores = Scores(scales=used)
        files += [scales_file] if scales_file is not None else []
    raters, faults = examine_raters(path, scores.scales)
    for name, line, message in faults:
        problems.add(name, f"line {line}: {message}" if line else message)
    unknown = sorted(raters.keys() - texts.keys())
    if not raters.keys() & texts.keys():
        example = f" ('{unknown[0]}')" if unknown else ""
        message = f"no rated utterance{example} is one of the corpus ('{min(texts)}')"
        problems.add("ids", message)
    each = {f"{name} {rater}": of[rater] for name, of in raters.items() for rater in of}
    remedy = scales_remedy(Scores(each, scales=scores.scales))
    problems.raise_if_any(path, remedy or f"Mend these lines. Expected: {FORM}.")
    if unknown:
        logger.warning(
            f"{path}: {len(unknown)} rated utterances are not in the corpus and are left out "
            f"({', '.join(unknown[:3])})."
        )
    raters = {name: of for name, of in raters.items() if name in texts}
    if not scores.utterances:
        scores = Scores(mean_scores(raters), scores.words, scores.phones, scores.scales)
        if missing := len(texts.keys() - scores.utterances.keys()):
            logger.warning(f"{path}: {missing} of {len(texts)} utterances were not rated.")
    return scores, raters, files
