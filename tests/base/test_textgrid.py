"""TextGrids are what Praat reads: the same intervals, without gaps, of any text."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechkit.base.textgrid import Interval, Tier, textgrid

parselmouth = pytest.importorskip("parselmouth")


def read(path: Path, tiers: list[Tier], seconds: float) -> list[tuple[str, list[tuple]]]:
    """(name, [(start, end, label)]) of each tier, as Praat has them."""
    path.write_text(textgrid(tiers, seconds), encoding="utf-8")
    grid, call = parselmouth.read(str(path)), parselmouth.praat.call
    assert call(grid, "Get total duration") == pytest.approx(seconds, abs=1e-6)
    found = []
    for tier in range(1, int(call(grid, "Get number of tiers")) + 1):
        intervals = []
        for k in range(1, int(call(grid, "Get number of intervals", tier)) + 1):
            ends = [call(grid, f"Get {end} time of interval", tier, k) for end in ("start", "end")]
            label = call(grid, "Get label of interval", tier, k)
            intervals.append((*(round(end, 6) for end in ends), label))
        found.append((call(grid, "Get tier name", tier), intervals))
    return found


def test_gaps_are_filled(tmp_path: Path) -> None:
    words = [Interval(0.1, 0.5, "one"), Interval(0.7, 0.9, 'two "2"')]
    phones = [Interval(0.0, 0.25, "ˈʌ"), Interval(0.25, 1.0, "tʃ")]
    found = read(tmp_path / "a.TextGrid", [Tier("words", words), Tier("phones é", phones)], 1.0)
    assert found == [
        ("words", [(0, 0.1, ""), (0.1, 0.5, "one"), (0.5, 0.7, ""), (0.7, 0.9, 'two "2"'),
                   (0.9, 1, "")]),
        ("phones é", [(0, 0.25, "ˈʌ"), (0.25, 1, "tʃ")]),
    ]  # fmt: skip


def test_what_overlaps_or_lies_beyond_the_end_is_cut(tmp_path: Path) -> None:
    given = [Interval(0.1, 0.6, "a"), Interval(0.4, 0.8, "b"), Interval(0.5, 0.7, "inside"),
             Interval(0.9, 1.2, "c"), Interval(1.1, 1.3, "beyond")]  # fmt: skip
    ((_, found),) = read(tmp_path / "a.TextGrid", [Tier("x", given)], 1.0)
    assert found == [(0, 0.1, ""), (0.1, 0.6, "a"), (0.6, 0.8, "b"), (0.8, 0.9, ""), (0.9, 1, "c")]


def test_rounding_leaves_no_slivers_and_an_empty_tier_is_one_interval(tmp_path: Path) -> None:
    given = [Interval(0.1 + 1e-9, 0.3, "a"), Interval(0.3 + 2e-8, 0.5 - 1e-9, "b")]
    found = read(tmp_path / "a.TextGrid", [Tier("x", given), Tier("none", [])], 0.5)
    assert found == [
        ("x", [(0, 0.1, ""), (0.1, 0.3, "a"), (0.3, 0.5, "b")]),
        ("none", [(0, 0.5, "")]),
    ]


def test_lines_and_quotes_in_a_label(tmp_path: Path) -> None:
    ((_, found),) = read(tmp_path / "a", [Tier("x", [Interval(0, 1, 'a "b"\n"c')])], 1.0)
    assert found == [(0, 1, 'a "b" "c')]
