"""The library names settings, and the command line prints their flags."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import speechkit
from speechkit.base import log
from speechkit.base.errors import (
    ConfigError,
    UserError,
    command_line,
    require_choice,
    require_range,
)
from speechkit.cli.main import app, main
from speechkit.cli.messages import FlagNames

ROOT = Path(speechkit.__file__).parent
COMMAND = re.compile(r"(?:speechkit|prepare wsj0-2mix|pip install|hf download)[ `][^`]*")
FLAG = re.compile(r"(?<![\w-])--[a-z]")


@pytest.mark.parametrize(
    ("arguments", "said", "printed"),
    [
        ("train emotion", "Lower `learning_rate`.", "Lower --learning-rate."),
        ("align --set a", "`set_name` x is empty.", "--set x is empty."),
        ("train scoring", "Take `input` deep.", "Take --input deep."),
        ("train scoring", "Go on with `continue`.", "Go on with --continue."),
        ("prepare folder x", "Give `label_case` keep.", "Give --label-case keep."),
        ("extract-gop", "`no_prosody` or `prosody`", "--no-prosody or --prosody"),
        ("train separation", "`size` full, `model` light", "--model full, --model light"),
        ("align", "train it with `full`, `unseen` full", "train it with --full, --unseen full"),
        ("", "`batch_size` 3, `name` x", "--batch-size 3, --name x"),
        ("split-folds", "another `name`", "another --split-name"),
        ("align", "See `speechkit doctor`, `segments`, `mount`.", None),
        ("align", "Run `speechkit train acoustic --init X`, not plain set_name.", None),
        ("prepare folder", "`path` is an argument", None),
    ],
)
def test_fields_become_flags(arguments: str, said: str, printed: str | None) -> None:
    assert FlagNames(app, arguments.split())(said) == (said if printed is None else printed)


def test_config_errors_begin_with_the_field() -> None:
    error = ConfigError("folds", "1 is too few.", "Give 2 or more.")
    kind, args, _ = error.__reduce__()
    again = kind(*args)
    for each in (error, again):
        assert isinstance(each, UserError) and each.field == "folds"
        assert str(each) == "`folds` 1 is too few. Give 2 or more."
    with pytest.raises(ConfigError, match=r"^`loss` 'mee' is not known\. Did you mean 'mse'\?"):
        require_choice("loss", "mee", ("mse", "mae"))
    with pytest.raises(ConfigError, match=r"^`clip` -1 is out of range\. Accepted: above 0\."):
        require_range("clip", -1, False, "above 0")
    require_range("clip", 1, True, "above 0")
    made = command_line("extract-gop", set="a b", stp=True, name="", batch_size=3)
    assert made == "speechkit extract-gop --set a b --stp --batch-size 3"


def test_errors_and_warnings_are_printed_with_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mine-hard", "--set", "a", "--param", "x"]) == 2
    assert "--param 'x' is not known." in capsys.readouterr().err
    assert main(["validate", "--label-case", "x"]) == 2
    log.logger.warning("Lower `limit`.")
    assert re.search("--label-case 'x' is not known(.|\n)*Lower --limit.", capsys.readouterr().err)


def literals(source: str) -> Iterator[tuple[int, str]]:
    """Strings of a module but docstrings, f-strings with ``X`` in place of their values."""
    tree = ast.parse(source)
    inner = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
    inner |= {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (v.value if isinstance(v, ast.Constant) else "X" for v in node.values)
            yield node.lineno, "".join(parts)
        elif id(node) not in inner and isinstance(value := getattr(node, "value", None), str):
            yield node.lineno, value


def test_the_library_names_no_flags() -> None:
    """Outside ``cli`` strings name flags only inside a whole command, which the user may copy."""
    named = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] != "cli"
        for line, text in literals(path.read_text(encoding="utf-8"))
        if FLAG.search(COMMAND.sub("", text))
        and path.name not in ("errors.py", "installation.py", "distribution.py")  # flags of others
    ]
    assert not named, "\n".join(named)
    assert [t for _, t in literals('"""--a"""\nx = f"`--b` {y}"\n')] == ["`--b` X"]
