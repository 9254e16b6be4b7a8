"""From a labelled set to measures, by the command line, for models that need no download."""

import json
import shutil
import sys

import dask_workers
import numpy as np
import pytest
import soundfile
import yaml
from acted_speech import RATE, make_ravdess

from speechkit.base import cluster
from speechkit.base.errors import UserError
from speechkit.emotion import features, results, tables
from speechkit.emotion import train as training
from speechkit.emotion.config import EmotionTraining
from speechkit.emotion.predict import load_predictor
from speechkit.kaldi.data import write_table
from speechkit.labels import emotions as data
from speechkit.workdir import WorkDir
from speechkit.workdir.manifest import read_manifest

pytest.importorskip("opensmile")
ONE = ("-j", 1)
CNN = ("--upstream", "fbank-cnn", "--channels", "4,4,4,4", "--batch-size", 6)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A working directory with a set of 4 actors, 3 emotions, 24 clips, and its split."""
    from speechkit.cli.main import main

    root = tmp_path_factory.mktemp("chain")
    make_ravdess(root, actors=4)
    flags = ["--fold-size", "1", "--valid-speakers", "1"]
    for command in (
        ["prepare", "ravdess", str(root / "ravdess"), *map(str, ONE)],
        ["split-folds", *flags, *map(str, ONE)],
        ["split-folds", "--split", "random-80-20", "--valid-share", "0.2", *map(str, ONE)],
    ):
        assert main([*command, "-C", str(root)]) == 0
    return root


def table(folder, name):
    lines = (folder / name).read_text().splitlines()
    return [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]


def test_the_default_does_without_opensmile(run, made, monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    flags = ("--folds", 0, "--channels", "4,4,4,4", "--epochs", 1, "--batch-size", 6, *ONE)
    done = run("train", "emotion", "-C", made, "--name", "default", *flags)
    assert done.code == 0, done.err
    card = yaml.safe_load((made / "exp/emotion/default/fold0/seed0/config.yaml").read_text())
    assert card["upstream"] == "fbank-cnn"


def test_egemaps(run, made):
    flags = ("-C", made, "--upstream", "egemaps", "--seeds", 2, "--epochs", 15, *ONE)
    done = run("train", "emotion", *flags, "--json")
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    assert [(row["fold"], row["seed"]) for row in rows] == [
        (f, s) for f in range(4) for s in (0, 1)
    ]
    folder = made / "exp/emotion/egemaps/fold1/seed1"
    card = yaml.safe_load((folder / "config.yaml").read_text())
    assert card["classes"] == ["neutral", "calm", "happy"] and card["network"]["inputs"] == 88
    assert card["training"]["split"] == "speaker-folds" and card["training"]["seed"] == 1
    log = table(folder, "log.tsv")
    best = min(log, key=lambda row: float(row["valid_loss"]))
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["best_step"] == int(best["step"])
    assert summary["disk_bytes"] == (folder / "model.safetensors").stat().st_size
    again = run("train", "emotion", *flags)
    assert again.code == 0 and "is up to date" in again.err

    done = run("evaluate", "emotion", "-C", made, "--name", "egemaps", *ONE, "--json")
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    assert summary["accuracy"]["n"] == 4 and summary["accuracy"]["seeds"] == 2
    assert summary["about"]["leaks_speakers"] is False
    assert summary["about"]["transductive"] is False
    assert summary["accuracy"]["mean"] > 0.5
    folder = made / "exp/emotion/egemaps/eval/folds"
    found = results.read_predictions(folder)
    assert len(found.utterances) == 48 and len(set(found.utterances)) == 24
    assert np.allclose(found.probabilities.sum(1), 1, atol=1e-5)
    split = json.loads((made / "data/ravdess/splits/speaker-folds.json").read_text())
    for fold in range(4):
        own = found.where((found.folds == fold) & (found.seeds == 0))
        assert sorted(own.utterances) == sorted(split["folds"][fold]["test"])
    assert (folder / "confusion.png").read_bytes()[:4] == b"\x89PNG"
    assert "up to date" in run("evaluate", "emotion", "-C", made, "--name", "egemaps").err


def test_test_clips_choose_nothing(run, made):
    """Other labels of a fold's test clips give the same model."""
    split = json.loads((made / "data/ravdess/splits/speaker-folds.json").read_text())
    other = made.parent / f"{made.name}-other"
    (other / "data").mkdir(parents=True, exist_ok=True)
    import shutil

    shutil.copytree(made / "data/ravdess", other / "data/ravdess", dirs_exist_ok=True)
    tested = set(split["folds"][0]["test"])
    labels = data.read_table(made / "data/ravdess/utt2emotion")
    turned = {u: ("calm" if u in tested else label) for u, label in labels.items()}
    write_table(other / "data/ravdess/utt2emotion", turned)
    weights = []
    for root in (made, other):
        flags = ("-C", root, "--name", "blind", "--folds", 0, "--epochs", 8, *ONE)
        done = run("train", "emotion", *flags)
        assert done.code == 0, done.err
        weights.append((root / "exp/emotion/blind/fold0/seed0/model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_the_papers_protocol_is_named(run, made):
    """The step is chosen on the test clips, and every table says so."""
    chosen = "step chosen on the test clips"
    flags = ("-C", made, "--name", "published", "--epochs", 2, *CNN, *ONE)
    done = run("train", "emotion", "--protocol", "paper", *flags)
    assert done.code == 0, done.err
    assert chosen.upper() in done.err and f"published ({chosen})" in " ".join(done.out.split())
    folder = made / "exp/emotion/published/fold0/seed0"
    card = yaml.safe_load((folder / "config.yaml").read_text())
    assert card["chosen_on_test"] is True and card["training"]["split"] == "paper"
    assert "chosen_on_test" not in (made / "data/ravdess/splits/paper.json").read_text()
    done = run("evaluate", "emotion", "-C", made, "--name", "published", *ONE, "--json")
    about = json.loads(done.out)["about"]
    assert tables.protocol(about) == f"paper (speakers leak, {chosen})"
    assert tables.protocol({"trained_on": "a", "set": "b", "chosen_on_test": True}) == (
        f"trained on a ({chosen} there), tested on b"
    )
    best = min(float(row["valid_loss"]) for row in table(folder, "log.tsv"))
    found = results.read_predictions(made / "exp/emotion/published/eval/folds")
    right = found.probabilities[np.arange(len(found.targets)), found.targets]
    assert -np.log(right).mean() == pytest.approx(best, abs=1e-4)  # of the very clips
    done = run("split-folds", "-C", made, "--split", "paper", *ONE)
    assert done.code == 0 and chosen in " ".join(done.out.split())
    done = run("train", "emotion", "--protocol", "paper", "--split", "statement", *flags)
    assert done.code == 2 and "is not that of --protocol paper" in done.err
    assert run("train", "emotion", "--protocol", "theirs", *flags).code == 2


def test_speaker_normalisation_is_called_transductive(run, made):
    name = ("-C", made, "--name", "norm", *ONE)
    train = ("train", "emotion", "--upstream", "egemaps", *name)
    assert run(*train, "--speaker-norm", "--head", "logreg").code == 0
    done = run("evaluate", "emotion", *name)
    assert done.code == 0 and "TRANSDUCTIVE" in done.err
    assert "per-speaker normalisation (transductive)" in done.out
    folder = made / "exp/emotion/norm/fold0/seed0"
    predictor = load_predictor(folder)
    dataset = data.load(WorkDir(made), "ravdess")
    ids = [n for n in dataset.labels if dataset.speaker(n) == "actor01"]
    waves = [data.read_clip(u, RATE) for u in dataset.utterances(ids)]
    by_set = predictor.of_utterances(WorkDir(made), dataset, ids)
    by_wave = predictor.probabilities(waves, ["actor01"] * len(ids))
    assert np.allclose(by_set, by_wave, atol=1e-5)  # these are all clips of the speaker
    alone = predictor.probabilities(waves)
    assert not np.allclose(alone, by_wave, atol=1e-3)


def test_fbank_cnn(run, made):
    flags = ("-C", made, *CNN, "--epochs", 2, "--folds", "0,1", *ONE)
    done = run("train", "emotion", *flags)
    assert done.code == 0, done.err
    folder = made / "exp/emotion/fbank-cnn/fold0/seed0"
    assert [int(row["step"]) for row in table(folder, "log.tsv")] == [2, 4]
    assert list((folder / "tensorboard").iterdir())
    done = run("evaluate", "emotion", "-C", made, "--name", "fbank-cnn", *ONE)
    assert done.code == 0 and "Only 2 of the 4 folds are trained (number 0, 1)" in done.err
    predictor = load_predictor(folder)
    dataset = data.load(WorkDir(made), "ravdess")
    ids = list(dataset.labels)[:9]
    waves = [data.read_clip(u, RATE) for u in dataset.utterances(ids)]
    together = predictor.probabilities(waves)
    alone = np.concatenate([predictor.probabilities([wave]) for wave in waves])
    assert np.allclose(together, alone, atol=1e-4)
    assert np.allclose(together, predictor.of_utterances(WorkDir(made), dataset, ids), atol=1e-4)


def test_a_killed_training_goes_on(run, made, monkeypatch):
    """A run that dies in its second epoch ends with the same weights as one that does not."""
    from speechkit.emotion.train_cnn import CnnTraining

    flags = ("-C", made, *CNN, "--epochs", 3, "--folds", 0, *ONE)
    assert run("train", "emotion", *flags, "--name", "whole").code == 0
    measure, calls = CnnTraining.measure, []

    def dying(self):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(self)

    monkeypatch.setattr(CnnTraining, "measure", dying)
    assert run("train", "emotion", *flags, "--name", "killed").code == 130
    assert not (made / "exp/emotion/killed/fold0/seed0").exists()
    monkeypatch.setattr(CnnTraining, "measure", measure)
    done = run("train", "emotion", *flags, "--name", "killed")
    assert done.code == 0 and "taking up an unfinished run" in done.err
    both = [
        (made / f"exp/emotion/{name}/fold0/seed0/model.safetensors").read_bytes()
        for name in ("whole", "killed")
    ]
    assert both[0] == both[1]


def test_another_set(run, made):
    name = ("-C", made, "--name", "foreign", *ONE)
    flags = ("--epochs", 5, "--split", "random-80-20", "--seeds", 2)
    done = run("train", "emotion", *name, *flags)
    assert done.code == 0 and "LEAKS SPEAKERS" in done.err
    root = made / "second"
    make_ravdess(root, actors=2, emotions=3)
    second = ("prepare", "ravdess", root / "ravdess", "-C", made, "--set", "second", *ONE)
    assert run(*second).code == 0
    done = run("evaluate", "emotion", *name, "--set", "second", "--json")
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    assert summary["about"]["set"] == "second" and summary["about"]["trained_on"] == "ravdess"
    assert "kind" not in summary["about"] and summary["accuracy"]["n"] == 2
    labels = data.read_table(made / "data/second/utt2emotion")
    labels[next(iter(labels))] = "bored"
    write_table(made / "data/second/utt2emotion", labels)
    other = ("evaluate", "emotion", *name, "--set", "second", "--force", "--json")
    done = run(*other)
    assert done.code == 0 and "no class of the model are left out: bored (1)" in done.err
    assert json.loads(done.out)["about"]["left_out"] == {"bored": 1}
    about = json.loads(done.out)["about"]
    assert tables.protocol(about) == "trained on ravdess, tested on second without bored (1)"
    found = results.read_predictions(made / "exp/emotion/foreign/eval/second")
    assert len(found.utterances) == 2 * (len(labels) - 1)
    (made / "map.tsv").write_text("bored\tcalm\n")
    done = run(*other, "--label-map", made / "map.tsv")
    assert done.code == 0 and "bored is calm" in done.err
    about = json.loads(done.out)["about"]
    assert about["renamed"] == {"bored": "calm"} and not about["left_out"]
    found = results.read_predictions(made / "exp/emotion/foreign/eval/second")
    assert len(found.utterances) == 2 * len(labels)
    done = run("evaluate", "emotion", *name, "--label-map", made / "map.tsv")
    assert done.code == 2 and "--label-map" in done.err


def test_folds_and_seeds_are_of_one_experiment(run, made):
    name = ("-C", made, "--upstream", "egemaps", "--name", "mixed", "--epochs", 2, *ONE)
    assert run("train", "emotion", *name, "--folds", 0).code == 0
    done = run("train", "emotion", *name, "--folds", 1, "--split", "random-80-20")
    assert done.code == 2 and "has no fold 1" in done.err
    done = run("train", "emotion", *name, "--folds", 0, "--split", "random-80-20")
    assert done.code == 2 and "split: speaker-folds there, random-80-20 now" in done.err
    done = run("train", "emotion", *name, "--folds", 0, "--hidden", 7)
    assert done.code == 2 and "made with other parameters" in done.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--upstream", "egemaps", "--pooling", "max"),
            "--pooling is not a setting of --upstream egemaps",
        ),
        (("--preset", "paper"), "is for encoders"),
        (
            ("--upstream", "fbank-cnn", "--hidden", 3),
            "--hidden is not a setting of",
        ),
        (("--upstream", "fbank-cnn", "--channels", "4,x"), "is not a list of numbers"),
        (("--upstream", "egemaps", "--head", "paper"), "--head 'paper' is not known"),
        (("--split", "by-hand"), "has no split 'by-hand'"),
        (("--folds", "9"), "has no fold 9"),
        (("--set", "nowhere"), "no set 'nowhere'"),
        (("--max-seconds", 0), "is not a length"),
        (("--name", "a/b"), "cannot be the name"),
    ],
)
def test_flags_that_do_not_fit(run, made, flags, said):
    done = run("train", "emotion", "-C", made, "--name", "wrong", *flags, *ONE)
    assert done.code == 2 and said in " ".join(done.err.split())


