"""Extraction of x-vectors: batches change nothing, SpeechBrain folders, bad models."""

import json

import numpy as np
import pytest
import soundfile
import torch
from conftest import make_set
from speaker_models import SMALL, random_network, write_model
from test_tdnn import speechbrain_twin

from speechkit.base.errors import UserError
from speechkit.kaldi.ark import ArkTable, read_ark
from speechkit.speaker import embedder, extraction
from speechkit.speaker.config import VectorConfig
from speechkit.speaker.speechbrain_folder import LogMel
from speechkit.workdir import WorkDir

HYPER = """
sample_rate: 16000
n_mels: 8
emb_dim: 12
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:{kind}
{network}
modules:
    embedding_model: !ref <embedding_model>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
"""
XVECTOR = """    in_channels: !ref <n_mels>
    activation: !name:torch.nn.LeakyReLU
    tdnn_blocks: 5
    tdnn_channels: [16, 16, 16, 16, 24]
    tdnn_kernel_sizes: [5, 3, 3, 1, 1]
    tdnn_dilations: [1, 2, 3, 1, 1]
    lin_neurons: !ref <emb_dim>"""
ECAPA = """    input_size: !ref <n_mels>
    channels: [16, 16, 16, 16, 48]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    attention_channels: 8
    res2net_scale: 4
    se_channels: 8
    lin_neurons: 12"""


def write_speechbrain(folder, kind="Xvector"):
    """A SpeechBrain folder with random weights; returns the SpeechBrain module."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    if kind == "Xvector":
        name, network = "speechbrain.lobes.models.Xvector.Xvector", XVECTOR
        module = speechbrain_twin(random_network(SMALL, 3))
    else:
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

        name, network = "speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN", ECAPA
        module = ECAPA_TDNN(
            8, channels=[16, 16, 16, 16, 48], attention_channels=8, res2net_scale=4,
            se_channels=8, lin_neurons=12,
        ).eval()  # fmt: skip
    (folder / "hyperparams.yaml").write_text(HYPER.format(kind=name, network=network))
    torch.save(module.state_dict(), folder / "embedding_model.ckpt")
    return module


@torch.no_grad()
def speechbrain_vectors(module, samples):
    """What SpeechBrain's classes give for one utterance alone."""
    from speechbrain.lobes.features import Fbank
    from speechbrain.processing.features import InputNormalization

    features = Fbank(n_mels=8)(torch.from_numpy(samples)[None])
    features = InputNormalization(norm_type="sentence", std_norm=False)(features, torch.ones(1))
    return module(features, torch.ones(1)).squeeze().numpy()


def test_log_mel_is_speechbrains_and_padding_free():
    from speechbrain.lobes.features import Fbank

    long, short = torch.randn(8000), torch.randn(5001)
    batch = torch.zeros(2, 8000)
    batch[0], batch[1, :5001] = long, short
    features, frames = LogMel(16000, 8)(batch, [8000, 5001])
    assert frames == [51, 32]
    for row, samples in enumerate((long, short)):
        alone = Fbank(n_mels=8)(samples[None])[0]
        assert len(alone) == frames[row]
        torch.testing.assert_close(
            features[row, : frames[row]], alone - alone.mean(0), atol=1e-4, rtol=0
        )


@pytest.mark.parametrize("batch_seconds", [0.1, 3, 100])
def test_batch_size_never_changes_a_vector(tmp_path, batch_seconds):
    make_set(tmp_path, speakers=3, utterances=5, seconds=0.5)
    write_model(tmp_path)
    workdir = WorkDir(tmp_path)
    one = extraction.extract(workdir, "train", VectorConfig(batch_seconds=0.001), name="one")
    config = VectorConfig(batch_seconds=batch_seconds)
    other = extraction.extract(workdir, "train", config, name="other")
    expected = ArkTable(one / "xvector.scp", tmp_path).stack()
    found = ArkTable(other / "xvector.scp", tmp_path).stack()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_outputs_are_kaldis(run, workdir):
    write_model(workdir)
    done = run("extract-xvector", "-C", workdir, "--json")
    assert done.code == 0, done.err
    folder = workdir / "exp/xvector/train"
    table = ArkTable(folder / "xvector.scp", workdir)
    assert list(table) == [f"s{k}-u{j}" for k in range(4) for j in range(3)]
    assert table.entries["s0-u0"] == "exp/xvector/train/xvector.ark:6"
    means = dict(read_ark(folder / "spk_xvector.ark"))
    expected = np.mean([table[f"s2-u{j}"] for j in range(3)], axis=0)
    np.testing.assert_allclose(means["s2"], expected, atol=1e-6)
    assert (folder / "num_utts.ark").read_text().splitlines()[0] == "s0 3"
    summary = json.loads(done.out)
    assert summary["trials"] == 66 and summary["target_trials"] == 12
    assert 0 <= summary["eer_percent"] <= 100


