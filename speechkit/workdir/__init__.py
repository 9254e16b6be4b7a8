"""The working directory: where sets and outputs live, and how they may be called.

Outputs are all or nothing, with a manifest of how they came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from speechkit.base.errors import UserError
from speechkit.base.text import composed, on_disk, size
from speechkit.workdir.output import Output

__all__ = ["Output", "WorkDir", "check_name"]

_NAME = re.compile(r"\w[\w.+-]{0,99}")
_MOST_BYTES = 200  # leaves 55 for `.NAME.partial` and the like


def check_name(what: str, name: str) -> str:
    """``name``, in the composed form, if it can be one folder.

    A path must never lead a stage out of its place.

    Raises:
        UserError: it is empty, too long, or holds more than letters, digits and ``_ - . +``.
    """
    name = composed(name)
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name[:200]!r} cannot be the name of a {what}.",
            "Use letters, digits, '_', '-', '.' and '+' (at most 100), and begin with a letter, "
            "digit or '_'.",
        )
    if size(name) > _MOST_BYTES:
        raise UserError(
            f"'{name}' cannot be the name of a {what}: it has {size(name)} bytes on the disk "
            f"({len(name)} characters).",
            f"At most {_MOST_BYTES} bytes are accepted; letters other than a to z need 2 to 4.",
        )
    return name


@dataclass(frozen=True)
class WorkDir:
    """Paths of a working directory.

    Args:
        root: the folder that holds ``data/`` and ``exp/``.
    """

    root: Path

    def data(self, name: str) -> Path:
        """``data/<name>``; raises UserError when the set is not there."""
        path = on_disk(self.root / "data" / check_name("set", name))
        if not name or not path.is_dir():
            sets = ", ".join(self.sets())
            there = f"Sets found: {sets}." if sets else "No sets were found."
            raise UserError(
                f"There is no set '{name}' in {self.root / 'data'}. {there}",
                "Make one with `speechkit prepare` (see `speechkit prepare --help`), "
                "or name the working directory with -C DIR.",
            )
        return path

    def sets(self) -> list[str]:
        """Names of the sets under ``data/``."""
        data = self.root / "data"
        found = data.iterdir() if data.is_dir() else iter(())
        return sorted(p.name for p in found if (p / "wav.scp").is_file())

    def exp(self, *parts: str, name: str = "") -> Path:
        """``exp/<parts>``, the last part followed by ``-<name>`` if a name is given."""
        *head, last = parts
        names = [*head, f"{last}-{name}" if name else last]
        return self.root.joinpath("exp", *(check_name("folder of exp/", n) for n in names))

    def require(self, path: Path, made_by: str) -> Path:
        """``path`` if it exists; otherwise UserError that names the command that makes it."""
        if not path.exists():
            raise UserError(f"{path} does not exist.", f"Make it with: {made_by}")
        return path
