"""Features of Kaldi's recipe and of GOPT as a folder of features."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tone_sets import make_tone_set

from speechkit.base.errors import UserError
from speechkit.kaldi.ark import ArkWriter
from speechkit.labels.phones import KALDI_ID, pure
from speechkit.labels.score_files import canonical_phones
from speechkit.phone_features.config import ImportConfig
from speechkit.phone_features.feature_folder import read_features
from speechkit.phone_features.import_gop import import_features
from speechkit.phone_features.pipeline import FeaturePipeline
from speechkit.workdir import WorkDir


@pytest.fixture
def phones(tmp_path) -> dict[str, list[str]]:
    """Utterance -> canonical phones of a set ``toned``; one has two equal neighbours."""
    folder = make_tone_set(tmp_path)
    file = folder / "phone_scores.tsv"
    file.write_text(file.read_text().replace("s0-u0\t1\t3\tB", "s0-u0\t1\t3\tT"))
    words = canonical_phones(folder)
    return {utt: [phone for word in found for phone in word] for utt, found in words.items()}


def rows_of(phones: list[str], seed: int, width: int = 84) -> np.ndarray:
    """Random features with Kaldi's id of the phone in front."""
    values = np.random.default_rng(seed).normal(-3, 2, (len(phones), width))
    ids = [KALDI_ID[pure(phone)] for phone in phones]
    return np.column_stack([ids, values]).astype(np.float32)


def write_scp(folder, tables) -> str:
    with ArkWriter(folder / "feat.ark", folder / "feat.scp") as ark:
        for key, value in tables.items():
            ark.write(key, value)
    return folder / "feat.scp"


def by_phone(tables):
    return {f"{utt}.{n}": row for utt, rows in tables.items() for n, row in enumerate(rows)}


def test_a_vector_a_phone(tmp_path, phones):
    tables = {utt: rows_of(found, n) for n, (utt, found) in enumerate(phones.items())}
    tables["s0-u0"][1, 1] = -np.inf
    source = write_scp(tmp_path, by_phone({**tables, "unknown": tables["s0-u0"]}))
    folder = read_features(
        import_features(WorkDir(tmp_path), "toned", ImportConfig(source)), tmp_path
    )
    assert list(folder.rows) == list(phones)
    np.testing.assert_array_equal(folder.table["s0-u1"], tables["s0-u1"][:, 1:])
    assert folder.table["s0-u0"][1, 0] == -100
    assert folder.columns[3] == "imported:lpp_AA"
    for utt, rows in folder.rows.items():
        for row, phone, values in zip(rows, phones[utt], folder.table[utt], strict=True):
            assert row.phone == phone and np.isnan(row.start)
            own = values[KALDI_ID[pure(phone)]]
            assert row.log_posterior == pytest.approx(own, rel=1e-4)
            assert row.gop == pytest.approx(own - values[:42].max(), rel=1e-4, abs=1e-5)
    with pytest.raises(UserError, match="imported"):
        FeaturePipeline.from_config(folder.config, None)
    summary = json.loads((tmp_path / "exp/gop/toned/summary.json").read_text())
    assert summary["phones"] == 17 and "gop_phone_accuracy_pcc" in summary


def test_merged_equal_neighbours_get_the_same_row(tmp_path, phones):
    assert phones["s0-u0"][2:4] == ["T", "T"]
    tables = {utt: rows_of(found, n) for n, (utt, found) in enumerate(phones.items())}
    merged = np.delete(tables["s0-u0"], 3, axis=0)
    source = write_scp(tmp_path, by_phone({**tables, "s0-u0": merged}))
    folder = read_features(
        import_features(WorkDir(tmp_path), "toned", ImportConfig(source)), tmp_path
    )
    np.testing.assert_array_equal(folder.table["s0-u0"], merged[[0, 1, 2, 2, 3], 1:])


def test_a_matrix_an_utterance_of_any_width(tmp_path, phones):
    tables = {utt: rows_of(found, 3, 10)[:, 1:] for utt, found in phones.items()}
    source = write_scp(tmp_path, tables)
    folder = read_features(
        import_features(WorkDir(tmp_path), "toned", ImportConfig(source)), tmp_path
    )
    np.testing.assert_array_equal(folder.table["s1-u3"], tables["s1-u3"])
    assert folder.columns[:2] == ("imported:f0", "imported:f1")
    assert np.isnan(folder.rows["s1-u3"][0].gop)


