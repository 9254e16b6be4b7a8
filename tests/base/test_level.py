"""Levels: mean squares of what is left without the mean."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import voice

from speechkit.base.audio import FLOOR_DB, centred, level_db, power


def test_without_a_mean_it_is_the_mean_square() -> None:
    sound = voice(120, 1.0).astype(np.float64)
    sound -= sound.mean()
    assert power(sound) == pytest.approx(float(np.mean(sound**2)), rel=1e-12)
    assert level_db(sound) == pytest.approx(10 * np.log10(np.mean(sound**2)), abs=1e-9)


@pytest.mark.parametrize("offset", [-0.5, 0.01, 0.1, 0.9])
def test_an_offset_is_no_sound(offset: float) -> None:
    sound = voice(120, 1.0)
    assert level_db(sound + np.float32(offset)) == pytest.approx(level_db(sound), abs=1e-3)
    assert level_db(np.full(16000, offset, np.float32)) == FLOOR_DB
    padded = np.pad(sound + np.float32(offset), (3000, 16000))
    share = 10 * np.log10(16000 / 35000)
    assert level_db(padded) == pytest.approx(level_db(sound) + share, abs=1e-3)
    assert not centred(padded)[:3000].any() and not centred(padded)[19000:].any()


def test_silence_has_the_lowest_level() -> None:
    assert level_db(np.zeros(100)) == level_db(np.ones(1)) == FLOOR_DB
