"""`train acoustic`: folds, masks, chunks, the stage on tones, resuming, a start from another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Ran
from tones import LABELS, tone_set, tones

from speechkit.acoustic.features import FeatureConfig, log_mel
from speechkit.acoustic.interface import PhoneInContext
from speechkit.acoustic.posteriors import read_labels
from speechkit.acoustic.tdnn import train as tdnn_training
from speechkit.acoustic.tdnn.batches import ChunkConfig, Chunks, counts
from speechkit.acoustic.tdnn.config import AcousticConfig
from speechkit.acoustic.tdnn.data import (
    Stream,
    Utterance,
    build_streams,
    mask_low,
    read_ctm,
    speaker_folds,
    states_at,
)
from speechkit.acoustic.tdnn.evaluate import Tally
from speechkit.acoustic.tdnn.model import load_tdnn
from speechkit.acoustic.tdnn.network import TdnnConfig
from speechkit.base.errors import UserError
from speechkit.kaldi import data
from speechkit.kaldi.ark import ArkTable, ArkWriter
from speechkit.workdir import WorkDir

TINY = (
    "--widths", 24, "--kernels", "3,3,3", "--dilations", "1,1,2", "--epochs", 6, "--chunk", 40,
    "--batch-size", 4, "--jobs", 1, "--learning-rate", 0.005, "--precision", 32,
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a trained model ``tdnn``."""
    from speechkit.cli.main import main

    root = tmp_path_factory.mktemp("trained")
    tone_set(root, scores=True)
    assert main([str(word) for word in ("train", "acoustic", "-C", root, *TINY)]) == 0
    return root


def test_folds_are_dealt_by_gender() -> None:
    speakers = [f"s{k}" for k in range(40)]
    gender = {s: "f" if k < 22 else "m" for k, s in enumerate(speakers)}
    of = speaker_folds(speakers, gender, 2)
    assert of == speaker_folds(speakers[::-1], gender, 2)
    for kind, each in (("f", 11), ("m", 9)):
        own = [of[speaker] for speaker in speakers if gender[speaker] == kind]
        assert np.bincount(own).tolist() == [each, each]
    assert sorted(set(speaker_folds(speakers, {}, 3).values())) == [0, 1, 2]
    with pytest.raises(UserError, match="2 speakers only"):
        speaker_folds(["a", "b", "a"], {}, 3)


def test_mask_and_times() -> None:
    states = np.arange(12, dtype=np.int16)
    segments = [(0.02, 0.03, "AA"), (0.05, 0.04, "IY"), (0.09, 0.02, "AA")]
    kept = mask_low(states, segments, [2.0, 1.4, float("nan")], 1.5)
    assert kept.tolist() == [0, 1, 2, 3, 4, -1, -1, -1, -1, 9, 10, 11]
    assert states[5] == 5
    config = FeatureConfig()
    assert states_at(states, 14, config).tolist() == [*range(12), 11, 11]
    assert states_at(states, 9, config).tolist() == list(range(9))
    half = states_at(states, 24, config, 0.5)  # played at half speed: every frame twice
    assert set(np.bincount(half)[1:-1]) == {2}


def stream(lengths: list[int], folds: list[int], reach: int) -> Stream:
    """Features whose first column numbers the frames, targets the frames modulo 5."""
    at, parts, blocks, targets, numbers = 0, [], {}, [], []
    for length, fold in zip(lengths, folds, strict=True):
        parts.append(slice(at + reach, at + reach + length))
        targets += [-1] * reach + [(at + reach + i) % 5 for i in range(length)] + [-1] * reach
        first = blocks.get(fold, (at, at))[0]
        at += length + 2 * reach
        blocks[fold] = (first, at)
    numbers = torch.arange(at, dtype=torch.float16)[:, None].repeat(1, 8) + 1
    return Stream(numbers, torch.tensor(targets, dtype=torch.int16), parts, blocks)


@pytest.mark.parametrize("without", [None, 0, 1, 2])
def test_chunks_hold_their_frames_and_no_other_fold(without: int | None) -> None:
    reach = 3
    made = stream([30, 25, 40, 22, 31], [0, 0, 1, 2, 2], reach)
    config = ChunkConfig(20, 4, freq_masks=0, time_masks=0)
    chunks = Chunks([made], without, config, reach, seed=1)
    seen = set()
    for epoch in range(30):
        for index in range(len(chunks)):
            features, targets = chunks.chunk(epoch, index)
            frames = features[:, 0].long() - 1
            assert (frames[1:] > frames[:-1]).all() and len(frames) == 26 and len(targets) == 20
            assert (made.targets[frames[reach:-reach]] == targets).all()
            seen |= set(frames[reach:-reach][targets >= 0].tolist())
    own = [f for fold, block in made.blocks.items() if fold != without for f in range(*block)]
    assert seen == {f for f in own if made.targets[f] >= 0}
    assert counts(made, without, 5).sum() == len(seen)
    again = Chunks([made], without, config, reach, seed=1).chunk(3, 1)[0]
    torch.testing.assert_close(again, chunks.chunk(3, 1)[0])


