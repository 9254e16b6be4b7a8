"""Numbers as the tables of the report show them."""

from __future__ import annotations

from typing import Any

from speechkit.report.model import Cell

_MINUS = "\N{MINUS SIGN}"


def number(value: float, digits: int = 2, sign: bool = False) -> str:
    """A number with a real minus sign."""
    rounded = round(value, digits) or 0.0  # no minus before a zero
    shown = f"{rounded:+.{digits}f}" if sign and rounded else f"{rounded:.{digits}f}"
    return shown.replace("-", _MINUS)


def spread(found: tuple[float, float | None] | None, digits: int = 2) -> Cell:
    """Mean and standard deviation over seeds; only the mean of one seed."""
    if found is None:
        return Cell("-", number=True)
    mean, std = found
    under = (f"± {std:.{digits}f}",) if std is not None else ()
    return Cell(number(mean, digits), number=True, under=under)


def difference(
    values: dict[str, Any] | None,
    lower: bool = False,
    share: bool = False,
    digits: int = 2,
    around: int = 2,
) -> Cell:
    """A difference to a baseline with its interval, marked where the interval excludes 0.

    Args:
        values: ``estimate``, ``low``, ``high`` and ``seed_std`` of a comparison.
        lower: a lower value is a better one.
        share: the value is a share, never negative: there is nothing to test.
        digits: behind the point.
        around: digits of the interval and the standard deviation.
    """
    if values is None or values["estimate"] is None:
        return Cell("-", number=True)
    estimate, low, high = values["estimate"], values["low"], values["high"]
    known = low is not None and high is not None
    sure = known and not share and (low > 0 or high < 0)
    mark = ("▲ " if (estimate > 0) != lower else "▼ ") if sure else ""
    under = [f"[{number(low, around)}, {number(high, around)}]"] if known else []
    if values["seed_std"] is not None:
        under.append(f"± {values['seed_std']:.{around}f}")
    return Cell(mark + number(estimate, digits, sign=not share), True, sure, under)
