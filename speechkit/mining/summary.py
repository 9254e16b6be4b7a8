"""What the hard pairs of a set are like: distances, who is hard for whom, the worst pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from speechkit.mining.distance import HardSets, Rule
from speechkit.mining.figure import DrawnPairs, combination_names, draw_distances
from speechkit.mining.inputs import MiningProblem
from speechkit.mining.sampler import HardPairSampler, read_array
from speechkit.mining.sorted_search import slices_by_sum

PAIRS_DRAWN = 50_000  # pairs of each kind behind percentiles and shares
PIVOTS_MEASURED = 200  # pivots on which the error of --candidates is measured
UTTERANCES_COMPARED = 4_000  # all pairs of so many utterances where pairs are not stored
MOST_SPEAKERS = 4_000  # speaker pairs are counted in a table of S x S
HARDEST = 10
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
ADULT = 18  # years
UNITS = {"energy": "dB", "xvector": "cosine distance", "hz": "Hz", "semitones": "semitones"}


def summarise(
    folder: Path, problem: MiningProblem, found: HardSets, settings: dict[str, Any], pairs: bool
) -> dict[str, Any]:
    """The contents of ``summary.json``; also draws ``distances.png`` into the folder.

    Args:
        folder: the hard folder, complete but for the summary.
        problem: what was mined.
        found: the result.
        settings: the parameters of the stage.
        pairs: whether the pairs are stored.
    """
    sampler = HardPairSampler(folder)
    rng = np.random.default_rng([problem.seed, 1])
    rule = Rule(problem.distance, found.threshold, found.tie)
    hard, every = _draw_hard(problem, sampler, rng), _draw_all(problem, rule, rng)
    population = problem.population
    gender = np.array([g or "?" for g in population.gender])[population.speakers]
    unit = UNITS[settings["pitch_unit"] if settings["param"] == "pitch" else settings["param"]]
    summary: dict[str, Any] = {
        **settings,
        "stored": "pairs" if pairs else "thresholds",
        "distance_unit": unit,
        "counts": _counts(problem, found, pairs),
        "pairs_drawn": {"hard": len(hard.i), "all": len(every.i)},
        "distance_percentiles": {
            "hard": _percentiles(hard.distance),
            "all": _percentiles(every.distance),
        },
        "gender_pairs": combinations(gender, hard, every),
    }
    if np.isfinite(age := population.age).any():
        bands = np.where(np.isnan(age), "?", np.where(age < ADULT, "child", "adult"))
        summary["age_pairs"] = combinations(bands[population.speakers], hard, every)
    compared, rows = hardest_speakers(problem, sampler, rule, rng)
    summary["speakers_compared"] = compared
    summary["hardest_speaker_pairs"] = rows
    if problem.candidates:
        summary["candidates_error"] = measure_error(problem, rule, found, rng)
    draw_distances(folder / "distances.png", hard, every, gender, summary)
    return summary


def _counts(problem: MiningProblem, found: HardSets, pairs: bool) -> dict[str, int]:
    m = found.m
    return {
        "utterances": len(m),
        "speakers": len(problem.population.names),
        "pivots": int((m > 0).sum()),
        "without_parameter": int((~problem.valid).sum()),
        "without_candidates": int((problem.valid & (m == 0)).sum()),
        "candidate_pairs": int(problem.totals().sum()),
        "hard_pairs": int(m.sum()),
        "stored_pairs": int(m.sum()) if pairs else 0,
    }


def _draw_hard(
    problem: MiningProblem, sampler: HardPairSampler, rng: np.random.Generator
) -> DrawnPairs:
    """Pairs drawn uniformly from all hard pairs."""
    i = _draw_pivots(sampler.m, rng)
    j = sampler.sample(i, rng)
    return DrawnPairs(i, j, problem.distance.exact(i, j), np.ones(len(i), bool))


def _draw_all(problem: MiningProblem, rule: Rule, rng: np.random.Generator) -> DrawnPairs:
    """Pairs drawn uniformly from all pairs of a pivot and a candidate."""
    others, speakers = problem.others(), problem.population.speakers.astype(np.int64)
    i = _draw_pivots(problem.totals(), rng)
    j = others.rows(speakers[i], rng.integers(0, others.total(speakers[i])))
    return DrawnPairs(i, j, problem.distance.exact(i, j), rule.exact(i, j))


def _draw_pivots(weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows in proportion to a whole-number weight, sorted (which makes memory maps fast)."""
    place = np.sort(rng.integers(0, int(weight.sum()), size=PAIRS_DRAWN))
    return np.searchsorted(np.cumsum(weight), place, side="right")


def _percentiles(values: np.ndarray) -> dict[str, float]:
    found = np.percentile(values, PERCENTILES)
    return {f"p{p:02d}": round(float(x), 6) for p, x in zip(PERCENTILES, found, strict=True)}


def combinations(
    label: np.ndarray, hard: DrawnPairs, every: DrawnPairs
) -> dict[str, dict[str, float]]:
    """Share of each unordered combination of labels among hard pairs and among all pairs.

    ``chance_percent`` is the share among all pairs; ``lift`` is their ratio: 2 means twice
    as often among the hard pairs as by chance.
    """

    def shares(drawn: DrawnPairs) -> dict[str, float]:
        names = combination_names(label, drawn)
        found, count = np.unique(names, return_counts=True)
        return dict(zip(found.tolist(), (100 * count / len(names)).tolist(), strict=True))

    among_hard, among_all = shares(hard), shares(every)
    return {
        name: {
            "hard_percent": round(among_hard.get(name, 0.0), 3),
            "chance_percent": round(chance, 3),
            "lift": round(among_hard.get(name, 0.0) / chance, 3),
        }
        for name, chance in sorted(among_all.items())
    }


