"""`prepare librimix`: metadata tables and LibriSpeech become sets of mixtures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import voice
from scipy.signal import resample_poly

from speechkit.labels.mixtures import load_mixtures

FILES = {"84-121550-0012": 1.0, "777-126732-0003": 1.3001, "6319-64726-0002": 0.9}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A tiny LibriSpeech, and the table ``libri2mix_dev-clean.csv`` beside it."""
    root = tmp_path / "LibriSpeech"
    for k, (name, seconds) in enumerate(FILES.items()):
        path = root / source(name)
        path.parent.mkdir(parents=True)
        soundfile.write(path, voice(110 + 40 * k, seconds, seed=k), 16000)
    (root / "SPEAKERS.TXT").write_text(
        "; comment\n84 | F | dev-clean | 8.0 | A\n777 | M | dev-clean | 8.0 | B\n"
        "6319 | F | dev-clean | 8.0 | C\n"
    )
    return root


def source(name: str) -> str:
    speaker, chapter, _ = name.split("-")
    return f"dev-clean/{speaker}/{chapter}/{name}.flac"


def write_table(folder: Path, rows: list[list[tuple[str, float]]], end: str = "\n") -> Path:
    """A table of the published form."""
    count = len(rows[0])
    each = [f"source_{k}_{what}" for k in range(1, count + 1) for what in ("path", "gain")]
    lines = [",".join(["mixture_ID", *each, "noise_path", "noise_gain"])]
    for row in rows:
        name = "_".join(utterance for utterance, _ in row)
        cells = [cell for utterance, gain in row for cell in (source(utterance), repr(gain))]
        lines.append(",".join([name, *cells, "cv/20oo0109_0.7_01ua010r_-0.7.wav", "1.11"]))
    path = folder / f"libri{count}mix_dev-clean.csv"
    path.write_text("".join(line + end for line in lines))
    return path


ROWS = [
    [("84-121550-0012", 0.7925878276419455), ("777-126732-0003", 1.7873396761715588)],
    [("777-126732-0003", 0.21), ("6319-64726-0002", 6.4672317278286116)],
]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("rate", [16000, 8000])
def test_mixtures_are_those_of_the_published_scripts(
    corpus: Path, tmp_path: Path, run, mode: str, rate: int
) -> None:
    table = write_table(tmp_path, ROWS, "\r\n" if rate == 8000 else "\n")
    done = run(
        *("prepare", "librimix", table, "--librispeech", corpus, "-C", tmp_path, "-j", 1),
        *("--rate", rate, "--mode", mode, "--json"),
    )
    assert done.code == 0, done.err
    assert "noise of LibriMix is not mixed" in done.err
    (row,) = json.loads(done.out)
    assert row["set"] == "libri2mix_dev_clean"
    assert (row["mixtures"], row["speakers"], row["female"], row["male"]) == (2, 3, 2, 1)
    found = load_mixtures(tmp_path / "data" / "libri2mix_dev_clean", tmp_path)
    assert (found.header.sample_rate, found.header.mode) == (rate, mode)
    assert [found.genders(m) for m in found.mixtures] == ["FM", "FM"]
    for mixture, row in zip(found.mixtures, ROWS, strict=True):
        # gain, resampling, then cutting or padding at the end, as the published scripts
        parts = [
            resample_poly(gain * soundfile.read(corpus / source(name))[0], rate, 16000)
            for name, gain in row
        ]
        lengths = [len(part) for part in parts]
        length = min(lengths) if mode == "min" else max(lengths)
        expected = np.stack([np.pad(p[:length], (0, max(0, length - len(p)))) for p in parts])
        mix, sources = found.read(mixture)
        assert sources.shape == expected.shape
        if rate == 16000:
            np.testing.assert_allclose(sources, expected, atol=1e-6)
            np.testing.assert_allclose(mix, expected.sum(0), atol=1e-6)
        else:  # another low-pass filter
            error = np.sum((sources - expected) ** 2) / np.sum(expected**2)
            assert 10 * np.log10(error) < -30
    assert run("validate", "-C", tmp_path).code == 0


def test_three_sources_several_tables_and_info(corpus: Path, tmp_path: Path, run) -> None:
    two = write_table(tmp_path, ROWS)
    three = write_table(tmp_path, [[(name, 1.0) for name in FILES]])
    info = tmp_path / "libri2mix_dev-clean_info.csv"
    info.write_text("mixture_ID,speaker_1_ID,speaker_1_sex\n")
    done = run(
        "prepare", "librimix", two, three, info, "--librispeech", tmp_path, "-C", tmp_path, "-j", 1
    )
    assert done.code == 0, done.err
    found = load_mixtures(tmp_path / "data" / "libri3mix_dev_clean", tmp_path)
    assert (len(found), found.header.speakers) == (1, 3)
    assert found.genders(found.mixtures[0]) == "FFM"
    assert {p.name for p in (tmp_path / "data").iterdir()} == {
        "libri2mix_dev_clean",
        "libri3mix_dev_clean",
    }


