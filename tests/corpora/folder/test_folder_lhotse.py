"""``prepare folder`` with manifests of lhotse: parts, channels, labels, lines that do not fit."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import voice

from speechkit.base import audio
from speechkit.kaldi import data


def recording(
    name: str, *sources: tuple[str, list[int]], seconds: float = 1.0, **more: Any
) -> dict:
    return {
        "id": name,
        "sources": [{"type": "file", "channels": of, "source": path} for path, of in sources],
        "sampling_rate": 8000,
        "num_samples": 8000,
        "duration": 1.0,
        "channel_ids": sorted(channel for _, of in sources for channel in of),
    }


def supervision(name: str, of: str, start: float = 0, duration: float = 1.0, **more: Any) -> dict:
    return {
        "id": name,
        "recording_id": of,
        "start": start,
        "duration": duration,
        "channel": 0,
        **more,
    }


@pytest.fixture
def write(tmp_path: Path):
    """Writes two manifests, unpacked or as ``.gz``; gives the path of the supervisions."""
    for name, rate in (("a", 8000), ("b", 16000)):
        soundfile.write(tmp_path / f"{name}.wav", voice(120, 1.0, rate), rate)
    both = np.stack([voice(100, 1.0, 8000), voice(200, 1.0, 8000)], axis=1)
    soundfile.write(tmp_path / "both.wav", both, 8000)

    def call(recordings: list, supervisions: list, ending: str = ".jsonl") -> Path:
        for kind, rows in (("recordings", recordings), ("supervisions", supervisions)):
            text = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
            raw = text.encode()
            path = tmp_path / f"own_{kind}_train{ending}"
            path.write_bytes(gzip.compress(raw) if ending.endswith(".gz") else raw)
        return path

    return call


def prepare(run, path: Path, *more: object):
    place = path if path.is_dir() else path.parent
    return run("prepare", "folder", path, "-C", place / "work", "-j", 1, *more)


def said(ran) -> str:
    return " ".join(ran.err.split())


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz"])
def test_whole_recordings(run, write, tmp_path: Path, ending: str) -> None:
    made = write(
        [recording("r1", ("a.wav", [0])), recording("r2", (str(tmp_path / "b.wav"), [0])),
         recording("r3", ("none.wav", [0]))],
        [supervision("u1", "r1", text="hello  there", speaker="anna", gender="F",
                     custom={"Emotion": "sad", "age": 31, "snr": [1, 2]}),
         supervision("u2", "r2", text=None, speaker="ben")],
        ending,
    )  # fmt: skip
    for path in (made, tmp_path / f"own_recordings_train{ending}", tmp_path):
        ran = prepare(run, path, "--force")
        assert ran.code == 0, ran.err
        assert "left out 1 recording without supervision" in said(ran)
        folder = tmp_path / "work/data/train"
        loaded = data.load(folder, tmp_path)
        assert {u.id: (u.wav, u.speaker) for u in loaded.utterances} == {
            "u1": (str(tmp_path / "a.wav"), "anna"), "u2": (str(tmp_path / "b.wav"), "ben"),
        }  # fmt: skip
        assert loaded.text == {"u1": "hello there"} and loaded.gender == {"anna": "f"}
        assert loaded.age == {"anna": "31"} and not (folder / "segments").exists()
        assert data.read_table(folder / "utt2emotion") == {"u1": "sad"}


def test_parts_of_recordings(run, write, tmp_path: Path) -> None:
    made = write(
        [recording("r1", ("a.wav", [0]))],
        [supervision("u1", "r1", 0.25, 0.5, speaker="anna", text="one"),
         supervision("u2", "r1", 0.75, 0.25, speaker="ben", text="two")],
    )  # fmt: skip
    assert prepare(run, made).code == 0
    loaded = data.load(tmp_path / "work/data/train", tmp_path)
    assert loaded.durations == {"u1": 0.5, "u2": 0.25} and loaded.text["u2"] == "two"
    whole, _ = audio.read(tmp_path / "a.wav")
    first, second = loaded.utterances
    found, _ = audio.read(first.wav, None, first.start, first.end)
    assert (found == whole[2000:6000]).all()
    assert (second.start, second.end) == (0.75, 1.0)
    assert run("validate", "-C", tmp_path / "work").code == 0


def test_channels(run, write, tmp_path: Path) -> None:
    made = write(
        [recording("two", ("both.wav", [0, 1])), recording("each", ("a.wav", [0]), ("b.wav", [1]))],
        [supervision("left", "two", 0, 0.5, speaker="anna"),
         supervision("right", "two", 0.5, 0.5, speaker="ben", channel=1),
         supervision("mixed", "two", speaker="cleo", channel=[0, 1]),
         supervision("second", "each", speaker="dan", channel=[1])],
    )  # fmt: skip
    ran = prepare(run, made)
    assert ran.code == 0, ran.err
    work = tmp_path / "work"
    sources = data.read_table(work / "data/train/wav.scp")
    assert sources == {
        "two-0": "data/train/wav/two-0.wav", "two-1": "data/train/wav/two-1.wav",
        "two": str(tmp_path / "both.wav"), "each-1": str(tmp_path / "b.wav"),
    }  # fmt: skip
    both, _ = soundfile.read(tmp_path / "both.wav", dtype="int16")
    for channel in (0, 1):
        found, rate = soundfile.read(work / f"data/train/wav/two-{channel}.wav", dtype="int16")
        assert rate == 8000 and (found == both[:, channel]).all()
    assert run("validate", "--decode", "-C", work).code == 0


def test_speakers_that_nobody_names(run, write, tmp_path: Path) -> None:
    made = write([recording("r1", ("a.wav", [0]))], [supervision("u1", "r1")])
    ran = prepare(run, made)
    assert ran.code == 0 and "not known of 1 recording:" in said(ran)
    assert data.read_table(tmp_path / "work/data/train/utt2spk") == {"u1": "u1"}


GOOD = recording("r1", ("a.wav", [0]))
SAID = supervision("u1", "r1", speaker="x")
BAD = {
    "no JSON": ([GOOD, "{no\n"], [SAID], "own_recordings_train.jsonl:2 cannot be read as JSON"),
    "a field": ([{**GOOD, "sources": 3}], [SAID], "own_recordings_train.jsonl:1: sources is 3"),
    "twice": ([GOOD, GOOD], [SAID], "train.jsonl:2: the recording 'r1' comes twice"),
    "unknown": ([GOOD], [SAID, {**SAID, "recording_id": "r9"}], "no recording 'r9'"),
    "a command": (
        [{**GOOD, "sources": [{"type": "command", "channels": [0], "source": "rm -rf x |"}]}],
        [SAID],
        "of the type 'command'",
    ),
    "transforms": ([{**GOOD, "transforms": [{"name": "Speed"}]}], [SAID], "('transforms')"),
    "channel": ([GOOD], [{**SAID, "channel": 4}], "the channels [4] of 'r1'"),
    "channels": ([GOOD], [{**SAID, "channel": []}], "the channels [] of 'r1'"),
    "times": ([GOOD], [{**SAID, "duration": 0}], "supervisions_train.jsonl:1: starts at 0"),
    "too long": ([GOOD], [{**SAID, "duration": 2.0}], "it ends at 2.0 s, the recording at 1.000 s"),
    "missing": ([recording("r1", ("none.wav", [0]))], [SAID], "none.wav: No such file"),
    "gender": ([GOOD], [{**SAID, "gender": "x"}], "supervisions_train.jsonl:1: the gender 'x'"),
    "custom": ([GOOD], [{**SAID, "custom": {"emotion": ["a"]}}], "custom.emotion is no text"),
    "alike": ([GOOD], [SAID, {**SAID}], "'u1' comes twice"),
    "none": ([GOOD], [], "names no utterances"),
    "wide": (
        [recording("r1", ("a.wav", [0, 1]))],
        [{**SAID, "channel": 1}],
        "number 1 of 1 channel, counted from 0",
    ),
}


@pytest.mark.parametrize(("recordings", "supervisions", "what"), BAD.values(), ids=BAD)
def test_manifests_that_do_not_fit(run, write, tmp_path, recordings, supervisions, what) -> None:
    ran = prepare(run, write(recordings, supervisions))
    assert ran.code == 2 and what in said(ran), ran.err
    assert "Traceback" not in ran.err and not (tmp_path / "work/data/train").exists()


def test_parts_that_do_not_fit_can_be_skipped(run, write, tmp_path: Path) -> None:
    made = write([GOOD], [SAID, {**SAID, "id": "u2", "start": 0.9}])
    ran = prepare(run, made, "--on-error", "skip")
    assert ran.code == 0, ran.err
    folder = tmp_path / "work/data/train"
    assert set(data.read_table(folder / "utt2spk")) == {"u1"}
    assert "u2\tu2: of" in (folder / "skipped.tsv").read_text()


def test_other_files_than_the_two(run, write, tmp_path: Path) -> None:
    made = write([GOOD], [SAID])
    (tmp_path / "own_cuts_train.jsonl").write_text("{}\n")
    assert "is a manifest of cuts" in said(prepare(run, tmp_path / "own_cuts_train.jsonl"))
    cut = tmp_path / "own_supervisions_dev.jsonl.gz"
    cut.write_bytes(gzip.compress(json.dumps(SAID).encode())[:-9])
    assert "own_recordings_dev.jsonl.gz is not there" in said(prepare(run, cut))
    ran = prepare(run, tmp_path)
    assert ran.code == 2 and "several manifests" in said(ran) and made.name in said(ran)
    (tmp_path / "own_recordings_dev.jsonl.gz").write_bytes(gzip.compress(json.dumps(GOOD).encode()))
    ran = prepare(run, cut)
    assert ran.code == 2 and "own_supervisions_dev.jsonl.gz cannot be read" in said(ran)
