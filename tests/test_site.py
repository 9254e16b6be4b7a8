"""The documentation site: every page is listed once, and pictures and links of pages are there."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import speechkit

ROOT = Path(__file__).parents[1]


def pages(entry: Any) -> Iterator[str]:
    """Pages of a part of the navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for each in entry.values() if isinstance(entry, dict) else entry:
            yield from pages(each)


def documents() -> list[Path]:
    """Files of the documentation that become pages."""
    found = [path for ending in ("md", "ipynb") for path in (ROOT / "docs").rglob(f"*.{ending}")]
    return [path for path in found if ".ipynb_checkpoints" not in path.parts]


def test_every_page_is_listed_once() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    there = {str(path.relative_to(ROOT / "docs")) for path in documents()}
    assert Counter(pages(navigation)) == Counter(there)


def test_links_and_pictures_of_pages_are_there() -> None:
    missing = []
    for page in [ROOT / "README.md", *documents()]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                missing.append(f"{page.relative_to(ROOT)}: {target}")
    assert missing == []


def test_every_package_is_in_the_reference() -> None:
    """But the command line, which pages of commands describe."""
    packages = {p.parent.name for p in Path(speechkit.__file__).parent.glob("*/__init__.py")}
    shown = [
        re.findall(r"^::: speechkit\.(\w+)$", path.read_text("utf-8"), re.MULTILINE)
        for path in sorted((ROOT / "docs" / "reference").glob("*.md"))
    ]
    assert Counter(name for names in shown for name in names) == Counter(packages - {"cli"})


def test_docstrings_of_the_reference() -> None:
    """Roles of Sphinx become links where there is a place to link to; groups become sections."""
    griffe = pytest.importorskip("griffe")
    file = ROOT / "docs" / "docstrings.py"
    spec = importlib.util.spec_from_file_location("docstrings", file)
    assert spec is not None and spec.loader is not None
    docstrings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(docstrings)
    package = griffe.visit("speech", Path("speech.py"), SPEECH)
    docstrings.Docstrings().on_package(pkg=package)
    shown = package["Settings"].docstring
    assert shown.value.startswith(
        "Read by [`read`][speech.read], [`Settings.check`][speech.Settings.check] and `_hidden`:"
    )
    found = [(s.kind.value, s.title) for s in shown.parse("google", warnings=False)]
    assert found == [("text", None), ("parameters", None), ("parameters", "Data")]
    assert package["read"].docstring.value == "See `check`, `numpy.load`."


SPEECH = '''
class Settings:
    """Read by :func:`read`, :meth:`Settings.check` and :func:`_hidden`::

        read(Settings())

    Args:
        name: of a model.

    Data:
        rate: in Hz.
    """

    def check(self):
        """Raise."""

def read(settings):
    """See :meth:`check`, :func:`numpy.load`."""

def _hidden():
    """Hidden."""
'''