def test_two_processes_give_the_same_file(run, workdir):
    write_model(workdir)
    assert run("extract-xvector", "-C", workdir, "--name", "one").code == 0
    flags = ("--name", "two", "-j", 2, "--batch-seconds", 4)
    assert run("extract-xvector", "-C", workdir, *flags).code == 0
    one, two = (
        dict(read_ark(workdir / f"exp/xvector/train-{n}/xvector.ark")) for n in ("one", "two")
    )
    for key, value in one.items():
        np.testing.assert_allclose(two[key], value, atol=1e-5)


def test_an_interrupted_run_keeps_its_parts(run, workdir, monkeypatch):
    write_model(workdir)
    flags = ("--batch-seconds", 1)
    assert run("extract-xvector", "-C", workdir, "--name", "whole", *flags).code == 0
    monkeypatch.setattr(extraction, "PART", 2)
    real, calls = extraction._embed, []

    def dying(batch, **how):
        calls.append(batch)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return real(batch, **how)

    monkeypatch.setattr(extraction, "_embed", dying)
    assert run("extract-xvector", "-C", workdir, *flags).code == 130
    assert not (workdir / "exp/xvector/train").exists()
    before = len(calls)
    assert run("extract-xvector", "-C", workdir, *flags).code == 0
    assert len(calls) - before < 12  # finished parts were kept
    files = (workdir / f"exp/xvector/{n}/xvector.ark" for n in ("train", "train-whole"))
    assert len({f.read_bytes() for f in files}) == 1


@pytest.mark.parametrize("kind", ["Xvector", "ECAPA"])
def test_speechbrain_folders(run, workdir, tmp_path, kind):
    module = write_speechbrain(tmp_path / "sb", kind)
    done = run("extract-xvector", "-C", workdir, "--model", tmp_path / "sb", "--batch-seconds", 60)
    assert done.code == 0, done.err
    table = ArkTable(workdir / "exp/xvector/train/xvector.scp", workdir)
    for key in ("s0-u0", "s3-u2"):
        samples, _ = soundfile.read(workdir / f"data/train/wav/{key}.wav", dtype="float32")
        np.testing.assert_allclose(table[key], speechbrain_vectors(module, samples), atol=2e-5)


def test_a_hyperparams_file_runs_no_code(tmp_path):
    write_speechbrain(tmp_path)
    path = tmp_path / "hyperparams.yaml"
    mark = tmp_path / "ran"
    path.write_text(path.read_text() + f"evil: !apply:os.mkdir ['{mark}']\n"
                    f"worse: !!python/object/apply:os.mkdir ['{mark}']\n")  # fmt: skip
    with pytest.raises(UserError, match="not YAML"):
        embedder.load(tmp_path, "cpu")
    path.write_text(path.read_text().rpartition("worse")[0])
    embedder.load(tmp_path, "cpu")
    assert not mark.exists()


def test_a_pickle_is_not_a_checkpoint(run, workdir, tmp_path):
    import pickle

    write_speechbrain(tmp_path / "sb")
    (tmp_path / "sb/embedding_model.ckpt").write_bytes(pickle.dumps(print))
    done = run("extract-xvector", "-C", workdir, "--model", tmp_path / "sb")
    assert done.code == 2
    assert "embedding_model.ckpt" in done.err


