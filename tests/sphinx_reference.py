"""Generated speech, and what pocketsphinx itself makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from speechkit.acoustic.sphinx.files import Gaussians
from speechkit.corpora import demo, espeak
from speechkit.corpora.voices import make_voices

SCORE_STEP = 1024 * np.log(1.0001)  # what one unit of pocketsphinx's senone scores is in nats
_WORST = 96  # in these units, where pocketsphinx stops to tell densities apart


def spoken(texts: list[str], folder: Path) -> list[np.ndarray]:
    """Texts spoken by different voices, int16 at 16 kHz."""
    voices = make_voices(max(2, len(texts)), seed=3)
    espeak.make_data_folder(folder, {voice.speaker: voice.file() for voice in voices})
    requests = [
        espeak.Request(text, f"en-us+{voice.speaker}", 150, 50, 50)
        for text, voice in zip(texts, voices, strict=False)
    ]
    raw = espeak.speak(requests, folder)
    sounds = [np.frombuffer(part, "<i2").astype(np.float32) / 32768 for part in raw]
    return [demo.finish(sound, text) for sound, text in zip(sounds, texts, strict=True)]


def decoded(pcm: np.ndarray, folder: Path, **options: object) -> Path:
    """Decode with pocketsphinx, which leaves its dumps in the folder."""
    import pocketsphinx

    folder.mkdir()
    decoder = pocketsphinx.Decoder(loglevel="FATAL", **options)
    decoder.start_utt()
    decoder.process_raw(pcm.tobytes(), full_utt=True)
    decoder.end_utt()
    return folder


def cepstra(pcm: np.ndarray, folder: Path) -> np.ndarray:
    """pocketsphinx's own cepstra ``[T, 13]``."""
    decoded(pcm, folder, mfclogdir=str(folder))
    (dump,) = folder.glob("*.mfc")
    return np.frombuffer(dump.read_bytes()[4:], ">f4").reshape(-1, 13)


def senone_scores(pcm: np.ndarray, folder: Path) -> np.ndarray:
    """pocketsphinx's own scores ``[T, senones]``: natural log-likelihoods up to a constant."""
    options = {"compallsen": True, "pl_window": 0, "fwdflat": False, "bestpath": False}
    decoded(pcm, folder, senlogdir=str(folder), **options)
    (dump,) = folder.glob("*.sen")
    content = dump.read_bytes()
    body = np.frombuffer(content[content.index(b"endhdr\n") + 11 :], "<i2")
    return body.reshape(-1, 1 + body[0])[:, 1:] * -SCORE_STEP


def densities(features: np.ndarray, gaussians: Gaussians) -> np.ndarray:
    """Log densities ``[T, codebook, stream, density]`` in float64, written out."""
    means, variances = gaussians.means.astype(float), gaussians.variances.astype(float)
    distance = (features.transpose(1, 0, 2)[:, None, :, None] - means) ** 2 / variances
    return -0.5 * (distance + np.log(2 * np.pi * variances)).sum(-1)


def rough_densities(features: np.ndarray, gaussians: Gaussians) -> np.ndarray:
    """The same as pocketsphinx has it: 1 / (2 variance) cut to whole units of ln(1.0001)."""
    unit = np.log(1.0001)
    means, variances = gaussians.means.astype(float), gaussians.variances.astype(float)
    precisions = np.floor(1 / (2 * variances) / unit)
    constants = np.trunc(np.log(2 * np.pi * variances) / (2 * unit)).sum(-1)
    distance = (features.transpose(1, 0, 2)[:, None, :, None] - means) ** 2 * precisions
    return -unit * (constants + distance.sum(-1))


def rough_scores(logs: np.ndarray, weights: np.ndarray, codebooks: np.ndarray) -> np.ndarray:
    """Senone scores as pocketsphinx approximates them, up to a constant of the frame.

    Only the best four densities of a codebook and stream count, in whole score steps below the
    best one of all codebooks, at most 96, added up through a table of whole steps.
    """
    steps = np.floor(logs / SCORE_STEP)
    below = np.minimum(steps.max((1, 3), keepdims=True) - steps, _WORST)
    best = np.argsort(-logs, axis=-1)[..., :4]
    kept = np.take_along_axis(below, best, -1)
    costs = np.rint(weights / -SCORE_STEP)
    streams = np.arange(len(costs))[:, None]
    scores = np.empty((len(logs), len(codebooks)))
    for senone, book in enumerate(codebooks):
        terms = kept[:, book] + costs[streams, best[:, book], senone]
        total = terms[..., 0]
        for other in range(1, 4):
            apart = np.abs(total - terms[..., other])
            gain = np.rint(np.log1p(np.exp(-apart * SCORE_STEP)) / SCORE_STEP)
            total = np.minimum(total, terms[..., other]) - gain
        scores[:, senone] = -SCORE_STEP * total.sum(-1)
    return scores


def mixtures(logs: np.ndarray, weights: np.ndarray, codebooks: np.ndarray) -> np.ndarray:
    """Log-likelihoods ``[T, senones]`` of the full mixtures, senone by senone."""
    scores = np.empty((len(logs), len(codebooks)))
    for senone, book in enumerate(codebooks):
        terms = logs[:, book] + weights[:, :, senone]
        top = terms.max(-1, keepdims=True)
        scores[:, senone] = (top[..., 0] + np.log(np.exp(terms - top).sum(-1))).sum(-1)
    return scores