@pytest.mark.parametrize("value", ["x", [1], {"a": 1}])
def test_a_damaged_summary_of_a_model(run, made, value):
    flags = ("--upstream", "egemaps", "--name", "damaged", "--folds", 0, "--epochs", 1, *ONE)
    assert run("train", "emotion", "-C", made, *flags).code == 0
    summary = made / "exp/emotion/damaged/fold0/seed0/summary.json"
    before = summary.read_text()
    summary.write_text(json.dumps({**json.loads(before), "best_step": value}))
    done = run("evaluate", "emotion", "-C", made, "--name", "damaged", "--force", *ONE)
    summary.write_text(before)
    assert done.code == 2 and "summary.json: best_step is" in " ".join(done.err.split())


def test_nothing_to_evaluate(run, made):
    done = run("evaluate", "emotion", "-C", made, "--name", "nothing")
    assert done.code == 2 and "no trained model 'nothing'" in done.err


@pytest.fixture
def own(run, tmp_path):
    """4 actors, of whom one clip is replaced by the test."""
    corpus = make_ravdess(tmp_path, actors=4)
    return corpus


def prepared(run, corpus):
    root = corpus.parent
    assert run("prepare", "ravdess", corpus, "-C", root, *ONE).code == 0
    flags = ("--fold-size", 1, "--valid-speakers", 1)
    assert run("split-folds", "-C", root, *flags, *ONE).code == 0
    return root


