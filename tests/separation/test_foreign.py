"""Checkpoints of Asteroid and SpeechBrain give the same estimates in our Conv-TasNet.

`parity/*.npz` were written by benchmarks/export_parity.py with Asteroid 0.7.0 and
SpeechBrain 1.1.2.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_models import (
    ASTEROID,
    PARITY,
    SPEECHBRAIN,
    write_asteroid,
    write_speechbrain,
)

from speechkit.base.errors import UserError
from speechkit.separation.conv_tasnet import ConvTasNet
from speechkit.separation.foreign import load_foreign
from speechkit.separation.layers import NORMS


def estimate(path: Path, mixture: np.ndarray, **options) -> torch.Tensor:
    config, state, rate = load_foreign(path)
    assert rate == 8000
    net = ConvTasNet(config).eval()
    net.load_state_dict(state)
    with torch.no_grad():
        return net(torch.from_numpy(mixture), **options)


@pytest.mark.parametrize("name", ASTEROID)
def test_asteroid_checkpoints_give_the_same_estimates(name: str, tmp_path: Path) -> None:
    stored = np.load(PARITY / f"{name}.npz")
    ours = estimate(write_asteroid(tmp_path / "best_model.pth", name), stored["mixture"])
    np.testing.assert_allclose(ours, stored["estimate"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SPEECHBRAIN)
def test_speechbrain_checkpoints_give_the_same_estimates(name: str, tmp_path: Path) -> None:
    stored = np.load(PARITY / f"{name}.npz")
    ours = estimate(write_speechbrain(tmp_path / "model", name), stored["mixture"])
    np.testing.assert_allclose(ours, stored["estimate"], rtol=1e-5, atol=1e-5)


def test_parity_files_are_there() -> None:
    assert len(ASTEROID) == 5 and len(SPEECHBRAIN) == 3


def test_a_wrong_layout_would_be_noticed(tmp_path: Path) -> None:
    """Other settings with the same weights change the estimates by far more than rounding."""
    stored = np.load(PARITY / "asteroid_gln.npz")
    for changed in ({"norm_type": "cLN"}, {"mask_act": "sigmoid"}, {"encoder_activation": "relu"}):
        path = write_asteroid(tmp_path / "model.pth", **changed)
        assert np.abs(estimate(path, stored["mixture"]) - stored["estimate"]).max() > 0.01


def test_foreign_models_do_not_hear_padding(tmp_path: Path) -> None:
    mixture = np.load(PARITY / "asteroid_gln.npz")["mixture"]
    padded = np.pad(mixture, ((0, 0), (0, 61)), constant_values=3.0)
    lengths = torch.tensor([203, 203])
    lengths[1] = 180
    for path in (write_asteroid(tmp_path / "a.pth"), write_speechbrain(tmp_path / "b")):
        together = estimate(path, padded, lengths=lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = estimate(path, mixture[row : row + 1, :length])
            torch.testing.assert_close(together[row, :, :length], alone[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("ours", "theirs"), [("gLN", "gLN"), ("chLN", "cLN"), ("cLN", "cgLN")])
def test_norms_are_asteroids(ours: str, theirs: str) -> None:
    """On variances near 1e-6, so that the epsilon of 1e-8 under the root counts."""
    stored = {k: torch.from_numpy(v) for k, v in np.load(PARITY / "norms.npz").items()}
    norm = NORMS[ours](5)
    norm.load_state_dict({"gamma": stored["gamma"], "beta": stored["beta"]})
    with torch.no_grad():
        torch.testing.assert_close(norm(stored["x"]), stored[theirs], rtol=1e-5, atol=1e-5)


def test_folders_as_the_recipes_leave_them(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    hub.mkdir()
    write_asteroid(hub / "pytorch_model.bin")
    assert load_foreign(hub)[0].skip == 6

    experiment = tmp_path / "results"
    saved = write_speechbrain(experiment / "save" / "CKPT+2026-01-01+00-00-00+00")
    shutil.move(saved / "hyperparams.yaml", experiment / "hyperparams.yaml")
    config, _, _ = load_foreign(saved)
    assert (config.skip, config.blocks, config.repeats) == (0, 3, 2)
    with pytest.raises(UserError, match=r"give one: .*CKPT\+2026"):
        load_foreign(experiment)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"norm_type": "bN"}, "'norm_type' is bN. Our Conv-TasNet has: gLN"),
        ({"mask_act": "swish"}, "'mask_act' is swish"),
        ({"fb_name": "STFTFB"}, "'fb_name' is STFTFB"),
        ({"out_chan": 4}, "'out_chan' is 4"),
        ({"hid_chan": 10}, "shape"),
        ({"n_blocks": 4}, "'blocks.6.act1.weight' is missing"),
        ({"n_repeats": 2.5}, "expected a whole number"),
    ],
)
def test_asteroid_models_that_ours_cannot_be(changed, message, tmp_path: Path) -> None:
    path = write_asteroid(tmp_path / "model.pth", **changed)
    with pytest.raises(UserError) as caught:
        load_foreign(path)
    assert message in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mask_nonlinear": "softmax"}, "'mask_nonlinear' is softmax"),
        ({"norm_type": "batchnorm"}, "'norm_type' is batchnorm"),
        ({"stride": "2"}, "'stride' is 2"),
        ({"masknet": "!new:speechbrain.lobes.models.dual_path.Dual_Path_Model {}"}, "Dual_Path"),
    ],
)
def test_speechbrain_models_that_ours_cannot_be(changed, message, tmp_path: Path) -> None:
    folder = write_speechbrain(tmp_path / "model", **changed)
    with pytest.raises(UserError, match=message):
        load_foreign(folder)


def test_hyperparams_are_never_executed(tmp_path: Path) -> None:
    folder = write_speechbrain(tmp_path / "model")
    with (folder / "hyperparams.yaml").open("a") as file:
        file.write(f"\nevil: !apply:os.mkdir [{tmp_path / 'made'}]\n")
    load_foreign(folder)
    assert not (tmp_path / "made").exists()


def test_speechbrain_weights_missing(tmp_path: Path) -> None:
    folder = write_speechbrain(tmp_path / "model")
    weights = torch.load(folder / "masknet.ckpt", weights_only=True)
    del weights["bottleneck_conv1x1.conv.weight"]
    torch.save(weights, folder / "masknet.ckpt")
    with pytest.raises(UserError, match="has no weights 'bottleneck_conv1x1"):
        load_foreign(folder)
    torch.save({"conv1d_U.conv.weight": torch.zeros(16, 1, 8)}, folder / "encoder.ckpt")
    with pytest.raises(UserError, match=r"encoder.ckpt is not that of .*dual_path"):
        load_foreign(folder)
    (folder / "hyperparams.yaml").unlink()
    with pytest.raises(UserError, match=r"no hyperparams\.yaml"):
        load_foreign(folder)


class Surprise:
    """Makes a folder when it is unpickled by a careless reader."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.mkdir, (self.path,)


