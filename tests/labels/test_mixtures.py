"""The mixture set: what is written reads back, and bad lists are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import make_set

from speechkit.base.errors import DataError, UserError
from speechkit.kaldi import data
from speechkit.labels.mixtures import (
    Header,
    Mixture,
    Source,
    check_rate,
    find_faults,
    load_mixtures,
    place,
    write_mixtures,
)


@pytest.fixture
def mixed(workdir: Path) -> Path:
    """``data/train`` with a list of two mixtures at the rate of its files."""
    folder = workdir / "data" / "train"
    by_id = {u.id: u for u in data.load(folder, workdir).utterances}
    first = Source(by_id["s0-u0"], -6.0, -1000), Source(by_id["s1-u1"], 2.5, 4000)
    second = Source(by_id["s2-u0"], 0.0, 0), Source(by_id["s1-u0"], 0.0, 0)
    mixtures = [Mixture("a", 15000, first), Mixture("b", 20000, second)]
    write_mixtures(folder, Header(16000, 2, "min", "train"), mixtures)
    return folder


def test_reading_places_and_amplifies(mixed: Path, workdir: Path) -> None:
    found = load_mixtures(mixed, workdir)
    assert len(found) == 2
    assert found.header == Header(16000, 2, "min", "train")
    mix, sources = found.read(found.mixtures[0])
    stored = [soundfile.read(mixed / "wav" / f"{n}.wav")[0] for n in ("s0-u0", "s1-u1")]
    expected = np.zeros((2, 15000))
    expected[0] = stored[0][1000:16000] * 10 ** (-6 / 20)
    expected[1, 4000:] = stored[1][:11000] * 10 ** (2.5 / 20)
    assert mix.dtype == sources.dtype == np.float32
    np.testing.assert_allclose(sources, expected, atol=1e-6)
    np.testing.assert_allclose(mix, expected.sum(0), atol=1e-6)
    assert [found.genders(m) for m in found.mixtures] == ["FM", "FM"]
    padded = found.read(found.mixtures[1])[1]
    assert not padded[:, 16000:].any()


def test_genders_are_sorted_and_unknown_ones_marked(mixed: Path, workdir: Path) -> None:
    (mixed / "spk2gender").write_text("s1 m\n")
    found = load_mixtures(mixed, workdir)
    assert found.genders(found.mixtures[0]) == "?M"


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0, [1, 2, 3, 0]), (2, [0, 0, 1, 2]), (-2, [3, 0, 0, 0]), (4, [0] * 4), (-3, [0] * 4)],
)
def test_place_cuts_what_lies_outside(offset: int, expected: list[int]) -> None:
    row = np.zeros(4, np.float32)
    place(row, np.array([1, 2, 3], np.float32), offset)
    assert row.tolist() == expected


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("s1-u1", "s1-u9", 2, "'s1-u9' is not in the set"),
        ("\nb\t", "\na\t", 3, "comes twice"),
        ("15000", "0", 2, "0 samples"),
        ("15000", "many", 2, "number was expected"),
        ("-6.0", "nan", 2, "number was expected"),
        ("\t4000", "", 2, "expected 8 columns, found 7"),
        ("utt1", "utterance", 1, "expected the columns"),
    ],
)
def test_bad_lists(
    mixed: Path, workdir: Path, run, old: str, new: str, line: int, message: str
) -> None:
    table = mixed / "mixtures.tsv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=message) as caught:
        load_mixtures(mixed, workdir)
    assert f"mixtures.tsv:{line}:" in caught.value.problem
    done = run("validate", "-C", workdir, "--set", "train")
    assert done.code == 2
    assert f"mixtures.tsv:{line}" in done.out
    assert message in done.out


def test_validate_lists_every_fault(mixed: Path, workdir: Path, run) -> None:
    assert run("validate", "-C", workdir, "--set", "train").code == 0
    table = mixed / "mixtures.tsv"
    table.write_text(table.read_text().replace("s0-u0", "x").replace("s2-u0", "y"))
    names = [u.id for u in data.load(mixed, workdir).utterances]
    assert [fault[:2] for fault in find_faults(mixed, workdir, names)] == [
        ("mixtures.tsv", 2),
        ("mixtures.tsv", 3),
    ]


def test_a_stored_mixture_that_is_gone(mixed: Path, workdir: Path, run) -> None:
    whole = load_mixtures(mixed, workdir)
    stored = [Mixture(m.id, m.samples, m.sources, f"gone/{m.id}.wav") for m in whole.mixtures]
    write_mixtures(mixed, whole.header, stored)
    done = run("validate", "-C", workdir, "--set", "train")
    assert done.code == 2
    assert "a.wav does not exist" in done.out


@pytest.mark.parametrize("header", ["", "[]", '{"sample_rate": 0}', '{"sample_rate": 1, "x": 2}'])
def test_bad_headers(mixed: Path, workdir: Path, header: str) -> None:
    (mixed / "mixtures.json").write_text(header)
    with pytest.raises(DataError, match=r"mixtures\.json"):
        load_mixtures(mixed, workdir)
    assert [fault[0] for fault in find_faults(mixed, workdir, ())] == ["mixtures.json"]


def test_not_a_mixture_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a set of mixtures"):
        load_mixtures(make_set(tmp_path), tmp_path)


def test_check_rate() -> None:
    check_rate(8000, 8000, False, "x.wav")
    check_rate(16000, 8000, True, "x.wav")
    with pytest.raises(UserError, match=r"x\.wav has 16000 Hz, the model 8000 Hz"):
        check_rate(16000, 8000, False, "x.wav")
