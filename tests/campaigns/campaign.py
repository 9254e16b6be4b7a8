"""What all campaigns share: a place, running speechkit in this process or as another, results.

A campaign tries very many broken inputs, kills and limits, and counts every ending that speechkit
does not promise. Its place is the folder ``SPEECHKIT_CAMPAIGNS`` (kept, so that one base working
directory serves all campaigns), or a temporary folder that is removed at the end.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

TESTS = Path(__file__).resolve().parents[1]
SOURCE = TESTS.parent
SPEECHKIT = [sys.executable, "-m", "speechkit"]
_IN_MEMORY = Path("/dev/shm")  # syncing costs nothing there


@cache
def top() -> Path:
    """The folder of all campaigns, with links resolved."""
    if given := os.environ.get("SPEECHKIT_CAMPAIGNS"):
        place = Path(given)
        place.mkdir(parents=True, exist_ok=True)
    else:
        memory = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
        place = Path(tempfile.mkdtemp(prefix="speechkit-campaigns-", dir=memory))
        atexit.register(shutil.rmtree, place, ignore_errors=True)
    place.chmod(0o755)
    return place.resolve()


def base() -> Path:
    """The working directory in which every stage has run once (see base.py)."""
    return top() / "base"


def fresh(path: Path) -> Path:
    """An empty folder."""
    if path.exists() or path.is_symlink():
        subprocess.run(["chmod", "-R", "u+rwx", str(path)], check=False, capture_output=True)
        shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def remove(path: Path) -> None:
    """Remove a file or a folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def words_of(line: str | Sequence[object]) -> list[str]:
    """The arguments of a command line, given as one string or as words."""
    return shlex.split(line) if isinstance(line, str) else [str(word) for word in line]


def command(line: str | Sequence[object], timeout: float = 300, **more: Any) -> tuple[Any, str]:
    """Run speechkit as another process: its code (or "timeout"), and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), **more.pop("env", {})}
    try:
        done = subprocess.run(
            [*SPEECHKIT, *words_of(line)], timeout=timeout, text=True, errors="backslashreplace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=environment, check=False, **more,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        said = error.output or b""
        return "timeout", said if isinstance(said, str) else said.decode(errors="replace")
    return done.returncode, done.stdout


class Slow(BaseException):
    """A command took longer than it may."""


@cache
def _main() -> Callable[[list[str]], int]:
    """The command line; Typer's parser is built once only (it takes 0.2 s each time)."""
    # Large packages, before a time limit can cut their import in two.
    import matplotlib.pyplot  # noqa: F401
    import torch  # noqa: F401
    import torchaudio  # noqa: F401
    import transformers  # noqa: F401
    import typer.main

    from speechkit.cli.main import main

    typer.main.get_command = cache(typer.main.get_command)
    return main


def in_process(line: str | Sequence[object], seconds: int = 60) -> tuple[Any, str]:
    """Run speechkit in this process: its code, "timeout" or "escaped ...", and what it printed.

    It may work ``seconds``, and take five times as long where other work keeps it waiting.
    """
    main, said = _main(), io.StringIO()
    worked, began = time.process_time(), time.monotonic()

    def alarm(*_: object) -> None:
        left = seconds - (time.process_time() - worked)
        if left < 1 or time.monotonic() - began > 5 * seconds:
            raise Slow
        signal.alarm(int(left))

    before = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(seconds)
    code: Any
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(words_of(line))
    except Slow:
        code = "timeout"
    except BaseException as error:  # whatever gets past main() is a find
        code = f"escaped {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return code, said.getvalue()


def bad_ending(code: Any, said: str, expected: Sequence[int] = (0, 2)) -> str:
    """What is wrong with how a command ended; empty if nothing is."""
    if code not in expected:
        return f"ends with {code}"
    if "Traceback" in said:
        return "prints a traceback"
    return "says nothing" if code == 2 and "error" not in said.lower() else ""


def signature(said: str) -> str:
    """The last frame in speechkit and the exception: one bug, one signature."""
    frames = re.findall(r'File "([^"]*)", line (\d+), in (\S+)', said)
    ours = [f"{Path(f).name}:{n} {w}" for f, n, w in frames if "/speechkit/" in f]
    named = [x for x in said.splitlines() if re.match(r"^[\w.]*(Error|Exception|Failure)\b", x)]
    return f"{ours[-1] if ours else '?'} | {(named or ['?'])[-1][:160]}"


