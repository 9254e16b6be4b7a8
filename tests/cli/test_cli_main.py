"""The program: what --help costs, exit codes, the configuration file, plain output."""

from __future__ import annotations

import errno
import inspect
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

import speechkit
from speechkit.base.answers import rows
from speechkit.base.config import Flag
from speechkit.base.errors import UserError
from speechkit.cli import main as program
from speechkit.cli.flags import command
from speechkit.cli.output import print_answer, print_json, print_table

HEAVY = {
    *("numpy", "torch", "torchaudio", "pandas", "scipy", "matplotlib", "speechbrain"),
    *("soundfile", "lightning", "sklearn", "parselmouth", "kaldi_io", "distributed", "yaml"),
}


def speech(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    """``speechkit ARGS`` in a process of its own, with pipes for stdout and stderr."""
    return subprocess.run(
        [sys.executable, "-m", "speechkit", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def commands() -> Iterator[tuple[str, ...]]:
    """All commands and groups, as words of the command line."""
    todo: list[tuple[tuple[str, ...], Any]] = [((), typer.main.get_command(program.app))]
    for words, one in todo:
        yield words
        todo += [((*words, name), inner) for name, inner in getattr(one, "commands", {}).items()]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom speechkit.cli.main import main\nmain(['--help'])\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "typer" in loaded and loaded & HEAVY == set()


def test_no_cli_file_imports_anything_heavy_at_its_top() -> None:
    code = (
        "import importlib, pkgutil, sys, speechkit.cli\n"
        "for one in pkgutil.walk_packages(speechkit.cli.__path__, 'speechkit.cli.'):\n"
        "    importlib.import_module(one.name)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & HEAVY == set()


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...], run) -> None:
    ran = run(*words, "--help")
    assert ran.code == 0
    assert " ".join(["Usage: speechkit", *words]) in " ".join(ran.out.split())


def test_commands_stand_under_headings_in_the_order_of_a_recipe(run) -> None:
    """Every command has a heading, and is found in the order of the table."""
    shown = [line.split()[1] for line in run("-h").out.splitlines() if re.match(r"│ [a-z]", line)]
    listed = [name for names in program.PANELS.values() for name in names]
    assert [name for name in shown if name in listed] == [n for n in listed if n in shown]
    assert {words[0] for words in commands() if len(words) == 1} <= set(listed)


def test_h_is_help_everywhere(run) -> None:
    for words in ((), ("train",), ("train", "emotion"), ("status",)):
        ran = run(*words, "-h")
        assert ran.code == 0 and "-h" in ran.out, words


def test_tables_of_80_columns_cut_no_number(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    values = [["a-long-name-of-an-experiment" * 3, *(1234567.0 + i for i in range(4)), 123456789]]
    print_table("A title " * 15, ("name", *(f"number of the {i}." for i in range(4)), "n"), values)
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, text.splitlines())) <= 80 and "…" not in text
    assert all(number in text for number in ("1.235e+06", "123456789"))


def test_tables_that_are_too_wide_stand_on_their_side(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    columns = ("model", *(f"measure {number}" for number in range(11)))
    values = [["ours", *(f"0.{number:03} ±0.012" for number in range(11))]]
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    print_table("", columns, values)
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"measure {n}" in text and f"0.{n:03} ±0.012" in text for n in range(11))


def test_version(run) -> None:
    ran = run("--version")
    assert (ran.code, ran.out) == (0, f"speechkit {speechkit.__version__}\n")


def test_module_and_completion() -> None:
    done = speech("--version")
    assert (done.returncode, done.stdout) == (0, f"speechkit {speechkit.__version__}\n")
    done = speech("--show-completion", "bash")
    assert done.returncode == 0 and "complete" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nope"], "No such option: --nope"),
        (["doctor", "--jsn"], "--jsn"),
        (["doctr"], "No such command 'doctr'"),
        (["validate", "--jobs", "many"], "Invalid value for '--jobs' / '-j'"),
        (["validate", "-j", "-1"], "greater than or equal to 0"),
        (["validate", "--limit"], "requires an argument"),
    ],
)
def test_wrong_flags_exit_with_2(arguments: list[str], said: str, run) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert said in " ".join(ran.err.replace("│", " ").split())
    assert "Traceback" not in ran.err and ran.out == ""