def test_a_silent_clip(run, own):
    name = "actor01-03-01-01-01-01-01-01"
    soundfile.write(own / "Actor_01/03-01-01-01-01-01-01.wav", np.zeros(8000), RATE)
    root = prepared(run, own)
    for upstream in ("egemaps", "fbank-cnn"):
        flags = ("-C", root, "--upstream", upstream, "--epochs", 1, *ONE)
        flags += ("--channels", "2,2,2,2") if upstream == "fbank-cnn" else ()
        done = run("train", "emotion", *flags)
        assert done.code == 2 and "is silent" in done.err and name in done.err
        done = run("train", "emotion", *flags, "--on-error", "skip")
        assert done.code == 0 and f"skipped {name}" in done.err, done.err
        done = run("evaluate", "emotion", "-C", root, "--name", upstream, *ONE)
        assert done.code == 2 and "is silent" in done.err
        skip = ("--on-error", "skip")
        done = run("evaluate", "emotion", "-C", root, "--name", upstream, *skip, *ONE)
        assert done.code == 0
        folder = root / f"exp/emotion/{upstream}/eval/folds"
        assert name in (folder / "skipped.tsv").read_text()
        assert read_manifest(folder)["counts"]["clips"] == 23
        cache = root / f"exp/emotion_features/ravdess-{upstream}"
        assert features.read(cache).skipped.keys() == {name}


