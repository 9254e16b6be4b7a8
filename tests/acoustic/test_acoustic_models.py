"""load_model: which acoustic model a name means."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from speechkit.acoustic.models import load_model, trained_models
from speechkit.acoustic.sphinx.model import SphinxModel
from speechkit.base.errors import UserError
from speechkit.workdir import WorkDir


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What the loaders of the other kinds were asked for."""
    calls: list[tuple] = []
    for module, functions in (
        ("tdnn.model", "load_tdnn"),
        ("ctc.model", "load_ctc load_encoder"),
        ("posteriors", "load_posteriors"),
    ):
        fake = ModuleType(module)
        kind = module.split(".")[0]

        def load(*arguments: object, name: str = kind, hidden: object = False) -> str:
            calls.append((name, *arguments))
            return name

        for function in functions.split():
            setattr(fake, function, load)
        monkeypatch.setitem(sys.modules, f"speechkit.acoustic.{module}", fake)
    return calls


def folder(path: Path, **files: str) -> Path:
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / name.replace("_", ".")).write_text(text)
    return path


def test_sphinx() -> None:
    assert isinstance(load_model("sphinx"), SphinxModel)


@pytest.mark.parametrize(
    ("spec", "call"),
    [
        ("hf:facebook/wav2vec2-base", ("ctc", "hf:facebook/wav2vec2-base", "cuda")),
        ("torchaudio:WAV2VEC2_ASR_BASE_960H", ("ctc", "torchaudio:WAV2VEC2_ASR_BASE_960H", "cuda")),
        ("posteriors:a.scp,labels=phones", ("posteriors", "posteriors:a.scp,labels=phones")),
    ],
)
def test_prefixes(loaded, spec: str, call: tuple) -> None:
    load_model(spec, device="cuda")
    assert loaded == [call]


def test_folders_by_what_is_in_them(loaded, tmp_path: Path) -> None:
    trained = folder(tmp_path / "mine", config_yaml="kind: tdnn\n")
    hugging_face = folder(tmp_path / "theirs", config_json="{}")
    load_model(str(trained))
    load_model(str(hugging_face))
    load_model(f"{hugging_face},map=a.txt")
    assert loaded == [
        ("tdnn", trained, "cpu"),
        ("ctc", str(hugging_face), "cpu"),
        ("ctc", f"{hugging_face},map=a.txt", "cpu"),
    ]
    with pytest.raises(UserError, match=r"takes no 'map=a\.txt'"):
        load_model(f"{trained},map=a.txt")


def test_a_trained_name_comes_before_a_folder(loaded, tmp_path: Path, monkeypatch) -> None:
    trained = folder(tmp_path / "work/exp/acoustic/tdnn", config_yaml="kind: tdnn\n")
    folder(tmp_path / "tdnn", config_json="{}")
    folder(tmp_path / "work/exp/acoustic/.half.partial", config_yaml="kind: tdnn\n")
    monkeypatch.chdir(tmp_path)
    work = WorkDir(tmp_path / "work")
    assert trained_models(work) == ["tdnn"]
    load_model("tdnn", work)
    load_model("tdnn")
    assert loaded == [("tdnn", trained, "cpu"), ("ctc", "tdnn", "cpu")]


def test_nothing_of_that_name(tmp_path: Path) -> None:
    folder(tmp_path / "exp/acoustic/best", config_yaml="kind: tdnn\n")
    for spec, hint in (("sphynx", "'sphinx'"), ("bes", "'best'"), ("", "")):
        with pytest.raises(UserError) as raised:
            load_model(spec, WorkDir(tmp_path))
        assert f"'{spec}' is neither a name in" in raised.value.problem
        assert "(best)" in raised.value.problem
        assert hint in raised.value.problem
        assert "hf:OWNER/NAME" in raised.value.remedy
    with pytest.raises(UserError, match="neither a name nor a folder"):
        load_model("nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: gopt\n", "kind 'gopt', which is no acoustic model"),
        ("- tdnn\n", "got 'array'"),
        ("kind: [tdnn", "is not YAML"),
        ("kind: !!python/object:os.system {}\n", "is not YAML"),
    ],
)
def test_other_config_files(tmp_path: Path, text: str, message: str) -> None:
    folder(tmp_path / "model", config_yaml=text)
    with pytest.raises(UserError, match=message):
        load_model(str(tmp_path / "model"))


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    folder(tmp_path / "audio", notes_txt="")
    with pytest.raises(UserError, match=r"neither config\.yaml nor config\.json"):
        load_model(str(tmp_path / "audio"))


def test_only_what_is_needed_is_imported() -> None:
    code = (
        "import sys; from speechkit.acoustic.models import load_model; load_model('sphinx');"
        "bad = {'lightning', 'pandas', 'scipy', 'sklearn', 'speechbrain', 'matplotlib',"
        " 'torchaudio', 'transformers', 'pocketsphinx'} & set(sys.modules);"
        "sys.exit(str(bad) if bad else 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
