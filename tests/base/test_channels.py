"""Several channels: averaged, or the louder one where they cancel, for all parts of a file."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import voice

from speechkit.base import audio, log
from speechkit.base.audio import CANCELLED, louder, read_blocks

RATE = 16000


@pytest.fixture(autouse=True)
def hear(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("speechkit"), "propagate", True)
    log.forget_notes()


def opposite(seconds: float = 1.0, share: float = -0.8) -> np.ndarray:
    """A voice that is quieter and turned over in the second channel, with an offset in each."""
    sound = voice(120, seconds)
    noise = 1e-3 * np.random.default_rng(0).standard_normal((len(sound), 2))
    return (np.stack([sound, share * sound], axis=1) + noise + [0.02, -0.05]).astype(np.float32)


@pytest.mark.parametrize(("share", "channel"), [(-0.8, 0), (-1.25, 1), (-1.0, None)])
def test_the_louder_channel_is_taken_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, share: float, channel: int | None
) -> None:
    stereo = opposite(share=share)
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, stereo, RATE, subtype="FLOAT")
        found, _ = audio.read(tmp_path / name)
        assert any(np.array_equal(found, stereo[:, k]) for k in (0, 1))
        if channel is not None:
            np.testing.assert_array_equal(found, stereo[:, channel])
    said = [r.getMessage() for r in caplog.records]
    assert len(said) == 1 and "opposite phase" in said[0] and "a.wav" in said[0]


def test_parts_and_blocks_are_as_the_whole(tmp_path: Path) -> None:
    """The first half of the file is in phase; its second half, which is louder, is not."""
    half, other = voice(200, 1.0), 5 * voice(120, 2.0)
    stereo = np.concatenate([np.stack([half, half], 1), np.stack([other, -0.9 * other], 1)])
    path = tmp_path / "a.wav"
    soundfile.write(path, stereo, RATE, subtype="FLOAT")
    whole, _ = audio.read(path)
    np.testing.assert_array_equal(whole, stereo[:, 0].astype(np.float32))
    np.testing.assert_array_equal(audio.read(path, start=0.1, end=0.7)[0], whole[1600:11200])
    np.testing.assert_array_equal(np.concatenate(list(read_blocks(path, 0.3))), whole)
    piped, _ = audio.read(audio.Pipe(f"cat {path}"), start=0.1, end=0.7)  # it has no name to open
    np.testing.assert_array_equal(piped, whole[1600:11200])


def test_what_does_not_cancel_is_averaged(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    for channels in (2, 3, 6):
        unrelated = 0.1 * draw.standard_normal((RATE, channels))
        assert louder([unrelated]) is None
    assert louder([np.full((100, 2), [0.1, -0.1])]) is None  # offsets alone are silence
    assert louder([np.zeros((100, 2))]) is None
    assert louder([np.full((100, 2), np.nan)]) is None
    assert louder([]) is None


@pytest.mark.parametrize("channels", [2, 3])
def test_the_threshold_is_a_loss_of_ten_decibels(channels: int) -> None:
    """Each channel has noise of its own: what averaging gains or loses is measured directly."""
    draw = np.random.default_rng(2)
    voiced = draw.standard_normal(20000)
    for factor in np.linspace(-1.0, 0.2, 61):
        gains = np.ones(channels)
        gains[0] = factor * (channels - 1)  # the sum of the others, turned over
        kept = gains.mean() ** 2 * channels / np.mean(gains**2)  # of the signal-to-noise ratio
        if abs(kept / CANCELLED - 1) > 0.05:
            found = louder([np.outer(voiced[:7000], gains), np.outer(voiced[7000:], gains)])
            assert (found is not None) == (kept < 0.1), factor
            assert found in (None, int(np.argmax(np.abs(gains))))


def test_a_file_that_breaks_later_is_judged_by_what_decodes(tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    soundfile.write(path, opposite(10.0), RATE)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    part, _ = audio.read(path, start=0.5, end=1.0)
    np.testing.assert_allclose(part, opposite(10.0)[8000:16000, 0], atol=2e-4)
