"""Options of the recipes: the listed ones and no others, and no text of them is ever run."""

import os
import re
import subprocess
from pathlib import Path

import pytest

RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*/*/run.sh"))
COMMON = {"dir", "corpus", "stage", "stop-stage"}
UNKNOWN = [
    "--dir[$(touch pwned)]", "--x[$(touch${IFS}pwned)]", "--dir[0]", "--dir corpus", "--*",
    "--PATH", "--IFS", "--BASH_ENV", "--HOME", "--options", "--numbers", "--name", "--dirr",
    "--", "-x", "---dir", "dir", "", "--$(touch pwned)", "--`touch pwned`", "--dir=x",
]  # fmt: skip
NUMBERS = [
    "a[$(touch pwned)]", "dir[$(touch pwned)]", "1+1", "$(touch pwned)", "08", "-1", "1.5", "",
    "x y",
]  # fmt: skip


@pytest.fixture
def call(tmp_path):
    """Run a recipe whose ``speechkit`` only notes its arguments."""
    program = tmp_path / "bin" / "speechkit"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> "$CALLED"\n')
    program.chmod(0o755)
    place = tmp_path / "place"
    place.mkdir()

    def run(recipe, *words):
        path, called = f"{program.parent}:{os.environ['PATH']}", tmp_path / "called"
        called.unlink(missing_ok=True)
        done = subprocess.run(
            ["bash", str(recipe), *words], cwd=place, capture_output=True, text=True, timeout=60,
            env={**os.environ, "PATH": path, "CALLED": str(called)}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert not list(tmp_path.rglob("*pwned*")), f"{recipe} ran {words}"
        return done, called.read_text().split("\n") if called.exists() else []

    return run


def listed(recipe):
    """Names and defaults that a recipe sets before it sources options.sh."""
    head = recipe.read_text().partition("options.sh")[0]
    return dict(re.findall(r"^([a-z]\w*)=(\S*)", head, re.MULTILINE))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_only_listed_options_are_accepted(recipe, call):
    own = listed(recipe)
    names = {name.replace("_", "-") for name in own} | COMMON
    for word in UNKNOWN:
        done, called = call(recipe, word, "1")
        assert done.returncode == 2 and not called, (word, done.stderr)
        said = done.stderr.partition("Accepted: ")
        assert f"unknown option '{word}'" in said[0]
        assert set(said[2].split()) == {f"--{name}" for name in names}
    for name, default in own.items():
        if not default.isdigit():
            done, _ = call(recipe, f"--{name.replace('_', '-')}", "all", "--stage", "99")
            assert done.returncode == 0, (name, done.stderr)
    numbers = [name for name, default in own.items() if default.isdigit()]
    for name in (*numbers, "stage", "stop-stage"):
        flag = f"--{name.replace('_', '-')}"
        for value in NUMBERS if name in ("seeds", "stage") else NUMBERS[:1]:
            done, called = call(recipe, flag, value)
            assert done.returncode == 2 and not called, (name, value)
            assert f"{flag} '{value}' is not a whole number" in done.stderr
        assert call(recipe, flag, "99", "--stage", "99")[0].returncode == 0
    assert call(recipe, "--dir")[0].stderr.endswith("--dir needs a value\n")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_values_stay_one_word(recipe, call):
    for value in ("$(touch pwned)", "`touch pwned`", "a b; touch pwned", "-rf", "*"):
        _, called = call(recipe, "--dir", value, "--corpus", value, "--stop-stage", "1")
        assert value in called
