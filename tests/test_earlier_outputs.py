"""Folders and models that an earlier version wrote are read as before.

``data/earlier.tar.xz`` holds three small working directories, with every stage of every task, and
an exported model of each kind; ``commands.txt`` in each names the commands that made it.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from speechkit.cli.main import main

ARCHIVE = Path(__file__).parent / "data/earlier.tar.xz"
FOLDERS = ("separation", "speech", "emotion")
EVALUATED = {  # a finished evaluation, and the command that makes it anew
    "separation": ("separation/dm/eval/test_2mix", "separation --name dm --set test_2mix"),
    "pronunciation": ("pronunciation/gopt/eval/test", "pronunciation --name gopt --set test"),
    "scoring": ("scoring/deep/eval/test", "scoring --name deep --set test"),
    "emotion": ("emotion/cnn/eval/folds", "emotion --name cnn"),
}
FOLDER_OF = {"pronunciation": "speech", "scoring": "speech"}
MODELS = ("separation_dm", "xvector_small", "acoustic_tiny", "pronunciation_gopt", "scoring_deep",
          "emotion_cnn", "emotion_egemaps")  # fmt: skip


def needs(name: str) -> None:
    if "emotion" in name:
        pytest.importorskip("opensmile")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(place, filter="data")
    return place / "earlier"


def summary(folder: Path) -> dict[str, dict[str, float]]:
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.parametrize("name", FOLDERS)
def test_every_command_is_up_to_date(earlier, name, monkeypatch, capsys):
    needs(name)
    monkeypatch.chdir(earlier / name)
    for command in Path("commands.txt").read_text().splitlines():
        capsys.readouterr()
        assert main(command.split()) == 0, command
        if not command.startswith("split-folds"):
            assert "up to date" in capsys.readouterr().err, command


@pytest.mark.parametrize("task", EVALUATED)
def test_models_give_the_same_numbers(earlier, task, monkeypatch):
    needs(task)
    monkeypatch.chdir(earlier / FOLDER_OF.get(task, task))
    folder, command = EVALUATED[task]
    before = summary(Path("exp") / folder)
    assert main(["evaluate", *command.split(), "--force"]) == 0
    after = summary(Path("exp") / folder)
    assert before.keys() <= after.keys()  # later versions measure more
    for measure, numbers in before.items():
        if isinstance(numbers, dict):
            wanted = numbers["mean"]
            if wanted is not None:
                wanted = pytest.approx(wanted, rel=1e-4, abs=1e-4, nan_ok=True)
            assert after[measure]["mean"] == wanted, measure


@pytest.mark.parametrize("model", MODELS)
def test_exported_models_are_taken_in(earlier, model, monkeypatch, tmp_path):
    needs(model)
    task, name = model.split("_")
    assert main(["import", str(earlier / f"models/{model}.zip"), "-C", str(tmp_path)]) == 0
    taken = [path.relative_to(tmp_path / "exp") for path in tmp_path.rglob("config.yaml")]
    assert taken and all(path.parts[:2] in ((task, name), (f"{task}_nnet", name)) for path in taken)
