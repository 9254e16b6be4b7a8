"""The pretrained encoder of resemblyzer: features by hand, its own loop, the package's numbers."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_set
from ge2e_audio import LENGTHS, waves

from speechkit.base.errors import MissingDependency, UserError
from speechkit.kaldi.ark import ArkTable
from speechkit.speaker import embedder, ge2e
from speechkit.workdir import WorkDir

PARITY = Path(__file__).parent / "parity" / "ge2e.npz"


def installed() -> bool:
    try:
        return bool(importlib.metadata.version(ge2e.PACKAGE))
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A package of that name with random weights, which must not be imported."""
    root = tmp_path_factory.mktemp("site")
    about = root / "resemblyzer-9.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: Resemblyzer\nVersion: 9.9\n")
    folder = root / "resemblyzer"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise ImportError('its code must not run')\n")
    torch.manual_seed(0)
    state = ge2e.Encoder().state_dict()
    state["linear.bias"] += 0.05
    extra = {"similarity_weight": torch.ones(1), "similarity_bias": torch.ones(1)}
    torch.save({"step": 1, "model_state": {**state, **extra}}, folder / "pretrained.pt")
    return root


@pytest.fixture
def encoder(package, monkeypatch) -> embedder.Embedder:
    monkeypatch.syspath_prepend(str(package))
    folder = embedder.find_model(WorkDir(package), "ge2e")
    assert folder == package / "resemblyzer"
    return embedder.load(folder, "cpu")


def slaney(count: int) -> np.ndarray:
    """Edges in Hz: 15 mels up to 1 kHz, above 27 of them a factor of 6.4."""
    mel = np.linspace(0, 15 + 27 * np.log(8) / np.log(6.4), count + 2)
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


