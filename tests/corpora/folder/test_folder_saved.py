"""``prepare folder`` with what ``datasets`` saved: bytes, paths, classes, broken folders."""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
from pathlib import Path

import pytest
import soundfile
from conftest import voice

from speechkit.base import audio
from speechkit.kaldi import data

datasets = pytest.importorskip("datasets")


def content(rate: int, form: str = "WAV") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, voice(120, 0.2, rate), rate, format=form)
    return buffer.getvalue()


def dataset(sounds: list[dict], **columns: list):
    """A dataset with a column of audio; ``label`` is one of two classes.

    Where the column has paths it is not marked as audio: saving would put the bytes in their place.
    """
    made = datasets.Dataset.from_dict({"audio": sounds, **columns})
    if all(one["bytes"] for one in sounds):
        made = made.cast_column("audio", datasets.Audio(decode=False))
    if "label" in columns:
        made = made.cast_column("label", datasets.ClassLabel(names=["sad", "happy"]))
    return made


@pytest.fixture
def sounds(tmp_path: Path) -> list[dict]:
    """Bytes of two rates and formats, and a path."""
    path = tmp_path / "c.wav"
    soundfile.write(path, voice(120, 0.2, 8000), 8000)
    return [
        {"bytes": content(16000), "path": "a.wav"},
        {"bytes": content(8000, "FLAC"), "path": "b"},
        {"bytes": None, "path": str(path)},
    ]


def save(made, path: Path) -> Path:
    datasets.disable_progress_bars()
    made.save_to_disk(str(path))
    return path


def prepare(run, path: Path, *more: object):
    return run("prepare", "folder", path, "-C", path.parent / "work", "-j", 1, *more)


def said(ran) -> str:
    return " ".join(ran.err.split())


def test_bytes_and_paths(run, sounds, tmp_path: Path) -> None:
    made = dataset(
        sounds, sentence=["hello  there", None, "good day"], speaker_id=[3, 3, 4], label=[0, 1, 0],
        sex=["female", "f", None], extra=[1, 2, 3],
    )  # fmt: skip
    path = save(made, tmp_path / "saved")
    ran = prepare(run, path)
    assert ran.code == 0, ran.err
    assert "not read: extra" in said(ran)
    folder = tmp_path / "work/data/train"
    assert data.read_table(folder / "wav.scp") == {
        "3-a": "data/train/wav/3-a.wav", "3-b": "data/train/wav/3-b.flac",
        "4-c": str(tmp_path / "c.wav"),
    }  # fmt: skip
    assert (folder / "wav/3-a.wav").read_bytes() == sounds[0]["bytes"]
    assert (folder / "wav/3-b.flac").read_bytes() == sounds[1]["bytes"]
    loaded = data.load(folder, tmp_path / "work")
    assert loaded.text == {"3-a": "hello there", "4-c": "good day"} and loaded.gender == {"3": "f"}
    assert data.read_table(folder / "utt2emotion") == {"3-a": "sad", "3-b": "happy", "4-c": "sad"}
    assert [audio.info(u.wav).sample_rate for u in loaded.utterances] == [16000, 8000, 8000]
    assert "up to date" in prepare(run, path).err
    assert run("validate", "--decode", "-C", tmp_path / "work").code == 0


def test_parts_without_speakers_or_names(run, sounds, tmp_path: Path) -> None:
    alike = dataset([{**one, "path": "audio.wav"} for one in sounds[:2]])
    made = datasets.DatasetDict({"train": alike, "test": dataset(sounds[:1])})
    path = save(made, tmp_path / "saved")
    ran = prepare(run, path, "--json")
    assert ran.code == 0 and "not known of 3 recordings" in said(ran)
    assert [row["set"] for row in json.loads(ran.out)] == ["train", "test"]
    assert set(data.read_table(tmp_path / "work/data/train/utt2spk")) == {"000000", "000001"}
    assert set(data.read_table(tmp_path / "work/data/test/utt2spk")) == {"a"}
    ran = prepare(run, path, "--split", "a=0.5,b=0.5")
    assert ran.code == 2 and "--split is for one set" in said(ran)
    assert prepare(run, path / "test", "-C", tmp_path / "other").code == 0


def test_audio_that_datasets_would_decode_is_not_decoded(run, sounds, tmp_path: Path) -> None:
    made = dataset(sounds[:1], speaker=["x"]).cast_column("audio", datasets.Audio())
    assert prepare(run, save(made, tmp_path / "saved")).code == 0


def test_datasets_that_do_not_fit(run, sounds, tmp_path: Path) -> None:
    def fails(made, what: str) -> None:
        path = save(made, tmp_path / f"saved{len(list(tmp_path.iterdir()))}")
        ran = prepare(run, path)
        assert ran.code == 2 and what in said(ran), ran.err
        assert not (tmp_path / "work/data/train").exists()

    fails(datasets.Dataset.from_dict({"text": ["a"]}), "has 0 columns of audio; its columns: text")
    two = dataset(sounds, other=sounds)
    fails(two, "has 2 columns of audio; its columns: audio, other")
    fails(dataset([{"bytes": None, "path": None}]), "row 0: has no audio")
    fails(dataset([sounds[0], {"bytes": b"no audio", "path": "x.wav"}]), "cannot be decoded as aud")
    fails(dataset([{"bytes": None, "path": "/none/x.wav"}]), "/none/x.wav: No such file")
    fails(dataset(sounds[:1], gender=["x"]), "row 0: the gender 'x'")
    fails(dataset(sounds[:1], text=[["a", "b"]]), "row 0: 'text' is no text")
    fails(
        dataset(sounds[:1], text=["a"], sentence=["b"]), "'text' and 'sentence' are both the text"
    )
    fails(dataset(sounds).select([]), str(tmp_path))


def test_folders_that_are_broken(run, sounds, tmp_path: Path) -> None:
    path = save(dataset(sounds, speaker=["x"] * 3), tmp_path / "saved")
    for name, text in (
        ("state.json", "{"), ("state.json", "{}"), ("dataset_info.json", '{"features": 3}'),
        ("data-00000-of-00001.arrow", "no arrow"), ("dataset_dict.json", '{"splits": 3}'),
    ):  # fmt: skip
        broken = Path(shutil.copytree(path, tmp_path / f"{name}-{len(text)}"))
        if name == "dataset_dict.json":
            (broken / "state.json").unlink()
        (broken / name).write_text(text)
        ran = prepare(run, broken)
        assert ran.code == 2 and str(broken) in said(ran), (name, ran.err)
        assert "Traceback" not in ran.err
    (path / "data-00000-of-00001.arrow").unlink()
    assert prepare(run, path).code == 2


def test_without_the_package(run, sounds, tmp_path: Path, monkeypatch) -> None:
    path = save(dataset(sounds), tmp_path / "saved")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "speechkit.corpora.folder.saved.find_spec",
        lambda name: find(name) if name != "datasets" else None,
    )
    ran = prepare(run, path)
    assert ran.code == 2 and "needs the package 'datasets'" in said(ran)
    assert "python -m pip install" in said(ran)
