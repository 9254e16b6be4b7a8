"""The stage ``analyze-correlation``: which distances of the speakers correlate with SI-SNRi.

Wang et al., "Mining Hard Samples Locally and Globally for Improved Speech Separation",
section 2.2. Their Eq. 2 divides the covariance by the roots of the standard deviations; that
is a misprint of Pearson's correlation, which is what is computed here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from speechkit.base.answers import Answer
from speechkit.base.errors import UserError
from speechkit.base.log import logger
from speechkit.base.tables import write_tsv
from speechkit.labels.mixtures import MixtureSet, load_mixtures
from speechkit.separation.inference_config import CorrelationConfig
from speechkit.separation.results import TABLE, read_utterances
from speechkit.separation.speaker_distance import SpeakerDistance, find_sources, speaker_distances
from speechkit.stats.bootstrap import draw_speakers, mixture_weights
from speechkit.workdir import Output, WorkDir

FEWEST_SPEAKERS = 5  # to draw speakers; with fewer, mixtures are drawn
COMMAND = "analyze-correlation"
BLOCK = 250  # bootstrap samples at a time
FEWEST_MIXTURES = 3
_ENDINGS = ("", "_low", "_high", "_seed_std")  # of a coefficient
COLUMNS = (
    *("parameter", "genders", "mixtures", "left_out"),
    *(f"{name}{ending}" for name in ("pearson", "spearman") for ending in _ENDINGS),
    *("seeds", "resampled"),
)


def draw_weights(people: np.ndarray, samples: int, seed: int) -> tuple[np.ndarray, str]:
    """How often each mixture comes in each bootstrap sample, ``[B, N]``, and what was drawn.

    Args:
        people: speakers of each mixture, ``[N, sources]``.
        samples: bootstrap samples.
        seed: of the draws.
    """
    names, members = np.unique(people, return_inverse=True)
    members = members.reshape(people.shape)
    if len(names) >= FEWEST_SPEAKERS:
        return mixture_weights(draw_speakers(len(names), samples, seed), members), "speakers"
    return draw_speakers(len(people), samples, seed).astype(np.float64), "mixtures"


def pearson(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson's correlation under each row of weights.

    Args:
        x: ``[N]``, or ``[B, N]`` for values of each row's own.
        y: as ``x``.
        weights: ``[B, N]``, how often each item counts.

    Returns:
        ``[B]``; NaN where one side does not vary.
    """
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    square_x, square_y = (weights * x * x).sum(axis=1), (weights * y * y).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (weights * x * y).sum(axis=1) / np.sqrt(square_x * square_y)
    return np.where(np.minimum(square_x, square_y) > 1e-12 * total[:, 0], found, np.nan)


