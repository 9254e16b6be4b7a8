"""``speechkit report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.cli import options


def report(
    directory: options.Dir = Path("."),
    title: Annotated[str, typer.Option(help="Heading (default: the folder's name).")] = "",
) -> None:
    """Put tables, figures and players of all stages on one self-contained HTML page.

    Writes report/index.html in the working directory and prints its path.
    """
    from speechkit.report import page
    from speechkit.workdir import WorkDir

    print(page.write(WorkDir(directory), title))
