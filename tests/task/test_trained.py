"""A path of a model that is not there is called so, wherever a model is looked up."""

import pytest
from conftest import make_set

from speechkit.base.errors import UserError
from speechkit.separation import model_folder
from speechkit.task.trained import CARD, refuse_path, seeds_in
from speechkit.workdir import WorkDir

COMMANDS = {
    "separation": "predict separation {wav} --model {model}",
    "emotion": "predict emotion {wav} --model {model}",
    "pronunciation": "predict pronunciation {wav} --text AH --model {model}",
    "scoring": "predict scoring {wav} --text AH --model {model}",
    "xvector": "extract-xvector --model {model}",
    "align": "align --am {model}",
    "gop": "extract-gop --am {model}",
    "deep": "extract-deep --set train --am {model}",
    "export": "export {model}",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    make_set(root, speakers=1, utterances=1)
    return root


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("model", ["/no/such/dir", "./none/a/b"])
def test_a_path_that_is_not_there(place, run, command, model):
    wav = place / "data/train/wav/s0-u0.wav"
    words = command.format(wav=wav, model=model).split()
    done = run(*words, "-C", place)
    assert done.code == 2 and f"{model} does not exist" in done.err, done.err
    assert "older" in done.err.lower(), done.err  # a folder is what is accepted
    assert "cannot be the name" not in done.err


def test_init_that_is_not_there(place):
    with pytest.raises(UserError, match="/no/such/dir does not exist"):
        model_folder.find_start(WorkDir(place), "/no/such/dir")


def test_upstream_that_is_not_there(place, run):
    (place / "data/train/utt2emotion").write_text("s0-u0 sad\n")
    done = run("extract-hidden", "--set", "train", "--upstream", "/no/such/dir", "-C", place)
    assert done.code == 2


def test_names_pass():
    refuse_path("best")
    with pytest.raises(UserError, match="is no model of this kind"):
        refuse_path("/")


def test_folders_of_seeds_have_numbers(tmp_path):
    for name in ("seed10", "seed2", "seed²", "seedx", "seed", "seed-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / CARD).touch()
    (tmp_path / "seed3").mkdir()  # not finished
    assert [seed for seed, _ in seeds_in(tmp_path)] == [2, 10]
