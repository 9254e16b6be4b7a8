"""Docstrings as the reference shows them: groups of settings, names as links, blocks of code.

An extension of griffe, which reads the package for the pages of ``reference/``. Docstrings have
roles of Sphinx (``:func:`pit```), and settings stand under headings of their own (``Data:``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

SECTIONS = "Args|Arguments|Attributes|Examples|Raises|Returns|Yields"
_GROUP = re.compile(rf"^(\s*)(?!(?:{SECTIONS}):)([A-Z]\w+):$(?=\n\s+\w+: )", re.MULTILINE)
_ROLE = re.compile(r":(?:attr|class|const|data|func|meth|mod):`~?\.?([^`]+)`")
_CODE = re.compile(r"(?<=\S)::$", re.MULTILINE)  # what announces an indented block
_CODE_ALONE = re.compile(r"^\s*::\n", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites the docstrings of a package when it has been read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        for one in every(pkg):
            if one.docstring is not None:
                text = _CODE.sub(":", _CODE_ALONE.sub("", one.docstring.value))
                text = _GROUP.sub(r"\1Args: \2", text)
                one.docstring.value = _ROLE.sub(lambda role, one=one: link(one, role[1]), text)


def every(one: Any) -> Iterator[Any]:
    """An object and all in it."""
    yield one
    for member in one.members.values():
        if not member.is_alias:
            yield from every(member)


def link(one: Any, name: str) -> str:
    """A name in Markdown: a link where the reference shows it."""
    for scope in (one.parent if one.is_function else one, one.module, one.package):
        found: Any = scope
        try:
            for part in name.removeprefix(f"{one.package.path}.").split("."):
                found = found.members[part]
        except (KeyError, AttributeError, griffe.AliasResolutionError):
            continue
        if is_shown(found):
            return f"[`{name}`][{found.canonical_path}]"
    return f"`{name}`"


def is_shown(one: Any) -> bool:
    """Whether the reference has a place for it."""
    if one is None or one.is_alias:
        try:
            one = one.final_target
        except (AttributeError, griffe.AliasResolutionError):
            return False
    while one.parent is not None:
        if one.name.startswith("_") or one.name == "cli" or not one.has_docstring:
            return False
        one = one.parent
    return True
