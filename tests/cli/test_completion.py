"""Names in the shell: what is in the working directory, without anything heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("evaluate emotion -C {} --set t", {"test", "train"}),
        ("evaluate emotion -C {} --name m", {"mine"}),
        ("evaluate pronunciation -C {} --name one,t", {"one,two"}),
        ("extract-gop -C {} --am s", {"sphinx", "small"}),
        ("train separation -C {} --hard p", {"pitch_pm0.2"}),
    ],
)
def test_names(words: str, found: set[str], tmp_path: Path) -> None:
    for name in ("data/train", "data/test", "data/.train.partial"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "wav.scp").write_text("")
    (tmp_path / "data" / "tables").mkdir()  # no set
    models = ("emotion/mine", "pronunciation/one", "pronunciation/two", "acoustic/small")
    for name in (*models, "hard/pitch_pm0.2"):
        (tmp_path / "exp" / name).mkdir(parents=True)
    line = f"speechkit {words.format(tmp_path)}"
    asked = {
        "_SPEECHKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    code = (
        "import sys\nfrom speechkit.cli.main import app\n"
        "try:\n    app(prog_name='speechkit')\n"
        "finally:\n    assert not {'torch', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **asked}
    )
    assert set(done.stdout.split()) == found, done.stderr
    assert "AssertionError" not in done.stderr
