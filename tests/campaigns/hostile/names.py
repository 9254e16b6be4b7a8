"""Every option and argument of text of every command, with names that lead elsewhere."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from typing import Any

from campaign import remove

from hostile.watch import World

NAMES = [
    "../../../pwned", "OUTSIDE/pwned", "..", ".", "", "a/../../../pwned", "-rf", "--help",
    "x" * 300, "あ" * 100, "$(touch pwned)", "`touch pwned`", "; touch pwned", "%s%n", "a\nb",
    "~/pwned", "//pwned", "[bold]", "a:b", "hf:../../pwned", "hf:", "hf:x/y/z", "dask://",
    "dask://x:y:z", "\ud800", "💥", ",", "a,,b", "=", "a=b=c", "1e999", "nan", "a\x00b",
]  # fmt: skip
NUMBERS = ["0", "-1", "1e9", "inf", "99999999999999999999"]
PLACES = ["ROOT/data/train/wav.scp", "/proc", "/dev/null", "/sys"]
ARGUMENTS = {
    "prepare folder": ["WAV"], "prepare librispeech": ["ROOT"], "prepare wsj0": ["ROOT"],
    "prepare wsj0-2mix": ["ROOT"], "prepare librimix": ["ROOT/x.csv"],
    "prepare speechocean762": ["ROOT"], "prepare ravdess": ["ROOT"],
    "prepare crema-d": ["ROOT"], "prepare emodb": ["ROOT"],
    "export": ["separation/sep"], "import": ["ROOT/sep.zip"],
    "predict separation": ["WAV"], "predict emotion": ["WAV"],
    "predict pronunciation": ["WAV", "--text", "WE"],
    "predict scoring": ["WAV", "--text", "WE", "--model", "sc"],
    "mine-hard": ["--param", "pitch"],
}  # fmt: skip
OPTIONS = {
    "align": ["--am", "sphinx", "--set", "so_test"],
    "extract-gop": ["--am", "sphinx", "--set", "so_test"],
    "extract-deep": ["--am", "tiny", "--set", "so_test"],
    "extract-hidden": ["--upstream", "nope"],
    "predict separation": ["--model", "sep", "--out", "ROOT/o"],
    "predict emotion": ["--model", "cnn"],
    "compare separation": ["--baseline", "sep"],
    "analyze-correlation": ["--model", "sep"],
    "split": ["--set", "train", "--share", "0.5", "--into", "a1,b1"],
    "synthesize-scores": ["--set", "so_test", "--train", "so_train"],
    "prepare librimix": ["--librispeech", "ROOT"],
}
NEVER = ("report", "doctor", "prepare demo")


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from _commands(one, (*path, name))
        else:
            yield " ".join((*path, name)), one


def run(world: World) -> None:
    """All commands; trainings name a set that is not there, so that none begins."""
    import typer.main

    from speechkit.cli.main import app

    for left in ("report", "exp/separation/sep/eval", "exp/emotion/cnn/eval"):
        shutil.rmtree(world.root / left, ignore_errors=True)
    rng = random.Random(3)
    found = _commands(typer.main.get_command(app))
    every = [(name, one) for name, one in found if name not in NEVER]
    rng.shuffle(every)
    for name, one in every:
        for parameter in one.params:
            flag = getattr(parameter, "is_flag", False)
            if not flag and parameter.name not in ("help", "json", "as_json"):
                for value in _values(parameter, rng):
                    _try(world, name, parameter, value)


def _values(parameter: Any, rng: random.Random) -> list[str]:
    if {"--dir", "-C"} & set(parameter.opts):
        return [n for n in NAMES if "pwned" not in n and n not in (".", "")] + PLACES
    kind = getattr(parameter, "type", None)
    text = getattr(kind, "name", "text") in ("text", "path", "str") or "ath" in str(kind)
    return NAMES if text else rng.sample(NAMES, 6) + NUMBERS


def _try(world: World, name: str, parameter: Any, value: str) -> None:
    option = parameter.opts[0] if parameter.opts[0].startswith("-") else ""
    more = list(OPTIONS.get(name, []))
    more += ["--set", "nope"] if name.startswith("train ") else []
    if option in more:
        at = more.index(option)
        del more[at : at + 2]
    words = [*name.split(), *ARGUMENTS.get(name, []), *more]
    if option:
        words += [f"{option}={value}"] if option.startswith("--") else [option, value]
    elif value.startswith("-"):
        words = [*name.split(), *more, "--", value]
    elif ARGUMENTS.get(name):
        words[len(name.split())] = value
    else:
        words.append(value)
    written = option in ("--out", "--dir", "") or name == "export"
    here = [str(world.outside / "cwd"), f"{world.outside}/exp", "os.mkdir /"]  # the user's choice
    allowed = here if written else ["connect"] if option == "--executor" else []
    if name == "export":  # beside the archive, in the folder that the user is in
        allowed = here
    os.chdir(world.outside / "cwd")
    chosen_place = written and "pwned" in value
    if chosen_place:
        return  # this option names a place of the user's own choice
    world.judge(
        f"{name} {option or parameter.name}={value[:30]!r}", words,
        expected=(0, 2), seconds=20, allowed=allowed,
    )  # fmt: skip
    if written:
        for path in (world.outside / "cwd").iterdir():
            remove(path)
