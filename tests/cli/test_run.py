"""``speechkit run``: the commands that it prints are those that it runs, and they exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from acted_speech import make_class_folders

from speechkit.base import config
from speechkit.cli import main as program
from speechkit.task.recipe import RecipeConfig, plan

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / "stages" / f"{name}.md" for name in ("run", "status")]


def parse(words: list[str]) -> Any:
    """The command of a command line, whose flags and values are all accepted."""
    command: Any = typer.main.get_command(program.app)
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    command.make_context(command.name, words, help_option_names=["-h", "--help"])
    return command


def examples() -> list[str]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            found += [line for line in block.replace("\\\n", "").splitlines() if line]
    return found


@pytest.mark.parametrize("line", examples())
def test_examples_of_the_pages_are_accepted(line: str) -> None:
    assert parse(shlex.split(line, comments=True)[1:])


@pytest.mark.parametrize(
    ("task", "flags"),
    [
        ("emotion", RecipeConfig(speaker_pattern="a-([0-9])", seeds=2)),
        ("emotion", RecipeConfig(labels=Path("labels.tsv"), speakers_unknown=True)),
        ("pronunciation", RecipeConfig()),
        (
            "pronunciation",
            RecipeConfig(scores=Path("s.tsv"), score_scales="utterance=0:10", epochs=3),
        ),
        ("separation", RecipeConfig(epochs=1)),
    ],
)
def test_planned_commands_exist(task: str, flags: RecipeConfig, tmp_path: Path) -> None:
    found = plan(task, tmp_path, flags, title="A title")
    assert found[0][:2] == ["prepare", "folder"] and found[-1] == ["report", "--title", "A title"]
    assert all(parse(words) for words in found)


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones of five speakers."""
    return make_class_folders(tmp_path_factory.mktemp("acted") / "it is acted")


def test_a_folder_becomes_a_report_and_is_then_up_to_date(
    acted: Path, tmp_path: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "processes", lambda jobs: 1)  # no processes
    words = ("run", "emotion", acted, "--speaker-pattern", "s([0-9])", "--epochs", 1)
    words = (*words, "-C", tmp_path, "--title", "Of tones")
    planned = run(*words, "--dry-run").out.splitlines()
    assert not list(tmp_path.iterdir())
    ran = run(*words)
    assert ran.code == 0, ran.err
    shown = [line for line in ran.err.splitlines() if line.startswith("speechkit ")]
    assert shown == planned and str(acted) in shlex.split(shown[0])
    page = tmp_path / "report" / "index.html"
    assert ran.out.splitlines()[-1] == str(page) and "Of tones" in page.read_text()
    again = run(*words)
    assert again.code == 0 and again.err.count("is up to date") == 3


def test_a_failing_stage_ends_the_run_with_its_code(tmp_path: Path, run) -> None:
    ran = run("run", "separation", tmp_path / "nothing", "-C", tmp_path)
    assert ran.code == 2 and "nothing" in ran.err and "validate" not in ran.err
    assert ran.err.count("error: ") == 1
    ran = run("run", "singing", tmp_path)
    assert ran.code == 2 and "emotion, pronunciation, separation" in ran.err
