"""The ``speechkit`` program: its commands, and what its exit codes mean."""

from __future__ import annotations

import contextlib
import importlib
import sys
from functools import cached_property
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

import speechkit
from speechkit.base import log, signals
from speechkit.base.errors import UserError, of_the_machine
from speechkit.cli.messages import FlagNames

OK, BUG, USER_ERROR, INTERRUPTED = 0, 1, 2, 130

PANELS = {
    "Start": ("run", "status"),
    "Data": ("prepare", "validate", "split", "split-folds", "mix", "make-miscues"),
    "Features": (
        *("align", "extract-gop", "extract-deep"),
        *("extract-prosody", "extract-xvector", "extract-hidden"),
    ),
    "Mining": ("mine-hard", "synthesize-scores", "analyze-correlation"),
    "Training and evaluation": ("train", "evaluate", "compare", "report"),
    "Use": ("predict", "serve"),
    "Sharing": ("export", "import"),
    "Machine": ("doctor",),
}
"""Headings of ``speechkit --help``; commands stand in the order of a recipe."""


class Program(TyperGroup):
    """The commands under their headings."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        order = {name: panel for panel, names in PANELS.items() for name in names}
        for name, one in self.commands.items():
            one.rich_help_panel = order.get(name, "Machine")  # type: ignore[attr-defined]
        known = [name for name in order if name in self.commands]
        self.commands = {
            name: self.commands[name] for name in dict.fromkeys([*known, *self.commands])
        }

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of a recipe."""
        return list(self.commands)


app = typer.Typer(
    name="speechkit",
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find the hard samples in speech data, train on them, and measure the tail.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"speechkit {speechkit.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find the hard samples in speech data, train on them, and measure the tail.

    Stages read and write a working directory (-C DIR): sets in data/, outputs in exp/.
    """


class TaskGroup(TyperGroup):
    """``speechkit train`` and the like: imports its commands when one of them is asked for."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        del self.commands

    @cached_property
    def commands(self) -> dict[str, Any]:  # type: ignore[override]
        """By name."""
        module = importlib.import_module(f"speechkit.cli.{self.name}")
        return dict(get_group(module.app).commands)


def _add_group(name: str, text: str) -> None:
    group = typer.Typer(cls=TaskGroup, callback=lambda: None, no_args_is_help=True, help=text)
    app.add_typer(group, name=name)


def _add_commands() -> None:
    from speechkit.cli import run, share, stages, status

    _add_group("prepare", "Make sets (data/SET/) of a published corpus, or of your own data.")
    _add_group("train", "Train a model; a task is a subcommand.")
    _add_group("evaluate", "Measure a trained model; a task is a subcommand.")
    _add_group("compare", "Compare experiments; a task is a subcommand.")
    _add_group("predict", "Use a trained model on anyone's audio; a task is a subcommand.")
    for module in (stages, share, status):
        app.registered_commands += module.app.registered_commands
    run.add_commands(app, lambda words: main(words))


_add_commands()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0 done; 1 a bug in speechkit, with its traceback; 2 the user's input or the machine; 130
    interrupted by Ctrl-C; 143 terminated by SIGTERM.
    """
    given = sys.argv[1:] if arguments is None else arguments
    log.setup()
    log.word_with(FlagNames(app, given))
    log.forget_notes()
    signals.forget()
    try:
        if odd := next((word for word in given if "\0" in word), None):
            raise UserError(
                f"The argument {odd!r} holds a NUL character.", "No name or path has one."
            )
        code = app(arguments, prog_name="speechkit", standalone_mode=False)
        if code == INTERRUPTED:  # Typer has caught the interrupt itself
            raise KeyboardInterrupt
        sys.stdout.flush()  # while it can still be told that it cannot be written
        return code if isinstance(code, int) else OK
    except UserError as error:
        _say(log.worded(error.problem), log.worded(error.remedy))
    except typer.TyperException as error:  # wrong flags and values
        from typer.rich_utils import rich_format_error

        if not error.message:  # a flag is missing: say what it takes
            error.message = getattr(getattr(error, "param", None), "help", None) or ""
        rich_format_error(error)  # type: ignore[arg-type]
    except (KeyboardInterrupt, typer.Abort):
        return _stopped()
    except SystemExit as error:
        if isinstance(error.__context__, OSError):
            return _end(error.__context__)  # Typer's answer to a broken pipe
        return int(error.code or OK)  # of a command that `run` ran, which has said why
    except Exception as error:
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            return _stopped()  # while a class was being made, which wraps it
        return _end(error)
    return USER_ERROR


def _stopped() -> int:
    """Say by what, and give the exit code."""
    code = signals.exit_code()
    how = "Interrupted" if code == INTERRUPTED else "Terminated"
    _say(f"{how}. The same command takes up what was finished.", "")
    return code


def _end(error: Exception) -> int:
    """Of what is no UserError: the machine's, or a bug."""
    if end := of_the_machine(error):
        _say(end.problem, end.remedy)
        return USER_ERROR
    import traceback

    traceback.print_exception(error)
    print(
        "This is a bug in speechkit; please report it with the lines above "
        f"(version {speechkit.__version__}).",
        file=sys.stderr,
    )
    return BUG


def _say(problem: str, remedy: str) -> None:
    from rich.console import Console
    from rich.text import Text

    text = Text.assemble(("error: ", "bold red"), problem)
    if remedy:
        text.append(f"\n       {remedy}")
    with contextlib.suppress(OSError):  # of stderr itself
        Console(stderr=True, soft_wrap=True).print(text)
