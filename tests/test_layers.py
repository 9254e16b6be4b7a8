"""Who may import whom: the rows of docs/architecture.md, and no circles."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import speechkit

ROOT = Path(speechkit.__file__).parent
ROWS = (
    ("base",),
    ("workdir",),
    ("kaldi",),
    ("labels",),
    ("corpora", "stats"),
    ("training",),
    ("task",),
    ("acoustic", "speaker"),
    ("phone_features", "mining"),
    ("separation", "pronunciation", "scoring", "emotion"),
    ("sharing", "report"),
    ("serve",),
    ("cli",),
)
"""A package imports from itself and from packages of earlier rows."""
ROW = {package: number for number, row in enumerate(ROWS) for package in row}


def module_name(path: Path) -> str:
    parts = ("speechkit", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(source: str, known: set[str]) -> set[str]:
    """Modules of speechkit that a source imports.

    All imports count: also those inside functions, which hide a dependency but do not end it,
    and those that are for types alone, because who names another's types must know it.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                found.add(inner if inner in known else str(node.module))
    return {name for name in found if name.split(".")[0] == "speechkit"}


def package(module: str) -> str:
    """``kaldi`` of ``speechkit.kaldi.data``; empty for what is above all packages."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (ROOT / parts[1]).is_dir() else ""


def wrong(module: str, others: set[str]) -> list[str]:
    """Imports of a module from its own row or a later one."""
    own = package(module)
    return [
        f"{module} imports {other}"
        for other in sorted(others)
        if own and package(other) not in ("", own) and ROW[package(other)] >= ROW[own]
    ]


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return {name: imported(path.read_text("utf-8"), set(FILES)) for name, path in FILES.items()}


def test_every_package_has_a_row():
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(ROW)
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "__main__.py"}


def test_packages_import_from_earlier_rows(graph):
    assert [line for module, others in graph.items() for line in wrong(module, others)] == []


def test_no_circles(graph):
    below = {module: others for module, others in graph.items() if module != "speechkit"}
    try:
        TopologicalSorter(below).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_package_itself_imports_only_what_it_is_asked_for(graph):
    assert graph["speechkit"] == {"speechkit.sharing.load"}  # when `speechkit.load` is asked for


def test_hidden_imports_count():
    source = (
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from speechkit.report import page\n"
        "def late():\n    import speechkit.cli.main\n    from speechkit.kaldi.ark import read_ark\n"
    )
    found = imported(source, {"speechkit.report.page", "speechkit.kaldi.ark"})
    assert found == {"speechkit.report.page", "speechkit.cli.main", "speechkit.kaldi.ark"}
    assert wrong("speechkit.kaldi.data", found) == [
        "speechkit.kaldi.data imports speechkit.cli.main",
        "speechkit.kaldi.data imports speechkit.report.page",
    ]
    assert wrong("speechkit.corpora.write", {"speechkit.stats.bootstrap"})  # of the same row
    assert not wrong("speechkit.cli.main", found)