def spearman(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of ``x [N]`` and ``y [N]`` under each row of weights."""
    return pearson(ranks(x, weights), ranks(y, weights), weights)


def ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean ranks ``[B, N]`` of values ``[N]`` that come ``weights [B, N]`` times.

    4, 7 and 9 that come 2, 0 and 1 times are the list 4, 4, 9 with the ranks 1.5, 1.5 and 3. A
    group of equal values that begins after n items and has c of them gets the rank n + (c + 1) / 2.
    """
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    counts = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(counts, axis=1) - counts / 2 + 0.5
    return middle[:, group]


def analyze(
    work: WorkDir, config: CorrelationConfig, out_name: str = "", jobs: int = 1, force: bool = False
) -> Path:
    """Correlate parameters with SI-SNRi; returns ``exp/correlation/<set>[-name]``.

    Raises:
        UserError: no evaluation of the set, or one of other mixtures; nothing to correlate.
    """
    from speechkit.separation.figures import draw

    mixtures = load_mixtures(work.data(config.set), work.root)
    folder = work.exp("separation", config.model, "eval", config.set, name=config.evaluation)
    work.require(
        folder / TABLE, f"speechkit evaluate separation --name {config.model} --set {config.set}"
    )
    table = config.param_tsv
    sources = find_sources(work, mixtures, config.prosody, config.xvector, table, config.columns)
    with Output(
        work.exp("correlation", config.set, name=out_name),
        COMMAND,
        {**asdict(config), "param_tsv": str(config.param_tsv or "")},
        [folder / TABLE, *mixtures.files(), *sources.files()],
        force=force,
        audio=mixtures.audio_files(),
        beside="write beside it with `out_name`",
    ) as out:
        if out.up_to_date:
            return out.final
        scores, about = read_scores(folder, mixtures)
        found = _defined(speaker_distances(sources, mixtures, work.root, jobs), about.index)
        pairs = _pairs(scores, about, found)
        rows = correlate(scores, about, pairs, [p.name for p in found], config)
        cells = [[row[column] for column in COLUMNS] for row in rows]
        write_tsv(out.path / "correlation.tsv", COLUMNS, cells, ".5g")
        write_tsv(out.path / "pairs.tsv", ["mixture", *pairs.columns], pairs.itertuples(), ".5g")
        whole = {row["parameter"]: row for row in rows if row["genders"] == "all"}
        draw(out.path, pairs, scores, found, whole, config.model)
        out.counts.update(mixtures=len(pairs), seeds=scores.shape[1], parameters=len(found))
    logger.info(f"correlations: {out.final}")
    return out.final


def read_scores(folder: Path, mixtures: MixtureSet) -> tuple[pd.DataFrame, pd.DataFrame]:
    """SI-SNRi in dB by mixture and seed, and genders and speakers by mixture.

    Mixtures without a value (a silent source) in any of the seeds are left out.

    Raises:
        UserError: the evaluation is of other mixtures than the set now has.
    """
    table = read_utterances(folder)
    named = [c for c in table.columns if c.startswith("speaker")]
    about = table.drop_duplicates("mixture").set_index("mixture")[["genders", *named]]
    speakers = {m.id: [s.utterance.speaker for s in m.sources] for m in mixtures.mixtures}
    for mixture, *own in about[named].itertuples():
        if speakers.get(mixture) != list(own):
            raise UserError(
                f"{folder / TABLE} is of other mixtures than {mixtures.path} now holds "
                f"('{mixture}').",
                "Evaluate the model again: speechkit evaluate separation.",
            )
    scores = table.pivot(index="mixture", columns="seed", values="si_snri_db").dropna()
    if len(scores) < FEWEST_MIXTURES:
        raise UserError(f"{folder / TABLE} has SI-SNRi of too few mixtures ({len(scores)}).")
    return scores, about.loc[scores.index]


def _defined(found: Sequence[SpeakerDistance], mixtures: pd.Index) -> list[SpeakerDistance]:
    """Distances that enough mixtures have."""
    kept = []
    for parameter in found:
        values = np.array([parameter.values[m] for m in mixtures])
        if np.isfinite(values).sum() >= FEWEST_MIXTURES:
            kept.append(parameter)
        else:
            logger.warning(f"{parameter.name} is left out: hardly any mixture has a value.")
    if not kept:
        raise UserError(
            "There is no parameter to correlate with.",
            "Make some with `speechkit extract-prosody` or `speechkit extract-xvector`.",
        )
    return kept


def _pairs(
    scores: pd.DataFrame, about: pd.DataFrame, found: Sequence[SpeakerDistance]
) -> pd.DataFrame:
    """One line a mixture, the hardest first."""
    pairs = about.copy()
    pairs.insert(0, "si_snri_db", scores.mean(axis=1))
    for parameter in found:
        pairs[parameter.name] = [parameter.values[m] for m in pairs.index]
    return pairs.sort_values("si_snri_db", kind="stable")


def correlate(
    scores: pd.DataFrame,
    about: pd.DataFrame,
    pairs: pd.DataFrame,
    names: Sequence[str],
    config: CorrelationConfig,
) -> list[dict[str, Any]]:
    """Rows of ``correlation.tsv``: every parameter, over all mixtures and by genders."""
    genders = sorted(g for g in about["genders"].unique() if "?" not in g)
    groups = ["all", *genders] if len(genders) > 1 else ["all"]
    speakers = [c for c in about.columns if c.startswith("speaker")]
    rows = []
    for name in names:
        for group in groups:
            inside = pairs if group == "all" else pairs[pairs["genders"] == group]
            used = inside[np.isfinite(inside[name])]
            if len(used) < FEWEST_MIXTURES:
                continue
            counted = {
                "parameter": name,
                "genders": group.lower(),
                "mixtures": len(used),
                "left_out": len(inside) - len(used),
                "seeds": scores.shape[1],
            }
            value = used[name].to_numpy(float)
            seeds = scores.loc[used.index].to_numpy(float).T
            people = used[speakers].to_numpy(str)
            rows.append({**counted, **_with_intervals(value, seeds, people, config)})
    return rows


def _with_intervals(
    value: np.ndarray, seeds: np.ndarray, people: np.ndarray, config: CorrelationConfig
) -> dict[str, Any]:
    """Both correlations with the mean of the seeds ``[seeds, N]``."""
    mean = seeds.mean(axis=0)
    weights, resampled = draw_weights(people, config.samples, config.seed)
    once = np.ones((1, len(value)))
    found: dict[str, Any] = {"resampled": resampled}
    for name, of in (("pearson", pearson), ("spearman", spearman)):
        blocks = range(0, len(weights), BLOCK)
        drawn = np.concatenate([of(value, mean, weights[i : i + BLOCK]) for i in blocks])
        drawn = drawn[np.isfinite(drawn)]
        low, high = np.percentile(drawn, (2.5, 97.5)) if len(drawn) else (math.nan, math.nan)
        each = [float(of(value, seed, once)[0]) for seed in seeds]
        spread = float(np.std(each, ddof=1)) if len(each) > 1 else math.nan
        told = (float(of(value, mean, once)[0]), float(low), float(high), spread)
        found.update({f"{name}{end}": one for end, one in zip(_ENDINGS, told, strict=True)})
    return found


def read_correlations(folder: Path) -> list[dict[str, Any]]:
    """Rows of ``correlation.tsv``; undefined values are None."""
    table = pd.read_csv(folder / "correlation.tsv", sep="\t", quoting=3)
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def answer(folder: Path) -> Answer:
    """The correlations, a row each."""
    rows = read_correlations(folder)
    columns = ("parameter", "genders", "n", "Pearson", "Spearman")
    return Answer(rows, [(f"{folder} (95 % intervals)", columns, list(map(_short, rows)))])


def _short(row: Mapping[str, Any]) -> list[Any]:
    """A row for printing: each coefficient with its interval in one cell."""

    def cell(name: str) -> str:
        value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
        if value is None:
            return "-"
        return f"{value:.3f}" + ("" if low is None else f" [{low:.2f}, {high:.2f}]")

    return [row["parameter"], row["genders"], row["mixtures"], cell("pearson"), cell("spearman")]