def hardest_speakers(
    problem: MiningProblem, sampler: HardPairSampler, rule: Rule, rng: np.random.Generator
) -> tuple[int, list[dict[str, Any]]]:
    """The speaker pairs of whose utterance pairs the largest share is hard.

    The share is the mean of both directions. Where pairs are stored, all speakers are
    compared, otherwise as many random ones as have 4,000 utterances.

    Returns:
        Number of speakers compared, and the ten hardest pairs.
    """
    speakers = problem.population.speakers.astype(np.int64)
    if sampler.mode == "pairs" and len(problem.population.names) <= MOST_SPEAKERS:
        chosen = np.arange(len(problem.population.names))
        hard = _count_stored(sampler, speakers, len(chosen))
    else:
        chosen = _some_speakers(problem, rng)
        hard = _count_compared(problem, sampler, rule, chosen)
    size = np.bincount(speakers[problem.valid], minlength=len(problem.population.names))[chosen]
    possible = np.outer(size, size)
    share = (hard + hard.T) / np.maximum(1, 2 * possible)
    a, b = np.nonzero(np.triu(hard + hard.T, 1))
    worst = np.lexsort((b, a, -share[a, b]))[:HARDEST]
    rows = [
        _describe(problem, int(chosen[x]), int(chosen[y]), float(share[x, y]))
        for x, y in zip(a[worst], b[worst], strict=True)
    ]
    return len(chosen), rows


def _describe(problem: MiningProblem, a: int, b: int, share: float) -> dict[str, Any]:
    population = problem.population
    rows = [np.flatnonzero(problem.valid & (population.speakers == s)) for s in (a, b)]
    distance = problem.distance.matrix(rows[0], rows[1]).mean(dtype=np.float64)
    return {
        "speaker_a": population.names[a],
        "speaker_b": population.names[b],
        "genders": f"{population.gender[a] or '?'}-{population.gender[b] or '?'}",
        "hard_percent": round(100 * share, 3),
        "mean_distance": round(float(distance), 6),
    }


def _count_stored(sampler: HardPairSampler, speakers: np.ndarray, count: int) -> np.ndarray:
    """``[S, S]`` stored pairs by speakers of pivot and partner."""
    indices = read_array(sampler.folder, "indices.npy", (None,), "int32")
    table, start = np.zeros(count * count, np.int64), 0
    for a, b in slices_by_sum(sampler.m, 1 << 22):
        stop = start + int(sampler.m[a:b].sum())
        pivot = np.repeat(speakers[a:b], sampler.m[a:b])
        key = pivot * count + speakers[np.asarray(indices[start:stop])]
        table += np.bincount(key, minlength=count * count)
        start = stop
    return table.reshape(count, count)


def _some_speakers(problem: MiningProblem, rng: np.random.Generator) -> np.ndarray:
    speakers = problem.population.speakers
    size = np.bincount(speakers[problem.valid], minlength=len(problem.population.names))
    order = rng.permutation(len(size))
    fit = int(np.searchsorted(np.cumsum(size[order]), UTTERANCES_COMPARED, side="right"))
    return np.sort(order[: min(max(2, fit), MOST_SPEAKERS)])


def _count_compared(
    problem: MiningProblem, sampler: HardPairSampler, rule: Rule, chosen: np.ndarray
) -> np.ndarray:
    """``[S, S]`` hard pairs among the chosen speakers, by comparing all their utterances."""
    number = np.full(len(problem.population.names), -1)
    number[chosen] = np.arange(len(chosen))
    speaker = number[problem.population.speakers]
    rows = np.flatnonzero(problem.valid & (speaker >= 0))
    pivots = rows[sampler.has_hard[rows]]
    table = np.zeros((len(chosen), len(chosen)), np.int64)
    for start in range(0, len(pivots), 512):
        i = pivots[start : start + 512]
        inside = rule.matrix(i, rows) & (problem.groups[i][:, None] == problem.groups[rows])
        a, b = np.nonzero(inside)
        np.add.at(table, (speaker[i][a], speaker[rows][b]), 1)
    np.fill_diagonal(table, 0)
    return table


def measure_error(
    problem: MiningProblem, rule: Rule, found: HardSets, rng: np.random.Generator
) -> dict[str, float]:
    """Error of the proportion of hard pairs when thresholds come from K candidates.

    The standard error of a quantile's rank among K independent draws is
    sqrt(pm (1 - pm) / K); the measured one is the root mean square of (true share within
    the threshold - pm) over random pivots.
    """
    pivots = np.flatnonzero(found.m)
    pivots = np.sort(rng.choice(pivots, min(PIVOTS_MEASURED, len(pivots)), replace=False))
    speakers, groups = problem.population.speakers, problem.groups
    rows = np.flatnonzero(problem.valid)
    inside = np.zeros(len(pivots), np.int64)
    for start in range(0, len(rows), 1 << 14):
        them = rows[start : start + (1 << 14)]
        candidate = speakers[pivots][:, None] != speakers[them]
        candidate &= groups[pivots][:, None] == groups[them]
        inside += (rule.matrix(pivots, them) & candidate).sum(axis=1)
    share = inside / problem.totals()[pivots]
    pm = problem.pm
    return {
        "standard_error": round(float(np.sqrt(pm * (1 - pm) / problem.candidates)), 8),
        "measured_rms_error": round(float(np.sqrt(np.mean((share - pm) ** 2))), 8),
        "measured_mean_share": round(float(share.mean()), 8),
        "measured_largest_error": round(float(np.abs(share - pm).max()), 8),
        "pivots_measured": len(pivots),
    }