# --- exit codes, with a command that fails as told ---


@dataclass(frozen=True)
class Failing:
    """Flags.

    Args:
        pm: A number.
        same_gender: A switch.
        param: A word.
    """

    pm: float = 0.04
    same_gender: Annotated[bool, Flag("same-gender")] = False
    param: str = "pitch"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """``speechkit fail`` raises what ``failing(error)`` was given."""
    monkeypatch.setattr(typer.main, "get_command", inspect.unwrap(typer.main.get_command))
    raised: list[BaseException | None] = [None]

    def fail(config: Failing, jobs: int) -> None:
        print_json({**vars(config), "jobs": jobs})
        if raised[0] is not None:
            raise raised[0]

    command(program.app, "fail")(fail)
    yield lambda error: raised.__setitem__(0, error)
    program.app.registered_commands.pop()


PACKAGE = Path(speechkit.__file__).parent


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (None, 0, ""),
        (UserError("a.wav is broken.", "Copy it."), 2, "error: a.wav is broken.\n       Copy it."),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "The disk is full."),
        (OSError(errno.EDQUOT, "Quota", "/x/y"), 2, "The disk is full (/x/y)."),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "No permission (/x)"),
        (OSError(errno.EROFS, "Read-only file system"), 2, "No permission: Read-only"),
        (OSError(errno.EIO, "Input/output error", "/x/y"), 2, "(/x/y): Input/output error"),
        (OSError(errno.EFBIG, "File too large", "/x/y"), 2, "ulimit -f"),
        (OSError(errno.EMFILE, "Too many open files", "/x/y"), 2, "ulimit -n"),
        (OSError(errno.ENFILE, "Too many open files in system"), 2, "-j 1"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "/x/y"), 2, "shorter names"),
        (OSError(errno.ELOOP, "Too many levels of links", "/x/y"), 2, "circles"),
        (OSError(errno.ESTALE, "Stale file handle", "/x/y"), 2, "does not answer"),
        (OSError(errno.ENODEV, "No such device", "/x/y"), 2, "does not answer"),
        (BlockingIOError(errno.EAGAIN, "Try again"), 2, "ulimit -u"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/x/y"), 2, "(/x/y): No such file"),
        (FileNotFoundError(errno.ENOENT, "No such file", f"{PACKAGE}/x"), 1, "This is a bug"),
        (FileNotFoundError(errno.ENOENT, "No usable folder"), 2, "not any more: No usable folder"),
        (SystemError("returned NULL"), 2, "Python itself failed: returned NULL"),
        (ImportError("cannot map", path="/x/y.so"), 2, "does not load: cannot map"),
        (OSError("Could not load /x/y.so"), 2, "does not load: Could not load /x/y.so"),
        (ImportError("no name", path="/x/torch/y.py"), 2, "does not load: no name"),
        (ImportError("no name", path=f"{PACKAGE}/x.py"), 1, "This is a bug"),
        (ImportError("no module", name="speechkit.x"), 1, "This is a bug"),
        (RuntimeError("could not create a primitive"), 2, "Memory ran out."),
        (io.UnsupportedOperation("not writable"), 1, "This is a bug"),
        (FileExistsError(errno.EEXIST, "File exists", "/x/y"), 1, "This is a bug"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 2, "has ended: Broken pipe"),
        (MemoryError(), 2, "Memory ran out."),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), 2, "Memory ran out."),
        (RuntimeError("can't allocate memory: you tried"), 2, "Memory ran out."),
        (ZeroDivisionError("division"), 1, "ZeroDivisionError: division"),
        (typer.Exit(2), 2, ""),
    ],
    ids=str,
)
def test_exit_codes(error: BaseException | None, code: int, said: str, run, failing) -> None:
    failing(error)
    ran = run("fail")
    assert ran.code == code and said in ran.err
    assert ("Traceback" in ran.err) == (code == 1)
    if not said:
        assert ran.err == ""


