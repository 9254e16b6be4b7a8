"""``speechkit serve``."""

from __future__ import annotations

import typer

from speechkit.cli.flags import command
from speechkit.cli.options import Device, Dir
from speechkit.serve.config import ServeConfig


def add_commands(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "serve")(serve)


def serve(config: ServeConfig, device: Device, directory: Dir) -> None:
    """Serve a page to speak into, and the same as JSON, until Ctrl-C.

    The page scores what is read, separates mixtures and shows emotions over time; the tabs
    without a model say which command makes one. It prints its address. Recordings are kept in
    memory alone. Needs the extra [serve].
    """
    from speechkit.serve.server import serve as run

    run(config, directory, device)