def test_files_that_are_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no checkpoint at"):
        load_foreign(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"has no encoder\.ckpt"):
        load_foreign(tmp_path)

    whole = write_asteroid(tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cut short"):
        load_foreign(tmp_path / "cut.pth")
    (tmp_path / "text.pth").write_text("not a checkpoint at all")
    with pytest.raises(UserError, match=r"text\.pth"):
        load_foreign(tmp_path / "text.pth")
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(UserError, match=r"empty\.pth"):
        load_foreign(tmp_path / "empty.pth")

    torch.save({"state_dict": {"model.x": torch.zeros(1)}}, tmp_path / "lightning.ckpt")
    with pytest.raises(UserError, match=r"model\.serialize\(\)"):
        load_foreign(tmp_path / "lightning.ckpt")
    torch.save(
        {"model_name": "DPRNNTasNet", "model_args": {}, "state_dict": {}}, tmp_path / "other.pth"
    )
    with pytest.raises(UserError, match="holds a DPRNNTasNet"):
        load_foreign(tmp_path / "other.pth")


def test_pickled_objects_are_refused_with_a_way_out(tmp_path: Path) -> None:
    made = tmp_path / "made"
    torch.save({"model_name": "ConvTasNet", "x": Surprise(made)}, tmp_path / "model.pth")
    with pytest.raises(UserError) as caught:
        load_foreign(tmp_path / "model.pth")
    assert "Python objects besides weights" in str(caught.value)
    assert "If you trust the file" in caught.value.remedy
    assert not made.exists()
