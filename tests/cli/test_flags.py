"""Commands that are made of dataclasses: names, types, values, help."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from speechkit.base.config import (
    NO_FLAG,
    Count,
    Flag,
    OneOf,
    check_fields,
    settings_of,
    text_of,
)
from speechkit.base.errors import ConfigError
from speechkit.cli import flags
from speechkit.cli.flags import GivenFields, command
from speechkit.cli.main import app as program
from speechkit.cli.options import Dir, FieldOf


@dataclass(frozen=True)
class Mixing:
    """How it is mixed.

    Training:
        segment: Seconds of a
            mixture.
        speeds: Factors of speed.
    """

    rate: Annotated[int, NO_FLAG] = 8000
    segment: float = 4.0
    speeds: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Config:
    """All of it.

    Args:
        words, mixing: Texts.
    Data:
        set_name: Set to read.
        normalize: Equal levels.
        epochs: Number of epochs.
        mode: Cut.
    """

    set_name: Annotated[str, Flag("set")] = "train"
    normalize: Annotated[bool, Flag("normalize/stored-levels")] = True
    epochs: Count = 3
    words: tuple[str, ...] = ("",)
    several: Annotated[tuple[str, ...], Flag(several=True)] = ()
    mode: Annotated[str, OneOf("min", "max")] = "min"
    mixing: Mixing = field(default_factory=Mixing)


@dataclass(frozen=True)
class Single:
    """Flags that stand alone.

    Args:
        need: Needed.
    """

    need: int


CALLS: list = []


@pytest.fixture
def run():
    app = typer.Typer()
    CALLS.clear()

    @command(app, "make")
    def make(
        config: Config,
        need: Annotated[int, FieldOf("need", Single)],
        directory: Dir,
        jobs: int = 2,
    ) -> None:
        """Make it."""
        CALLS.append((config, need, directory.root, jobs))

    @command(app, "some")
    def some(given: Annotated[dict, GivenFields(Mixing, Config, shown="of --model")]) -> None:
        """Some of it."""
        CALLS.append(given)

    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def test_defaults_and_values_of_flags(run) -> None:
    assert run("make", "--need", 3).exit_code == 0
    assert CALLS[-1] == (Config(), 3, Path("."), 2)
    flags = ("--set", "b", "--stored-levels", "--epochs", 5, "--words", "a, b", "--speeds", "1,2")
    assert run("make", "--need", 3, *flags, "--several", "x", "--several", "y").exit_code == 0
    made = Mixing(speeds=(1.0, 2.0))
    assert CALLS[-1][0] == Config("b", False, 5, ("a", "b"), ("x", "y"), mixing=made)
    assert run("make").exit_code == 2 and run("make", "--need", 1, "--rate", 1).exit_code == 2


def test_options_that_the_decorator_lists() -> None:
    app, found = typer.Typer(), []

    @command(app, "write", "name=out_name directory jobs=3 checkpoint_minutes=5 force")
    def write(directory: Dir, **how: object) -> None:
        """Write it."""
        found.append({"directory": directory.root, **how})

    assert CliRunner().invoke(app, []).exit_code == 0
    given = ("--name", "x", "-C", "/", "-j", "2", "--checkpoint-minutes", "0.5", "--force")
    assert CliRunner().invoke(app, list(given)).exit_code == 0
    names = ("name", "directory", "jobs", "checkpoint_minutes", "force")
    assert [tuple(one[name] for name in names) for one in found] == [
        ("", Path("."), 3, 5.0, False),
        ("x", Path("/"), 2, 0.5, True),
    ]
    text = CliRunner().invoke(app, ["--help"]).output
    places = [text.index(flag) for flag in ("--name", "--dir,-C", "--force")]
    assert places == sorted(places)


def test_an_unknown_option_of_a_command() -> None:
    with pytest.raises(TypeError, match="'nonsense' is neither a configuration nor an option"):
        command(typer.Typer(), "write", "nonsense")(lambda **how: None)


def test_every_stage_takes_the_options_of_its_command(monkeypatch) -> None:
    """A stage is called by the names of its parameters, which no type checker sees."""
    seen = []
    monkeypatch.setattr(flags, "stage", lambda *of, **more: seen.append((*of, more)))
    for name in ("compare", "evaluate", "stages"):
        importlib.reload(importlib.import_module(f"speechkit.cli.{name}"))
    monkeypatch.undo()
    for name in ("compare", "evaluate", "stages"):
        importlib.reload(importlib.import_module(f"speechkit.cli.{name}"))
    assert len(seen) >= 12
    for _, name, run, config, listed, *_ in seen:
        module, _, function = run.partition(":")
        called = getattr(importlib.import_module(f"speechkit.{module}"), function)
        options = dict.fromkeys(word.partition("=")[0] for word in listed.split())
        del options["directory"]
        inspect.signature(called).bind("work", config=config, **options)  # raises where it cannot
        assert text_of(config), name


def test_only_what_was_given(run) -> None:
    assert run("some").exit_code == 0 and CALLS[-1] == {}
    assert run("some", "--speeds", "2", "--stored-levels").exit_code == 0
    assert CALLS[-1] == {"speeds": (2.0,), "normalize": False}


@dataclass(frozen=True)
class Chosen:
    """What may be left to others."""

    names: Annotated[tuple[str, ...] | None, Flag(default="", shown="theirs")] = None
    one: Annotated[str | None, Flag(default="")] = None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((), Chosen()),
        (("--names", "", "--one", ""), Chosen()),
        (("--names", "a,", "--one", "x"), Chosen(("a", ""), "x")),
    ],
)
def test_an_empty_text_is_none_where_that_is_the_default(given: tuple, expected: Chosen) -> None:
    app, found = typer.Typer(), []

    @command(app, "choose")
    def choose(config: Chosen) -> None:
        """Choose."""
        found.append(config)

    assert CliRunner().invoke(app, list(given)).exit_code == 0
    assert found == [expected]


def test_lists_of_numbers_are_checked(run) -> None:
    done = run("make", "--need", 1, "--speeds", "1,x")
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception).startswith("`speeds` '1,x' is not a list of numbers.")


def test_help_has_groups_and_defaults(run) -> None:
    text = run("make", "--help").output
    for line in (
        r"Data\n  --set +Set to read \[train\]",
        r"--normalize/--stored-levels +Equal levels \[normalize\]",
        r"--segment +Seconds of a mixture \[4.0\]",
        r"--need +Needed \(required\)",
        r"Machine\n  --jobs,-j .*\[2\]",
    ):
        assert re.search(line, text), f"{line}\n{text}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "`epochs` 0 is out of range. Accepted: 1 or more."),
        ({"mode": "mix"}, "`mode` 'mix' is not known. Did you mean 'min'?"),
    ],
)
def test_values_out_of_range(change: dict, message: str) -> None:
    check_fields(Config())
    with pytest.raises(ConfigError) as caught:
        check_fields(Config(**change))
    assert str(caught.value).startswith(message)


def test_the_text_of_a_configuration() -> None:
    assert text_of(Config) == "All of it." and text_of(Mixing) == "How it is mixed."


def test_help_is_the_docstring_or_the_text_of_the_configuration() -> None:
    app = typer.Typer()

    @command(app, "mix")
    def mix(config: Mixing) -> None: ...

    assert "How it is mixed." in CliRunner().invoke(app, ["--help"]).output


def test_settings_are_in_the_order_of_the_docstring() -> None:
    names = [one.name for one in settings_of(Config)]
    assert names[:4] == ["words", "mixing", "set_name", "normalize"]
    assert settings_of(Mixing)[0].help == "Seconds of a mixture."


def every_flag():
    group = typer.main.get_command(program)
    todo = [("speechkit", group)]
    while todo:
        path, one = todo.pop()
        todo += [(f"{path} {name}", inner) for name, inner in getattr(one, "commands", {}).items()]
        yield from ((path, parameter) for parameter in one.params)


def test_every_flag_has_a_help_that_is_a_phrase() -> None:
    bad = [
        f"{path} {parameter.opts[0]}: {parameter.help}"
        for path, parameter in every_flag()
        if "completion" not in parameter.name
        and (not parameter.help or parameter.help.startswith("Of "))
    ]
    assert bad == []


@pytest.mark.parametrize("task", ["acoustic", "emotion", "pronunciation", "scoring", "separation"])
def test_help_of_a_training_fits_two_screens(task: str, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(program, ["train", task, "--help"]).output
    assert len(text.splitlines()) <= 84
