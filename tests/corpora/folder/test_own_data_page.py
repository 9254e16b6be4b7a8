"""The commands of "Own data" in docs/stages/prepare.md run, on folders as it shows them."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import soundfile
from conftest import REPOSITORY, voice

from speechkit.kaldi import data

PAGE = (REPOSITORY / "docs/stages/prepare.md").read_text(encoding="utf-8")
OWN = PAGE[PAGE.index("\n## Own data") : PAGE.index("\n### Scores")]
FILES = (
    *("interviews/anna/one.wav", "interviews/anna/two.flac", "interviews/ben/monday/1.wav"),
    *("interviews/ben/tuesday/1.wav", *(f"interviews/s{k}/1.wav" for k in range(9))),
    *("recordings/0001.wav", "recordings/0002.wav", "spoken/audio/0001.flac"),
    *(f"acted/{name}/{k:02}-take-1.wav" for name in ("happy", "sad") for k in range(6)),
)


def blocks(kind: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", OWN, re.MULTILINE | re.DOTALL)
    return [text for of, text in found if of == kind]


def commands() -> list[list[str]]:
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("speechkit ")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page shows, in which one works."""
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, voice(120, 0.3, 8000), 8000)
    for name, begins in (("list.tsv", "recordings/"), ("list.csv", "Path,")):
        (shown,) = (text for text in blocks("") if text.startswith(begins))
        (tmp_path / name).write_text(shown)
    (tmp_path / "genders.tsv").write_text("anna\tf\nben\tm\ns1\tf\n")
    header = re.search(r"metadata.csv +(\S+)", OWN)
    assert header is not None
    row = f"{header[1]}\naudio/0001.flac,hello,anna\n"
    (tmp_path / "spoken/metadata.csv").write_text(row)
    (tmp_path / "manifests").mkdir()
    source = {"type": "file", "channels": [0], "source": "recordings/0001.wav"}
    of = {"id": "r", "sources": [source], "sampling_rate": 8000, "duration": 0.3}
    part = {"id": "u", "recording_id": "r", "start": 0, "duration": 0.3, "speaker": "anna"}
    for kind, one in (("recordings", of), ("supervisions", part)):
        packed = gzip.compress(json.dumps(one).encode())
        (tmp_path / f"manifests/own_{kind}_train.jsonl.gz").write_bytes(packed)
    return tmp_path


def test_every_command_of_the_page_runs(run, place: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    (code,) = blocks("python")
    exec(compile(code, "prepare.md", "exec"), {})
    found = commands()
    assert sum(words[:2] == ["prepare", "folder"] for words in found) >= 7
    for words in found:
        ran = run(*words, *(["--force", "-j", 1] if words[0] == "prepare" else []))
        assert ran.code == 0, (words, ran.err)
    assert data.read_table(place / "work/data/acted/utt2emotion")["03-sad-03-take-1"] == "sad"
    assert data.read_table(place / "work/data/train/wav.scp") == {
        "u": str(place / "recordings/0001.wav")
    }


def test_the_table_in_the_page_of_formats(run, place: Path) -> None:
    page = (REPOSITORY / "docs/formats.md").read_text(encoding="utf-8")
    table, command = re.findall(r"^(printf .*list.csv|speechkit prepare folder .*)$", page, re.M)
    subprocess.run(["/bin/sh", "-c", table], check=True)
    shutil.copy("recordings/0001.wav", "one.wav")
    ran = run(*shlex.split(command)[1:], "-j", 1)
    assert ran.code == 0, ran.err
    found = data.read_table(place / "work/data/morning/text")
    assert found == {"anna-one": "Good morning, Ben"}


def test_the_audio_folder_of_the_page(run, place: Path) -> None:
    ran = run("prepare", "folder", "spoken", "-C", "work", "-j", 1)
    assert ran.code == 0, ran.err
    assert data.read_table(place / "work/data/train/text") == {"anna-0001": "hello"}
