"""Figures: what the axes of all have in common."""

from __future__ import annotations

import pytest

from speechkit.base.figures import dress, panels, png


@pytest.mark.parametrize("epochs", [[1], [1, 2], [1, 2, 3], list(range(1, 41))])
def test_epochs_have_no_halves(epochs: list[int]) -> None:
    figure, (axis,) = panels(3, 2)
    axis.plot(epochs, epochs, ".-")
    dress(axis, "loss", x="epoch", grid="both")
    assert png(figure).startswith(b"\x89PNG")
    low, high = axis.get_xlim()
    shown = [tick for tick in axis.get_xticks() if low <= tick <= high]
    assert shown and all(tick == round(tick) for tick in shown)
