"""What a finished output says of itself: ``manifest.json``, and how it is compared."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

import speechkit
from speechkit.base import schema
from speechkit.workdir.fingerprints import Inputs

MANIFEST = "manifest.json"


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an output folder, or None where there is none or it is not a stage's."""
    try:
        found = schema.read_json(folder / MANIFEST, schema.Object)
        schema.check(found, _Manifest, MANIFEST)
    except schema.Damaged:
        return None
    return found


class _Manifest(msgspec.Struct):
    """What is relied on; all else is a record."""

    command: str
    params: schema.Object = {}
    inputs: dict[str, schema.Object] = {}
    outputs: dict[str, int] = {}
    counts: schema.Object = {}


def versions() -> dict[str, str]:
    """Versions of speechkit, Python, and the numerical packages that are loaded."""
    found = {"speechkit": speechkit.__version__, "python": sys.version.split()[0]}
    for name in ("numpy", "torch", "torchaudio", "speechbrain", "parselmouth", "lightning"):
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "__version__"):
            found[name] = str(module.__version__)
    return found


@dataclass
class Key:
    """What decides a result: the same key gives the same output.

    Args:
        command: name of the stage.
        params: everything that determines the result.
        inputs: what it reads.
    """

    command: str
    params: Mapping[str, Any]
    inputs: Inputs

    def __post_init__(self) -> None:
        self.params = json.loads(json.dumps(dict(self.params), default=str))  # as it is read back

    def as_dict(self) -> dict[str, Any]:
        """For the manifest; of inputs, what is known without reading them."""
        return {"command": self.command, "params": self.params, "inputs": self.inputs.as_dict()}

    def other_params(self, old: Mapping[str, Any]) -> list[str]:
        """In what an old key is of another command or of other parameters."""
        if old.get("command") != self.command:
            return [f"command: {old.get('command', 'not known')} there, {self.command} now"]
        return changed(old.get("params", {}), self.params)


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: {old.get(name, 'unset')} there, {new.get(name, 'unset')} now"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def damaged_outputs(folder: Path, outputs: Mapping[str, int]) -> list[str]:
    def size(path: Path) -> int:
        return path.stat().st_size if path.is_file() else -1

    return [str(folder / name) for name, want in outputs.items() if size(folder / name) != want]


def read_json(path: Path) -> Any:
    try:
        return schema.read_json(path, Any)
    except schema.Damaged:
        return None


def utc(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return moment.isoformat(timespec="seconds")


def manifest_text(manifest: Mapping[str, Any]) -> str:
    """The content of ``manifest.json``."""
    return json.dumps(manifest, indent=2, default=str) + "\n"
