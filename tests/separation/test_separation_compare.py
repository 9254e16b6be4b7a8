"""``compare separation`` against a slow loop with the same draws."""

import json

import numpy as np
import pytest

from speechkit.base.errors import UserError
from speechkit.separation import results
from speechkit.separation.compare import ComparisonConfig, compare
from speechkit.separation.results import find_measure
from speechkit.stats.bootstrap import draw_speakers, mixture_weights, percentile
from speechkit.workdir import WorkDir

SPEAKERS = 6
SET = "test_2mix"


def make_evaluation(root, name, seeds=(0, 1), shift=0.0, count=40, drop=(), before=0.0):
    """An evaluation with random SI-SNRi; mixtures are the same for all names."""
    rng = np.random.default_rng(0)
    pairs = [rng.choice(SPEAKERS, 2, replace=False) for _ in range(count)]
    base = 8 + 4 * rng.standard_normal(count)
    rows = []
    for seed in seeds:
        change = np.random.default_rng([seed, len(name)]).standard_normal(count)
        for i, (a, b) in enumerate(pairs):
            value = float("nan") if i in drop else base[i] + shift + change[i]
            rows.append(
                {
                    "mixture": f"mix{i}",
                    "seed": seed,
                    "genders": "FM",
                    "speaker1": f"s{a}",
                    "speaker2": f"s{b}",
                    "samples": 1000 + i,
                    "si_snr_db": value + before,
                    "si_snri_db": value,
                }
            )
    folder = root / "exp" / "separation" / name / "eval" / SET
    folder.mkdir(parents=True)
    results.write_utterances(folder, results.columns(2, False), rows)
    return results.read_utterances(folder)


def slow(tables, measure, settings):
    """Estimate and interval by repeating mixtures in a loop."""
    own, base = (t.pivot(index="mixture", columns="seed", values="si_snri_db") for t in tables)
    own, base = own.dropna(), base.dropna()
    mixtures = sorted(set(own.index) & set(base.index))
    first = tables[0].drop_duplicates("mixture").set_index("mixture").loc[mixtures]
    pairs = list(zip(first["speaker1"], first["speaker2"], strict=True))
    speakers = sorted({speaker for pair in pairs for speaker in pair})
    seeds = sorted(set(own.columns) & set(base.columns))

    def statistic(values):
        if measure.startswith("hsr"):
            return 100 * np.mean(values < float(measure[3:].removesuffix("_percent")))
        if "_p" in measure:
            return np.percentile(values, float(measure.split("_p")[1].removesuffix("_db")))
        return np.mean(values)

    def difference(often):
        each = []
        for seed in seeds:
            a = np.repeat(own.loc[mixtures, seed].to_numpy(), often)
            b = np.repeat(base.loc[mixtures, seed].to_numpy(), often)
            each.append(statistic(a) - statistic(b))
        return each

    drawn = draw_speakers(len(speakers), settings.samples, settings.seed)
    sampled = []
    for row in drawn:
        count = dict(zip(speakers, row, strict=True))
        often = [count[a] * count[b] for a, b in pairs]
        if sum(often):
            sampled.append(np.mean(difference(often)))
    per_seed = difference([1] * len(pairs))
    return np.mean(per_seed), *np.percentile(sampled, [2.5, 97.5]), np.std(per_seed, ddof=1)


MEASURES = ("si_snri_db", "hsr5_percent", "hsr10_percent", "si_snri_p05_db", "si_snri_p37.5_db")


def test_differences_are_those_of_a_slow_loop(tmp_path):
    base = make_evaluation(tmp_path, "dm", seeds=(0, 1, 2), drop=(7,))
    other = make_evaluation(tmp_path, "dm_wvl", seeds=(0, 1, 2), shift=0.5, drop=(3,))
    settings = ComparisonConfig(SET, "dm", measures=MEASURES, samples=100, seed=4)
    folder = compare(WorkDir(tmp_path), settings)
    summary = json.loads((folder / "summary.json").read_text())["experiments"]["dm_wvl"]
    assert (summary["mixtures"], summary["speakers"], summary["seeds"]) == (38, 6, [0, 1, 2])
    for measure in MEASURES:
        found = summary["measures"][measure]
        expected = slow((other, base), measure, settings)
        shown = [found[k] for k in ("estimate", "low", "high", "seed_std")]
        assert shown == pytest.approx(expected, abs=1e-9), measure
        assert found["estimate"] == pytest.approx(found["value"] - found["baseline"])
        assert found["estimate"] == pytest.approx(np.mean(found["per_seed"]))
        assert found["low"] < found["estimate"] < found["high"]


def test_shares_that_change_by_more_than_1_db(tmp_path):
    base = make_evaluation(tmp_path, "dm")
    other = make_evaluation(tmp_path, "dm_wvl", shift=0.5)
    folder = compare(WorkDir(tmp_path), ComparisonConfig(SET, "dm", samples=100))
    found = json.loads((folder / "summary.json").read_text())["experiments"]["dm_wvl"]["measures"]
    change = (other["si_snri_db"] - base["si_snri_db"]).to_numpy()
    better, worse = found["better_by_1db_percent"], found["worse_by_1db_percent"]
    assert better["estimate"] == pytest.approx(100 * np.mean(change > 1))
    assert worse["estimate"] == pytest.approx(100 * np.mean(change < -1))
    assert worse["low"] <= worse["estimate"] < better["estimate"] <= better["high"]


