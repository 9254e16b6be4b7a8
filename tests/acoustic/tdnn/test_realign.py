"""`train acoustic`: several sets, held-out sets, re-alignment, several processes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from test_tdnn_train import TINY, Killed, stream
from tones import tone_set

from speechkit.acoustic.tdnn import realign as tdnn_realign
from speechkit.acoustic.tdnn import train as tdnn_training
from speechkit.acoustic.tdnn.batches import (
    ChunkConfig,
    MixedChunks,
    stay_counts,
    stay_probabilities,
)
from speechkit.acoustic.tdnn.config import PRESETS, AcousticConfig
from speechkit.acoustic.tdnn.model import load_tdnn
from speechkit.acoustic.tdnn.network import Tdnn, TdnnConfig
from speechkit.kaldi.ark import ArkTable

TRAIN = ("train", "acoustic", *TINY, "--checkpoint-minutes", 0)


@pytest.fixture(scope="module")
def tone_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets ``train``, ``more`` (one speaker in both) and ``dev``."""
    root = tmp_path_factory.mktemp("sets")
    tone_set(root, 3, 3, scores=True)
    tone_set(root, 2, 3, scores=True, name="more", first=2)
    tone_set(root, 2, 2, scores=True, name="dev", first=7)
    return root


def test_presets() -> None:
    sizes = {}
    for name, preset in PRESETS.items():
        wide, taps, steps = (
            [int(part) for part in text.split(",")]
            for text in (preset.widths, preset.kernels, preset.dilations)
        )
        made = Tdnn(TdnnConfig(widths=wide * (len(taps) if len(wide) == 1 else 1), kernels=taps,
                               dilations=steps))  # fmt: skip
        sizes[name] = sum(p.numel() for p in made.parameters())
    assert sizes == {"tdnn-small": 946_686, "tdnn": 8_168_790}


def test_models_from_before_are_up_to_date() -> None:
    known = {
        *("set_name", "align", "init", "folds", "full", "unseen", "prior_scale", "min_score"),
        *("features", "network", "chunks", "speeds", "epochs", "learning_rate", "weight_decay"),
        *("clip", "precision", "seed"),
    }
    assert set(AcousticConfig().params()) == known
    assert set(AcousticConfig(realign_epochs=9).params()) == known
    assert set(AcousticConfig(held_out="a").params()) == {*known, "held_out"}
    assert set(AcousticConfig(realign=1).params()) == {*known, "realign"}
    assert known < set(asdict(AcousticConfig()))


def test_weights_are_shares_relative_to_size() -> None:
    sets = [[stream([1000], [0], 2)], [stream([400, 600], [0, 1], 2)]]
    config = ChunkConfig(20, 4, freq_masks=0, time_masks=0)
    plain = MixedChunks(sets, [1, 1], None, config, 2, seed=0)
    half = MixedChunks(sets, [0.5, 2], None, config, 2, seed=0)
    assert [len(m) for m in plain.members] == [50, 50]
    assert [len(m) for m in half.members] == [25, 101]
    for index in (0, 24, 25, len(half) - 1):
        number = int(index >= 25)
        own = half.members[number].chunk(3, index - 25 * number)
        assert all(torch.equal(a, b) for a, b in zip(half.chunk(3, index), own, strict=True))
    # the second set has no other fold than 1 and 0, the first none but 0
    assert len(MixedChunks(sets, [1, 1], 0, config, 2, seed=0).members) == 1
    short = MixedChunks([sets[0], [stream([9], [0], 2)]], [1, 1], None, config, 2, seed=0)
    assert {len(short.chunk(0, index)[1]) for index in range(len(short))} == {9}


def test_stay_probabilities_by_hand() -> None:
    made = stream([1], [0], 2)
    targets = torch.tensor([-1, 0, 0, 0, 1, -1, 1, 2, 0, -1], dtype=torch.int16)
    made = type(made)(made.features, targets, made.parts, {0: (0, 5), 1: (5, 10)})
    found = stay_counts(made, None, 4)
    assert found.tolist() == [[2, 1], [0, 1], [0, 1], [0, 0]]
    assert stay_counts(made, 0, 4).tolist() == [[0, 0], [0, 1], [0, 1], [0, 0]]
    stay = stay_probabilities(found)
    assert stay == pytest.approx([(2 + 4) / 13, 4 / 11, 4 / 11, 0.4], abs=1e-6)


