"""Numbers as the tables of the report show them."""

from __future__ import annotations

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
