"""Options of recipes that a shell would run, split, or take for variables of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from campaign import SOURCE, Tally, fresh, top

STUB = '#!/bin/sh\nprintf "%s\\n" call "$@" >> "$STUB_LOG"\n'
ARGUMENTS = {
    "dir $()": ["--dir", "$(touch pwned)", "--stop-stage", "1"],
    "dir backquotes": ["--dir", "`touch pwned`", "--stop-stage", "1"],
    "dir space": ["--dir", "a b; touch pwned", "--stop-stage", "1"],
    "corpus $()": ["--corpus", "$(touch pwned)", "--stop-stage", "1"],
    "corpus space": ["--corpus", "x y; touch pwned", "--stop-stage", "1"],
    "stage array": ["--stage", "a[$(touch pwned)]"],
    "stop-stage array": ["--stop-stage", "a[$(touch pwned)]"],
    "option array": ["--dir[$(touch pwned)]", "x"],
    "option array 2": ["--x[$(touch${IFS}pwned)]", "x"],
    "seeds array": ["--seeds", "a[$(touch pwned)]", "--stage", "6", "--stop-stage", "6"],
    "table": ["--table", "$(touch pwned)"],
    "PATH": ["--PATH", "/nowhere"],
    "IFS": ["--IFS", "x", "--stop-stage", "0"],
    "BASH_ENV": ["--BASH_ENV", "x"],
    "empty": ["--", "x"],
    "dash": ["-x", "y"],
    "word": ["dir"],
    "empty dir": ["--dir", "", "--stop-stage", "1"],
    "dir -rf": ["--dir", "-rf", "--stop-stage", "1"],
    "epochs": ["--epochs", "1; touch pwned", "--stop-stage", "0"],
    "seeds": ["--seeds", "$(touch pwned)", "--stop-stage", "0"],
}
REFUSED = ("option array", "option array 2", "PATH", "IFS", "BASH_ENV", "empty", "dash", "word")


def run(tally: Tally) -> None:
    """Every recipe with every argument; a stub stands for speechkit."""
    place = fresh(top() / "recipes")
    stub = fresh(place / "bin") / "speechkit"
    stub.write_text(STUB)
    stub.chmod(0o755)
    for recipe in sorted(SOURCE.glob("recipes/*/*/run.sh")):
        for name, words in ARGUMENTS.items():
            _try(tally, recipe, name, words, stub)


def _try(tally: Tally, recipe: Path, name: str, words: list[str], stub: Path) -> None:
    work = fresh(stub.parents[1] / "work")
    log = work / "calls"
    done = subprocess.run(
        ["bash", str(recipe), *words], cwd=work, capture_output=True, text=True, timeout=60,
        check=False, stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{stub.parent}:{os.environ['PATH']}", "STUB_LOG": str(log)},
    )  # fmt: skip
    calls = log.read_text().split("call\n")[1:] if log.exists() else []
    value = words[1] if words[0] in ("--dir", "--corpus") and " " in words[1] else ""
    parts = [call.split("\n") for call in calls]
    problem = ""
    if list(work.rglob("pwned")):
        problem = "CODE RAN"
    elif value and any(value.split()[0] in part and value not in part for part in parts):
        problem = "an argument was split"
    elif name in REFUSED and (done.returncode != 2 or calls):
        problem = "not refused"
    elif done.returncode not in (0, 2) and "run.sh: line" in done.stderr:
        problem = "an error of the shell"
    what = f"{recipe.relative_to(SOURCE)} {name}"
    tally.add(problem, done.returncode, what, done.stderr[-500:])
    tally.cases += 1
