"""Values as people read them."""

from __future__ import annotations

import math
from typing import Any


def show(value: Any) -> str:
    """A value as a table shows it: four digits, '-' for what is missing."""
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}"
    return "-" if value is None else str(value)
