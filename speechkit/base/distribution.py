"""The package under its name on an index, and what its extras ask for.

The import name and the command are ``speechkit``; an index has another project of that name, so
no advice may name it to pip. Advice for an extra names the packages
themselves: that works in a clone, from a wheel, and from an index.
"""

from __future__ import annotations

import importlib.metadata
import shlex

NAME = "speechkit-tail"
PIP_INSTALL = "python -m pip install"
ALONE = ("speakers",)  # extras of packages whose files are read: they do without what these need


def requirements(extra: str = "", of: str = NAME) -> list[str]:
    """What a package asks for, as ``dask[distributed]>=2024.8``.

    Args:
        extra: one of its extras; empty for what every install has.

    Raises:
        importlib.metadata.PackageNotFoundError: it is not installed.
    """
    from packaging.requirements import Requirement

    found: list[str] = []
    for line in importlib.metadata.requires(of) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is not None and not marker.evaluate({"extra": extra}):
            continue
        if extra and (marker is None or marker.evaluate({"extra": ""})):
            continue  # part of every install
        requirement.marker = None
        found.append(str(requirement))
    return found


def extras() -> list[str]:
    """Names of the extras; raises ``PackageNotFoundError`` where nothing is installed."""
    return sorted(importlib.metadata.metadata(NAME).get_all("Provides-Extra") or [])


def install_command(extra: str, package: str = "") -> str:
    """The command that installs an extra's packages.

    Args:
        extra: of speechkit.
        package: what to name where speechkit itself is not installed (it runs from a folder).
    """
    try:
        wanted = requirements(extra)
    except importlib.metadata.PackageNotFoundError:
        wanted = []
    alone = "--no-deps " if extra in ALONE else ""
    return f"{PIP_INSTALL} {alone}{shlex.join(wanted or [package])}"
