"""``validate --fix`` that dies: the next run completes it, and ``prepare`` leaves it alone."""

import json
from contextlib import contextmanager

import pytest

from speechkit.base import files
from speechkit.base.errors import UserError
from speechkit.corpora.check import fix
from speechkit.corpora.check.fix import BACKUP
from speechkit.workdir import Output
from speechkit.workdir.manifest import read_manifest


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("dies_at", range(1, 12))
def test_a_killed_run_is_completed_by_the_next(workdir, monkeypatch, dies_at):
    """Before each of its writes; ``prepare`` in between or afterwards replaces nothing."""
    folder = workdir / "data/train"
    originals = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    made = workdir / "data/made"
    with Output(made, "prepare", {}) as out:
        for name, content in originals.items():
            (out.path / name).write_bytes(content)
    broken = {"text": b"\r\n", "utt2spk": b"  \n", "spk2gender": b"\t\n"}
    for name, end in broken.items():  # edited by hand
        (made / name).write_bytes(originals[name].replace(b"AH", b"OH").replace(b"\n", end))
    edited = {name: (made / name).read_bytes() for name in broken}

    write, writes = files.atomic_write, []

    @contextmanager
    def count(path, mode="w"):
        writes.append(path)
        if len(writes) == dies_at:
            raise Killed
        with write(path, mode) as file:
            yield file

    monkeypatch.setattr(files, "atomic_write", count)
    try:
        fix.fix(made, workdir)
    except Killed:
        # the first three keep the originals, the next says in the manifest what will be mended
        assert up_to_date(made) == (dies_at > 4)
    else:
        assert dies_at > 8
    monkeypatch.setattr(files, "atomic_write", write)
    fix.fix(made, workdir)
    assert (made / "text").read_bytes() == originals["text"].replace(b"AH", b"OH")
    assert (made / "utt2spk").read_bytes() == originals["utt2spk"]
    assert {p.name: p.read_bytes() for p in (made / BACKUP).iterdir()} == edited
    assert up_to_date(made)
    manifest = read_manifest(made)
    assert manifest is not None and "mending" not in manifest
    for name, size in manifest["outputs"].items():
        assert (made / name).stat().st_size == size
    assert {name for name in broken if name in json.dumps(manifest["fixed"])} == set(broken)


def up_to_date(folder):
    """Whether the command that made a set would leave it as it is."""
    out = Output(folder, "prepare", {})
    out._read_key()
    return out._check_existing()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_originals_are_kept_in_the_set_alone(workdir, kind):
    """A `.backup` that leads elsewhere would put originals over other files."""
    folder = workdir / "data/train"
    table = folder / "text"
    table.write_bytes(table.read_bytes().replace(b"\n", b"\r\n"))
    before = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    backup = folder / BACKUP
    backup.symlink_to("..") if kind == "link" else backup.write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        fix.fix(folder, workdir)
    backup.unlink()
    assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before
    assert [p.name for p in (workdir / "data").iterdir()] == ["train"]


def test_a_carriage_return_within_a_line(workdir, run):
    """Stages end the line there; validate says so, and --fix mends it."""
    table = workdir / "data/train/utt2dur"
    table.write_bytes(b"s0-u0 1.0\r \ns0-u1 1.1\n")
    ran = run("validate", "-C", workdir, "-j", 1)
    assert ran.code == 2 and "carriage return" in " ".join(ran.out.split())
    assert run("extract-prosody", "-C", workdir, "-j", 1).code == 2
    assert run("validate", "--fix", "-C", workdir, "-j", 1).code == 0
    assert run("extract-prosody", "-C", workdir, "-j", 1).code == 0
