"""Notebooks as pages: cells in order, tables, pictures, commands without their magic."""

from __future__ import annotations

import base64
import importlib.util
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

PATH = Path(__file__).resolve().parents[1] / "docs" / "tutorials" / "notebook_pages.py"
SPEC = importlib.util.spec_from_file_location("notebook_pages", PATH)
assert SPEC and SPEC.loader
pages = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pages)


def code(source: str, *outputs: dict) -> dict:
    return {"cell_type": "code", "source": [source], "metadata": {"alt": "A"}, "outputs": outputs}


def test_cells_become_markdown() -> None:
    table = pd.DataFrame({"set": ["dev"], "hours": [0.5]})
    shown = {"data": {"text/html": [table.to_html()], "text/plain": ["set"]}}
    drawn = {"data": {"image/png": base64.b64encode(b"pixels").decode(), "text/plain": ["Figure"]}}
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": ["# Title\n", "Text"], "metadata": {}},
            code("%%bash -e\nspeechkit validate", {"text": ["one\n", "two\n"]}),
            code("table", shown),
            code("plt.show()", drawn),
            code("1 + 1", {"data": {"text/plain": ["2"]}}),
        ]
    }
    text, pictures = pages.page(notebook, "book")
    title, shell, out, source, found, plot, picture, sums, two = text.rstrip().split("\n\n")
    assert title == "# Title\nText"
    assert shell == "```sh\nspeechkit validate\n```" and out == "```text\none\ntwo\n```"
    assert source == "```python\ntable\n```" and plot == "```python\nplt.show()\n```"
    assert found.startswith("<table>\n<thead>") and "<style" not in found
    rows = [[cell.text for cell in row] for row in ElementTree.fromstring(found).iter("tr")]
    assert rows == [[None, "set", "hours"], ["0", "dev", "0.5"]]
    assert picture == "![A](book_1.png)" and pictures == {"book_1.png": b"pixels"}
    assert sums == "```python\n1 + 1\n```" and two == "```text\n2\n```"
