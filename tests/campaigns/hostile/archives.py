"""Archives of models that are damaged, lie about themselves, or lead elsewhere."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from campaign import remove

from hostile.watch import World

Change = Callable[[dict[str, Any]], object]
NAMES = [
    "../pwned.json", "../../../pwned.json", "/pwned.json", "a/../../pwned.json", "..\\pwned.json",
    "C:pwned.json", "./x.json", "a//b.json", "a\x00b.json", "a\nb.json", "\u202egnp.json", "", ".",
    "..", "-rf.json", "$(touch pwned).json", f"{'x' * 300}.json", f"{'あ' * 100}.json",
    f"{'a/' * 3000}b.json", "seed0/config.yaml/x.json", ".key.json", ".scratch/x.json",
    "manifest.json", "README.md", "speechkit.json", "x.pkl", "x.pt", "x.py", "x.ckpt",
    "X.SAFETENSORS", "seed0", "~.json", "con.json", "a b.json", "\ud800.json",
    "seed0/../seed0/x.json",
]  # fmt: skip
HARMLESS = {
    "-rf.json", "$(touch pwned).json", ".key.json", ".scratch/x.json", "manifest.json",
    "speechkit.json", "~.json", "con.json", "a b.json", "\ud800.json", "\u202egnp.json",
    "README.md", "./x.json",
}  # fmt: skip
MODELS: list[Any] = [
    ["../x"], ["/etc"], [], ["seed0", "seed0"], "seed0", [1], [None], ["."], ["nope"], {}, 5, None,
    ["a" * 5000],
]  # fmt: skip
VALUES: list[Any] = [
    None, [], {}, 1e999, -1, float("nan"), "../../pwned", "x" * 10000, "", True, 10**400, "[bold]",
    {"a": 1}, "emotion", "１",
]  # fmt: skip
LISTS: list[str | bytes] = [
    "[" * 200_000, "{" * 10, '{"a":' * 100_000, "", "null", "[]", b"\xff\xfe\x00", "1e999",
    '{"format": 1e999}', "nan", '{"format":1,"files":{}}', f'"{"x" * (7 << 20)}"', " " * (9 << 20),
]  # fmt: skip
FIELDS = {  # of the directory of a zip: offset, values
    "flags": (8, (1, 1 << 5, 1 << 6, 1 << 11, 0xFFFF)),
    "version": (6, (20, 63, 64, 99, 255)),
    "method": (10, (0, 1, 8, 12, 14, 93, 99)),
    "local offset": (42, (0, 5, 10**6, 0xFFFFFFFF)),
}


def entry(data: bytes) -> dict[str, Any]:
    """What the list of an archive says of a file."""
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def rezip(
    source: Path,
    target: Path,
    change: Change | None = None,
    members: Change | None = None,
    more: Sequence[tuple[zipfile.ZipInfo, bytes]] = (),
    listed: str | bytes | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> None:
    """Write an archive again, with its list and its members changed.

    Args:
        source: a good archive.
        target: the file to write.
        change: called with the list.
        members: called with name -> content.
        more: members that are added at the end.
        listed: the list's file, in place of a changed one.
        compression: of all members.
    """
    with zipfile.ZipFile(source) as packed:
        content = {m.filename: packed.read(m) for m in packed.infolist()}
    told = json.loads(content["speechkit.json"])
    if change:
        change(told)
    text = json.dumps(told) if listed is None else listed
    content["speechkit.json"] = (
        text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    )
    if members:
        members(content)
    with zipfile.ZipFile(target, "w", compression) as packed:
        for name, data in content.items():
            packed.writestr(name, data)
        for info, data in more:
            packed.writestr(info, data)


class Archives:
    """Imports of changed copies of a good archive."""

    def __init__(self, world: World) -> None:
        self.world, self.good, self.bad = world, world.root / "sep.zip", world.root / "bad.zip"

    def take(self, what: str, expected: Sequence[int] = (2,), seconds: int = 60) -> None:
        """Import the changed archive; a refused one leaves nothing."""
        folder = self.world.root / "exp/separation"
        for left in folder.glob("*imp*"):
            remove(left)
        code, said = self.world.judge(
            f"archive: {what}", "import ROOT/bad.zip --name imp",
            expected=expected, seconds=seconds,
        )  # fmt: skip
        if code != 0 and (found := [path.name for path in folder.glob("*imp*")]):
            self.world.tally.add(f"leaves {found}", code, f"archive: {what}", said)

    def told(self, what: str, change: Change, expected: Sequence[int] = (2,)) -> None:
        """Import an archive whose list is changed."""
        rezip(self.good, self.bad, change)
        self.take(what, expected)

    def with_file(self, name: str, data: bytes = b"{}", **more: Any) -> None:
        """An archive with one more file, which its list names."""

        def change(told: dict[str, Any]) -> None:
            told["files"][name] = entry(data)

        rezip(self.good, self.bad, change, lambda c: c.update({f"model/{name}": data}), **more)


def run(world: World) -> None:
    """Names, lists, members and the zip format itself."""
    archives = Archives(world)
    shutil.copy(archives.good, archives.bad)
    archives.take("good", (0,))
    _names(archives)
    _lists(archives)
    _members(archives)
    _fields(archives)
    _damage(archives)


def _names(archives: Archives) -> None:
    for name in NAMES:
        try:
            archives.with_file(name)
        except (ValueError, UnicodeError):
            continue  # a zip cannot hold this name at all
        archives.take(f"file {name[:40]!r}", (0, 2) if name in HARMLESS else (2,))


def _lists(archives: Archives) -> None:
    for models in MODELS:
        archives.told(f"models {models!s:.40}", lambda t, m=models: t.update(models=m), (0, 2))
    for key in ("format", "task", "name", "speechkit", "files"):
        for value in VALUES:
            what = f"{key}={value!s:.30}"
            archives.told(what, lambda t, k=key, v=value: t.update({k: v}), (0, 2))
        archives.told(f"without {key}", lambda t, k=key: t.pop(k), (0, 2))
    for key, values in (
        ("size", (-1, 0, 10**30, 1e999, "x", None, float("nan"), 3.7)),
        ("sha256", ("", "0" * 64, None, 7)),
    ):
        for value in values:
            archives.told(
                f"{key} {value}",
                lambda t, k=key, v=value: next(iter(t["files"].values())).update({k: v}),
            )
    for listed in LISTS:
        rezip(archives.good, archives.bad, listed=listed)
        archives.take(f"list {listed[:20]!r}")


def _members(archives: Archives) -> None:
    good, bad = archives.good, archives.bad
    for kind in (stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR):
        info = zipfile.ZipInfo("model/link.json")
        info.external_attr = (kind | 0o777) << 16
        change = lambda told: told["files"].update({"link.json": entry(b"/etc/passwd")})  # noqa: E731
        rezip(good, bad, change, more=[(info, b"/etc/passwd")])
        archives.take(f"member of kind {kind:o}")
    rezip(good, bad, more=[(zipfile.ZipInfo("../pwned.json"), b"x")])
    archives.take("unlisted member ../")
    rezip(good, bad, more=[(zipfile.ZipInfo("model/seed0/config.yaml"), b"kind: x")])
    archives.take("a name that comes twice")
    rezip(good, bad, compression=zipfile.ZIP_DEFLATED)
    archives.take("deflated")
    archives.with_file("big.json", b"\0" * (200 << 20), compression=zipfile.ZIP_DEFLATED)
    archives.take("200 MB that fit in 200 kB")


def _fields(archives: Archives) -> None:
    data = archives.good.read_bytes()
    central, local = data.find(b"PK\x01\x02"), data.find(b"PK\x03\x04")
    for what, (offset, values) in FIELDS.items():
        for value in values:
            for position in (central, data.rfind(b"PK\x01\x02")):
                broken = bytearray(data)
                form = "<I" if what == "local offset" else "<H"
                struct.pack_into(form, broken, position + offset, value)
                archives.bad.write_bytes(broken)
                place = "first" if position == central else "last"
                archives.take(f"{what}={value} of the {place} member", (0, 2))
    for value in (1, 1 << 5, 0xFFFF):
        broken = bytearray(data)
        struct.pack_into("<H", broken, local + 6, value)
        struct.pack_into("<H", broken, central + 8, value)
        archives.bad.write_bytes(broken)
        archives.take(f"both flags={value}")


def _damage(archives: Archives) -> None:
    data, rng = archives.good.read_bytes(), random.Random(1)
    for number in range(300):  # bits and cuts at random
        broken = bytearray(data)
        if number % 3 == 0:
            broken = broken[: rng.randrange(len(broken))]
        else:
            tail = data.find(b"PK\x01\x02") if number % 3 == 1 else 0
            for _ in range(rng.randrange(1, 4)):
                broken[rng.randrange(tail, len(broken))] ^= 1 << rng.randrange(8)
        archives.bad.write_bytes(broken)
        archives.take(f"random damage {number}", (0, 2))
    with zipfile.ZipFile(archives.good) as packed:
        offset = packed.getinfo("README.md").header_offset
    broken = bytearray(data)
    broken[offset + 30 + len("README.md") + 5] ^= 1
    archives.bad.write_bytes(broken)
    archives.take("README with a wrong checksum")
    for what in ("an empty file", "a folder", "/dev/zero"):
        remove(archives.bad)
        if what == "a folder":
            archives.bad.mkdir()
        elif what == "/dev/zero":
            archives.bad.symlink_to(what)
        else:
            archives.bad.write_bytes(b"")
        archives.take(f"the archive is {what}", seconds=15)
    remove(archives.bad)