def test_a_clip_of_forty_minutes(run, own, capsys):
    """It is read in its middle only, and said so."""
    long = own / "Actor_02/03-01-02-01-02-01-02.wav"
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(long, "w", RATE, 1, subtype="PCM_16") as file:
        for _ in range(40):
            file.write(0.01 * rng.standard_normal(60 * RATE).astype(np.float32))
    root = prepared(run, own)
    flags = ("-C", root, "--epochs", 1, "--max-seconds", 2, *ONE)
    done = run("train", "emotion", *flags)
    assert done.code == 0, done.err
    said = " ".join(done.err.split())
    assert "Of clips longer than 2 s only the middle is taken" in said and "2400 s" in said
    dataset = data.load(WorkDir(root), "ravdess")
    utterance = dataset.by_id["actor02-03-01-02-01-02-01-02"]
    middle, _ = soundfile.read(long, start=1199 * RATE, stop=1201 * RATE, dtype="float32")
    assert np.array_equal(data.read_clip(utterance, RATE, 2.0), middle)


def test_a_fold_without_a_class(run, own):
    root = prepared(run, own)
    labels = data.read_table(root / "data/ravdess/utt2emotion")
    turned = {u: "sad" if u.startswith("actor01") and label == "happy" else label
              for u, label in labels.items()}  # fmt: skip
    write_table(root / "data/ravdess/utt2emotion", turned)
    done = run("train", "emotion", "-C", root, *ONE)
    assert done.code == 2
    assert "no clip of the class 'sad' is left to train on" in " ".join(done.err.split())


