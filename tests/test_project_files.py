"""CITATION.cff, and the Dockerfile, whose RUN lines can be run without Docker."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

import speechkit

ROOT = Path(__file__).parents[1]
# Of schema 1.2.0 of the Citation File Format.
REQUIRED = {"cff-version", "message", "title", "authors"}
KNOWN = REQUIRED | {"abstract", "keywords", "license", "references", "type", "version"}
PERSON = {"family-names", "given-names"}


def steps() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile, as (``RUN``, rest of the line)."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.strip()]
    found = [line.split(maxsplit=1) for line in lines if not line.startswith("#")]
    return [(word, rest) for word, rest in found]


def test_citation() -> None:
    card = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert set(card) <= KNOWN and set(card) >= REQUIRED
    assert card["cff-version"] == "1.2.0" and card["type"] == "software"
    assert card["version"] == speechkit.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert card["license"] == project["license"]
    assert all(set(author) <= PERSON or set(author) == {"name"} for author in card["authors"])
    assert len(card["references"]) == 4  # the papers of docs/papers.md
    pages = " ".join((ROOT / "docs" / "papers.md").read_text("utf-8").split()).lower()
    for paper in card["references"]:
        assert {"type", "title", "authors"} <= set(paper)
        assert paper["title"].lower() in pages
        if "year" in paper:
            where = f"{paper['conference']['name']} {paper['year']}"
            assert f'{paper["title"]}", {where}.'.lower() in pages
        assert all(set(author) == PERSON for author in paper["authors"])


def test_dockerfile_copies_what_is_there_and_is_not_ignored() -> None:
    (image,) = [rest for word, rest in steps() if word == "FROM"]
    assert (3, 11) <= tuple(map(int, re.findall(r"\d+", image))) < (3, 14)
    copied = {name for word, rest in steps() if word == "COPY" for name in rest.split()[:-1]}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied == {line[1:] for line in ignored if line.startswith("!")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {project["readme"], "constraints.txt", "pyproject.toml"} <= copied
    assert all((ROOT / name).exists() for name in copied)


def test_dockerfile_installs_the_extra_that_its_command_needs() -> None:
    (command,) = [rest for word, rest in steps() if word == "CMD"]
    assert yaml.safe_load(command) == ["speechkit", "serve", "--host", "0.0.0.0"]
    assert [rest for word, rest in steps() if word == "RUN" and '".[serve]"' in rest]


@pytest.mark.slow
def test_run_lines_work_in_an_empty_environment(tmp_path: Path) -> None:
    """Downloads all packages. ``TORCH_BACKEND=`` (empty) takes PyTorch from the usual index."""
    venv.create(tmp_path / "venv", with_pip=True)
    folder = tmp_path / "speechkit"
    folder.mkdir()
    system = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    path = f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    arguments = dict(rest.split("=", 1) for word, rest in steps() if word == "ARG")
    environment = {**arguments, **system, "PATH": path, "PYTHONSAFEPATH": "1"}
    for word, rest in steps():
        if word == "COPY":
            *names, _ = shlex.split(rest)
            for name in names:
                source = ROOT / name
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, folder / name)
        if word == "RUN":
            ran = subprocess.run(
                ["sh", "-c", rest], cwd=folder, env=environment, capture_output=True, text=True
            )
            assert ran.returncode == 0, f"{rest}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    found = subprocess.run(
        [tmp_path / "venv/bin/python", "-c", "import speechkit; print(speechkit.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout.startswith(str(tmp_path / "venv")), sys.executable
