"""Options that commands share, and the configuration file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional

import typer

from speechkit.base import config
from speechkit.base.config import Flag
from speechkit.base.errors import ConfigError, UserError, closest
from speechkit.base.text import on_disk

if TYPE_CHECKING:
    from speechkit.workdir import WorkDir

DATA, MODEL, TRAINING, MACHINE, OUTPUT = "Data", "Model", "Training", "Machine", "Output"
MISSING = dataclasses.MISSING


@dataclasses.dataclass(frozen=True, init=False)
class Option:
    """One flag, or an argument where it has no option name.

    Args:
        default: what a command has that says no other; ``MISSING``: it must be given.
        names: option names.
        kind: its type on the command line, where the function gets another.
        convert: makes what the function gets of what was given.
        panel: heading of the help.
        extra: of ``typer.Option`` and ``typer.Argument``: help, shown default, range.
    """

    default: Any
    names: tuple[str, ...]
    kind: Any
    convert: Callable[[Any], Any] | None
    extra: dict[str, Any]

    def __init__(
        self,
        default: Any,
        *names: str,
        kind: Any = None,
        convert: Callable[[Any], Any] | None = None,
        panel: str = "",
        **extra: Any,
    ) -> None:
        if panel:
            extra["rich_help_panel"] = panel
        values = (default, names, kind, convert, extra)
        for field, value in zip(dataclasses.fields(self), values, strict=True):
            object.__setattr__(self, field.name, value)


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


def as_on_disk(paths: list[Path] | None) -> list[Path] | None:
    """Files as the disk spells their names, which may be typed in another form of Unicode."""
    return None if paths is None else [on_disk(path) for path in paths]


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


class Group:
    """Options that several commands share: its annotations say which."""

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)


def _workdir(path: Path) -> WorkDir:
    from speechkit.workdir import WorkDir

    return WorkDir(path)


CONFIG = Annotated[
    Optional[Path],  # noqa: UP045 - Typer evaluates this at run time
    typer.Option(
        "--config",
        callback=load_config,
        is_eager=True,
        help="YAML file with flags as keys; given flags win.",
        rich_help_panel=OUTPUT,
    ),
]
Dir = Annotated[
    "WorkDir",
    Option(
        Path("."), "--dir", "-C", kind=Path, convert=_workdir, panel=OUTPUT,
        help="Working directory, with data/ and exp/.",
    ),
]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class SharedOptions:
    """Options of several commands.

    Args:
        set_name: Set to read: a folder of data/.
    Training:
        seed: Seed of every random draw.
        seeds: Number of seeds, all trained in one run.
        first_seed: First seed.
    Machine:
        device: auto, cpu or cuda.
        jobs: Number of local processes; 0: one per CPU.
        executor: Where to compute: local, or dask://HOST:PORT (extra [cluster]).
        allow_pipes: Run shell commands found in wav.scp.
        checkpoint_minutes: Minutes between saves of the state.
    Output:
        name: Name of the experiment.
        out_name: Write to a folder of its own, so that variants live on.
        variant_name: Write to SET-NAME, so that variants live on.
        evaluation_name: Write to eval/SET-NAME, so that variants live on.
        on_error: A broken utterance: stop, or skip and list it.
        force: Replace an output that was made with other parameters.
        other_batch_size: Go on from a run that had another `batch_size`.
        as_json: Print JSON to stdout instead of a table.
    """

    set_name: Annotated[str, Flag("set")] = "train"
    seed: config.Seed = 0
    seeds: Annotated[int, Flag("seeds", least=1)] = 5
    first_seed: Annotated[int, Flag("seed", least=0, most=2**31)] = 0
    device: Annotated[str, Flag("device")] = "auto"
    jobs: config.Jobs = 0
    executor: Annotated[str, Flag("executor")] = "local"
    allow_pipes: Annotated[bool, Flag("allow-pipes")] = False
    checkpoint_minutes: Annotated[float, Flag("checkpoint-minutes")] = 10.0
    name: Annotated[str, Flag("name")] = "default"
    out_name: Annotated[str, Flag("name")] = ""
    variant_name: Annotated[str, Flag("out-name")] = ""
    evaluation_name: Annotated[str, Flag("out-name")] = ""
    on_error: Annotated[str, Flag("on-error")] = "stop"
    force: Annotated[bool, Flag("force")] = False
    other_batch_size: Annotated[bool, Flag("continue")] = False
    as_json: Annotated[bool, Flag("json")] = False


class FieldOf(NamedTuple):
    """Of a parameter: it is one field of a configuration, whatever its own name is.

    Args:
        field: its name.
        config: the configuration.
    """

    field: str
    config: type = SharedOptions


Set = Annotated[str, FieldOf("set_name")]
Seed = Annotated[int, FieldOf("seed")]
Seeds = Annotated[int, FieldOf("seeds")]
FirstSeed = Annotated[int, FieldOf("first_seed")]
Device = Annotated[str, FieldOf("device")]
Jobs = Annotated[int, FieldOf("jobs")]
Executor = Annotated[str, FieldOf("executor")]
Pipes = Annotated[bool, FieldOf("allow_pipes")]
CheckpointMinutes = Annotated[float, FieldOf("checkpoint_minutes")]
Name = Annotated[str, FieldOf("name")]
OutName = Annotated[str, FieldOf("out_name")]
VariantName = Annotated[str, FieldOf("variant_name")]
EvaluationName = Annotated[str, FieldOf("evaluation_name")]
OnError = Annotated[str, FieldOf("on_error")]
Force = Annotated[bool, FieldOf("force")]
Continue = Annotated[bool, FieldOf("other_batch_size")]
Json = Annotated[bool, FieldOf("as_json")]


class Training(Group):
    """How a model is trained."""

    device: Device
    jobs: Jobs
    force: Force
    other_batch_size: Continue


class SavedTraining(Training):
    """Of a training whose state is saved from time to time."""

    jobs: Jobs = 2
    checkpoint_minutes: CheckpointMinutes


class SetStage(Group):
    """What all stages take that go through the utterances of a set."""

    name: OutName
    jobs: Jobs
    executor: Executor
    on_error: OnError
    allow_pipes: Pipes
    force: Force


class DeviceStage(SetStage):
    """As :class:`SetStage`, of what a device computes."""

    device: Device
