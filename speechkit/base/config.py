"""What a configuration says of its fields beside name, type, default and help.

A configuration is a frozen dataclass. Its docstring says what each field is, under ``Args:`` or
under headings that group the fields (``Data:``, ``Model:``, ``Training:``); where it is that of one
command, the text before them is the help of the command. The command line makes
a flag of every field; what differs from the field's name and type is said by :class:`Flag`::

    @dataclass(frozen=True)
    class MixConfig:
        '''A set of mixtures.

        Args:
            set: Set whose utterances are mixed.
            rate: Sample rate of the mixtures in Hz.
        '''

        set: str = "test"
        rate: Annotated[int, Meta(ge=1)] = 8000
        mode: Annotated[str, OneOf("min", "max")] = "min"
        write_audio: Annotated[bool, Flag("write-audio")] = False  # no --no-write-audio

:func:`check_fields` compares the values with the ranges (``msgspec.Meta``) and choices.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

from msgspec import Meta

from speechkit.base.errors import ConfigError, require_choice, require_range

Count = Annotated[int, Meta(ge=1)]
Whole = Annotated[int, Meta(ge=0)]  # a number that may be 0
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, lt=1)]
FIELD = object()  # the default of the command line is that of the field


class Flag:
    """How a field is given on the command line.

    Args:
        names: its option names without dashes, as ``set`` or ``normalize/stored-levels``, and
            short ones as ``-j``; none: the name of the field.
        default: of the command line, where it differs from the field's.
        shown: what the help shows as default, in words.
        metavar: what the help shows as value.
        several: of a tuple: the flag may be given several times, instead of a list with commas.
        hidden: the field is no flag: other things decide it.
        least, most: range that the command line checks.
        convert: makes the value of the field of what was given.
        argument: it is given by its place, without a name.
    """

    def __init__(
        self,
        *names: str,
        default: Any = FIELD,
        shown: str | bool = "",
        metavar: str = "",
        several: bool = False,
        hidden: bool = False,
        least: float | None = None,
        most: float | None = None,
        convert: Callable[[Any], Any] | None = None,
        argument: bool = False,
    ) -> None:
        self.names, self.default, self.shown, self.metavar = names, default, shown, metavar
        self.several, self.hidden, self.argument = several, hidden, argument
        self.least, self.most, self.convert = least, most, convert


def processes(jobs: int) -> int:
    """Number of processes: 0 means one per CPU."""
    from speechkit.base.parallel import cpu_count

    return jobs or cpu_count()


NO_FLAG = Flag(hidden=True)
Seed = Annotated[int, Flag(least=0, most=2**63 - 1)]
Jobs = Annotated[int, Flag("jobs", "-j", least=0, convert=lambda jobs: processes(jobs))]


class OneOf:
    """The choices of a field.

    Args:
        choices: all values that it may have.
    """

    def __init__(self, *choices: str) -> None:
        self.choices = choices


class ConfigField(NamedTuple):
    """A field of a configuration.

    Args:
        name: of the field.
        kind: its type, without annotations.
        limits: its range (``Meta``) and its choices (:class:`OneOf`).
        default: its default; ``dataclasses.MISSING`` where it has none.
        flag: how it is given.
        help: what the docstring says of it, in one line.
        group: heading that it stands under; empty under ``Args:``.
    """

    name: str
    kind: Any
    limits: tuple[Any, ...]
    default: Any
    flag: Flag
    help: str
    group: str


@cache
def settings_of(config: Any) -> tuple[ConfigField, ...]:
    """The fields of a configuration, in the order of its docstring."""
    kinds, described = get_type_hints(config, include_extras=True), descriptions(config)
    order = {name: place for place, name in enumerate(described)}
    found = []
    for field in dataclasses.fields(config):
        kind, default = kinds[field.name], field.default
        extras = getattr(kind, "__metadata__", ())
        flag = next((extra for extra in extras if isinstance(extra, Flag)), Flag())
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        help_, group = described.get(field.name, ("", ""))
        kind = kind.__origin__ if extras else kind
        limits = tuple(extra for extra in extras if isinstance(extra, Meta | OneOf))
        found.append(ConfigField(field.name, kind, limits, default, flag, help_, group))
    return tuple(sorted(found, key=lambda one: order.get(one.name, len(order))))


def text_of(config: type) -> str:
    """The docstring of a configuration before its first heading."""
    return re.split(r"^\w[\w ]*:$", inspect.cleandoc(config.__doc__ or ""), flags=re.M)[0].strip()


def descriptions(config: type) -> dict[str, tuple[str, str]]:
    """What docstrings say of fields, those of the base classes too: name -> (text, group)."""
    found: dict[str, tuple[str, str]] = {}
    for one in reversed(config.__mro__[:-1]):
        found |= dict(_described(inspect.cleandoc(one.__doc__ or "")))
    return found


def _described(text: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for heading, body in re.findall(r"^(\w[\w ]*):\n((?:    .*\n?|\n)+)", text, re.MULTILINE):
        group = "" if heading == "Args" else heading
        for names, words in re.findall(
            r"^    (\w[\w, ]*): ((?:.*\n?(?:      .*\n?)*))", body, re.M
        ):
            for name in names.split(", "):
                yield name, (" ".join(words.split()), group)


def numbers(field: str, text: str, kind: type) -> tuple:
    """The numbers of a comma-separated list.

    Raises:
        ConfigError: it is none.
    """
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            field, f"'{text}' is not a list of numbers.", "Separate them by commas."
        ) from None


def check_fields(config: Any) -> None:
    """Raise ConfigError for a value out of its range, or that is none of its choices."""
    kind: Any = type(config)
    for setting in settings_of(kind):
        value = getattr(config, setting.name)
        _check(setting.name, setting.limits, value, value)
        if get_origin(setting.kind) is tuple:
            inner = getattr(get_args(setting.kind)[0], "__metadata__", ())
            for one in value:
                _check(setting.name, inner, one, ",".join(map(str, value)))


def _check(name: str, limits: tuple[Any, ...], value: Any, shown: Any) -> None:
    for limit in limits:
        if isinstance(limit, OneOf):
            require_choice(name, value, limit.choices)
        elif isinstance(limit, Meta) and isinstance(value, int | float):
            require_range(name, shown, _within(value, limit), _accepted(limit))


def _within(value: float, range_: Meta) -> bool:
    return (
        math.isfinite(value)
        and (range_.ge is None or value >= range_.ge)
        and (range_.gt is None or value > range_.gt)
        and (range_.le is None or value <= range_.le)
        and (range_.lt is None or value < range_.lt)
    )


def _accepted(range_: Meta) -> str:
    """As ``1 or more``, ``above 0``, ``from 0 to below 1``."""
    high = f"to {range_.le:g}" if range_.le is not None else ""
    high = f"to below {range_.lt:g}" if range_.lt is not None else high
    if range_.ge is not None:
        return f"from {range_.ge:g} {high}" if high else f"{range_.ge:g} or more"
    low = f"above {range_.gt:g}" if range_.gt is not None else ""
    return ", ".join(word for word in (low, high) if word)