@pytest.mark.parametrize("percent", [0, 1, 5, 37.5, 50, 99, 100])
def test_percentile_is_that_of_repeated_values(percent):
    rng = np.random.default_rng(1)
    values = rng.standard_normal(25).round(1)  # with ties
    weights = rng.integers(0, 4, (50, 25)).astype(float)
    weights[0] = 0
    weights[0, 3] = 1  # a single value
    expected = [np.percentile(np.repeat(values, w.astype(int)), percent) for w in weights]
    assert percentile(values, weights, percent) == pytest.approx(expected)


def test_draws_are_of_speakers_and_the_same_for_a_seed():
    drawn = draw_speakers(7, 500, 3)
    assert (drawn.sum(axis=1) == 7).all() and (drawn >= 0).all()
    assert (drawn == draw_speakers(7, 500, 3)).all()
    assert (drawn != draw_speakers(7, 500, 4)).any()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(7), abs=0.15)


def test_a_mixture_counts_with_the_product_of_its_speakers():
    drawn = np.array([[2, 0, 3], [4, 0, 0]])
    weights = mixture_weights(drawn, np.array([[0, 2], [0, 1], [2, 0]]))
    assert weights.tolist() == [[6, 0, 6]]  # in the second draw there is no mixture


def test_only_common_seeds_and_mixtures_count(tmp_path, run):
    make_evaluation(tmp_path, "dm", seeds=(0, 1))
    make_evaluation(tmp_path, "wtl", seeds=(1, 2), drop=(0, 1))
    ran = run("compare", "separation", "--baseline", "dm", "-C", tmp_path, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)["experiments"]["wtl"]
    assert found["seeds"] == [1] and found["mixtures"] == 38
    assert found["measures"]["si_snri_db"]["seed_std"] is None
    assert "wtl: left out 2 mixtures" in ran.err
    assert "wtl has seeds 1,2, dm seeds 0,1: compared on 1" in ran.err


def test_table_and_up_to_date(tmp_path, run):
    for name in ("dm", "wtl", "wtl_wvl"):
        make_evaluation(tmp_path, name)
    command = ("compare", "separation", "--baseline", "dm", "-C", tmp_path, "--samples", 100)
    ran = run(*command, "--measure", "si_snri_db,hsr7_percent")
    assert ran.code == 0, ran.err
    assert "wtl_wvl" in ran.out and "hsr7_percent" in ran.out
    path = tmp_path / "exp" / "compare" / "separation" / SET / "differences.tsv"
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    assert lines[0][:5] == ["experiment", "measure", "baseline", "value", "estimate"]
    assert [(line[0], line[1]) for line in lines[1:5]] == [
        ("wtl", "si_snri_db"),
        ("wtl", "hsr7_percent"),
        ("wtl", "better_by_1db_percent"),
        ("wtl", "worse_by_1db_percent"),
    ]
    assert "up to date" in run(*command, "--measure", "si_snri_db,hsr7_percent").err
    assert run(*command, "--name", "wtl").code == 2  # made with other parameters
    assert run(*command, "--name", "wtl", "--out-name", "one").code == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--baseline", "none"], "'none' was not evaluated on"),
        (["--baseline", "dm", "--name", "dm,none"], "'none' was not evaluated on"),
        (["--baseline", "dm", "--name", "dm"], "the baseline itself"),
        (["--baseline", "dm", "--measure", "hsr_percent"], "'hsr_percent' is not known"),
        (["--baseline", "dm", "--measure", "stoi"], "has no stoi"),
        (["--baseline", "dm", "--samples", "5"], "100 or more"),
        (["--baseline", "dm", "--set", "other"], "Evaluated: none"),
    ],
)
def test_bad_options(tmp_path, run, options, problem):
    make_evaluation(tmp_path, "dm")
    make_evaluation(tmp_path, "wtl")
    ran = run("compare", "separation", "-C", tmp_path, *options)
    assert ran.code == 2 and problem in " ".join(ran.err.split())


def make_pair_of_sets(root, name="dm", shift=-1.5, seeds=(0, 1), count=60):
    """Evaluations on random mixtures and on hard ones: other second speakers, worse by `shift`."""
    rng = np.random.default_rng(3)
    trios = [rng.choice(SPEAKERS, 3, replace=False) for _ in range(count)]
    trios = [t if i % 4 else t[[0, 1, 1]] for i, t in enumerate(trios)]  # some with the same two
    tables = {}
    for set_name, place, harder in ((SET, 1, 0.0), (f"{SET}-hard_pitch", 2, shift)):
        rows = [
            {
                "mixture": f"mix{i}", "seed": seed, "genders": "FM", "speaker1": f"s{trio[0]}",
                "speaker2": f"s{trio[place]}", "samples": 900 + i, "si_snr_db": value,
                "si_snri_db": value,
            }
            for seed in seeds
            for i, trio in enumerate(trios)
            for value in [8 + harder + rng.standard_normal()]
        ]  # fmt: skip
        folder = root / "exp" / "separation" / name / "eval" / set_name
        folder.mkdir(parents=True)
        results.write_utterances(folder, results.columns(2, False), rows)
        tables[set_name] = results.read_utterances(folder)
    return trios, tables


