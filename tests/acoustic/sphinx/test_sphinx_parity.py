"""Against pocketsphinx itself: cepstra, senone scores, and the senones of aligned phones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sphinx_reference import (
    SCORE_STEP,
    cepstra,
    densities,
    mixtures,
    rough_densities,
    rough_scores,
    senone_scores,
    spoken,
)

from speechkit.acoustic.interface import PhoneInContext
from speechkit.acoustic.sphinx import files
from speechkit.acoustic.sphinx.mfcc import streams
from speechkit.acoustic.sphinx.model import SphinxModel

pocketsphinx = pytest.importorskip("pocketsphinx")

EVERY = slice(0, None, 4)
TEXTS = ["we call it bear", "let's go to the restroom", "the north wind was blowing"]


@pytest.fixture(scope="module")
def model() -> SphinxModel:
    return SphinxModel()


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    return spoken(TEXTS, tmp_path_factory.mktemp("voices"))


def test_cepstra_of_speech(model, sounds, tmp_path: Path) -> None:
    waves = [pcm / np.float32(32768) for pcm in sounds]
    for number, own in enumerate(model.cepstra(waves)):
        theirs = cepstra(sounds[number], tmp_path / str(number))
        assert own.shape == theirs.shape
        assert np.abs(own - theirs).max() < 5e-5


@pytest.mark.parametrize("samples", [410, 411, 569, 570, 1600, 8009, 8010])
def test_cepstra_and_frames_of_any_length(model, samples: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(samples).standard_normal(samples)
    pcm = (1000 * noise * (1 + np.sin(np.arange(samples) / 300))).astype(np.int16)
    theirs = cepstra(pcm, tmp_path / "dump")
    (own,) = model.cepstra([pcm / 32768])
    assert own.shape == theirs.shape
    assert np.abs(own - theirs).max() < 5e-5


@pytest.fixture(scope="module")
def parts() -> tuple[files.Gaussians, np.ndarray]:
    folder = files.FOLDER
    return files.read_gaussians(folder), files.read_weights(folder / "sendump", 3)


@pytest.fixture(scope="module")
def heard(model, sounds) -> tuple[np.ndarray, np.ndarray]:
    """Some frames of the first text: features ``[3, T, 13]`` and the model's senone scores."""
    wave = sounds[0] / np.float32(32768)
    features = streams(model.cepstra([wave])[0])
    return features[:, EVERY], model.evidence(wave).state_scores.numpy()[EVERY]


def test_senone_scores_of_pocketsphinx(model, parts, sounds, heard, tmp_path: Path) -> None:
    """With what pocketsphinx leaves out and rounds imitated, its very scores come out."""
    gaussians, weights = parts
    theirs = centred(senone_scores(sounds[0], tmp_path / "dump")[EVERY])
    logs = rough_densities(heard[0].astype(np.float32), gaussians)
    imitated = centred(rough_scores(logs, weights, codebooks(model)))
    assert np.corrcoef(imitated.ravel(), theirs.ravel())[0, 1] > 0.9999
    assert (np.abs(imitated - theirs) < SCORE_STEP / 2).mean() > 0.95
    # The full mixtures differ from them where a senone is unlikely, but agree on the whole.
    assert np.corrcoef(centred(heard[1]).ravel(), theirs.ravel())[0, 1] > 0.8


def test_full_mixtures(model, parts, heard) -> None:
    gaussians, weights = parts
    exact = mixtures(densities(heard[0], gaussians), weights, codebooks(model))
    assert np.abs(heard[1] - exact).max() < 2e-3


def codebooks(model: SphinxModel) -> np.ndarray:
    """A senone's codebook is that of its phone."""
    return np.array([model.plain_state(senone) // 3 for senone in range(5126)])


def centred(scores: np.ndarray) -> np.ndarray:
    return scores - scores.mean(1, keepdims=True)


def test_senones_of_aligned_phones(model, sounds) -> None:
    """The triphones, with backing off, are those that pocketsphinx's alignment goes through."""
    compared = 0
    for text, pcm in zip(TEXTS, sounds, strict=True):
        for phone, senones in aligned(text, pcm):
            assert model.state_ids(phone) == senones, phone
            compared += 1
    assert compared > 40


def aligned(text: str, pcm: np.ndarray) -> list[tuple[PhoneInContext, tuple[int, ...]]]:
    """Phones in context and their senones, from pocketsphinx's state alignment."""
    decoder = pocketsphinx.Decoder(loglevel="FATAL", lm=None)
    decoder.set_align_text(text)
    for second_pass in (False, True):
        if second_pass:
            decoder.set_alignment()
        decoder.start_utt()
        decoder.process_raw(pcm.tobytes(), full_utt=True)
        decoder.end_utt()
    found: list[tuple[str, str, tuple[int, ...]]] = []
    for word in decoder.get_alignment():
        phones = [(p.name, tuple(int(state.name) for state in p)) for p in word]
        positions = "S" if len(phones) == 1 else "B" + "I" * (len(phones) - 2) + "E"
        found += [
            (name, position, states)
            for (name, states), position in zip(phones, positions, strict=True)
        ]
    names = ["SIL", *(name for name, _, _ in found), "SIL"]
    return [
        (PhoneInContext(name, names[i], names[i + 2], position), states)
        for i, (name, position, states) in enumerate(found)
    ]
