"""export and import: models of several tasks to one file and back, and files not to be trusted."""

import json
import re
import shutil
import zipfile

import numpy as np
import pytest
import soundfile
import yaml
from emotion_models import sound, write_encoder_model
from separation_models import make_model
from speaker_models import write_model

from speechkit.base.errors import UserError
from speechkit.base.files import Lock
from speechkit.sharing import archive, publish
from speechkit.sharing.models import find
from speechkit.workdir import WorkDir


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("sharing")
    for fold in range(2):
        for seed in range(2):
            write_encoder_model(root, "tuned", False, fold, seed)
    write_encoder_model(root, "frozen", True)
    write_encoder_model(root, "frozen", True, seed=1)
    write_model(root, "vectors")
    make_model(root, "dm")
    make_model(root, "vectors")
    (root / "exp/emotion/tuned/eval/folds").mkdir(parents=True)
    summary = {"accuracy": {"mean": 0.71, "std": 0.02, "n": 4}}
    (root / "exp/emotion/tuned/eval/folds/summary.json").write_text(json.dumps(summary))
    soundfile.write(root / "a.wav", sound(2.0), 16000)
    return root


def predicted(run, root, recording, model):
    ran = run("predict", "emotion", recording, "--model", model, "--ensemble", "-C", root, "--json")
    assert ran.code == 0, ran.err
    return list(json.loads(ran.out)[0]["probabilities"].values())