def test_the_hub_that_cannot_be_reached(run, workdir, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    done = run("extract-xvector", "-C", workdir, "--model", "hf:speechbrain/spkrec-no-such-model")
    assert done.code == 2
    assert "hf download speechbrain/spkrec-no-such-model" in done.err
    assert "--model DIR" in done.err


def test_models_that_are_not_there(run, workdir):
    none = run("extract-xvector", "-C", workdir)
    assert none.code == 2 and "speechkit train xvector" in none.err
    write_model(workdir, "large")
    typo = run("extract-xvector", "-C", workdir, "--model", "lagre")
    assert typo.code == 2 and "large" in typo.err
    (workdir / "empty").mkdir()
    empty = run("extract-xvector", "-C", workdir, "--model", workdir / "empty")
    assert empty.code == 2 and "hyperparams.yaml" in empty.err


def test_a_cut_model_is_named(run, workdir):
    write_model(workdir)
    path = workdir / "exp/xvector_nnet/net/model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    done = run("extract-xvector", "-C", workdir)
    assert done.code == 2 and "model.safetensors" in done.err


def test_broken_and_too_short_audio(run, workdir):
    write_model(workdir)
    soundfile.write(workdir / "data/train/wav/s0-u0.wav", np.zeros(1), 16000)
    (workdir / "data/train/wav/s1-u0.wav").write_text("hello")
    stopped = run("extract-xvector", "-C", workdir)
    assert stopped.code == 2
    assert "s0-u0" in stopped.err or "s1-u0" in stopped.err
    skipped = run("extract-xvector", "-C", workdir, "--on-error", "skip", "--json")
    assert skipped.code == 0, skipped.err
    assert json.loads(skipped.out)["skipped"] == 2
    rows = (workdir / "exp/xvector/train/skipped.tsv").read_text().splitlines()
    assert [row.split("\t")[0] for row in rows] == ["utt", "s0-u0", "s1-u0"]
    assert "1 samples" in rows[1]


def test_the_newest_model_is_the_default(workdir):
    import os

    for age, name in ((100, "old"), (50, "new")):
        write_model(workdir, name)
        path = workdir / "exp/xvector_nnet" / name / "config.yaml"
        stamp = path.stat().st_mtime - age
        os.utime(path, (stamp, stamp))
    assert embedder.find_model(WorkDir(workdir), "").name == "new"
    assert embedder.find_model(WorkDir(workdir), "old").name == "old"


def test_audio_of_another_rate_is_resampled(run, tmp_path):
    make_set(tmp_path, rate=8000)
    write_model(tmp_path)
    assert run("extract-xvector", "-C", tmp_path).code == 0
    assert len(ArkTable(tmp_path / "exp/xvector/train/xvector.scp", tmp_path)) == 12


def test_parts_of_other_batches_are_not_taken_up(run, workdir, monkeypatch):
    write_model(workdir)
    real, calls = extraction._embed, []

    def dying(batch, **how):
        calls.append(batch)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return real(batch, **how)

    monkeypatch.setattr(extraction, "PART", 2)
    monkeypatch.setattr(extraction, "_embed", dying)
    assert run("extract-xvector", "-C", workdir, "--batch-seconds", 0.01).code == 130
    done = run("extract-xvector", "-C", workdir, "--batch-seconds", 60, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["utterances"] == 12


def test_a_damaged_config_is_named(run, workdir):
    write_model(workdir)
    path = workdir / "exp/xvector_nnet/net/config.yaml"
    whole = path.read_text()
    for damaged in (whole.replace("16000", "abc"), whole.replace("n_mels: 8", "n_mels: [1]"),
                    whole[:120]):  # fmt: skip
        path.write_text(damaged)
        done = run("extract-xvector", "-C", workdir)
        assert done.code == 2, damaged
        assert "config.yaml" in done.err


def test_utterances_of_unknown_length_are_alone(workdir):
    from speechkit.kaldi import data

    (workdir / "data/train/wav/s1-u1.wav").write_text("hello")
    dataset = data.load(workdir / "data/train", workdir)
    batches = extraction.make_batches(dataset, batch_seconds=1000)
    assert [[u.id for u in b] for b in batches if len(b) == 1] == [["s1-u1"]]
    assert sum(map(len, batches)) == 12
