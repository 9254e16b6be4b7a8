"""Write what resemblyzer and librosa make of the recordings of tests/speaker/test_ge2e.py.

    PYTHONPATH=tests/speaker PEER_PYTHON benchmarks/export_ge2e.py

Runs in an environment with resemblyzer 0.1.4 and librosa 0.11. Voice activity detection takes no
part, so a module that is only named webrtcvad will do where that cannot be compiled.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import scipy.ndimage

sys.modules.setdefault("webrtcvad", types.ModuleType("webrtcvad"))
moved = types.ModuleType("scipy.ndimage.morphology")  # as newer SciPy has it elsewhere
moved.binary_dilation = scipy.ndimage.binary_dilation  # type: ignore[attr-defined]
sys.modules.setdefault("scipy.ndimage.morphology", moved)


def main() -> None:
    from ge2e_audio import waves
    from resemblyzer import VoiceEncoder, audio, normalize_volume

    encoder = VoiceEncoder("cpu", verbose=False)
    level = [normalize_volume(wave, -30, increase_only=True) for wave in waves()]
    vectors = np.array([encoder.embed_utterance(wave) for wave in level], np.float32)
    mel = audio.wav_to_mel_spectrogram(level[0])
    path = Path(__file__).parents[1] / "tests/speaker/parity/ge2e.npz"
    np.savez_compressed(path, vectors=vectors, mel=mel)


if __name__ == "__main__":
    main()