def test_names_of_experiments():
    (job,) = training.jobs_of(EmotionTraining("facebook/hubert-large-ls960-ft"), {})
    assert job.name == "hubert-large-ls960-ft"
    (job,) = training.jobs_of(EmotionTraining("/models/mine/"), {"epochs": 3})
    assert (job.name, job.config.epochs) == ("mine", 3)
    four = training.jobs_of(EmotionTraining("paper", "x", preset="paper"), {})
    assert four[0].name == "x-wav2vec2-base-960h" and len(four) == 4
    assert {job.config.batch_size for job in four} == {4}
    with pytest.raises(UserError, match="not a setting"):
        training.jobs_of(EmotionTraining("egemaps"), {"mask_time": 0.1})


def test_a_damaged_model(run, made):
    import shutil

    source = made / "exp/emotion/egemaps/fold0/seed0"
    folder = made / "exp/emotion/damaged/fold0/seed0"
    shutil.copytree(source, folder, dirs_exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"no")
    done = run("evaluate", "emotion", "-C", made, "--name", "damaged")
    assert done.code == 2 and "cannot be read" in done.err
    (folder / "config.yaml").write_text("kind: emotion\nmodel: functionals\n")
    done = run("evaluate", "emotion", "-C", made, "--name", "damaged")
    assert done.code == 2 and "required field 'upstream'" in done.err


def test_a_cluster_gives_the_same_bytes(run, made, monkeypatch):
    kept, flags = made / "exp/emotion_features", (*CNN, "--epochs", 1, "--folds", 0, *ONE)
    opened, connected = [], cluster.connected
    monkeypatch.setattr(cluster, "connected", lambda at: opened.append(at) or connected(at))
    monkeypatch.setattr(features, "PART", 10)
    found = []
    with dask_workers.in_process() as executor:
        for name in ("here", "there"):
            where = ("--executor", executor) if name == "there" else ()
            own = ("emotion", "-C", made, "--name", name)
            for command in (("train", *own, *flags), ("evaluate", *own, *ONE)):
                shutil.rmtree(kept, ignore_errors=True)
                done = run(*command, *where)
                assert done.code == 0, done.err
            folder = made / "exp/emotion" / name
            files = ("fold0/seed0/model.safetensors", "eval/folds/predictions.tsv")
            paths = [kept / "ravdess-fbank-cnn/features.ark", *(folder / file for file in files)]
            found.append([path.read_bytes() for path in paths])
            assert len(opened) == (2 if where else 0)  # features of training, of evaluation
    assert found[0] == found[1]
