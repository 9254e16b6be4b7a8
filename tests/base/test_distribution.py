"""The wheel: its name, what it asks for, and the commands that install what is missing."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from speechkit.base import distribution
from speechkit.base import installation as doctor
from speechkit.base.errors import MissingDependency

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def metadata(tmp_path_factory):
    """METADATA of a wheel that is built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        entries = archive.read(name.replace("METADATA", "entry_points.txt")).decode()
        assert "speechkit = speechkit.__main__:entry" in entries
        assert (
            "speechkit/pronunciation/pretrained/acoustic/tdnn/full.safetensors"
            in archive.namelist()
        )
        return Parser().parsestr(archive.read(name).decode())


def test_nothing_asks_for_the_project_that_has_our_name_on_the_index(metadata) -> None:
    asked = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    names = {canonicalize_name(requirement.name) for requirement in asked}
    assert metadata["Name"] == distribution.NAME != "speechkit"
    assert "speechkit" not in names and {"torch", "typer"} <= names


def test_versions_of_python_are_claimed_alike(metadata) -> None:
    claimed = SpecifierSet(metadata["Requires-Python"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    oldest = ".".join(map(str, doctor.OLDEST_PYTHON))
    assert oldest in claimed and "3.10" not in claimed
    assert project["tool"]["mypy"]["python_version"] == oldest
    assert project["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    for name in ("README.md", "docs/stages/doctor.md"):
        assert f"{oldest} or newer" in (ROOT / name).read_text()


def test_no_advice_installs_another_project() -> None:
    """Not one line of the package, the docs or the recipes says ``pip install speechkit``."""
    advice = re.compile(r"pip install[^\n]*?['\" ]speechkit(\[|['\" \n`]|$)")
    files = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("speechkit/**/*.py")]
    found = [f"{f.name}: {m.group()}" for f in files for m in advice.finditer(f.read_text())]
    assert found == []


def test_extras_name_their_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert distribution.requirements("cluster") == extras["cluster"]
    emotion = distribution.requirements("emotion")
    assert set(emotion) == {*extras["transformers"], extras["emotion"][1]}
    assert "torch<2.16,>=2.8" in distribution.requirements()
    assert distribution.extras() == sorted(extras)
    error = MissingDependency("opensmile", "emotion")
    assert "python -m pip install 'opensmile>=2.5' 'transformers>=4.56'" in error.remedy


def test_a_package_that_is_only_read_is_installed_alone() -> None:
    said = distribution.install_command("speakers", "resemblyzer")
    assert said.startswith("python -m pip install --no-deps ") and "resemblyzer" in said
    assert "--no-deps" not in distribution.install_command("cluster")


def test_advice_where_speechkit_is_not_installed(monkeypatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    assert MissingDependency("wandb", "tracking").remedy.endswith("python -m pip install wandb")
