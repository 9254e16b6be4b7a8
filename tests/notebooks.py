"""``python notebooks.py NOTEBOOK FOLDER RESULT``: run in FOLDER, write with the outputs."""

from __future__ import annotations

import sys

import nbformat
from nbclient import NotebookClient


def main(source: str, folder: str, result: str) -> None:
    """An error in a cell ends this with what the cell printed."""
    notebook = nbformat.read(source, as_version=4)
    NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": folder}}).execute()
    nbformat.write(notebook, result)


if __name__ == "__main__":
    main(*sys.argv[1:])
