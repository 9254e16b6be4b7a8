"""`analyze-correlation`: coefficients against SciPy, parameters against the audio, refusals."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_set
from scipy import stats

from speechkit.base.tables import write_tsv
from speechkit.kaldi.ark import ArkWriter
from speechkit.labels.mixtures import MixtureSet, load_mixtures
from speechkit.separation.config import MixConfig
from speechkit.separation.correlation import draw_weights, pearson, ranks, spearman
from speechkit.separation.mixture_set import mix
from speechkit.separation.speaker_distance import energy_ratio
from speechkit.workdir import WorkDir


def test_weighted_coefficients_are_scipys_on_repeated_values() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 8, 60).astype(float), draw.standard_normal(60)
    y += 0.2 * x
    weights = draw.poisson(1.2, (20, 60)).astype(float)
    for row, p, s, r in zip(
        weights, pearson(x, y, weights), spearman(x, y, weights), ranks(x, weights), strict=True
    ):
        often = row.astype(int)
        a, b = np.repeat(x, often), np.repeat(y, often)
        assert p == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-12)
        assert s == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
        np.testing.assert_allclose(np.repeat(r, often), stats.rankdata(a))


def test_what_does_not_vary_has_no_correlation() -> None:
    one = np.ones((1, 5))
    assert np.isnan(pearson(np.full(5, 0.1), np.arange(5.0), one)).all()
    assert np.isnan(spearman(np.arange(5.0), np.full(5, 7.0), one)).all()


def test_speakers_are_drawn_and_mixtures_where_speakers_are_few() -> None:
    people = np.array(list(combinations("abcdef", 2)))
    weights, what = draw_weights(people, 3000, 1)
    assert what == "speakers"
    # The mixture of two speakers comes as often as the product of their counts: with six
    # drawn of six, 6 * 5 / 36 times on average.
    assert weights.mean() == pytest.approx(30 / 36, abs=0.03)
    mine, other = people.tolist().index(["a", "b"]), people.tolist().index(["c", "d"])
    third, fourth = people.tolist().index(["a", "c"]), people.tolist().index(["b", "d"])
    np.testing.assert_array_equal(
        weights[:, mine] * weights[:, other], weights[:, third] * weights[:, fourth]
    )
    few, what = draw_weights(people[:3], 500, 1)
    assert what == "mixtures"
    assert (few.sum(axis=1) == 3).all()


def write_evaluation(root: Path, mixtures: MixtureSet, model: str, seeds: int = 2) -> dict:
    """An evaluation with made-up SI-SNRi; gives seed -> mixture -> dB."""
    draw = np.random.default_rng(5)
    folder = root / "exp" / "separation" / model / "eval" / mixtures.path.name
    folder.mkdir(parents=True)
    speakers = mixtures.header.speakers
    scores: dict[int, dict[str, float]] = {}
    rows = []
    for seed in range(seeds):
        for k, mixture in enumerate(mixtures.mixtures):
            value = round(float(draw.normal(8, 4)), 4)
            scores.setdefault(seed, {})[mixture.id] = value
            shown = "" if k == 3 and seed == 1 else f"{value:.4f}"
            people = [s.utterance.speaker for s in mixture.sources]
            genders = mixtures.genders(mixture)
            rows.append([mixture.id, str(seed), genders, *people, "8000", "5", shown])
    names = [f"speaker{k + 1}" for k in range(speakers)]
    columns = ["mixture", "seed", "genders", *names, "samples", "si_snr_db", "si_snri_db"]
    write_tsv(folder / "utterances.tsv", columns, rows)
    return scores


def write_parameters(root: Path, source: str) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """A prosody table (one utterance unvoiced), x-vectors, and a table ``rates.tsv``."""
    draw = np.random.default_rng(6)
    lines = (root / "data" / source / "utt2spk").read_text().splitlines()
    pitch = {line.split()[0]: round(float(draw.uniform(90, 260)), 6) for line in lines}
    pitch[next(iter(pitch))] = float("nan")
    vectors = {u: draw.standard_normal(8).astype(np.float32) for u in pitch}
    prosody, folder = root / "exp" / "prosody" / source, root / "exp" / "xvector" / source
    prosody.mkdir(parents=True)
    folder.mkdir(parents=True)
    rows = [[u, f"{p:.6f}", "0.5", "1e-2"] for u, p in pitch.items()]
    columns = ("utt", "f0_median_hz", "voiced_fraction", "energy")
    write_tsv(prosody / "prosody.tsv", columns, rows)
    with ArkWriter(folder / "xvector.ark", folder / "xvector.scp") as ark:
        for utterance, vector in vectors.items():
            ark.write(utterance, vector)
    write_tsv(
        root / "rates.tsv", ("utt", "rate"), [[u, str(len(u) + i)] for i, u in enumerate(pitch)]
    )
    return pitch, vectors


def prepare(root: Path, speakers: int = 2) -> MixtureSet:
    make_set(root, "test", speakers=8, utterances=2, rate=8000, seconds=1.1)
    folder = mix(WorkDir(root), MixConfig(set="test", count=40, speakers=speakers))
    return load_mixtures(folder, root)


def analyze(run, root: Path, *arguments, name: str = "base"):
    return run("analyze-correlation", "-C", root, "--model", name, "--samples", 200, *arguments)


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("speakers", [2, 3])
def test_all_parameters(run, tmp_path: Path, speakers: int) -> None:
    mixtures = prepare(tmp_path, speakers)
    scores = write_evaluation(tmp_path, mixtures, "base")
    pitch, vectors = write_parameters(tmp_path, "test")
    name = mixtures.path.name
    done = analyze(run, tmp_path, "--set", name, "--param-tsv", tmp_path / "rates.tsv",
                   "--column", "rate", "--json")  # fmt: skip
    assert done.code == 0, done.err
    out = tmp_path / "exp" / "correlation" / name
    pairs = {row["mixture"]: row for row in table(out / "pairs.tsv")}
    assert len(pairs) == 39  # one has no SI-SNRi in one of the seeds
    order = [float(row["si_snri_db"]) for row in pairs.values()]
    assert order == sorted(order)
    for mixture in mixtures.mixtures:
        if mixture.id not in pairs:
            continue
        row, names = pairs[mixture.id], [s.utterance.id for s in mixture.sources]
        _, sources = mixtures.read(mixture)
        energy = sources.astype(np.float64).var(axis=1)
        both = list(combinations(range(speakers), 2))
        ratio = min(10 * abs(np.log10(energy[a] / energy[b])) for a, b in both)
        assert float(row["energy_ratio_db"]) == pytest.approx(ratio, rel=1e-4)
        hertz = np.array([pitch[u] for u in names])
        apart = np.min([abs(hertz[a] - hertz[b]) for a, b in both])
        assert row["pitch_difference_hz"] == ("" if np.isnan(apart) else f"{apart:.5g}")
        unit = [vectors[u] / np.linalg.norm(vectors[u]) for u in names]
        cosine = min(1 - unit[a] @ unit[b] for a, b in both)
        assert float(row["xvector_distance"]) == pytest.approx(cosine, rel=1e-4)
        assert row["genders"] == mixtures.genders(mixture)
        mean = np.mean([scores[seed][mixture.id] for seed in (0, 1)])
        assert float(row["si_snri_db"]) == pytest.approx(mean, rel=1e-4)
    rows = {(row["parameter"], row["genders"]): row for row in json.loads(done.out)}
    assert {p for p, _ in rows} == {
        "pitch_difference_hz", "energy_ratio_db", "xvector_distance", "rate_difference",
    }  # fmt: skip
    for parameter in ("pitch_difference_hz", "xvector_distance"):
        used = [row for row in pairs.values() if row[parameter]]
        row = rows[parameter, "all"]
        assert (row["mixtures"], row["left_out"]) == (len(used), 39 - len(used))
        x = [float(r[parameter]) for r in used]
        seeds = np.array([[scores[s][r["mixture"]] for r in used] for s in (0, 1)])
        for kind, of in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
            assert row[kind] == pytest.approx(of(x, seeds.mean(0)).statistic, abs=2e-3)
            each = [of(x, seed).statistic for seed in seeds]
            assert row[f"{kind}_seed_std"] == pytest.approx(np.std(each, ddof=1), abs=2e-3)
            assert row[f"{kind}_low"] < row[kind] < row[f"{kind}_high"]
        assert row["resampled"] == "speakers"
    assert rows["pitch_difference_hz", "all"]["left_out"] > 0
    expected = Counter(row["genders"].lower() for row in pairs.values())
    found = {g: row["mixtures"] for (p, g), row in rows.items() if p == "energy_ratio_db"}
    assert found == {"all": 39, **{g: n for g, n in expected.items() if n >= 3}}
    assert len(found) > 2
    assert (out / "fig2.png").read_bytes()[:4] == b"\x89PNG"
    again = analyze(run, tmp_path, "--set", name, "--param-tsv", tmp_path / "rates.tsv",
                    "--column", "rate")  # fmt: skip
    assert "up to date" in again.err


def test_what_is_missing_is_named(run, tmp_path: Path) -> None:
    mixtures = prepare(tmp_path)
    refused = analyze(run, tmp_path)
    assert refused.code == 2
    assert "speechkit evaluate separation --name base --set test_2mix" in refused.err
    write_evaluation(tmp_path, mixtures, "base")
    done = analyze(run, tmp_path)
    assert done.code == 0, done.err
    assert "extract-prosody --set test" in done.err
    assert "extract-xvector --set test" in done.err
    rows = table(tmp_path / "exp" / "correlation" / "test_2mix" / "correlation.tsv")
    assert {row["parameter"] for row in rows} == {"energy_ratio_db"}
    named = analyze(run, tmp_path, "--xvector", "voxceleb", "--force")
    assert named.code == 2
    assert "extract-xvector --set test --name voxceleb" in named.err
    for arguments, said in (
        (("--param-tsv", "rates.tsv"), "belong together"),
        (("--param-tsv", tmp_path / "no.tsv", "--column", "x"), "does not exist"),
        (("--samples", 3), "100 or more"),
    ):
        bad = analyze(run, tmp_path, "--force", *arguments)
        assert bad.code == 2
        assert said in bad.err
    # An evaluation of the mixtures as they were before they were drawn again.
    shutil.rmtree(mixtures.path)
    mix(WorkDir(tmp_path), MixConfig(set="test", count=40, seed=9))
    other = analyze(run, tmp_path, "--force")
    assert other.code == 2
    assert "of other mixtures" in other.err


def test_tables_of_the_mixture_set_itself_come_first(run, tmp_path: Path) -> None:
    mixtures = prepare(tmp_path)
    write_evaluation(tmp_path, mixtures, "base")
    write_parameters(tmp_path, "test")
    own = tmp_path / "exp" / "prosody" / "test_2mix"
    shutil.copytree(tmp_path / "exp" / "prosody" / "test", own)
    lines = (own / "prosody.tsv").read_text().splitlines()
    level = [line.replace(line.split("\t")[1], "100.0") for line in lines[1:]]
    (own / "prosody.tsv").write_text("\n".join([lines[0], *level]) + "\n")
    done = analyze(run, tmp_path)
    assert done.code == 0, done.err
    pairs = table(tmp_path / "exp" / "correlation" / "test_2mix" / "pairs.tsv")
    assert {row["pitch_difference_hz"] for row in pairs} == {"0"}
    rows = table(tmp_path / "exp" / "correlation" / "test_2mix" / "correlation.tsv")
    assert {r["pearson"] for r in rows if r["parameter"] == "pitch_difference_hz"} == {""}


def test_stored_sources_are_not_utterances_of_the_source_set(run, tmp_path: Path) -> None:
    make_set(tmp_path, "test", speakers=4, utterances=2, rate=8000, seconds=1.1)
    folder = mix(WorkDir(tmp_path), MixConfig(set="test", count=12, write_audio=True))
    write_evaluation(tmp_path, load_mixtures(folder, tmp_path), "base")
    write_parameters(tmp_path, "test")
    done = analyze(run, tmp_path)
    assert done.code == 0, done.err
    assert "speechkit extract-prosody --set test_2mix" in done.err
    write_parameters(tmp_path, "test_2mix")
    again = analyze(run, tmp_path)
    assert again.code == 0, again.err
    rows = table(tmp_path / "exp" / "correlation" / "test_2mix" / "pairs.tsv")
    assert len({row["pitch_difference_hz"] for row in rows}) > 5


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("utt\tother\ns0-u0\t1\n", "has no column 'rate'"),
        ("utt\trate\ns0-u0\tfast\n", "more than numbers"),
        ("utt\trate\ns0-u0\t1\n", "lacks"),
        ("utt\trate\ns0-u0\t1\ns0-u0\t2\n", "comes twice"),
    ],
)
def test_a_broken_table_of_parameters(run, tmp_path: Path, content: str, said: str) -> None:
    mixtures = prepare(tmp_path)
    write_evaluation(tmp_path, mixtures, "base")
    (tmp_path / "rates.tsv").write_text(content)
    bad = analyze(run, tmp_path, "--param-tsv", tmp_path / "rates.tsv", "--column", "rate")
    assert bad.code == 2
    assert said in bad.err
    assert not (tmp_path / "exp" / "correlation" / "test_2mix").exists()


def test_an_offset_is_no_energy(tmp_path: Path) -> None:
    mixtures = prepare(tmp_path, 2)
    wanted = [energy_ratio(mixtures, mixture) for mixture in mixtures.mixtures]
    for path in mixtures.data.audio_files():
        samples, rate = soundfile.read(path, dtype="float32")
        soundfile.write(path, samples + 0.2, rate, subtype="FLOAT")
    found = [energy_ratio(mixtures, mixture) for mixture in mixtures.mixtures]
    assert found == pytest.approx(wanted, abs=0.02)
