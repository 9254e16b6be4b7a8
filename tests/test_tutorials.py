"""The tutorials: each notebook runs in a small size, and holds nothing of the machine it ran on.

``python tests/test_tutorials.py [NAME...]`` runs them in their own size and stores the outputs.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from in_process import run_script

TUTORIALS = Path(__file__).resolve().parents[1] / "docs" / "tutorials"
SMALL = {
    "separation": {"UTTERANCES": "48", "MIXTURES": "6", "EPOCHS": "1"},
    "pronunciation": {"UTTERANCES": "48", "EPOCHS": "3"},
    "scoring": {"UTTERANCES": "72", "EPOCHS": "3"},
    "emotion": {"UTTERANCES": "48", "EPOCHS": "2"},
}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def execute(name: str, folder: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The notebook as it is after a run in ``folder``; its commands are run by this process."""
    result = folder / "done.ipynb"
    code, _, err, _ = run_script(
        sys.executable, Path(__file__).with_name("notebooks.py"), TUTORIALS / f"{name}.ipynb",
        folder, result, monkeypatch=patch,
    )  # fmt: skip
    assert code == 0, err[-6000:]
    return json.loads(result.read_text(encoding="utf-8"))


def stripped(notebook: dict[str, Any]) -> dict[str, Any]:
    """Without logs, and without what differs from run to run and from machine to machine."""
    cells = []
    for number, cell in enumerate(notebook["cells"]):
        cell = {**cell, "id": f"cell{number}"}
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k == "alt"}
        if cell["cell_type"] == "code":
            cell["execution_count"] = None
            cell["outputs"] = merged(
                {**each, "execution_count": None} if "execution_count" in each else each
                for each in cell["outputs"]
                if each.get("name") != "stderr"
            )
        cells.append(cell)
    return {**notebook, "cells": cells, "metadata": {"kernelspec": KERNEL}}


def merged(outputs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Outputs of a cell, each run of pieces of stdout as one."""
    done: list[dict[str, Any]] = []
    for output in outputs:
        if output["output_type"] == "stream" and done and done[-1]["output_type"] == "stream":
            text = "".join([*done[-1]["text"], *output["text"]])
            output = {**output, "text": text.splitlines(keepends=True)}
            done.pop()
        done.append(output)
    return done


def outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Outputs of all cells."""
    return [each for cell in notebook["cells"] for each in cell.get("outputs", ())]


def read(name: str) -> dict[str, Any]:
    """A notebook as it is stored."""
    return json.loads((TUTORIALS / f"{name}.ipynb").read_text(encoding="utf-8"))


def test_all_notebooks_are_run() -> None:
    assert {path.stem for path in TUTORIALS.glob("*.ipynb")} == set(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_stored_outputs_are_stripped(name: str) -> None:
    notebook = read(name)
    assert stripped(notebook) == notebook
    texts = ["".join(part) for each in outputs(notebook)
             for part in (each.get("text", ""), *each.get("data", {}).values())]  # fmt: skip
    for text in texts:
        assert not re.search(r"/(home|root|tmp|Users|work)/|\d\d:\d\d:\d\d|\d /s", text), text


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, size in SMALL[name].items():
        monkeypatch.setenv(variable, size)
    kinds = {kind for each in outputs(execute(name, tmp_path, monkeypatch))
             for kind in each.get("data", ())}  # fmt: skip
    assert {"image/png", "text/html"} <= kinds
    stored = {kind for each in outputs(read(name)) for kind in each.get("data", ())}
    assert kinds == stored


def main(names: list[str]) -> None:
    """Run notebooks and store them."""
    for name in names or SMALL:
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            notebook = stripped(execute(name, Path(folder), patch))
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        (TUTORIALS / f"{name}.ipynb").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