@pytest.mark.parametrize("name", ["tuned", "frozen"])
def test_an_emotion_model_works_elsewhere(place, run, tmp_path, name):
    """A frozen encoder travels with its heads: nothing of the first place is needed."""
    file = tmp_path / f"{name}.zip"
    ran = run("export", f"emotion/{name}", file, "-C", place, "--json", "--licence", "cc-by-4.0")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["models"][0] == "fold0/seed0" and told["bytes"] == file.stat().st_size
    again = run(
        "export", f"emotion/{name}", tmp_path / "b.zip", "-C", place, "--licence", "cc0-1.0"
    )
    assert re.search(r"size +│ [1-9][0-9.]* (kB|MB)\b", again.out), again.out
    wanted = predicted(run, place, place / "a.wav", name)
    hidden = place / "tiny-away"
    (place / "tiny").rename(hidden)
    try:
        ran = run("import", file, "-C", tmp_path, "--name", "theirs", "--json")
        assert ran.code == 0, ran.err
        assert json.loads(ran.out)["task"] == "emotion"
        assert np.allclose(predicted(run, tmp_path, place / "a.wav", "theirs"), wanted, atol=1e-5)
    finally:
        hidden.rename(place / "tiny")
    card = (tmp_path / "exp/emotion/theirs/README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "cc-by-4.0" and front["pipeline_tag"] == "audio-classification"
    assert ("| accuracy | 0.71 | 0.02 | 4 |" in card) == (name == "tuned")
    for path in (tmp_path / "exp/emotion/theirs").rglob("*"):
        if path.suffix in (".yaml", ".json", ".md") and path.name != "manifest.json":
            assert str(place) not in path.read_text(), path
    again = run("import", file, "-C", tmp_path, "--name", "theirs")
    assert again.code == 0 and "up to date" in again.err
    assert file.stat().st_size < 400_000


def test_models_of_other_tasks_and_parts_of_one(place, run, tmp_path):
    for given, folder in (("separation/dm", "separation/dm"), ("dm", "separation/dm"),
                          ("xvector/vectors", "xvector_nnet/vectors"),
                          (str(place / "exp/separation/dm"), "separation/dm")):  # fmt: skip
        file, root = tmp_path / "one.zip", tmp_path / folder.replace("/", "-")
        shutil.rmtree(root, ignore_errors=True)
        assert run("export", given, file, "-C", place, "--force").code == 0
        assert run("import", file, "-C", root).code == 0
        weights = sorted((place / "exp" / folder).rglob("*.safetensors"))
        assert weights
        for path in weights:
            copy = root / "exp" / path.relative_to(place / "exp")
            assert copy.read_bytes() == path.read_bytes()
        assert not list(root.rglob("speakers.txt"))
    ran = run("export", "tuned", tmp_path / "part.zip", "-C", place, "--fold", 1, "--seed", 0,
              "--json")  # fmt: skip
    assert json.loads(ran.out)["models"] == ["fold1/seed0"]
    assert len(find(WorkDir(place), "emotion/tuned").models) == 4


def test_the_same_model_is_the_same_file(place, run, tmp_path):
    for name in ("a.zip", "b.zip"):
        assert run("export", "frozen", tmp_path / name, "-C", place).code == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_what_cannot_be_exported_is_named(place, run, tmp_path):
    cases = {
        ("export", "vectors", tmp_path / "x.zip"): "separation/vectors, xvector/vectors",
        ("export", "tunde", tmp_path / "x.zip"): "Did you mean",
        ("export", "tuned", tmp_path / "x.zip", "--seed", 7): "has no seed7",
        ("export", "tuned", place / "a.wav"): "exists",
        ("export", "tuned", tmp_path / "x.zip", "--push-to-hub", "no-owner"): "OWNER/NAME",
    }
    for arguments, message in cases.items():
        ran = run(*arguments, "-C", place)
        assert ran.code == 2 and message in ran.err, ran.err
    assert not list(tmp_path.iterdir())


def rewritten(source, target, change):
    """A copy of a zip with other members; ``change`` edits {name: bytes}."""
    with zipfile.ZipFile(source) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    extra = change(members) or {}
    with zipfile.ZipFile(target, "w", extra.get("compress", zipfile.ZIP_STORED)) as packed:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = packed.compression
            info.external_attr = extra.get(name, 0) << 16
            packed.writestr(info, content)
    return target


def listed(members, **changes):
    content = json.loads(members["speechkit.json"])
    content.update(changes)
    members["speechkit.json"] = json.dumps(content).encode()
    return content


def add(members, name, content=b"x"):
    """A member that is listed as it should be."""
    import hashlib

    files = listed(members)["files"]
    files[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    listed(members, files=files)
    members[f"model/{name}"] = content


def test_files_that_are_not_to_be_trusted(place, run, tmp_path):
    good = tmp_path / "good.zip"
    assert run("export", "tuned", good, "-C", place, "--fold", 0, "--seed", 0).code == 0
    weights = "model/fold0/seed0/model.safetensors"

    def damage(members):
        members[weights] = members[weights][:-1] + b"!"

    def no_weights(members):
        del members[weights]

    def truncated_header(members):
        add(members, "fold0/seed0/model.safetensors", b"\0" * 20)

    cases = {
        "up": (lambda m: add(m, "../../evil.yaml"), "leads elsewhere"),
        "absolute": (lambda m: add(m, "/tmp/evil.yaml"), "leads elsewhere"),
        "backslash": (lambda m: add(m, "..\\evil.yaml"), "leads elsewhere"),
        "pickle": (lambda m: add(m, "fold0/seed0/model.pt"), "kind of file that no model needs"),
        "script": (lambda m: add(m, "fold0/seed0/run.py"), "kind of file that no model needs"),
        "unlisted": (lambda m: m.update({"model/more.yaml": b"kind: x"}), "differ"),
        "link": (lambda m: {weights: 0o120777}, "not a plain"),
        "packed": (lambda m: {"compress": zipfile.ZIP_DEFLATED}, "not a plain"),
        "damaged": (damage, "is damaged"),
        "missing": (no_weights, "differ"),
        "no-weights": (truncated_header, "holds no weights"),
        "no-card": (lambda m: add(m, "fold0/seed0/config.yaml", b"- 1"), "got 'array'"),
        "newer": (lambda m: listed(m, format=9) and None, "Update speechkit"),
        "task": (lambda m: listed(m, task="chess") and None, "unknown task"),
        "name": (lambda m: listed(m, name="../x") and None, "cannot be the name"),
        "no-list": (lambda m: m.pop("speechkit.json") and None, "not a model of speechkit"),
        "bad-list": (lambda m: m.update({"speechkit.json": b"{}"}), "required field"),
    }  # fmt: skip
    for name, (change, message) in cases.items():
        bad = rewritten(good, tmp_path / f"{name}.zip", change)
        ran = run("import", bad, "-C", tmp_path / "there")
        assert ran.code == 2, name
        assert message in ran.err, (name, ran.err)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(good.read_bytes()[:-100])
    assert run("import", cut, "-C", tmp_path / "there").code == 2
    assert run("import", tmp_path / "none.zip", "-C", tmp_path / "there").code == 2
    left = [p for p in (tmp_path / "there").rglob("*") if p.is_file()]
    assert not left, left
    assert not list(tmp_path.rglob("evil*"))


def test_zips_changed_at_random_are_taken_or_refused(place, run, tmp_path):
    """Bits and fields of the zip itself: encrypted, cut, wrong checksums, offsets, flags."""
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    assert run("export", "separation/dm", good, "-C", place).code == 0
    data = good.read_bytes()
    directory, rng, refused = data.find(b"PK\x01\x02"), np.random.default_rng(1), 0
    for case in range(150):
        broken = bytearray(data)
        if case < 8:  # the flags, and far offsets, of the first member
            broken[directory + 8] = 1 << case
            broken[directory + 42 : directory + 46] = (case * 1_000_000_007 % 2**32).to_bytes(
                4, "little"
            )
        elif case % 3:
            for at in rng.integers(directory if case % 2 else 0, len(data), 3):
                broken[at] ^= 1 << int(rng.integers(8))
        else:
            broken = broken[: int(rng.integers(len(data)))]
        bad.write_bytes(broken)
        (tmp_path / "there").mkdir(exist_ok=True)
        try:
            archive.unpack(bad, archive.read_list(bad), tmp_path / "there")
        except UserError:
            refused += 1
        shutil.rmtree(tmp_path / "there")
    assert refused > 100


def test_lists_and_sources_that_are_no_models(place, run, tmp_path):
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    assert run("export", "separation/dm", good, "-C", place).code == 0
    lists = [
        b"[" * 100_000,
        b'{"format": 1e999}',
        b"null",
        b"\xff\xfe",
        b'{"format": ' + b"9" * 5000,
    ]
    for content in lists:
        rewritten(good, bad, lambda m, c=content: m.update({"speechkit.json": c}))
        with pytest.raises(UserError):
            archive.read_list(bad)
    names = ["x" * 300, "あ" * 100, "a/" * 600 + "b", ".key", "a\nb", "seed0/config.yaml/x"]
    for name in [f"{name}.json" for name in names]:
        rewritten(good, bad, lambda m, n=name: add(m, n))
        with pytest.raises(UserError):
            archive.read_list(bad)
    for key, value in (
        ("models", []),
        ("models", ["nope"]),
        ("models", "x"),
        ("files", []),
        ("format", 0),
    ):
        rewritten(good, bad, lambda m, k=key, v=value: listed(m, **{k: v}) and None)
        with pytest.raises(UserError):
            archive.read_list(bad)
    bad.unlink()
    bad.symlink_to("/dev/zero")
    with pytest.raises(UserError, match="is not a file"):
        archive.read_list(bad)


def test_a_model_whose_weights_are_none_is_not_exported(run, tmp_path):
    import torch

    folder = make_model(tmp_path)
    torch.save({"a": torch.ones(1)}, folder / "best.safetensors")
    ran = run("export", "dm", tmp_path / "x.zip", "-C", tmp_path)
    assert ran.code == 2 and "best.safetensors cannot be read" in ran.err
    make_model(tmp_path, "laughs")
    card = tmp_path / "exp/separation/laughs/seed0/config.yaml"
    card.write_text(card.read_text() + "a: &a [x]\nb: [*a, *a]\n")
    ran = run("export", "laughs", tmp_path / "x.zip", "-C", tmp_path)
    assert ran.code == 2 and "alias" in ran.err
    assert not (tmp_path / "x.zip").exists()


def test_a_taken_name_is_refused(place, run, tmp_path):
    file = tmp_path / "frozen.zip"
    assert run("export", "frozen", file, "-C", place).code == 0
    ran = run("import", file, "-C", place)
    assert ran.code == 2 and "there is a model of this name" in ran.err
    assert run("import", file, "-C", place, "--name", "copy").code == 0
    shutil.rmtree(place / "exp/emotion/copy")


def test_pushing_calls_the_hub_with_file_and_card(place, run, tmp_path, monkeypatch):
    """Real code up to the call that needs a network."""
    import huggingface_hub

    calls = []

    class Api:
        def create_repo(self, name, **named):
            calls.append(("create_repo", name, named))

        def create_commit(self, name, operations, **named):
            calls.append(("create_commit", name, operations, named))

            class Done:
                commit_url = "https://huggingface.co/me/model/commit/1"

            return Done()

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_x")
    file = tmp_path / "m.zip"
    ran = run("export", "tuned", file, "-C", place, "--push-to-hub", "me/model", "--private",
              "--json")  # fmt: skip
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["url"].endswith("commit/1")
    (_, name, named), (_, same, operations, more) = calls
    assert name == same == "me/model"
    assert named == {"repo_type": "model", "private": True, "exist_ok": True}
    assert [o.path_in_repo for o in operations] == ["README.md", "tuned.zip"]
    assert b"library_name: speechkit" in operations[0].path_or_fileobj
    assert operations[1].path_or_fileobj == str(file)
    assert "emotion model tuned" in more["commit_message"]

    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    ran = run("export", "tuned", tmp_path / "n.zip", "-C", place, "--push-to-hub", "me/model")
    assert ran.code == 2 and "hf auth login" in ran.err
    assert not (tmp_path / "n.zip").exists()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    ran = run("export", "tuned", tmp_path / "n.zip", "-C", place, "--push-to-hub", "me/model")
    assert ran.code == 2 and "HF_HUB_OFFLINE" in ran.err


def test_a_hub_that_cannot_be_reached_leaves_the_file(place, run, tmp_path, monkeypatch):
    import huggingface_hub

    class Api:
        def create_repo(self, name, **named):
            raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_x")
    file = tmp_path / "m.zip"
    ran = run("export", "frozen", file, "-C", place, "--push-to-hub", "me/model")
    assert ran.code == 2 and "Name or service not known" in ran.err and "hf upload" in ran.err
    assert archive.read_list(file).name == "frozen"


def test_a_model_of_the_hub_is_fetched(place, run, tmp_path, monkeypatch):
    import huggingface_hub

    cache = tmp_path / "cache"
    cache.mkdir()
    assert run("export", "frozen", cache / "frozen.zip", "-C", place).code == 0
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **named: str(cache))
    assert run("import", "hf:me/model", "-C", tmp_path).code == 0
    assert (tmp_path / "exp/emotion/frozen/fold0/seed1/config.yaml").is_file()
    shutil.copyfile(cache / "frozen.zip", cache / "other.zip")
    with pytest.raises(UserError, match=r"2 \.zip files"):
        publish.fetch("hf:me/model")


def test_an_encoder_in_a_pickle_travels_as_safetensors(place, run, tmp_path):
    """Some of the hub's encoders have weights in pytorch_model.bin only."""
    import torch
    from safetensors.torch import load_file

    root = tmp_path / "here"
    (root / "tiny").mkdir(parents=True)
    for path in (place / "tiny").iterdir():
        shutil.copyfile(path, root / "tiny" / path.name)
    torch.save(load_file(root / "tiny/model.safetensors"), root / "tiny/pytorch_model.bin")
    (root / "tiny/model.safetensors").unlink()
    write_encoder_model(root, "old", True)
    wanted = predicted(run, root, place / "a.wav", "old")
    assert run("export", "old", tmp_path / "old.zip", "-C", root).code == 0
    (root / "tiny").rename(root / "gone")
    assert run("import", tmp_path / "old.zip", "-C", tmp_path).code == 0
    assert np.allclose(predicted(run, tmp_path, place / "a.wav", "old"), wanted, atol=1e-5)
    ran = run("export", "old", tmp_path / "again.zip", "-C", tmp_path)  # and once more
    assert ran.code == 0, ran.err
    ran = run("predict", "emotion", place / "a.wav", "--model", "old", "-C", root)
    assert ran.code == 2 and "neither a folder nor a model" in ran.err
    assert "a.wav" not in ran.err  # the encoder fails, not the clip


def test_a_scorer_of_pronunciation_and_its_acoustic_models(run, tmp_path):
    from speechkit.labels.scores import default_scales
    from speechkit.pronunciation import model_folder
    from speechkit.pronunciation.models import ModelConfig, build
    from speechkit.training.normaliser import Normaliser

    config = ModelConfig(inputs=84)
    for name, spec in (("own", "sphinx"), ("foreign", "hf:somebody/model")):
        features = {"am": [spec], "align_with": spec, "method": "segment", "blocks": []}
        card = model_folder.make_card(config, [features], default_scales(), [], seed=0)
        weights = {key: value[0] for key, value in build(config, [0]).state_dict().items()}
        folder = tmp_path / "exp/pronunciation" / name / "seed0"
        folder.mkdir(parents=True)
        zeros = np.zeros((1, 84), np.float32)
        model_folder.write(folder, card, weights, Normaliser(zeros, zeros + 1), [])
        ran = run("export", name, tmp_path / f"{name}.zip", "-C", tmp_path, "--json")
        assert ran.code == 0, ran.err
        inside = "scorer/seed0" if name == "own" else "seed0"
        assert json.loads(ran.out)["models"] == [inside]
        assert ("are not put into the file" in ran.err) == (name == "foreign")
        assert run("import", tmp_path / f"{name}.zip", "-C", tmp_path / "there").code == 0
        there = tmp_path / "there/exp/pronunciation" / name / inside
        assert (there / "model.safetensors").is_file()


def test_what_a_killed_export_left_goes_with_the_next(place, run, tmp_path):
    file, left = tmp_path / "x.zip", tmp_path / ".x.zip.export"
    for code in (0, 2):  # before its file was there, and after
        left.mkdir()
        (left / "card").write_text("half")
        (tmp_path / ".x.zip.lock").write_text("process 1 on nowhere")
        assert run("export", "frozen", file, "-C", place).code == code
        assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_an_export_that_runs_is_left_alone(place, run, tmp_path):
    lock, left = Lock(tmp_path / ".x.zip.lock"), tmp_path / ".x.zip.export"
    left.mkdir()
    lock.acquire("x.zip")
    ran = run("export", "frozen", tmp_path / "x.zip", "-C", place)
    assert ran.code == 2 and "is being written by process" in ran.err.replace("\n", " ")
    assert left.is_dir()
    lock.release()
