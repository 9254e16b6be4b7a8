"""Errors that are the user's to mend, as opposed to bugs in speechkit."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A problem with the user's input; the command line prints it and exits with 2.

    Args:
        problem: what is wrong and where (one sentence, names the value that was given).
        remedy: what is accepted or what to do about it.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple:  # keeps the remedy across process borders
        return (type(self), (self.problem, self.remedy))

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


class AudioError(UserError):
    """An audio file that cannot be used, with the reason.

    Args:
        problem: as for :class:`UserError`.
        remedy: as for :class:`UserError`.
        kind: ``missing``, ``empty``, ``cut``, ``nan``, ``outside`` or ``unreadable``.
    """

    def __init__(self, problem: str, remedy: str = "", kind: str = "unreadable") -> None:
        super().__init__(problem, remedy)
        self.kind = kind

    def __reduce__(self) -> tuple:
        return (type(self), (self.problem, self.remedy, self.kind))


class DataError(UserError):
    """A data directory, ark or table that breaks its format."""


class SharedError(UserError):
    """What all items need cannot be had: none of them is to blame, and none can be done."""


@contextmanager
def needed_by_all() -> Iterator[None]:
    """A UserError inside is one of what all items need (a model), not of the item at hand."""
    try:
        yield
    except UserError as error:
        raise SharedError(error.problem, error.remedy) from error


class MissingDependency(UserError):
    """An optional package that a feature needs."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"This needs the package '{package}', which is not installed.",
            f"Install it with: pip install 'speechkit[{extra}]'",
        )
        self.package, self.extra = package, extra

    def __reduce__(self) -> tuple:
        return (type(self), (self.package, self.extra))


def closest(name: str, known: Iterable[str]) -> str:
    """' Did you mean ...?' for the nearest known name, or an empty string."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{match[0]}'?" if match else ""


def require_choice(what: str, value: str, choices: Iterable[str]) -> None:
    """Raise UserError unless ``value`` is one of ``choices``."""
    options = list(choices)
    if value not in options:
        raise UserError(
            f"{what} '{value}' is not known.{closest(value, options)}",
            f"Accepted: {', '.join(options)}.",
        )