def test_several_sets_and_a_held_out_one(run, tone_sets: Path) -> None:
    flags = ("--set", "train,more", "--weights", "1,0.5", "--held-out", "dev", "--json")
    done = run(*TRAIN, "-C", tone_sets, "--name", "both", *flags)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["utterances"] == 15 and found["speakers"] == 4
    dev = found["held_out_sets"]["dev"]
    assert dev["utterances"] == 4 and dev["speakers"] == 2 and dev["phones"] == 20
    assert dev["training_speakers"] == 0
    assert dev["phone_accuracy"] > 0.9 and dev["phone_error_rate"] < 0.4
    parts = ("substitutions", "deletions", "insertions")
    assert dev["phone_error_rate"] == pytest.approx(sum(dev[f"phone_{name}"] for name in parts))
    for name in ("held_out", "fold0", "fold1"):
        assert 0 <= found[f"{name}_phone_error_rate"] < 1
    model = load_tdnn(tone_sets / "exp/acoustic/both")
    chances = model.transition_probabilities()
    assert chances is not None and chances.shape == (12, 2)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert 0.6 < chances[:9, 0].min() < chances[:9, 0].max() < 0.9  # 4 to 7 frames
    again = run(*TRAIN, "-C", tone_sets, "--name", "both", *flags)
    assert "up to date" in again.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--set", "train,train"), "different sets"),
        (("--set", "train,more", "--align", ",,"), "has 3 names, "),
        (("--set", "train,more", "--align", ",x"), "--set more --name x"),
        (("--set", "train,more", "--weights", "1"), "are 1, the sets 2."),
        (("--set", "train,more", "--weights", "1,0"), "--weights 1, 0"),
        (("--set", "train,more", "--weights", "1,x"), "not a list of numbers"),
        (("--held-out", "train"), "is a set of the training"),
        (("--held-out", "nosuch"), "nosuch"),
        (("--held-out", "dev", "--held-out-align", "x"), "--set dev --name x"),
        (("--realign", -1), "--realign -1"),
        (("--realign-epochs", 0), "--realign-epochs"),
        (("--realign-learning-rate", 0), "--realign-learning-rate"),
        (("--lm-scale", "nan"), "--lm-scale"),
        (("--insertion-penalty", "inf"), "--insertion-penalty"),
        (("--model", "huge"), "huge"),
    ],
)
def test_bad_flags(run, tone_sets: Path, flags: tuple, said: str) -> None:
    done = run(*TRAIN, "-C", tone_sets, "--name", "bad", *flags)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert not (tone_sets / "exp/acoustic/bad").exists()


def test_other_labels_are_named(run, tmp_path: Path) -> None:
    tone_set(tmp_path, 2, 1)
    tone_set(tmp_path, 2, 1, name="more", first=2)
    table = tmp_path / "exp/align/more/phones.txt"
    table.write_text(table.read_text().replace("IY", "UW"))
    for flags in (("--set", "train,more"), ("--held-out", "more")):
        done = run(*TRAIN, "-C", tmp_path, *flags)
        assert done.code == 2
        for word in ("align/train", "align/more", "IY", "UW"):
            assert word in done.err


def test_realign_without_texts(run, tmp_path: Path) -> None:
    """Said before anything is trained."""
    tone_set(tmp_path, 2, 1)
    done = run(*TRAIN, "-C", tmp_path, "--realign", 1)
    assert done.code == 2 and "--realign: no utterance of" in " ".join(done.err.split())
    assert "epoch" not in done.err


REALIGN = ("--realign", 2, "--realign-epochs", 2, "--set", "train,more", "--no-full")


@pytest.fixture(scope="module")
def realigned(tone_sets: Path) -> Path:
    from speechkit.cli.main import main

    command = [*TRAIN, "-C", tone_sets, "--name", "again", *REALIGN]
    assert main([str(word) for word in command]) == 0
    return tone_sets / "exp/acoustic/again"


