"""Errors that are the user's to mend, as opposed to bugs in speechkit."""

from __future__ import annotations

import difflib
import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class UserError(Exception):
    """A problem with the user's input; the command line prints it and exits with 2.

    Args:
        problem: what is wrong and where (one sentence, names the value that was given).
        remedy: what is accepted or what to do about it.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        # `args` stay as they were given: across process borders the error is made of them again.
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


class ConfigError(UserError):
    """A setting whose value cannot be used: the message begins with its name in backticks.

    Messages name settings as Python does (`` `batch_size` ``); the command line prints their flags
    in place of them (``--batch-size``).

    Args:
        field: the name, without backticks: of a field of a configuration, or of a parameter.
        problem: what is wrong with it, as the name goes on ("0 is too few.").
    """

    def __init__(self, field: str, problem: str, remedy: str = "") -> None:
        super().__init__(f"`{field}` {problem}", remedy)
        self.field = field


class AudioError(UserError):
    """An audio file that cannot be used, with the reason.

    Args:
        kind: ``missing``, ``empty``, ``cut``, ``nan``, ``outside`` or ``unreadable``.
    """

    def __init__(self, problem: str, remedy: str = "", kind: str = "unreadable") -> None:
        super().__init__(problem, remedy)
        self.kind = kind


COPY_AGAIN = "Copy it again, or leave it out with `on_error` skip."


def cut_short(source: object, how_far: str) -> AudioError:
    """The error of an audio file that ends before it should."""
    return AudioError(f"{source}: is cut short: {how_far}.", COPY_AGAIN, "cut")


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
    """An optional package that a feature needs.

    Args:
        extra: the extra of speechkit that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        from speechkit.base.distribution import install_command

        super().__init__(
            f"This needs the package '{package}', which is not installed.",
            f"Install it with: {install_command(extra, package)}",
        )
        self.package, self.extra = package, extra


def closest(name: str, known: Iterable[str]) -> str:
    """' Did you mean ...?' for the nearest known name, or an empty string."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{match[0]}'?" if match else ""


def require_choice(field: str, value: str, choices: Iterable[str]) -> None:
    """Raise ConfigError unless ``value`` is one of ``choices``."""
    options = list(choices)
    if value not in options:
        raise ConfigError(
            field,
            f"'{value}' is not known.{closest(value, options)}",
            f"Accepted: {', '.join(options)}.",
        )


def require_range(field: str, value: object, good: bool, accepted: str) -> None:
    """Raise ConfigError unless the value is ``good``; ``accepted`` says which values are."""
    if not good:
        raise ConfigError(field, f"{value} is out of range.", f"Accepted: {accepted}.")


def command_line(stage: str, **options: object) -> str:
    """A command that a message tells to run: ``command_line("align", set="a", force=True)``.

    Options that are empty or False are left out; those that are True have no value.
    """
    words = [f"speechkit {stage}"]
    for name, value in options.items():
        if value:
            words.append(f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}"))
    return " ".join(words)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the machine or of the GPU.

    On the CPU PyTorch raises RuntimeError, in its own words or in those of oneDNN: it is the one
    case that only a text tells.
    """
    torch = sys.modules.get("torch")
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    words = ("can't allocate memory", "could not create a primitive")
    told = isinstance(error, RuntimeError) and any(text in str(error) for text in words)
    return told or isinstance(error, MemoryError)


_OF_ONE_FILE: tuple[int, ...] = (
    *(errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENAMETOOLONG, errno.ELOOP),
)
_NOT_ANSWERING: tuple[int, ...] = (
    *(errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.EREMOTEIO, errno.EBUSY),
    *(errno.ETXTBSY, errno.ENOLCK, errno.ENOMEDIUM, errno.ETIMEDOUT, errno.ENOTCONN),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH),
    *(errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED),
)
_MACHINE: tuple[tuple[tuple[int, ...], str, str], ...] = (
    (
        (errno.ENOSPC, errno.EDQUOT),
        "The disk is full",
        "Free some space and run the same command again.",
    ),
    (
        (errno.EACCES, errno.EPERM, errno.EROFS),
        "No permission",
        "Ask for access to it, or choose a working directory of your own with -C DIR.",
    ),
    (
        (errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
        "A file is not there, or not any more",
        "If something moved or removed it meanwhile, put it back and run the same command again.",
    ),
    (
        (errno.ENAMETOOLONG, errno.ELOOP),
        "A path cannot be used",
        "Give shorter names, or a path whose links do not go round in circles.",
    ),
    (
        (errno.EFBIG,),
        "A file became larger than is allowed here",
        "Raise the limit (ulimit -f), or work on another file system with -C DIR.",
    ),
    (
        (errno.EMFILE, errno.ENFILE),
        "Too many files are open",
        "Raise the limit (ulimit -n), or run fewer processes (-j 1).",
    ),
    (
        (errno.EAGAIN,),
        "The machine starts no more processes or threads",
        "Raise the limit (ulimit -u), or run fewer processes (-j 1).",
    ),
    (
        (errno.EPIPE,),
        "What reads the output of this command has ended",
        "Let it read all of it, or write into a file.",
    ),
    (
        _NOT_ANSWERING,
        "A disk, a share or another machine does not answer as it should",
        "Look after it (`mount`, `dmesg`), then run the same command again.",
    ),
)


def of_the_machine(error: BaseException) -> UserError | None:
    """What memory, disks and limits did to a command, as a message; None: a bug of ours.

    Decided by the type of the error and its number alone.
    """
    if is_out_of_memory(error):
        return UserError(
            "Memory ran out.",
            "Run fewer processes (-j 1), take smaller batches or shorter audio, or a machine "
            "that has more.",
        )
    if isinstance(error, SystemError):  # of the interpreter or a compiled package, never of ours
        return UserError(
            f"Python itself failed: {error}.",
            "Most often memory has run out: run fewer processes (-j 1), or raise its limit.",
        )
    if _is_of_a_library(error):
        return UserError(
            f"An installed package does not load: {error}.",
            "Free memory, or raise its limit (ulimit -v); if that is not it, install the package "
            "again (`speechkit doctor` looks at all).",
        )
    if not isinstance(error, OSError):
        return None
    paths = [str(path) for path in (error.filename, error.filename2) if path is not None]
    ours = bool(paths) and Path(paths[0]).is_relative_to(Path(__file__).parents[1])
    if error.errno == errno.ENOENT and ours:
        return None
    where = f" ({', '.join(paths)})" if paths else ""
    for numbers, problem, remedy in _MACHINE:
        if error.errno in numbers:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return UserError(f"{problem}{where}{'' if full else f': {error.strerror}'}.", remedy)
    return None


def _is_of_a_library(error: BaseException) -> bool:
    """Whether a package of others could not be loaded: Python's import names the path of what
    failed, ctypes' error has no number."""
    if isinstance(error, ImportError):
        ours = Path(__file__).parents[1]
        return error.path is not None and not Path(error.path).is_relative_to(ours)
    return isinstance(error, OSError) and error.errno is None and not isinstance(error, ValueError)


def is_of_one_file(error: BaseException) -> bool:
    """Whether other files may be read though this one cannot."""
    return isinstance(error, OSError) and error.errno in _OF_ONE_FILE


def one_line(error: Exception, most: int = 300) -> str:
    """The reason of an error of a library in so many characters, or the name of the error.

    No full stop ends it.
    """
    return " ".join(str(error).split())[:most].rstrip(".") or type(error).__name__