def test_masks_set_bands_and_stretches_to_zero() -> None:
    made = stream([200], [0], 2)
    config = ChunkConfig(60, 1, freq_masks=1, freq_width=3, time_masks=1, time_width=9)
    chunks = Chunks([made], None, config, 2, seed=0)
    widths = []
    for epoch in range(60):
        zero = chunks.chunk(epoch, 0)[0] == 0
        widths.append((int(zero.all(0).sum()), int(zero.all(1).sum())))
        # nothing else is zero
        assert (zero == (zero.all(0)[None] | zero.all(1)[:, None])).all()
    assert {w for w, _ in widths} == set(range(4)) and {w for _, w in widths} == set(range(10))


def test_chunk_longer_than_the_data() -> None:
    chunks = Chunks([stream([12], [0], 2)], None, ChunkConfig(500), 2, seed=0)
    assert len(chunks) == 1 and chunks.chunk(0, 0)[1].tolist() == [(2 + i) % 5 for i in range(12)]
    with pytest.raises(UserError, match="nothing is left"):
        Chunks([stream([12], [0], 2)], 0, ChunkConfig(500), 2, seed=0)


def test_measures_by_hand() -> None:
    tally = Tally([False, True, True])  # labels of three states
    probabilities = torch.full((7, 9), 0.02)
    targets = torch.tensor([0, 1, 3, 4, -1, 3, 8])
    for frame, state in enumerate([0, 1, 3, 5, 0, 7, 8]):
        probabilities[frame, state] = 0.84
    tally.add(probabilities.log(), targets)
    found = tally.measures()
    assert found["state_accuracy"] == pytest.approx(4 / 6)
    assert found["frame_accuracy"] == pytest.approx(5 / 6)
    # phones: AA (3, 4) is right, AA (3, said as 7) is not, IY (8) is; silence does not count
    assert found["phone_accuracy"] == pytest.approx(2 / 3)
    loss = -(4 * np.log(0.84) + 2 * np.log(0.02)) / 6
    assert found["loss"] == pytest.approx(loss, rel=1e-5)
    double = Tally([False, True, True])
    double.merge(tally)
    double.merge(tally)
    assert double.measures() == pytest.approx(found)
    assert np.isnan(Tally([True]).measures()["loss"])


def test_streams_fit_audio_and_alignment(tmp_path: Path) -> None:
    folder = tone_set(tmp_path, 2, 2)
    table = ArkTable(tmp_path / "exp/align/train/ali.scp", tmp_path)
    sources = data.load(folder, tmp_path).utterances
    given = [Utterance(u, int(u.speaker[1]), table[u.id].astype(np.int16)) for u in sources]
    made = build_streams(given, FeatureConfig(), (1.0, 0.9), reach=4)
    for utterance, part in zip(given, made[0].parts, strict=True):
        states = made[0].targets[part].numpy()
        assert abs(len(states) - len(utterance.states)) <= 1
        both = min(len(states), len(utterance.states))
        assert (states[:both] == utterance.states[:both]).all()
        assert (made[0].targets[part.start - 4 : part.start] == -1).all()
        assert (made[0].features[part.start - 4] == made[0].features[part.start]).all()
    slower = [p.stop - p.start for p in made[1].parts]
    for slow, utterance in zip(slower, given, strict=True):
        assert slow == pytest.approx(len(utterance.states) / 0.9, abs=2)
    cut = [Utterance(u.source, u.fold, u.states[:-9]) for u in given]
    with pytest.raises(UserError, match="its alignment has"):
        build_streams(cut, FeatureConfig(), (1.0,), reach=4)


