"""``speechkit predict TASK``."""

from __future__ import annotations

import typer

from speechkit.cli.predict_emotion import predict_emotion
from speechkit.cli.predict_pronunciation import predict_pronunciation
from speechkit.cli.predict_scoring import predict_scoring
from speechkit.cli.predict_separation import predict_separation

app = typer.Typer(
    no_args_is_help=True, help="Use a trained model on anyone's audio; a task is a subcommand."
)

app.command("emotion")(predict_emotion)
app.command("pronunciation")(predict_pronunciation)
app.command("scoring")(predict_scoring)
app.command("separation")(predict_separation)


@app.callback()
def _tasks() -> None:
    """Use a trained model on anyone's audio; a task is a subcommand."""