def mel_by_hand(wave: np.ndarray) -> np.ndarray:
    """``[T, 40]`` in float64, a frame at a time."""
    padded = np.pad(wave.astype(np.float64), 200)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    hertz, edges = np.arange(201) * 40.0, slaney(40)
    filters = [
        2 / (c - a) * np.clip(np.minimum((hertz - a) / (b - a), (c - hertz) / (c - b)), 0, None)
        for a, b, c in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    starts = range(0, len(wave) + 1, 160)
    spectra = [np.abs(np.fft.rfft(padded[k : k + 400] * window)) ** 2 for k in starts]
    return np.array(spectra) @ np.array(filters).T


def loud(wave: np.ndarray) -> np.ndarray:
    rms = np.sqrt(np.mean(wave.astype(np.float64) ** 2))
    return wave * max(1.0, 10 ** (-30 / 20) / rms)


@torch.inference_mode()
def vector_by_hand(wave: np.ndarray, state: dict[str, torch.Tensor]) -> np.ndarray:
    """One piece after the other, each with PyTorch's cell stepped by hand."""
    first = [k for k in range(0, 4000, 77) if k == 0 or k < -(-(len(wave) + 1) // 160) - 160 + 78]
    if len(first) > 1 and (len(wave) - 160 * first[-1]) / 25600 < 0.75:
        first = first[:-1]
    end = 160 * (first[-1] + 160)
    mel = mel_by_hand(np.pad(loud(wave), (0, max(0, end - len(wave)))))
    rows = []
    for k in first:
        x = torch.from_numpy(mel[k : k + 160].astype(np.float32))
        for layer in range(3):
            cell = torch.nn.LSTMCell(x.shape[1], 256)
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            cell.load_state_dict({n: state[f"lstm.{n}_l{layer}"] for n in names})
            h, c, out = torch.zeros(1, 256), torch.zeros(1, 256), []
            for frame in x:
                h, c = cell(frame[None], (h, c))
                out.append(h[0])
            x = torch.stack(out)
        raw = np.maximum((state["linear.weight"] @ x[-1] + state["linear.bias"]).numpy(), 0)
        rows.append(raw / np.linalg.norm(raw))
    mean = np.mean(rows, axis=0)
    return mean / np.linalg.norm(mean)


def test_features_are_those_of_the_formulas_and_of_librosa() -> None:
    wave = waves()[0]
    found, _ = ge2e.MelPower()(torch.from_numpy(wave)[None], [len(wave)])
    by_hand = mel_by_hand(loud(wave))
    np.testing.assert_allclose(found[0, : len(by_hand)], by_hand, rtol=2e-4, atol=1e-6)
    with np.load(PARITY) as parity:  # of librosa 0.11
        np.testing.assert_allclose(found[0, : len(parity["mel"])], parity["mel"], 2e-4, 1e-6)


def test_vectors_are_those_of_a_loop(encoder) -> None:
    state = encoder.network.state_dict()
    some = [waves()[0][:3000], waves()[3][:32000]]  # of one piece and of two
    wanted = np.array([vector_by_hand(wave, state) for wave in some])
    np.testing.assert_allclose(encoder(some), wanted, atol=2e-6)
    assert "resemblyzer" not in sys.modules


def test_a_vector_does_not_depend_on_the_batch(encoder) -> None:
    every = waves()
    together = encoder(every)
    for k, wave in enumerate(every):
        np.testing.assert_allclose(encoder([wave])[0], together[k], atol=1e-6)
    np.testing.assert_allclose(encoder(every[::-1])[::-1], together, atol=1e-6)
    assert together.shape == (len(every), 256) and (together >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    louder = encoder([every[1] * 2, every[1] * 0.01])  # quiet recordings come to one level
    np.testing.assert_allclose(louder, together[[1, 1]], atol=1e-5)
    assert np.isfinite(encoder([np.zeros(8000, np.float32)])).all()


@pytest.mark.parametrize(
    ("samples", "first"),
    [
        (160, [0]), (25_600, [0]), (25_599 + 77 * 160, [0, 77]),
        (31_519, [0]), (31_520, [0, 77]), (48_000, [0, 77, 154]),
    ],
)  # fmt: skip
def test_pieces(samples: int, first: list[int]) -> None:
    assert ge2e.pieces(samples) == first


@pytest.mark.skipif(not installed(), reason="resemblyzer is not installed")
def test_vectors_are_those_of_the_package() -> None:
    found = embedder.load(ge2e.find(), "cpu")(waves())
    with np.load(PARITY) as parity:  # made with its own code and librosa
        assert parity["vectors"].shape == (len(LENGTHS), 256)
        np.testing.assert_allclose(found, parity["vectors"], atol=1e-5)


def test_extraction(package, tmp_path, monkeypatch, run) -> None:
    monkeypatch.syspath_prepend(str(package))
    make_set(tmp_path, speakers=2, utterances=2)
    command = ("extract-xvector", "-C", tmp_path, "--model", "ge2e", "--name", "ge2e")
    done = run(*command, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["dimension"] == 256
    table = ArkTable(tmp_path / "exp/xvector/train-ge2e/xvector.scp", tmp_path)
    vectors = dict(table.items())
    assert set(vectors) == {f"s{k}-u{j}" for k in range(2) for j in range(2)}
    assert "up to date" in run(*command).err
    done = run(*command, "--precision", "bf16", "--force")
    assert done.code == 2 and "bf16 is for x-vector networks only" in done.err


def test_without_the_package(tmp_path, monkeypatch, run) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    make_set(tmp_path, speakers=2, utterances=1)
    with monkeypatch.context() as patch:
        patch.setattr(importlib.metadata, "distribution", missing)
        with pytest.raises(
            MissingDependency, match="'resemblyzer', which is not installed"
        ) as error:
            ge2e.find()
        assert "pip install --no-deps 'resemblyzer" in error.value.remedy.replace(
            "--no-deps res", "--no-deps 'res"
        )
        done = run("extract-xvector", "-C", tmp_path, "--model", "ge2e")
    assert done.code == 2 and "--no-deps" in done.err


@pytest.mark.parametrize("damage", ["gone", "cut", "other", "shape"])
def test_weights_that_cannot_be_used(package, tmp_path, monkeypatch, damage) -> None:
    site = Path(shutil.copytree(package, tmp_path / "site"))
    path = site / "resemblyzer/pretrained.pt"
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        state = {"lstm.weight_ih_l0": torch.zeros(3, 3)}
        torch.save({"model_state": state} if damage == "shape" else {"x": 1}, path)
    monkeypatch.syspath_prepend(str(site))
    with pytest.raises(UserError, match=r"pretrained\.pt"):
        embedder.load(ge2e.find(), "cpu")
