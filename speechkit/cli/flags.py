"""Commands whose flags are the fields of dataclasses.

A command is a function. Its parameters say what flags it has::

    @command(app, "mix", "name=out_name jobs=1 force")
    def mix(config: MixConfig, directory: Dir, **how: Any) -> None: ...

* ``MixConfig``: a flag for every field (see :mod:`speechkit.base.config`), the fields of nested
  configurations among them. The function gets the configuration.
* ``Annotated[dict, GivenFields(TrainConfig)]``: the same flags, but without defaults. The function
  gets those that were given, by name of field. Of several classes, ``GivenFields(A, B)``, each flag
  stands once, and its help says which classes have it.
* ``directory``: any other is the field of :class:`~speechkit.cli.options.CommandOptions` that has
  its name, or that ``Annotated[int, FieldOf("jobs")]`` says, also of another configuration.
* ``**how``: further fields of ``CommandOptions``, which the decorator lists in the order of the
  help: ``force`` as it is, ``name=out_name`` the field ``out_name`` under the name ``name``, and
  ``jobs=1`` with another default.

The help of a command is its docstring, or else the text of its parameter ``config``. Every command
also has ``--config FILE``, which gives defaults to its flags. One that returns an
:class:`~speechkit.base.answers.Answer` has ``--json``: its answer is printed as tables, or as JSON.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple, Optional, Union, get_args, get_origin

import typer

from speechkit.base.answers import NOTHING, Answer, summary
from speechkit.base.config import FIELD, ConfigField, numbers, settings_of, text_of
from speechkit.cli.completion import completer
from speechkit.cli.help import GroupedHelp
from speechkit.cli.options import CONFIG, MISSING, Dir, FieldOf
from speechkit.cli.output import print_answer

Values = Mapping[str, Any]


class GivenFields:
    """Of a parameter: it takes the fields of configurations that were given, by name.

    Args:
        configs: classes whose fields are flags without defaults.
        shown: what the help shows as their default.
    """

    def __init__(self, *configs: type, shown: str) -> None:
        self.configs, self.shown = configs, shown


class Part(NamedTuple):
    """A parameter of the function: the flags that it stands for, and how they make its value."""

    flags: list[inspect.Parameter]
    build: Callable[[Values], Any]


def command(app: typer.Typer, name: str, listed: str = "") -> Callable[[Callable], Callable]:
    """Add a function to an app as the command ``name``; the function itself stays as it is."""

    def add(function: Callable) -> Callable:
        app.command(name, cls=GroupedHelp)(as_command(function, listed))
        return function

    return add


def stage(
    app: typer.Typer, name: str, run: str, config: type, listed: str, shown: str = "answer"
) -> None:
    """Add a command that runs a stage and shows what it made; what it does, the configuration says.

    Args:
        run: ``MODULE:FUNCTION`` of speechkit: a stage with a working directory, a ``config`` and
            the options as parameters.
        listed: its options, as for :func:`command`, ``directory`` among them.
        shown: what makes an answer of what the stage returns, in the same module; empty: it is a
            folder with a ``summary.json``.
    """

    def call(directory: Dir, config: Any, **how: Any) -> Answer:
        place, _, function = run.partition(":")
        module = importlib.import_module(f"speechkit.{place}")
        made = attrgetter(function)(module)(directory, config=config, **how)
        return attrgetter(shown)(module)(made) if shown else summary(made)

    call.__annotations__["config"] = config
    command(app, name, listed)(call)


def as_command(function: Callable, listed: str = "") -> Callable:
    """A function with a parameter for every flag, as Typer takes it, that calls ``function``."""
    signature = inspect.signature(function, eval_str=True)
    last = {name: said for name, _, said in (word.partition("=") for word in listed.split())}
    own = {p.name: p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD}
    parts = {name: _part(p) for name, p in own.items() if name not in last}
    parts |= {
        name: _part(own[name]) if name in own else _listed(name, said)
        for name, said in last.items()
    }
    answers = signature.return_annotation is Answer

    def call(**values: Any) -> None:
        answer = function(**{name: part.build(values) for name, part in parts.items()})
        if answers and answer is not NOTHING:
            print_answer(answer, values["as_json"])
            if answer.code:
                raise typer.Exit(answer.code)

    every = {flag.name: flag for part in parts.values() for flag in part.flags}
    if answers:
        every |= {flag.name: flag for flag in _listed("as_json", "").flags}
    every["config"] = inspect.Parameter("config", _KEYWORD, default=None, annotation=CONFIG)
    functools.update_wrapper(call, function)
    if function.__doc__ is None:
        call.__doc__ = text_of(own["config"].annotation)
    call.__signature__ = signature.replace(parameters=list(every.values()))  # type: ignore
    call.__annotations__ = {name: flag.annotation for name, flag in every.items()}
    del call.__wrapped__  # type: ignore[attr-defined]
    return call


_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _part(parameter: inspect.Parameter) -> Part:
    kind, name = parameter.annotation, parameter.name
    if dataclasses.is_dataclass(kind):
        return Part(list(_flags_of(kind)), functools.partial(_build, kind))
    extra = next(iter(getattr(kind, "__metadata__", ())), None)
    if isinstance(extra, FieldOf):
        return _field(name, extra, parameter.default)
    if isinstance(extra, GivenFields):
        return _optional(extra)
    return _field(name, FieldOf(name), parameter.default)


def _listed(name: str, said: str) -> Part:
    """An option as the decorator lists it: ``force``, ``name=out_name`` or ``jobs=1``."""
    if said.isdigit():
        return _field(name, FieldOf(name), int(said))
    return _field(name, FieldOf(said or name), inspect.Parameter.empty)


def _field(name: str, option: FieldOf, default: Any) -> Part:
    """One field of a configuration, perhaps with another default."""
    known = next((one for one in settings_of(option.config) if one.name == option.field), None)
    if known is None:
        raise TypeError(f"The parameter '{name}' is neither a configuration nor an option.")
    setting = known._replace(name=name)
    if default is not inspect.Parameter.empty:
        setting = setting._replace(default=float(default) if known.kind is float else default)
    return Part([_of_field(setting)], lambda values: _value(setting, values[name]))


# --- configurations ---


def _flags_of(config: Any, group: str = "") -> Iterator[inspect.Parameter]:
    for setting in settings_of(config):
        if dataclasses.is_dataclass(setting.kind) and not setting.flag.hidden:
            yield from _flags_of(setting.kind, setting.group or group)
        elif not setting.flag.hidden:
            yield _of_field(setting, group)


def _of_field(setting: ConfigField, group: str = "") -> inspect.Parameter:
    default = setting.default if setting.flag.default is FIELD else setting.flag.default
    shown = True if setting.flag.shown == "" else setting.flag.shown
    return _flag(setting, _kind(setting), _as_text(setting, default), group, shown)


def _flag(
    setting: ConfigField, kind: Any, default: Any, group: str, shown: str | bool
) -> inspect.Parameter:
    flag = setting.flag
    if isinstance(shown, str):
        shown = re.sub("`([a-z]+)`", r"--\1", shown)
    names = [re.sub(r"(^|/)(?!-)", r"\1--", name) for name in flag.names]
    make = typer.Argument if flag.argument else typer.Option
    info = make(
        ... if default is MISSING else default,
        *names,
        autocompletion=completer(names or [f"--{setting.name.replace('_', '-')}"]),
        help=setting.help,
        show_default=shown,
        metavar=flag.metavar or None,
        min=flag.least,
        max=flag.most,
        rich_help_panel=setting.group or group or None,
    )
    return inspect.Parameter(setting.name, _KEYWORD, default=info, annotation=kind)


def _kind(setting: ConfigField) -> Any:
    """The type on the command line: a tuple is a text with commas, or a list."""
    if inner := _of_tuple(setting.kind):
        return list[inner] if setting.flag.several else str  # type: ignore
    if isinstance(setting.kind, types.UnionType):
        return Union[setting.kind.__args__]  # noqa: UP007 - Typer knows this one
    return setting.kind


def _of_tuple(kind: Any) -> Any:
    """Type of the values of a tuple, also of one that may be None; of other kinds None."""
    found = (one for one in (kind, *get_args(kind)) if get_origin(one) is tuple)
    return next((get_args(one)[0] for one in found), None)


def _as_text(setting: ConfigField, default: Any) -> Any:
    if not _of_tuple(setting.kind) or default is MISSING:
        return default
    if setting.flag.several:
        return list(default) or None
    return "" if setting.flag.shown else ",".join(map(str, default))


def _build(config: Any, values: Values) -> Any:
    """The configuration that flags say."""
    found = {}
    for setting in settings_of(config):
        if setting.flag.hidden:
            continue
        if dataclasses.is_dataclass(setting.kind):
            found[setting.name] = _build(setting.kind, values)
        else:
            found[setting.name] = _value(setting, values[setting.name])
    return config(**found)


def _value(setting: ConfigField, given: Any) -> Any:
    """A field from what was given for it."""
    if setting.flag.convert:
        return setting.flag.convert(given)
    if not (inner := _of_tuple(setting.kind)):
        return setting.default if given == "" == setting.flag.default else given
    if setting.flag.several or not isinstance(given, str):
        return tuple(given or ())
    default = () if setting.default is MISSING else setting.default
    if not given:
        return default
    words = [word.strip() for word in given.split(",")]
    if (one := getattr(inner, "__origin__", inner)) is str:
        return tuple(word for word in words if word or default is None or "" in default)
    return numbers(setting.name, given, one)


def _optional(given: GivenFields) -> Part:
    """Flags without defaults of all fields of some configurations."""
    settings: dict[str, list[ConfigField]] = {}
    titles: dict[str, list[str]] = {}
    for config in given.configs:
        for setting in settings_of(config):
            if not (setting.flag.hidden or dataclasses.is_dataclass(setting.kind)):
                settings.setdefault(setting.name, []).append(setting)
                titles.setdefault(setting.name, []).append(getattr(config, "TITLE", ""))

    def build(values: Values) -> dict[str, Any]:
        found = {name: values[name] for name in settings if values[name] is not None}
        return {name: _value(settings[name][0], value) for name, value in found.items()}

    flags = []
    for name, (setting, *others) in settings.items():
        if others and any(setting.help != other.help for other in others):
            texts = zip(titles[name], (setting, *others), strict=True)
            told = (f"{title}: {one.help.rstrip('.')}" for title, one in texts)
            setting = setting._replace(help="; ".join(told))
        elif len(others) + 1 < len(given.configs):
            setting = setting._replace(help=f"{', '.join(titles[name])}: {setting.help}")
        kind: Any = Optional[_kind(setting)]  # noqa: UP045
        flags.append(_flag(setting, kind, None, "", setting.flag.shown or given.shown))
    return Part(flags, build)
