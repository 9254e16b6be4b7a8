"""Options that commands share, and the configuration file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional

import typer

from speechkit.base import config
from speechkit.base.config import Flag
from speechkit.base.errors import UserError, closest
from speechkit.base.text import on_disk

if TYPE_CHECKING:
    from speechkit.workdir import WorkDir

MISSING = dataclasses.MISSING


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


# Files as the disk spells their names, which may be typed in another form of Unicode.
_FILES: Any = {
    "argument": True,
    "several": True,
    "convert": lambda paths: paths and [on_disk(path) for path in paths],
}


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
        rich_help_panel="Output",
    ),
]


@dataclasses.dataclass(frozen=True)
class CommandOptions:
    """Options and arguments of commands that no configuration of the library has.

    Args:
        set_name: Set to read: a folder of data/.
        recordings: WAV, FLAC, OGG, MP3, AIFF ...; - is standard input.
        listed_recordings: WAV, FLAC, OGG, MP3, AIFF ...; - is standard input; none where `trans`
            lists them.
        corpus: The corpus as published.
        own_data: Folder with subfolders per speaker or class, or table: path, speaker[, text].
        metadata: Tables of LibriMix, such as libri2mix_dev-clean.csv; each becomes a set.
        task: emotion, pronunciation, separation.
        folder: Recordings, as `prepare folder` takes them.
        trained: TASK/NAME, NAME, or a folder of exp/.
        export_file: The file or folder to write.
        import_file: A file that export wrote, or hf:OWNER/NAME.
    Data:
        split_name: Name of the file.
    Model:
        am: Acoustic model: sphinx, a name in exp/acoustic, a folder, hf:OWNER/NAME,
            torchaudio:BUNDLE or posteriors:SCP[,labels=FILE].
        deep_am: Acoustic model with hidden features: a name in exp/acoustic, a folder,
            hf:OWNER/NAME, torchaudio:BUNDLE.
        upstream: Encoder of Hugging Face, by hub name or folder.
        emotion_model: Name under exp/emotion/, a folder of a trained one, a file of export, or
            hf:OWNER/NAME (also audio-classification models of Hugging Face, and their folders).
        separation_model: Name under exp/separation/, a folder, a file of export, hf:OWNER/NAME, or
            a Conv-TasNet of Asteroid or SpeechBrain (file or folder).
        size: Size: full, light or tiny.
    Training:
        seed: Seed of every random draw.
        seeds: Number of seeds, all trained in one run.
        first_seed: First seed.
    Machine:
        device: auto, cpu or cuda.
        jobs: Number of local processes; 0: one per CPU.
        executor: Where to compute: local, or dask://HOST:PORT (extra [cluster]).
        allow_pipes: Run shell commands found in wav.scp.
        batch_seconds: Seconds of audio (at 8 kHz) per batch; 0: one mixture on the CPU, 120 s on
            CUDA.
        checkpoint_minutes: Minutes between saves of the state.
    Output:
        directory: Working directory, with data/ and exp/.
        name: Name of the experiment.
        out_name: Write to a folder of its own, so that variants live on.
        variant_name: Write to SET-NAME, so that variants live on.
        evaluation_name: Write to eval/SET-NAME, so that variants live on.
        import_name: Name to give it.
        title: Heading of the report; default: the folder's name.
        papers: Show the papers' rows whatever the corpus is.
        textgrids: Write a TextGrid a recording too.
        dry_run: Print the commands only.
        on_error: A broken utterance: stop, or skip and list it.
        force: Replace an output that was made with other parameters.
        import_force: Replace a model that has the name.
        other_batch_size: Go on from a run that had another `batch_size`.
        as_json: Print JSON to stdout instead of a table.
    """

    recordings: Annotated[tuple[Path, ...], Flag(metavar="FILE...", **_FILES)]
    corpus: Annotated[Path, Flag(argument=True, metavar="PATH", shown=False)]
    own_data: Annotated[Path, Flag(argument=True, metavar="PATH", shown=False)]
    metadata: Annotated[
        tuple[Path, ...], Flag(argument=True, several=True, metavar="METADATA.csv...", shown=False)
    ]
    task: Annotated[str, Flag(argument=True, metavar="TASK")]
    folder: Annotated[Path, Flag(argument=True, metavar="FOLDER")]
    trained: Annotated[str, Flag(argument=True)]
    import_file: Annotated[str, Flag(argument=True)]
    deep_am: Annotated[str, Flag("am")]
    upstream: Annotated[str, Flag("upstream")]
    emotion_model: Annotated[str, Flag("model")]
    separation_model: Annotated[str, Flag("model")]
    listed_recordings: Annotated[
        tuple[Path, ...], Flag(metavar="[FILE...]", shown=False, **_FILES)
    ] = ()
    export_file: Annotated[Path | None, Flag(argument=True, shown="NAME.zip, NAME")] = None
    set_name: Annotated[str, Flag("set")] = "train"
    split_name: Annotated[str, Flag("split-name", shown="the kind of split")] = ""
    am: Annotated[str, Flag("am")] = "sphinx"
    size: Annotated[str | None, Flag("model", shown="light, or as --init")] = None
    seed: config.Seed = 0
    seeds: Annotated[int, Flag("seeds", least=1)] = 5
    first_seed: Annotated[int, Flag("seed", least=0, most=2**31)] = 0
    device: Annotated[str, Flag("device")] = "auto"
    jobs: config.Jobs = 0
    executor: Annotated[str, Flag("executor")] = "local"
    allow_pipes: Annotated[bool, Flag("allow-pipes")] = False
    batch_seconds: Annotated[float, Flag("batch-seconds", least=0)] = 0.0
    checkpoint_minutes: Annotated[float, Flag("checkpoint-minutes")] = 10.0
    directory: Annotated[Path, Flag("dir", "-C", convert=_workdir)] = Path(".")
    name: Annotated[str, Flag("name")] = "default"
    out_name: Annotated[str, Flag("name")] = ""
    variant_name: Annotated[str, Flag("out-name")] = ""
    evaluation_name: Annotated[str, Flag("out-name")] = ""
    import_name: Annotated[str, Flag("name", shown="the one it has")] = ""
    title: Annotated[str, Flag("title")] = ""
    papers: Annotated[bool, Flag("papers")] = False
    textgrids: Annotated[bool, Flag("textgrids")] = False
    dry_run: Annotated[bool, Flag("dry-run")] = False
    on_error: Annotated[str, Flag("on-error")] = "stop"
    force: Annotated[bool, Flag("force")] = False
    import_force: Annotated[bool, Flag("force")] = False
    other_batch_size: Annotated[bool, Flag("continue")] = False
    as_json: Annotated[bool, Flag("json")] = False


class FieldOf(NamedTuple):
    """Of a parameter: it is one field of a configuration, whatever its own name is.

    Args:
        field: its name.
    """

    field: str
    config: type = CommandOptions


Dir = Annotated["WorkDir", FieldOf("directory")]

SAVED_TRAINING = "device jobs=2 force other_batch_size checkpoint_minutes"
SET_STAGE = "name=out_name jobs executor on_error allow_pipes force directory"
DEVICE_STAGE = f"{SET_STAGE} device"
"""Of the stages that go through the utterances of a set: on the CPU, and on any device."""
