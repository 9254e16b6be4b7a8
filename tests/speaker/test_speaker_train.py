"""Training x-vector networks: splits, chunks, the stage, resuming after a kill."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from conftest import make_set, voice
from safetensors.numpy import load_file

from speechkit.base.audio import change_speed
from speechkit.base.errors import UserError
from speechkit.kaldi.data import Utterance
from speechkit.speaker.embedder import network_config
from speechkit.speaker.train import Chunks, Split, XVectorConfig, split

TINY = (
    "--channels", "16,16,16,16,32", "--embedding", 16, "--batch-size", 8, "--n-mels", 16,
    "--chunk-min", 0.4, "--chunk-max", 0.6, "--jobs", 1, "--learning-rate", 0.01,
)  # fmt: skip


def utterances(speakers: int, each: int) -> list[Utterance]:
    return [
        Utterance(f"s{k}-u{j}", f"{k}{j}.wav", f"s{k}")
        for k in range(speakers)
        for j in range(each)
    ]


def test_each_speaker_gives_held_out_utterances():
    parts = split(utterances(5, 10), 0.2, seed=0)
    assert len(parts.held_out) == 10
    assert {u.speaker for u in parts.held_out} == set(parts.speakers)
    assert not {u.id for u in parts.held_out} & {u.id for u in parts.train}
    assert len(parts.train) == 40
    assert split(utterances(5, 10), 0.2, seed=1).held_out != parts.held_out


def test_speakers_of_one_utterance_train_only():
    parts = split([*utterances(3, 1), *utterances(1, 4)][1:], 0.1, seed=0)
    assert [u.speaker for u in parts.held_out] == ["s0"]
    with pytest.raises(UserError, match="single utterance"):
        split(utterances(3, 1), 0.1, 0)
    with pytest.raises(UserError, match="1 speaker"):
        split(utterances(1, 5), 0.1, 0)


def test_speed_changes_pitch_and_length():
    samples = voice(200, 1.0)
    for factor in (0.9, 1.1):
        changed = change_speed(samples, factor)
        assert len(changed) == pytest.approx(16000 / factor, abs=2)
        spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed))))
        peak = np.argmax(spectrum[: len(spectrum) // 8]) * 16000 / len(changed)
        assert peak % (200 * factor) == pytest.approx(0, abs=2) or peak == pytest.approx(
            200 * factor, abs=2
        )
    assert change_speed(samples, 1.0) is samples


def test_chunks_are_drawn_from_their_name(tmp_path):
    folder = make_set(tmp_path, speakers=2, utterances=2, seconds=1.0)
    members = [
        Utterance(f"s{k}-u{j}", str(folder / f"wav/s{k}-u{j}.wav"), f"s{k}")
        for k in range(2)
        for j in range(2)
    ]
    config = XVectorConfig(sample_rate=16000, chunk_min=0.5, chunk_max=0.8)
    chunks = Chunks(Split(members, [], ["s0", "s1"]), config, [1.0, 1.1, 1.0, 1.1])
    assert len(chunks) == 12
    one, again, other = chunks[(0, 0, 3)], chunks[(0, 0, 3)], chunks[(1, 0, 3)]
    assert np.array_equal(one[0], again[0])
    assert not np.array_equal(one[0][:100], other[0][:100])
    # all of a batch have one length; classes are speed x speakers + speaker
    batch = [chunks[(0, 7, i)] for i in range(12)]
    assert len({len(samples) for samples, _ in batch}) == 1
    assert 0.5 * 16000 <= len(batch[0][0]) <= 0.8 * 16000
    assert [label for _, label in batch] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_an_utterance_shorter_than_the_chunk_is_repeated(tmp_path):
    soundfile.write(tmp_path / "a.wav", voice(100, 0.3), 16000)
    parts = Split([Utterance("a", str(tmp_path / "a.wav"), "s")], [], ["s"])
    config = XVectorConfig(sample_rate=16000, chunk_min=1, chunk_max=1, speeds=(1.0,))
    samples, _ = Chunks(parts, config, [0.3])[(0, 0, 0)]
    assert len(samples) == 16000
    np.testing.assert_array_equal(samples[4800:9600], samples[:4800])


def test_the_stage_learns_speakers(run, tmp_path):
    folder = make_set(tmp_path, speakers=3, utterances=8, seconds=0.8)
    time = np.arange(16000) / 16000
    for number, path in enumerate(sorted((folder / "wav").iterdir())):
        # noise that beats at a rate of the speaker (a steady timbre would be normalised away)
        beat = 1.01 + np.sin(2 * np.pi * (5, 12, 25)[number // 8] * time + number)
        noise = np.random.default_rng(number).standard_normal(16000)
        soundfile.write(path, 0.05 * beat * noise, 16000)
    flags = ("--speeds", "1.0", "--seed", 1)
    done = run("train", "xvector", "-C", tmp_path, *TINY, *flags, "--epochs", 20, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["held_out_accuracy"] == 1.0
    folder = tmp_path / "exp/xvector_nnet/default"
    assert {p.name for p in folder.iterdir()} >= {
        "config.yaml", "model.safetensors", "speakers.txt", "log.tsv", "summary.json",
        "manifest.json", "tensorboard",
    }  # fmt: skip
    again = run("train", "xvector", "-C", tmp_path, *TINY, *flags, "--epochs", 20)
    assert "up to date" in again.err
    refused = run("train", "xvector", "-C", tmp_path, *TINY, *flags, "--epochs", 9)
    assert refused.code == 2 and "epochs" in refused.err and "--force" in refused.err


def test_sigkill_and_the_same_command_give_the_unbroken_result(run, tmp_path):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        make_set(tmp_path / name, speakers=3, utterances=6, seconds=0.8)

    def command(name):
        flags = [*TINY, "--epochs", 12, "--patience", 0, "--checkpoint-minutes", 0]
        return [str(word) for word in ("train", "xvector", "-C", tmp_path / name, *flags)]

    assert run(*command("whole")).code == 0
    words = [sys.executable, "-m", "speechkit", *command("killed")]
    killed = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    state = tmp_path / "killed/exp/xvector_nnet/.default.partial/.scratch/last.ckpt"
    deadline = time.monotonic() + 600  # of a busy machine
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.3)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed/exp/xvector_nnet/default").exists()
    again = run(*command("killed"))
    assert again.code == 0, again.err
    assert "unfinished" in again.err
    whole, resumed = (tmp_path / n / "exp/xvector_nnet/default" for n in ("whole", "killed"))
    assert (whole / "log.tsv").read_bytes() == (resumed / "log.tsv").read_bytes()
    one, two = load_file(whole / "model.safetensors"), load_file(resumed / "model.safetensors")
    for key, value in one.items():
        np.testing.assert_array_equal(value, two[key])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--chunk-min", 3, "--chunk-max", 2), "--chunk-min"),
        (("--held-out", 0.9), "--held-out"),
        (("--speeds", "0.9,1.1"), "--speeds"),
        (("--speeds", "fast"), "--speeds"),
        (("--channels", "8,8"), "--channels 8,8, kernels 5,3,3,1,1 and"),
        (("--precision", "64"), "--precision"),
        (("--precision", "16", "--device", "cpu"), "CUDA"),
        (("--device", "tpu"), "--device"),
        (("--set", "nosuch"), "nosuch"),
    ],
)
def test_bad_input(run, workdir, flags, said):
    done = run("train", "xvector", "-C", workdir, *flags)
    assert done.code == 2
    assert said in done.err
    assert not (workdir / "exp/xvector_nnet/default").exists()


def test_one_speaker_is_refused(run, tmp_path):
    make_set(tmp_path, speakers=1)
    done = run("train", "xvector", "-C", tmp_path)
    assert done.code == 2
    assert "1 speaker" in done.err


def test_network_config_keeps_the_papers_contexts():
    config = network_config(XVectorConfig())
    assert (config.kernels, config.dilations) == ((5, 3, 3, 1, 1), (1, 2, 3, 1, 1))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--seed", -1), "--seed"),
        (("--clip", "nan"), "--clip"),
        (("--chunk-max", "inf"), "--chunk-max"),
        (("--channels", "0,0,0,0,0"), "--channels"),
        (("--sample-rate", 1), "--sample-rate"),
        (("--speeds", "1.0,1.0"), "--speeds"),
        (("--checkpoint-minutes", "nan"), "--checkpoint-minutes"),
    ],
)
def test_values_out_of_range(run, workdir, flags, said):
    done = run("train", "xvector", "-C", workdir, *flags)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("jobs", [0, 1])
def test_broken_audio_is_named_without_a_traceback(run, workdir, jobs):
    for path in (workdir / "data/train/wav").iterdir():
        soundfile.write(path, np.full(16000, np.nan), 16000, subtype="FLOAT")
    done = run("train", "xvector", "-C", workdir, *TINY, "--jobs", jobs)
    assert done.code == 2
    assert "NaN" in done.err and "s" in done.err.split("NaN")[0]
    assert "Traceback" not in done.err
    assert "validate --decode --fix" in " ".join(done.err.split())
    assert "-u" in done.err.split("NaN")[0]


@pytest.mark.parametrize("rate", [8000, 48000])
def test_other_sample_rates(run, tmp_path, rate):
    make_set(tmp_path, speakers=2, utterances=3, rate=rate)
    done = run("train", "xvector", "-C", tmp_path, *TINY, "--epochs", 1)
    assert done.code == 0, done.err
    card = (tmp_path / "exp/xvector_nnet/default/config.yaml").read_text()
    assert f"sample_rate: {min(rate, 16000)}" in card
    wide = run("train", "xvector", "-C", tmp_path, *TINY, "--epochs", 1, "--sample-rate", 48000,
               "--name", "wide")  # fmt: skip
    assert wide.code == 0, wide.err