def test_hard_mixtures_against_their_random_counterparts(tmp_path):
    trios, tables = make_pair_of_sets(tmp_path)
    make_pair_of_sets(tmp_path, "wtl", shift=0.0)
    settings = ComparisonConfig(f"{SET}-hard_pitch", baseline_set=SET, samples=200, seed=2)
    folder = compare(WorkDir(tmp_path), settings)
    assert folder.name == f"{SET}-hard_pitch-vs_{SET}"
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["set"], summary["baseline"]) == (f"{SET}-hard_pitch", SET)
    assert list(summary["experiments"]) == ["dm", "wtl"]
    found = summary["experiments"]["dm"]["measures"]["si_snri_db"]
    wide = [
        t.pivot(index="mixture", columns="seed", values="si_snri_db").loc[
            [f"mix{i}" for i in range(len(trios))]
        ].to_numpy()
        for t in (tables[f"{SET}-hard_pitch"], tables[SET])
    ]  # fmt: skip
    change = (wide[0] - wide[1]).mean(axis=1)
    assert found["estimate"] == pytest.approx(change.mean(), abs=1e-9)
    assert (found["value"], found["baseline"]) == (
        pytest.approx(wide[0].mean()), pytest.approx(wide[1].mean()),
    )  # fmt: skip
    sampled = []
    for drawn in draw_speakers(SPEAKERS, 200, 2):  # in a loop: a x b x c, each speaker once
        often = np.array([np.prod([drawn[k] for k in {*trio}]) for trio in trios])
        if often.sum():
            sampled.append((often * change).sum() / often.sum())
    assert [found["low"], found["high"]] == pytest.approx(np.percentile(sampled, [2.5, 97.5]))
    assert summary["experiments"]["dm"]["speakers"] == SPEAKERS


def test_sets_that_are_no_counterparts(tmp_path, run):
    make_pair_of_sets(tmp_path)
    make_evaluation(tmp_path, "only")
    path = tmp_path / f"exp/separation/dm/eval/{SET}-hard_pitch/utterances.tsv"
    command = ("compare", "separation", "-C", tmp_path, "--set", f"{SET}-hard_pitch")
    ran = run(*command, "--baseline-set", SET, "--name", "only")
    assert ran.code == 2 and "'only' was not evaluated on" in " ".join(ran.err.split())
    ran = run(*command, "--baseline-set", "other")
    assert ran.code == 2 and "No experiment was evaluated on" in " ".join(ran.err.split())
    ran = run(*command, "--baseline-set", SET, "--baseline", "dm")
    assert ran.code == 2 and "both are given" in " ".join(ran.err.split())
    assert "neither is given" in " ".join(run(*command).err.split())
    path.write_text(path.read_text().replace("\t900\t", "\t901\t"))
    ran = run(*command, "--baseline-set", SET)
    assert ran.code == 2 and "no counterparts" in " ".join(ran.err.split())


def test_only_the_baseline(tmp_path):
    make_evaluation(tmp_path, "dm")
    with pytest.raises(UserError, match="Only 'dm' was evaluated"):
        compare(WorkDir(tmp_path), ComparisonConfig(SET, "dm"))


def test_different_mixtures_of_the_same_name_are_refused(tmp_path):
    make_evaluation(tmp_path, "dm")
    make_evaluation(tmp_path, "wtl", before=1.0)  # the mixture had another SI-SNR
    with pytest.raises(UserError, match="different mixtures of the same name"):
        compare(WorkDir(tmp_path), ComparisonConfig(SET, "dm"))


def test_no_common_seed(tmp_path):
    make_evaluation(tmp_path, "dm", seeds=(0,))
    make_evaluation(tmp_path, "wtl", seeds=(1,))
    with pytest.raises(UserError, match="no seed in common"):
        compare(WorkDir(tmp_path), ComparisonConfig(SET, "dm"))


def test_a_damaged_table_is_named(tmp_path):
    make_evaluation(tmp_path, "dm")
    make_evaluation(tmp_path, "wtl")
    path = tmp_path / "exp" / "separation" / "wtl" / "eval" / SET / "utterances.tsv"
    path.write_text("mixture\tseed\nmix0\tone\n")
    with pytest.raises(UserError, match=r"utterances.tsv cannot be read"):
        compare(WorkDir(tmp_path), ComparisonConfig(SET, "dm"))


def test_measures_of_a_name():
    assert find_measure("hsr7.5_percent").at == 7.5
    assert find_measure("si_snri_p01_db").at == 1.0
    with pytest.raises(UserError, match="'si_snri_p101_db' is not known"):
        find_measure("si_snri_p101_db")
