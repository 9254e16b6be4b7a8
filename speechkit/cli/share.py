"""``speechkit serve``, ``report``, ``export``, ``import`` and ``doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechkit.base import answers
from speechkit.base.answers import Answer
from speechkit.cli.flags import command
from speechkit.cli.options import Dir, FieldOf
from speechkit.serve.config import ServeConfig
from speechkit.sharing.config import FORMATS, ExportConfig

app = typer.Typer()


@command(app, "export")
def export_model(
    name: Annotated[str, FieldOf("trained")],
    file: Annotated[Path | None, FieldOf("export_file")],
    config: ExportConfig,
    directory: Dir,
) -> Answer:
    from speechkit.sharing import exchange, formats

    if config.format == FORMATS[0]:
        return exchange.export(directory, name, file, config).answer()
    return formats.export_folder(directory, name, config, file).answer()


@command(app, "import")
def import_model(
    file: Annotated[str, FieldOf("import_file")],
    name: Annotated[str, FieldOf("import_name")],
    directory: Dir,
    force: Annotated[bool, FieldOf("import_force")],
) -> Answer:
    """Put a model that somebody exported into exp/, ready for predict and evaluate.

    Runs nothing of the file: only weights (safetensors), configuration and text, each checked.
    """
    from speechkit.sharing.exchange import import_model as take_in

    folder, made = take_in(directory, file, name=name, force=force)
    told = {"folder": str(folder), "task": made.task, "name": folder.name}
    return answers.pairs("Imported", {**told, "models": list(made.models)})


@command(app, "report")
def report(directory: Dir, title: str, papers: bool) -> None:
    """Put tables, figures and players of all stages on one self-contained HTML page.

    Writes report/index.html in the working directory and prints its path.
    """
    from speechkit.report import page

    print(page.write(directory, title, papers))


@command(app, "doctor")
def doctor(directory: Dir) -> Answer:
    """Check this machine: versions, devices, audio, the working directory, optional extras.

    Says what is missing and the command that mends it. Exit code 2 if something required
    is missing or broken.
    """
    from speechkit.base.installation import COLUMNS, examine, healthy

    checks = examine(directory.root)
    answer = answers.rows("Doctor", COLUMNS, [check.row for check in checks])
    return answer._replace(code=0 if healthy(checks) else 2)


@command(app, "serve")
def serve(config: ServeConfig, device: str, directory: Dir) -> None:
    from speechkit.serve.server import serve as run

    run(config, directory, device)
