"""Notebooks of the documentation become pages of the site: a hook of MkDocs.

The outputs are those that the notebook holds: nothing is run.
"""

from __future__ import annotations

import base64
import json
from pathlib import PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

SHELL = "%%bash -e\n"  # the first line of cells with commands


class NotebookPage(File):
    """A notebook: links and the navigation name its ``.ipynb`` file, as they do on code hosts."""

    def is_documentation_page(self) -> bool:
        return True


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """MkDocs calls this with all files: notebooks become pages, their pictures files."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        name = PurePosixPath(file.src_uri)
        text, pictures = page(json.loads(file.content_string), name.stem)
        files.remove(file)
        files.append(NotebookPage.generated(config, file.src_uri, content=text))
        for picture, content in pictures.items():
            files.append(File.generated(config, str(name.with_name(picture)), content=content))
    return files


def page(notebook: dict[str, Any], stem: str) -> tuple[str, dict[str, bytes]]:
    """The notebook as Markdown, and its pictures by their names ``STEM_N.png``."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        language = "sh" if source.startswith(SHELL) else "python"
        parts.append(_fenced(source.removeprefix(SHELL), language))
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "text" in output:
                parts.append(_fenced("".join(output["text"]), "text"))
            elif "image/png" in data:
                picture = f"{stem}_{len(pictures) + 1}.png"
                pictures[picture] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![{cell['metadata'].get('alt', '')}]({picture})")
            elif "text/html" in data:
                parts.append(_table("".join(data["text/html"])))
            else:
                parts.append(_fenced("".join(data["text/plain"]), "text"))
    return "\n\n".join(parts) + "\n", pictures


def _fenced(text: str, language: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```"


def _table(html: str) -> str:
    """A table of pandas without its style and classes: the theme has its own."""
    rows = html[html.index("<thead") : html.index("</table>")]
    return f"<table>\n{rows}</table>"
