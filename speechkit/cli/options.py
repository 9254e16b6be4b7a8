"""Options that commands share, and the configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from speechkit.base.errors import ConfigError, UserError, closest
from speechkit.base.text import on_disk


def load_config(ctx: typer.Context, _param: Any, path: Path | None) -> Path | None:
    """Make the values of a YAML file the defaults of this command's flags."""
    if path is None or ctx.resilient_parsing:
        return path
    from speechkit.base.yaml_files import PlainLoader, load_yaml

    loaded = load_yaml(path, PlainLoader, "--config takes lines of 'flag: value'.", aliases=True)
    if loaded is None:
        return path
    if not isinstance(loaded, dict):
        raise UserError(f"--config {path}: expected lines of 'flag: value'.")
    names = {
        option.lstrip("-").replace("-", "_"): parameter.name
        for parameter in ctx.command.params
        if parameter.name not in ("config", "help")
        for option in [parameter.name or "", *parameter.opts]
    }
    if "set" in names:
        names.setdefault("set_name", names["set"])  # as it could be called once
    several = {p.name for p in ctx.command.params if getattr(p, "multiple", False)}
    defaults: dict[Any, Any] = {}
    for key, value in loaded.items():
        known = str(key).lstrip("-").replace("-", "_")
        if known not in names:
            shown = [name.replace("_", "-") for name in names]
            raise UserError(
                f"--config {path}: '{key}' is not a flag of `{ctx.command_path}`."
                f"{closest(str(key), shown)}",
                f"See `{ctx.command_path} --help` for the flags.",
            )
        if names[known] in defaults:
            raise UserError(f"--config {path}: '{key}' is given twice.")
        if "\0" in str(value):
            raise UserError(f"--config {path}: '{key}' holds a NUL character: {value!r}.")
        if isinstance(value, dict):
            raise UserError(f"--config {path}: '{key}' is {value}; expected a value or a list.")
        if names[known] in several:
            value = value if isinstance(value, list) else [value]
        elif isinstance(value, list):
            value = ",".join(map(str, value))
        defaults[names[known]] = value
    ctx.default_map = {**(ctx.default_map or {}), **defaults}
    return path


Dir = Annotated[Path, typer.Option("--dir", "-C", help="Working directory, with data/ and exp/.")]
Force = Annotated[
    bool, typer.Option("--force", help="Replace an output that was made with other parameters.")
]
Continue = Annotated[
    bool,
    typer.Option("--continue", help="Go on from an unfinished run that had another --batch-size."),
]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=0, help="Local processes; 0: one per CPU.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Fixes every random draw.")]
Readings = Annotated[
    str,
    typer.Option(
        "--readings",
        help="What can be said in several ways (1984, 3-4, $5): likeliest aligns all readings and "
        "takes the likeliest, error stops and shows them.",
    ),
]
DropMarkup = Annotated[
    bool,
    typer.Option(
        "--drop-markup",
        help="Leave marks in texts that are not said, as [laughter], (laughs), <noise>, out.",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout instead of a table.")]
Set = Annotated[str, typer.Option("--set", help="The set to read: a folder of data/.")]
OutName = Annotated[
    str, typer.Option("--name", help="Write to a folder of its own, so that variants live on.")
]
OnError = Annotated[
    str, typer.Option("--on-error", help="A broken utterance: stop, or skip and list it.")
]
Executor = Annotated[
    str, typer.Option("--executor", help="local, or dask://HOST:PORT (extra [cluster]).")
]
Pipes = Annotated[bool, typer.Option("--allow-pipes", help="Run shell commands found in wav.scp.")]
Save = Annotated[
    Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
    typer.Option(
        "--save",
        metavar="FILE.jsonl",
        help="Append each result as it comes; the same command again goes on from there.",
        show_default="nothing is saved",
    ),
]
Config = Annotated[
    Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
    typer.Option(
        "--config",
        callback=load_config,
        is_eager=True,
        help="YAML file with flags as keys; flags on the command line win.",
    ),
]


def as_on_disk(paths: list[Path] | None) -> list[Path] | None:
    """Files as the disk spells their names, which may be typed in another form of Unicode."""
    return None if paths is None else [on_disk(path) for path in paths]


def resolve_jobs(jobs: int) -> int:
    """Number of processes: 0 means one per CPU."""
    from speechkit.base.parallel import cpu_count

    return jobs or cpu_count()


def numbers(field: str, text: str, kind: type) -> tuple:
    """A comma-separated list of numbers."""
    try:
        return tuple(kind(part) for part in str(text).split(","))
    except ValueError:
        raise ConfigError(
            field, f"'{text}' is not a list of numbers.", "Separate them by commas."
        ) from None


def words(text: str) -> tuple[str, ...]:
    """A comma-separated list of words; none for an empty text."""
    return tuple(part.strip() for part in str(text).split(",") if part.strip())