def test_markup_in_messages_is_printed_as_it_is(run, failing) -> None:
    failing(UserError("[red]file[/red] [0:3] is :smile: odd."))
    assert "error: [red]file[/red] [0:3] is :smile: odd.\n" in run("fail").err


def test_config_gives_defaults_and_flags_win(tmp_path: Path, run, failing) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("pm: 0.02\nsame-gender: true\nparam: energy\n--jobs: 3\n")
    ran = run("fail", "--config", config)
    assert json.loads(ran.out) == {"pm": 0.02, "same_gender": True, "param": "energy", "jobs": 3}
    ran = run("fail", "--config", config, "--pm", 0.5, "-j", 1)
    assert json.loads(ran.out) == {"pm": 0.5, "same_gender": True, "param": "energy", "jobs": 1}
    ran = run("fail", "--pm", 0.5, "--config", config)
    assert json.loads(ran.out)["pm"] == 0.5
    config.write_text("")
    assert json.loads(run("fail", "--config", config).out)["pm"] == 0.04


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "same_gendr: true\n",
            "'same_gendr' is not a flag of `speechkit fail`. Did you mean 'same-gender'?",
        ),
        ("config: x.yaml\n", "'config' is not a flag of `speechkit fail`."),
        ("pm: [1\n", "is not YAML"),
        ("- pm\n", "expected lines of 'flag: value'"),
        ("pm: much\n", "Invalid value for '--pm'"),
        ("jobs: -2\n", "greater than or equal to 0"),
        ("!!python/object/apply:os.system ['true']\n", "is not YAML"),
    ],
)
def test_broken_config(tmp_path: Path, content: str, said: str, run, failing) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(content)
    ran = run("fail", "--config", config)
    assert ran.code == 2
    assert said in " ".join(ran.err.replace("│", " ").split())


def test_missing_config(tmp_path: Path, run, failing) -> None:
    ran = run("fail", "--config", tmp_path / "gone.yaml")
    assert ran.code == 2 and "gone.yaml cannot be read" in ran.err


# --- what is printed ---


def test_logs_are_plain_and_results_alone_on_stdout(workdir: Path) -> None:
    done = speech("validate", "-C", workdir, "--json", FORCE_COLOR="", NO_COLOR="1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["set"] == "train"
    assert done.stderr and all(c.isprintable() or c == "\n" for c in done.stderr)
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in done.stderr.splitlines())


def test_a_pipe_closed_early_is_no_bug(workdir: Path) -> None:
    many = "".join(f"u{i} AH\n" for i in range(2000))  # problems that no pipe's buffer holds
    (workdir / "data" / "train" / "text").write_text(many)
    command = f"'{sys.executable}' -m speechkit validate --json -C '{workdir}' | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout == "[" and "Traceback" not in done.stderr


def test_wide_tables_are_not_folded_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("T", ("file", "n"), [("x" * 300, 1.23456)])
    out = capsys.readouterr().out
    assert "x" * 300 in out and "1.235" in out


def test_json_of_numpy_and_nan(capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    value = {"a": np.float32(0.5), "b": np.array([1, 2]), "c": float("nan"), "d": Path("x")}
    print_json({**value, 3: (None, True)})
    found = json.loads(capsys.readouterr().out)
    assert found == {"a": 0.5, "b": [1, 2], "c": None, "d": "x", "3": [None, True]}
    print_answer(rows("T", ("a", "b"), [(1, None)]), True)
    assert json.loads(capsys.readouterr().out) == [{"a": 1, "b": None}]