def test_the_stage_learns_tones(trained: Path) -> None:
    folder = trained / "exp/acoustic/tdnn"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["held_out_phone_accuracy"] > 0.95
    assert summary["held_out_frame_accuracy"] > 0.9
    assert 0.05 < summary["masked_share"] < 0.3  # the second phone of each was said badly
    rows = [row.split("\t") for row in (folder / "log.tsv").read_text().splitlines()]
    assert rows[0][:3] == ["network", "epoch", "train_loss"] and len(rows) == 1 + 3 * 6
    folds = dict(row.split() for row in (folder / "spk2fold").read_text().splitlines())
    # s0 and s2 are female, s1 and s3 male: each fold has one of both
    assert folds["s0"] != folds["s2"] and folds["s1"] != folds["s3"]
    model = load_tdnn(folder)
    assert model.labels == LABELS and set(model.networks) == {"fold0", "fold1", "full"}
    wave, states, _ = tones(seed=900)
    for view in (model, model.for_speaker("s0"), load_tdnn(folder, unseen="full")):
        found = view.evidence(wave).log_posteriors.argmax(1).numpy()
        assert (found[: len(states)] == states // 3).mean() > 0.9
    assert model.state_ids(PhoneInContext("SPN")) == (9, 10, 11)
    prior = model.networks["full"].log_prior.exp()
    assert prior.sum() == pytest.approx(1, abs=1e-3)
    assert prior[9:].max() < 2e-4 < prior[:9].min()  # noises never come


def test_up_to_date(run, trained: Path) -> None:
    done = run("train", "acoustic", "-C", trained, *TINY)
    assert done.code == 0 and "up to date" in done.err


class Killed(Exception):
    """What ends a training in the middle."""


def test_resumed_run_gives_the_same(
    run, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off in the middle of an epoch of the second network."""
    tone_set(tmp_path, scores=True)
    loss, steps = tdnn_training.AcousticNet.loss, []

    def dying(self, batch):
        steps.append(1)
        if len(steps) == 60:
            raise Killed
        return loss(self, batch)

    command = ("train", "acoustic", "-C", tmp_path, *TINY, "--checkpoint-minutes", 0)
    monkeypatch.setattr(tdnn_training.AcousticNet, "loss", dying)
    assert run(*command).code == 1
    assert not (tmp_path / "exp/acoustic/tdnn").exists()
    monkeypatch.setattr(tdnn_training.AcousticNet, "loss", loss)
    done = run(*command)
    assert done.code == 0 and "unfinished" in done.err, done.err
    whole, resumed = (root / "exp/acoustic/tdnn" for root in (trained, tmp_path))
    assert (whole / "log.tsv").read_text() == (resumed / "log.tsv").read_text()
    for name in ("fold0", "fold1", "full"):
        file = f"{name}.safetensors"
        assert (whole / file).read_bytes() == (resumed / file).read_bytes()


def test_start_from_another_model(run, trained: Path) -> None:
    flags = [*TINY, "--name", "again", "--init", "tdnn", "--no-full"]
    flags[flags.index("--epochs") + 1] = 1
    done = run("train", "acoustic", "-C", trained, *flags)
    assert done.code == 0, done.err
    again, first = (trained / "exp/acoustic" / name for name in ("again", "tdnn"))
    assert (again / "spk2fold").read_text() == (first / "spk2fold").read_text()
    losses = []
    for folder in (first, again):
        head, *rows = [r.split("\t") for r in (folder / "log.tsv").read_text().splitlines()]
        losses.append([float(row[head.index("train_loss")]) for row in rows])
    assert losses[1][0] < losses[0][1]  # better than the second epoch from nothing
    wide = [*TINY, "--name", "wide", "--init", "tdnn", "--widths", 32]
    done = run("train", "acoustic", "-C", trained, *wide)
    assert done.code == 2 and "widths" in done.err
    done = run("train", "acoustic", "-C", trained, *TINY, "--name", "x", "--init", "again")
    assert done.code == 2 and "no network 'full'" in done.err
    done = run("train", "acoustic", "-C", trained, *TINY, "--name", "x", "--init", "nosuch")
    assert done.code == 2 and "nosuch" in done.err


def test_mismatches_are_left_out(run, tmp_path: Path) -> None:
    tone_set(tmp_path, 2, 3, mismatch=1)
    flags = [*TINY, "--speeds", "1.0", "--json"]
    flags[flags.index("--epochs") + 1] = 1
    done = run("train", "acoustic", "-C", tmp_path, *flags)
    assert done.code == 0, done.err
    assert "doubts the texts of 2 utterances; left out" in done.err
    assert json.loads(done.out)["utterances"] == 4
    (tmp_path / "exp/align/train/utterances.tsv").write_text("utt\nx\n")
    done = run("train", "acoustic", "-C", tmp_path, *flags)
    assert done.code == 2 and "columns utt and matches" in done.err


def test_a_model_that_doubts_most_texts_is_not_believed(run, tmp_path: Path) -> None:
    tone_set(tmp_path, 2, 1, mismatch=0)
    flags = [*TINY, "--speeds", "1.0", "--json"]
    flags[flags.index("--epochs") + 1] = 1
    done = run("train", "acoustic", "-C", tmp_path, *flags)
    assert done.code == 0, done.err
    assert "too weak to tell" in done.err and json.loads(done.out)["utterances"] == 2


def test_only_a_full_network(run, tmp_path: Path) -> None:
    tone_set(tmp_path, 2, 2)
    flags = [*TINY, "--folds", 0, "--speeds", "1.0", "--align", ""]
    flags[flags.index("--epochs") + 1] = 1
    done: Ran = run("train", "acoustic", "-C", tmp_path, *flags, "--json")
    assert done.code == 0, done.err
    assert "held_out_loss" not in json.loads(done.out)
    model = load_tdnn(tmp_path / "exp/acoustic/tdnn")
    assert model.members == model.for_speaker("s0").members == ["full"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--set", "nosuch"), "nosuch"),
        (("--align", "nosuch"), "speechkit align --set train --name nosuch"),
        (("--folds", 1), "--folds"),
        (("--folds", 9), "4 speakers only"),
        (("--folds", 0, "--no-full"), "no network"),
        (("--no-full", "--unseen", "full"), "--unseen full"),
        (("--unseen", "best"), "--unseen"),
        (("--speeds", "0.9,1.1"), "--speeds"),
        (("--kernels", "3,3"), "one number for each layer"),
        (("--widths", "8,8"), "one number for each layer"),
        (("--kernels", "2,3,3"), "odd"),
        (("--epochs", 0), "--epochs"),
        (("--chunk", 1), "--chunk"),
        (("--n-mels", 2), "--n-mels"),
        (("--normalise", "median"), "--normalise"),
        (("--precision", "16", "--device", "cpu"), "CUDA"),
        (("--checkpoint-minutes", "nan"), "--checkpoint-minutes"),
        (("--name", "../x"), "../x"),
    ],
)
def test_bad_flags(run, trained: Path, flags: tuple, said: str) -> None:
    done = run("train", "acoustic", "-C", trained, *TINY, "--name", "bad", *flags)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert not (trained / "exp/acoustic/bad").exists()


def test_alignment_without_states(tmp_path: Path) -> None:
    tone_set(tmp_path, 2, 2)
    alignment = tmp_path / "exp/align/train"
    with ArkWriter(alignment / "ali.ark", alignment / "ali.scp") as ark:
        ark.write("s0-u0", np.array([0, 40], np.int32))
        ark.write("s1-u0", np.array([0, 1], np.int32))
    config = AcousticConfig(network=TdnnConfig(40, (8,), (3,), (1,)))
    with pytest.raises(UserError, match="states from 0 to 11"):
        tdnn_training.train(WorkDir(tmp_path), "m", config)
    with ArkWriter(alignment / "ali.ark", alignment / "ali.scp") as ark:
        ark.write("other", np.array([0, 1], np.int32))
    with pytest.raises(UserError, match="no utterance of"):
        tdnn_training.train(WorkDir(tmp_path), "m", config)


def test_odd_files_of_an_alignment(tmp_path: Path) -> None:
    (tmp_path / "phones.txt").write_text("SIL 0\nAA 2\n")
    with pytest.raises(UserError, match="consecutive ids"):
        read_labels(tmp_path / "phones.txt")
    (tmp_path / "phones.ctm").write_text("u 1 0.0 x AA\n")
    with pytest.raises(UserError, match=r"phones\.ctm:1"):
        read_ctm(tmp_path / "phones.ctm")


def test_evidence_is_of_the_features(trained: Path) -> None:
    model = load_tdnn(trained / "exp/acoustic/tdnn")
    wave, _, _ = tones(seed=3)
    one = model.evidence(wave)
    same = model.evidence_of([log_mel(wave, model.card.features)])[0]
    torch.testing.assert_close(one.log_posteriors, same.log_posteriors)


@pytest.mark.slow
def test_real_speech(run, real_data: Path, tmp_path: Path) -> None:
    """The states of pocketsphinx's model on 20 speakers, from nothing, in three epochs."""
    assert run("prepare", "speechocean762", real_data / "speechocean762", "-C", tmp_path).code == 0
    assert run("align", "--set", "dev", "-C", tmp_path, "--jobs", 1).code == 0
    done = run(
        "train", "acoustic", "--set", "dev", "-C", tmp_path, "--epochs", 3, "--no-full", "--json"
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["held_out_frame_accuracy"] > 0.45 and found["held_out_phone_accuracy"] > 0.25
    assert 0.01 < found["masked_share"] < 0.1