def snapshot(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 (or the target of a link) of everything in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = f"-> {path.readlink()}"
        elif path.is_file():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found[str(path.relative_to(folder))] = digest
    return found


def differences(path: Path, other: Path) -> list[str]:
    """Names that differ between two outputs, apart from times."""
    if not path.exists():
        return [f"{path.name} is missing"]
    if path.is_file():
        return [] if path.read_bytes() == other.read_bytes() else [path.name]
    one, two = snapshot(path), snapshot(other)
    found = []
    for name in sorted({*one, *two}):
        timed = Path(name).name == "manifest.json" or "tensorboard/" in name
        if one.get(name) == two.get(name) or timed or name.startswith("eval/"):
            continue
        if name not in one or name not in two:
            found.append(f"{name} only in the {'reference' if name in two else 'new one'}")
        elif _timeless(path / name) != _timeless(other / name):
            found.append(name)
    return found


def _timeless(path: Path) -> object:
    """The content of a file without what a clock wrote."""
    data = path.read_bytes()
    if path.suffix == ".json":
        return _untimed(json.loads(data))
    if path.suffix == ".tsv" and b"seconds" in data.split(b"\n")[0]:
        header, *rows = data.decode().rstrip("\n").split("\n")
        names = header.split("\t")
        keep = [i for i, name in enumerate(names) if "second" not in name and "time" not in name]
        return [[row.split("\t")[i] for i in keep] for row in rows]
    if path.suffix == ".html":
        date = rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?( UTC|Z|\+00:00)?"
        return re.sub(date + rb"|\d+(\.\d+)? ?(s|min|h)\b", b"", data)
    if path.suffix == ".yaml":
        return re.sub(rb"(?m)^.*seconds.*$", b"", data)
    return data


def _untimed(node: Any) -> Any:
    timed = re.compile("second|time|finished|started|speed|resumed")
    if isinstance(node, dict):
        return {key: _untimed(value) for key, value in node.items() if not timed.search(key)}
    return [_untimed(value) for value in node] if isinstance(node, list) else node


def leftovers(root: Path, partial: bool = True) -> list[str]:
    """Hidden files and folders that a finished command should not leave behind."""
    ends = (".lock", ".old", ".tmp", *((".partial",) if partial else ()))
    hidden = root.rglob(".*")
    return [
        str(path.relative_to(root)) for path in hidden
        if path.name.endswith(ends) or path.name.startswith(".export-")
    ]  # fmt: skip


class Tally:
    """Tries and bad endings of a campaign, kept in ``results/NAME.json``.

    Args:
        name: of the campaign.
        asked: how many cases were asked for.
    """

    def __init__(self, name: str, asked: int = 0) -> None:
        self.name, self.asked, self.cases, self.tries = name, asked, 0, 0
        self.bad: list[dict[str, Any]] = []
        self.codes: dict[str, int] = {}
        self.started = time.time()

    def add(self, problem: str, code: Any, what: str, said: str = "") -> None:
        """Count a try; ``problem`` is empty where it ended as promised."""
        self.tries += 1
        self.codes[str(code)] = self.codes.get(str(code), 0) + 1
        if problem:
            short = f"{problem} | {signature(said)}" if "Traceback" in said else problem
            self.bad.append(
                {"what": what, "code": str(code), "problem": short, "said": said[-2000:]}
            )
            print(f"BAD [{self.name}] {what}: {short[:300]}", flush=True)

    def save(self) -> None:
        """Write the result and print a line."""
        results = top() / "results"
        results.mkdir(exist_ok=True)
        told = {
            "campaign": self.name, "asked": self.asked, "cases": self.cases, "tries": self.tries,
            "bad": len(self.bad), "codes": self.codes,
            "seconds": round(time.time() - self.started), "bad_endings": self.bad,
        }  # fmt: skip
        text = json.dumps(told, indent=1, default=str) + "\n"
        (results / f"{self.name}.json").write_text(
            text, encoding="utf-8", errors="backslashreplace"
        )
        found = f"{self.tries} tries, {len(self.bad)} bad, {self.codes}"
        print(f"{self.name}: {self.cases} cases, {found}")

    def finish(self) -> int:
        """Save, and the exit code of the campaign."""
        self.save()
        return 1 if self.bad else 0


@contextlib.contextmanager
def out_of_the_way(path: Path) -> Iterator[None]:
    """Restore a file when the block ends."""
    before = path.read_bytes()
    try:
        yield
    finally:
        remove(path)
        path.write_bytes(before)
