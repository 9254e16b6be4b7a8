"""Fine-tuning and heads on kept hidden states: learning, resuming, what a model folder holds."""

import json

import dask_workers
import numpy as np
import pytest
import soundfile
import torch
from tiny_encoders import make_encoder

from speechkit.base.errors import UserError
from speechkit.emotion import hidden, model_folder
from speechkit.emotion.config import PRESETS, encoder_config
from speechkit.emotion.data import Clips
from speechkit.emotion.fold_training import FoldTraining, Resources, Run
from speechkit.emotion.hidden import HiddenConfig
from speechkit.emotion.predict import load_predictor
from speechkit.emotion.train_encoder import Finetuning, train_encoder
from speechkit.kaldi import data
from speechkit.labels.emotions import load, read_clip
from speechkit.labels.folds import Fold
from speechkit.workdir import Output, WorkDir

EMOTIONS = ("neutral", "sad", "angry")


def clip(kind, generator, seconds):
    """Classes that differ in pitch and roughness, whoever speaks."""
    time = np.arange(round(seconds * 16000)) / 16000
    pitch = 120 * (1 + 0.7 * kind) * (1 + 0.03 * generator.standard_normal())
    wave = np.sign(np.sin(2 * np.pi * pitch * time)) if kind == 2 else np.sin(6.2832 * pitch * time)
    return (0.2 * wave + 0.01 * generator.standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working directory with a labelled set of 6 speakers x 6 clips, and an encoder."""
    root = tmp_path_factory.mktemp("emotion")
    folder = root / "data" / "set"
    (folder / "wav").mkdir(parents=True)
    wavs, speakers, labels = {}, {}, {}
    generator = np.random.default_rng(3)
    for speaker in range(6):
        for number in range(6):
            name = f"s{speaker}-{number}"
            wave = clip(number % 3, generator, 0.25 + 0.05 * number)
            soundfile.write(folder / "wav" / f"{name}.wav", wave, 16000)
            wavs[name], speakers[name] = f"data/set/wav/{name}.wav", f"s{speaker}"
            labels[name] = EMOTIONS[number % 3]
    data.write(folder, wavs, speakers, utt2emotion=labels)
    make_encoder(root / "tiny", "wav2vec2-group")
    return root


def fold_of(dataset):
    names = [u.id for u in dataset.data.utterances]
    who = {"train": ("s0", "s1", "s2", "s3"), "valid": ("s4",), "test": ("s5",)}
    return Fold(
        **{k: tuple(n for n in names if n.split("-")[0] in v) for k, v in who.items()},
        valid_speakers=("s4",),
        test_speakers=("s5",),
    )


def train(place, name, seed=0, minutes=60.0, **settings):
    workdir = WorkDir(place)
    dataset = load(workdir, "set")
    preset = settings.pop("preset", "default")
    values = {"learning_rate": 3e-3, "epochs": 6, "evaluate_every": 6, "batch_size": 4}
    config = encoder_config(preset, settings if preset != "default" else {**values, **settings})
    run = Run(str(place / "tiny"), "set", "folds", 0, seed)
    final = model_folder.folder_of(workdir, name, 0, seed)
    with Output(final, "train emotion", config.as_dict(), resume=True) as out:
        if out.up_to_date:
            return final, []
        how = Resources("cpu", 1, minutes)
        train_encoder(FoldTraining(out, workdir, dataset, fold_of(dataset), run, config, how))
    return final, [int(row[0]) for row in log(final)[1:]]


def log(folder):
    """Rows of log.tsv but for the seconds, which no two runs share."""
    lines = [line.split("\t") for line in (folder / "log.tsv").read_text().splitlines()]
    return [line[:-1] for line in lines]


@pytest.fixture(scope="module")
def trained(place):
    return train(
        place, "base", freeze="none", accumulate=2, epochs=10, mask_time=0.05, layers="weighted",
        pooling="max", keep_checkpoints=2, learning_rate=6e-3, layer_drop=0.0, dropout=0.0,
    )  # fmt: skip


def test_it_learns_on_speakers_it_has_not_met(place, trained):
    folder, told = trained
    rows = log(folder)
    assert rows[0][:5] == ["step", "train_loss", "valid_loss", "valid_accuracy", "valid_uar"]
    assert told == [6, 12, 18, 24, 30]
    dataset = load(WorkDir(place), "set")
    test = fold_of(dataset).test
    predictor = load_predictor(folder)
    found = predictor.of_utterances(WorkDir(place), dataset, test)
    assert found.shape == (6, 3)
    assert np.allclose(found.sum(1), 1, atol=1e-5)
    assert (found.argmax(1) == dataset.targets(test)).mean() > 0.6
    assert predictor.classes == EMOTIONS
    card = model_folder.read_card(folder)
    assert card["training"]["seed"] == 0
    assert len(card["network"]["layer_weights"]) == 3
    summary = json.loads((folder / "summary.json").read_text())
    best = min(rows[1:], key=lambda row: float(row[2]))
    assert summary["best_step"] == int(best[0])
    assert summary["train_seconds"] > 0
    assert (folder / "last.safetensors").exists()
    assert list((folder / "tensorboard").glob("events*"))


def test_predictions_do_not_depend_on_the_batch(place, trained):
    predictor = load_predictor(trained[0])
    dataset = load(WorkDir(place), "set")
    waves = [read_clip(u, 16000) for u in dataset.data.utterances[:5]]
    waves[2] = waves[2][:900]
    together = predictor.probabilities(waves)
    alone = np.concatenate([predictor.probabilities([wave]) for wave in waves])
    assert np.abs(together - alone).max() < 1e-4
    assert np.isfinite(predictor.probabilities([np.zeros(5000, np.float32)])).all()
    with pytest.raises(UserError, match="shorter than one frame"):
        predictor.probabilities([waves[0][:20]])


@pytest.mark.parametrize("freeze", ["features", "encoder"])
@pytest.mark.parametrize("stop_at", [5, 14])
def test_a_killed_run_continues_the_same_curve(place, monkeypatch, freeze, stop_at):
    from speechkit.emotion import loss

    settings = {"freeze": freeze, "epochs": 4, "accumulate": 2, "evaluate_every": 3}
    whole, _ = train(place, f"whole-{freeze}", **settings)
    name = f"killed-{freeze}-{stop_at}"
    steps = []
    criterion = loss.WeightedCrossEntropy.forward

    def stops(self, logits, targets):
        steps.append(1)
        if len(steps) == stop_at:
            raise RuntimeError("the power went out")
        return criterion(self, logits, targets)

    with monkeypatch.context() as patched:
        patched.setattr(loss.WeightedCrossEntropy, "forward", stops)
        with pytest.raises(RuntimeError, match="power"):
            train(place, name, minutes=0.0, **settings)
    resumed, _ = train(place, name, minutes=0.0, **settings)
    assert log(resumed) == log(whole)
    assert (resumed / "model.safetensors").read_bytes() == (
        whole / "model.safetensors"
    ).read_bytes()


def test_the_papers_preset_is_table_two(place):
    config = encoder_config("paper", {})
    assert (config.batch_size, config.accumulate, config.epochs) == (4, 2, 10)
    assert (config.learning_rate, config.evaluate_every, config.keep_checkpoints) == (1e-4, 100, 2)
    assert (config.pooling, config.head, config.patience, config.buckets) == ("mean", "paper", 0, 0)
    assert set(PRESETS) == {"default", "paper", "frozen"}
    folder, told = train(place, "paper", preset="paper", epochs=1)
    assert told == [3]  # 24 clips / 4 / 2
    card = model_folder.read_card(folder)
    assert card["training"]["learning_rate"] == 1e-4


def test_heads_on_kept_states_are_those_of_the_live_encoder(place, monkeypatch):
    workdir, dataset = WorkDir(place), load(WorkDir(place), "set")
    for pooling, layers in (("mean", "weighted"), ("sum", "1"), ("max", "last")):
        name = f"head-{pooling}"
        folder, _ = train(place, name, preset="frozen", pooling=pooling, layers=layers, epochs=6)
        predictor = load_predictor(folder)
        ids = [u.id for u in dataset.data.utterances]
        kept = predictor.of_utterances(workdir, dataset, ids)
        live = predictor.probabilities([read_clip(u, 16000) for u in dataset.data.utterances])
        assert np.abs(kept - live).max() < 1e-4, pooling
        assert (folder / "model.safetensors").stat().st_size < 8000
    names = sorted(p.name for p in (place / "exp" / "hidden").iterdir() if p.name[0] != ".")
    assert {"set-tiny-all", "set-tiny-layer1", "set-tiny-frames"} <= set(names)
    monkeypatch.chdir(place)
    run = Run("tiny", "set", "folds", 0, 0)  # by a relative path ...
    config = encoder_config("frozen", {"epochs": 2})
    final = model_folder.folder_of(workdir, "relative", 0, 0)
    with Output(final, "train emotion", config.as_dict(), resume=True) as out:
        how = (run, config, Resources())
        train_encoder(FoldTraining(out, workdir, dataset, fold_of(dataset), *how))
    monkeypatch.chdir(place.parent)  # ... and used from elsewhere
    assert load_predictor(final).probabilities([np.ones(4000, np.float32)]).shape == (1, 3)
    manifest = place / "exp" / "hidden" / "set-tiny-all" / "manifest.json"
    before = manifest.stat().st_mtime_ns
    train(place, "another-head", seed=1, preset="frozen", layers="weighted", epochs=2)
    assert manifest.stat().st_mtime_ns == before  # all folds and seeds share it


def test_hidden_states_resume_and_skip(place, monkeypatch):
    workdir, dataset = WorkDir(place), load(WorkDir(place), "set")
    monkeypatch.setattr(hidden, "PART", 1)
    monkeypatch.setattr(hidden, "BATCH_SECONDS", {"cpu": 2.0})
    kind = HiddenConfig(str(place / "tiny"), "last", "frames", 29.0)
    calls = []
    states = hidden._states

    def stops(batch, **named):
        calls.append(len(batch))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return states(batch, **named)

    with monkeypatch.context() as patched:
        patched.setattr(hidden, "_states", stops)
        with pytest.raises(KeyboardInterrupt):
            hidden.extract(workdir, dataset, kind)
        calls[:] = [0] * 10
        found = hidden.extract(workdir, dataset, kind)
    batches = len(hidden.make_batches(dataset.data.utterances, 2.0))
    assert len(calls) - 10 == batches - 3
    whole = hidden.extract(
        workdir, dataset, HiddenConfig(str(place / "tiny"), "last", "frames", 28.0)
    )
    assert np.array_equal(found.values, whole.values)
    assert found.first == whole.first
    assert sum(found.frames.values()) == len(found.values)


def test_the_speaker_disjoint_validation_set_stops_training(place, monkeypatch):
    losses = iter([1.0, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1])

    def measure(self):
        return {"valid_loss": next(losses), "valid_accuracy": 0.5, "valid_uar": 0.5}

    monkeypatch.setattr(Finetuning, "measure", measure)
    folder, told = train(place, "early", epochs=20, evaluate_every=2, patience=2)
    assert told == [2, 4, 6, 8]
    assert json.loads((folder / "summary.json").read_text())["best_step"] == 4


def test_what_cannot_be_trained_is_refused(place):
    for settings, message in (
        ({"layers": "7"}, "has 2"),
        ({"pooling": "median"}, "`pooling` 'median'"),
        ({"dropout": 1.0}, "`dropout` 1.0"),
        ({"keep_checkpoints": 3}, "`keep_checkpoints` 3"),
        ({"learning_rate": -1.0}, "above 0"),
        ({"batch_sise": 3}, "Did you mean 'batch_size'"),
    ):
        with pytest.raises(UserError, match=message):
            train(place, "refused", **settings)
    assert torch.is_grad_enabled()


def test_hidden_states_of_a_cluster_are_the_same(place, monkeypatch):
    monkeypatch.setattr(hidden, "BATCH_SECONDS", {"cpu": 2.0})
    workdir, dataset = WorkDir(place), load(WorkDir(place), "set")
    kinds = [HiddenConfig(str(place / "tiny"), "last", "mean", cut) for cut in (27.0, 26.0)]
    here = hidden.extract(workdir, dataset, kinds[0])
    with dask_workers.in_process() as executor:
        there = hidden.extract(workdir, dataset, kinds[1], executor=executor)
    assert here.values.tobytes() == there.values.tobytes()
    assert here.first == there.first


def test_a_cluster_hears_the_same_though_a_worker_dies(place, trained, tmp_path):
    workdir, dataset = WorkDir(place), load(WorkDir(place), "set")
    ids = [utterance.id for utterance in dataset.data.utterances]
    predictor = load_predictor(trained[0])
    here = predictor.of_utterances(workdir, dataset, ids)
    own, others = (Clips(dataset, ids, predictor.net.encoder, 30.0) for _ in range(2))
    with dask_workers.processes(tmp_path, 2) as (workers, executor):

        def kill(count):
            workers[0].kill()
            workers[0].wait()

        there = predictor.of_utterances(workdir, dataset, ids, executor=executor, advance=kill)
        assert own.keep(1) and others.keep(1, executor)
    assert here.tobytes() == there.tobytes()
    for one, other in zip(own.waves, others.waves, strict=True):
        assert np.array_equal(one, other)