def test_missing_audio(corpus: Path, tmp_path: Path, run) -> None:
    table = write_table(tmp_path, ROWS)
    (corpus / source("6319-64726-0002")).unlink()
    command = ("prepare", "librimix", table, "--librispeech", corpus, "-C", tmp_path, "-j", 1)
    done = run(*command)
    assert done.code == 2
    assert "6319-64726-0002.flac" in done.err
    assert "libri2mix_dev-clean.csv:3" in done.err
    assert run(*command, "--on-error", "skip").code == 0
    folder = tmp_path / "data" / "libri2mix_dev_clean"
    assert len(load_mixtures(folder, tmp_path)) == 1
    assert len((folder / "skipped.tsv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("source_2_gain", "gain_2", "not a table of LibriMix"),
        ("0.21", "-0.21", "not a positive number"),
        ("0.21", "loud", "not a positive number"),
        (",1.11", "", "expected 7 columns, found 6"),
        ("/777-126732-0003.flac", "/x.flac", "not a file of LibriSpeech"),
        ("\n777-126732-0003_", "\n84-121550-0012_777-126732-0003,", "expected 7 columns"),
    ],
)
def test_bad_tables(corpus: Path, tmp_path: Path, run, old: str, new: str, message: str) -> None:
    table = write_table(tmp_path, ROWS)
    assert old in table.read_text()
    table.write_text(table.read_text().replace(old, new))
    done = run("prepare", "librimix", table, "--librispeech", corpus, "-C", tmp_path, "-j", 1)
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert not (tmp_path / "data").exists()


def test_refused(corpus: Path, tmp_path: Path, run) -> None:
    table = write_table(tmp_path, ROWS)
    command = ("prepare", "librimix", table, "-C", tmp_path, "-j", 1)
    assert run(*command, "--librispeech", tmp_path / "nowhere").code == 2
    assert run(*command, "--librispeech", corpus, "--mode", "mid").code == 2
    assert run(*command, "--librispeech", corpus, "--rate", 10).code == 2
    assert run(*command, table, "--librispeech", corpus).code == 2
    twice = write_table(tmp_path, [ROWS[0], ROWS[0]])
    done = run("prepare", "librimix", twice, "--librispeech", corpus, "-C", tmp_path, "-j", 1)
    assert done.code == 2
    assert "comes twice" in done.err


@pytest.mark.parametrize("prefix", ["/mnt/other/LibriSpeech/", "D:\\data\\LibriSpeech\\", "x/"])
def test_paths_of_another_machine_are_read_from_the_subset_on(
    corpus: Path, tmp_path: Path, run, prefix: str
) -> None:
    table = write_table(tmp_path, ROWS)
    text = table.read_text().replace("dev-clean/", f"{prefix}dev-clean/")
    table.write_text(text.replace("/", "\\") if "\\" in prefix else text)
    done = run("prepare", "librimix", table, "--librispeech", corpus, "-C", tmp_path, "-j", 1)
    assert done.code == 0, done.err
    found = load_mixtures(tmp_path / "data/libri2mix_dev_clean", tmp_path)
    assert all(corpus in Path(s.utterance.wav).parents for m in found.mixtures for s in m.sources)


def test_paths_of_another_machine_that_are_nowhere_are_named(
    corpus: Path, tmp_path: Path, run
) -> None:
    table = write_table(tmp_path, ROWS)
    table.write_text(table.read_text().replace("dev-clean/", "/mnt/other/elsewhere/"))
    done = run("prepare", "librimix", table, "--librispeech", corpus, "-C", tmp_path, "-j", 1)
    assert done.code == 2 and "another machine" in done.err and "--librispeech" in done.err


@pytest.mark.parametrize("kind", ["table", "folder"])
def test_generated_mixtures_are_sent_to_their_command(
    corpus: Path, tmp_path: Path, run, kind: str
) -> None:
    given = tmp_path / "mix_clean"
    if kind == "table":
        given.write_text("mixture_ID,mixture_path,source_1_path,source_2_path,length\n")
    else:
        given.mkdir()
    done = run("prepare", "librimix", given, "--librispeech", corpus, "-C", tmp_path)
    assert done.code == 2 and "prepare wsj0-2mix" in done.err and "--speaker-pattern" in done.err


@pytest.mark.parametrize("given", ["", "train-360", "train-360/mix_clean"])
def test_folders_of_generated_librimix(tmp_path: Path, run, given: str) -> None:
    root = tmp_path / "wav8k" / "min" / "train-360"
    parts = [voice(110 + 40 * k, 0.5, 8000, seed=k) / 4 for k in range(2)]
    for name, sound in (("s1", parts[0]), ("s2", parts[1]), ("mix_clean", sum(parts))):
        (root / name).mkdir(parents=True)
        soundfile.write(root / name / "84-1-0012_777-1-0003.wav", sound, 8000)
    flags = ("--speaker-pattern", "^([^-]+)-[^_]*_([^-]+)-", "--prefix", "libri2mix")
    done = run("prepare", "wsj0-2mix", root.parent / given, *flags, "-C", tmp_path, "-j", 1)
    assert done.code == 0, done.err
    (mixture,) = load_mixtures(tmp_path / "data/libri2mix_train_360", tmp_path).mixtures
    assert mixture.wav.endswith("mix_clean/84-1-0012_777-1-0003.wav")
    assert {s.utterance.speaker for s in mixture.sources} == {"84", "777"}


def test_mixtures_without_their_sources_are_named(tmp_path: Path, run) -> None:
    path = tmp_path / "train-360" / "mix_clean"
    path.mkdir(parents=True)
    soundfile.write(path / "84-1-0012_777-1-0003.wav", voice(110, 0.5), 8000)
    done = run("prepare", "wsj0-2mix", path, "-C", tmp_path)
    assert done.code == 2 and "no s1 and s2" in done.err and "prepare librimix" in done.err
