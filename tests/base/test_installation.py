"""doctor: every row of a healthy machine, and what it says of sick ones."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from speechkit.base import audio
from speechkit.base import installation as doctor
from speechkit.base.errors import AudioError
from speechkit.base.installation import BROKEN, MISSING, OK, OPTIONAL, Check


def rows(checks) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_healthy_machine(tmp_path: Path, run) -> None:
    ran = run("doctor", "-C", tmp_path, "--json")
    assert ran.code == 0, ran.out
    found = {row["check"]: row for row in json.loads(ran.out)}
    for name in ("python", "torch", "torchaudio", "kaldi-io", "torch and torchaudio"):
        assert found[name]["status"] == "ok"
    for name in ("audio wav", "audio flac", "audio ogg", "resampling", "espeak-ng", "file locks"):
        assert found[name]["status"] == "ok"
    assert found["torch"]["detail"] == importlib.metadata.version("torch")
    assert {"extra [cluster]", "extra [tracking]", "disk space"} <= found.keys()
    assert "extra [dev]" not in found
    assert list(tmp_path.iterdir()) == []  # no probe is left


def test_table_and_exit_code(tmp_path: Path, run) -> None:
    ran = run("doctor", "-C", tmp_path / "gone")
    assert ran.code == 2
    assert f"mkdir -p '{tmp_path}/gone'" in ran.out


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ("numpy>=1.26", OK),
        ("numpy>=1.26,<1.27", BROKEN),
        ("numpy", OK),
        ("no-such-package-here>=1", MISSING),
        ("dask[distributed]>=2024.8", OK),
    ],
)
def test_versions_against_ranges(wanted: str, status: str) -> None:
    check = doctor.package(wanted)
    assert check.status == status
    assert (check.remedy == f"python -m pip install '{wanted}'") == (status != OK)


def test_another_project_of_the_same_name(versions: dict[str, str | None]) -> None:
    versions["speechkit"] = None
    assert list(doctor._namesake()) == []
    versions["speechkit"] = "2.2.3"
    (check,) = doctor._namesake()
    assert check.status == BROKEN and "2.2.3" in check.detail
    assert "pip uninstall speechkit" in check.remedy


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Versions to pretend; None is not installed."""
    pretended: dict[str, str | None] = {}
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name not in pretended:
            return real(name)
        if (value := pretended[name]) is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return value

    monkeypatch.setattr(importlib.metadata, "version", version)
    return pretended


def test_a_torchaudio_that_does_not_fit(tmp_path: Path, versions: dict[str, str | None]) -> None:
    versions["torch"], versions["torchaudio"] = "2.11.0+cpu", "2.10.1"
    (check,) = doctor._torch_pair()
    assert check.status == BROKEN and "2.10.1" in check.detail
    assert check.remedy == "python -m pip install 'torch==2.11.*' 'torchaudio==2.11.*'"


@pytest.mark.parametrize("torchaudio", ["2.11.1", "2.11.1+cpu"])
def test_later_torch_goes_with_torchaudio_from_2_11_1(
    versions: dict[str, str | None], torchaudio: str
) -> None:
    versions["torch"], versions["torchaudio"] = "2.15.0", "2.11.0"
    (check,) = doctor._torch_pair()
    assert check.status == BROKEN
    assert check.remedy == "python -m pip install 'torch==2.15.*' 'torchaudio>=2.11.1'"
    versions["torchaudio"] = torchaudio
    (check,) = doctor._torch_pair()
    assert (check.status, check.detail) == (OK, f"2.15.0 with {torchaudio}")


def test_a_torchaudio_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    (check,) = doctor._torch_pair()
    assert check.status == BROKEN and "cannot be imported" in check.detail


def test_missing_extras_are_optional(versions: dict[str, str | None]) -> None:
    versions["distributed"] = None
    found = rows(doctor._extras())
    assert found["extra [cluster]"].status == OPTIONAL
    assert "without distributed" in found["extra [cluster]"].detail
    assert found["extra [cluster]"].remedy == "python -m pip install 'dask[distributed]>=2024.8'"
    versions["dask"] = None
    assert rows(doctor._extras())["extra [cluster]"].status == OPTIONAL
    assert doctor.healthy(list(found.values()))


def test_audio_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise AudioError(f"{path.suffix}: no.")

    monkeypatch.setattr(audio, "read", fail)
    found = rows(doctor._audio())
    assert found["audio flac"].status == BROKEN and ".flac: no." in found["audio flac"].detail
    assert found["audio mp3"].status == OPTIONAL and "soundfile" in found["audio mp3"].remedy


def test_a_full_disk_and_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 2**29))
    monkeypatch.setattr(doctor, "_locks", lambda path: False)
    found = rows(doctor._directory(tmp_path))
    assert found["disk space"].status == BROKEN and found["disk space"].detail == "0.5 GiB free"
    assert found["file locks"].status == BROKEN
    assert found["working directory"].status == OK


def test_an_unwritable_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    (check,) = doctor._directory(tmp_path)
    assert check.status == BROKEN and "Permission denied" in check.detail


def test_one_failing_check_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    found = rows(doctor.examine(tmp_path))
    assert found["audio"].status == BROKEN and "soundfile" in found["audio"].detail
    assert found["espeak-ng"].status == BROKEN
    assert found["file locks"].status == OK