def test_realigned(realigned: Path, tone_sets: Path) -> None:
    head, *rows = [r.split("\t") for r in (realigned / "log.tsv").read_text().splitlines()]
    assert head[:2] == ["network", "epoch"] and head[-1] == "round"
    rounds = [(row[0], row[1], row[-1]) for row in rows]
    assert len(rounds) == 2 * 6 + 2 * 2 * 2
    assert rounds[0] == ("fold0", "1", "0") and rounds[-1] == ("fold1", "2", "2")
    summary = json.loads((realigned / "summary.json").read_text())
    assert summary["held_out_phone_accuracy"] > 0.95
    for changed in summary["realigned_frames_changed"]:
        assert set(changed) == {"train", "more"} and all(0 <= v < 0.2 for v in changed.values())
    for name, count in (("train", 9), ("more", 6)):
        folder = realigned / "align" / name
        new = ArkTable(folder / "ali.scp", tone_sets)
        old = ArkTable(tone_sets / f"exp/align/{name}/ali.scp", tone_sets)
        assert len(new) == count and str(folder.relative_to(tone_sets)) in str(new.entries)
        same = [np.mean(new[key] // 3 == old[key] // 3) for key in new]
        assert np.mean(same) > 0.9
        assert {"phones.ctm", "phones.txt", "utterances.tsv"} <= {p.name for p in folder.iterdir()}
    card = (realigned / "config.yaml").read_text()
    assert "realign: 2" in card and "realign_epochs: 2" in card


def test_killed_again_and_again(
    run, realigned: Path, tone_sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off while the second set is aligned, in a training after it, and at the end."""
    command = (*TRAIN, "-C", tone_sets, "--name", "killed", *REALIGN)
    for when in ("align", "train", "measure"):
        with monkeypatch.context() as patched:
            if when == "measure":
                patched.setattr(tdnn_training._Run, "_measure", _die)
            elif when == "align":
                patched.setattr(tdnn_realign.alignment_stage, "_summary", _die)
            else:
                _dying_after(patched, 20)
            assert run(*command).code == 1
        assert not (tone_sets / "exp/acoustic/killed").exists()
    done = run(*command)
    assert done.code == 0 and "unfinished" in done.err, done.err
    for file in ("log.tsv", "fold0.safetensors", "fold1.safetensors", "align/more/phones.ctm"):
        other = tone_sets / "exp/acoustic/killed" / file
        assert other.read_bytes() == (realigned / file).read_bytes(), file


def _die(*_: object) -> None:
    raise Killed


def _dying_after(patched: pytest.MonkeyPatch, count: int) -> None:
    loss, steps = tdnn_training.AcousticNet.loss, []

    def dying(self, batch):
        steps.append(1)
        if len(steps) == count:
            raise Killed
        return loss(self, batch)

    patched.setattr(tdnn_training.AcousticNet, "loss", dying)


def test_two_processes_follow_the_curve_of_one(run, tone_sets: Path) -> None:
    """Normalisation and loss over the batch of both, one round of re-alignment among them."""
    flags = [*TINY, "--dropout", 0, "--realign", 1, "--realign-epochs", 1, "--batch-size", 3,
             "--folds", 0]  # fmt: skip
    flags[flags.index("--epochs") + 1] = 3
    assert run("train", "acoustic", "-C", tone_sets, "--name", "one", *flags).code == 0
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--standalone", "-m", "speechkit", "train", "acoustic"]
    command += ["-C", tone_sets, "--name", "two", *flags]
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    logs = []
    for name in ("one", "two"):
        text = (tone_sets / "exp/acoustic" / name / "log.tsv").read_text()
        logs.append([line.split("\t") for line in text.splitlines()])
    assert logs[0][0] == logs[1][0] and len(logs[0]) == len(logs[1]) == 5
    for one, two in zip(logs[0][1:4], logs[1][1:4], strict=True):  # those before re-alignment
        assert float(two[2]) == pytest.approx(float(one[2]), rel=1e-3)
    # Measures depend on the biases before the normalisations, whose gradients are rounding
    # errors that Adam magnifies, until the running means have followed.
    for one, two in zip(logs[0][1:], logs[1][1:], strict=True):
        np.testing.assert_allclose(
            [float(v) for v in one[1:]], [float(v) for v in two[1:]], rtol=5e-3, atol=5e-3
        )
