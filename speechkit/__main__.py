"""``python -m speechkit``."""

from speechkit.cli.main import entry

entry()
