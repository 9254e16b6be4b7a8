"""Files of a set are replaced: originals are kept, and a killed run costs nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from speechkit.base import files
from speechkit.base.errors import UserError
from speechkit.workdir.manifest import MANIFEST, manifest_text, read_manifest

BACKUP = ".backup"


def replace_files(folder: Path, contents: Mapping[str, bytes], said: Sequence[str]) -> None:
    """Write the files that changed, keep their originals, and note it in the manifest.

    Args:
        folder: of the set.
        contents: name -> content.
        said: what was mended.

    Raises:
        UserError: something that is no file stands where one is to be written.


    `prepare` takes a file of another size than in the manifest for a damaged one, and would undo
    the mending. So the manifest says first which files are being mended (``mending``), and says
    their sizes when all are written: a run that is killed in between loses nothing, and the next
    one completes it.
    """
    for name in contents:
        if os.path.lexists(folder / name) and not (folder / name).is_file():
            raise UserError(
                f"{folder} was left as it is: {folder / name} is no file, but stands where a "
                "table belongs.",
                "Move it away.",
            )
    if os.path.lexists(backup := folder / BACKUP) and (backup.is_symlink() or not backup.is_dir()):
        raise UserError(
            f"{folder} was left as it is: {backup}, where originals are kept, is not a folder.",
            "Move it away.",
        )
    originals = {name: _read(folder / name) for name in contents}
    changed = [name for name, content in contents.items() if content != originals[name]]
    manifest = read_manifest(folder) or {}
    pending = manifest.get("mending", [])
    if not (changed or pending):
        return
    for name in changed:
        if (original := originals[name]) is not None:
            _back_up(folder / name, original)
    mending = list(dict.fromkeys([*pending, *changed]))
    told = [*(manifest.get("fixed", []) if pending else []), *said]
    sizes = {n: size for n, size in manifest.get("outputs", {}).items() if n not in mending}
    noted = {**manifest, "outputs": sizes, "fixed": list(dict.fromkeys(told))}
    if manifest:
        _write_manifest(folder, {**noted, "mending": mending})
    for name in changed:
        with files.atomic_write(folder / name, "wb") as file:
            file.write(contents[name])
    if manifest:
        noted.pop("mending", None)
        sizes |= {n: (folder / n).stat().st_size for n in mending if (folder / n).is_file()}
        _write_manifest(folder, noted)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _write_manifest(folder: Path, manifest: Mapping[str, object]) -> None:
    with files.atomic_write(folder / MANIFEST) as file:
        file.write(manifest_text(manifest))


def _back_up(path: Path, content: bytes) -> None:
    """Keep an original beside those of earlier repairs, which stay."""
    folder = files.make_dirs(path.parent / BACKUP)
    copy, number = folder / path.name, 0
    while copy.exists():
        if copy.read_bytes() == content:  # of a run that was killed
            return
        number += 1
        copy = folder / f"{path.name}.{number}"
    with files.atomic_write(copy, "wb") as file:
        file.write(content)