def test_gopts_csv_and_npy_are_the_same(tmp_path, phones):
    tables = {utt: rows_of(found, n) for n, (utt, found) in enumerate(phones.items())}
    keys = list(by_phone(tables))
    np.savetxt(tmp_path / "tr_feats.csv", np.concatenate(list(tables.values())), delimiter=",")
    (tmp_path / "tr_keys_phn.csv").write_text("\n".join(keys))
    (tmp_path / "te_keys_phn.csv").write_text("other.0")
    padded = np.zeros((4, 50, 84))
    for place, rows in enumerate(tables.values()):
        padded[place, : len(rows)] = rows[:, 1:]
    np.save(tmp_path / "tr_feat.npy", padded)
    work = WorkDir(tmp_path)
    csv = read_features(
        import_features(work, "toned", ImportConfig(tmp_path / "tr_feats.csv"), name="csv")
    )
    npy = read_features(
        import_features(work, "toned", ImportConfig(tmp_path / "tr_feat.npy"), name="npy")
    )
    (tmp_path / "tr_keys_phn.csv").unlink()
    plain = read_features(
        import_features(work, "toned", ImportConfig(tmp_path / "tr_feat.npy"), name="plain")
    )
    for utt, rows in tables.items():
        for folder in (csv, npy, plain):
            np.testing.assert_allclose(folder.table[utt], rows[:, 1:], rtol=1e-5)
    assert csv.config["fingerprint"] == npy.config["fingerprint"]
    with pytest.raises(UserError, match="no file of keys"):
        import_features(work, "toned", ImportConfig(tmp_path / "tr_feats.csv"), name="none")


def test_what_does_not_fit_is_named(tmp_path, phones):
    tables = {utt: rows_of(found, n) for n, (utt, found) in enumerate(phones.items())}
    tables["s0-u1"] = tables["s0-u1"][:-1]
    tables["s1-u2"][1, 0] = 41
    del tables["s1-u3"]
    source = write_scp(tmp_path, by_phone(tables))
    work = WorkDir(tmp_path)
    with pytest.raises(UserError, match="s0-u1: it has 4 rows, but 5 canonical phones"):
        import_features(work, "toned", ImportConfig(source))
    folder = import_features(work, "toned", ImportConfig(source), on_error="skip")
    assert list(read_features(folder).rows) == ["s0-u0"]
    skipped = (folder / "skipped.tsv").read_text()
    for part in ("s0-u1\tit has 4 rows", "s1-u2\tphone 1 is", "s1-u3\tthere are no features"):
        assert part in skipped


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("feats.txt", "1", "not .scp, .csv or .npy"),
        ("x_feats.csv", "1,2\n1,b\n", "not a table of numbers"),
        ("x_feats.csv", "1,2\n", "1 rows, its file of keys 2"),
        ("x_feat.npy", "no", "not an array of numbers"),
    ],
)
def test_broken_sources(tmp_path, phones, name, content, message):
    (tmp_path / name).write_text(content)
    (tmp_path / "x_keys.csv").write_text("s0-u0.0\ns0-u0.1\n")
    with pytest.raises(UserError, match=message):
        import_features(WorkDir(tmp_path), "toned", ImportConfig(tmp_path / name))
    (tmp_path / "x_keys.csv").write_text("s0-u0\n")
    if name.startswith("x_"):
        with pytest.raises(UserError, match=r"not UTTERANCE\.N"):
            import_features(WorkDir(tmp_path), "toned", ImportConfig(tmp_path / name))


def test_a_set_without_canonical_phones(tmp_path):
    make_tone_set(tmp_path, scored=False)
    source = write_scp(tmp_path, {"s0-u0": np.ones((5, 84), np.float32)})
    with pytest.raises(UserError, match=r"has no phone_scores\.tsv"):
        import_features(WorkDir(tmp_path), "toned", ImportConfig(source))


def test_command(tmp_path, phones, run):
    tables = {utt: rows_of(found, n) for n, (utt, found) in enumerate(phones.items())}
    source = write_scp(tmp_path, by_phone(tables))
    ran = run("extract-gop", "--set", "toned", "-C", tmp_path, "--import", source, "--json")
    assert ran.code == 0 and json.loads(ran.out)["dimension"] == 84
    assert run("extract-gop", "--set", "toned", "-C", tmp_path, "--import", "none").code == 2
    alone = run("extract-gop", "--set", "toned", "-C", tmp_path, "--keys", "keys.csv")
    said = "--keys is for imported features. Add --import, or leave it out."
    assert alone.code == 2 and said in " ".join(alone.err.split())
