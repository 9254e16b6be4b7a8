"""A working directory of a hostile world, and what speechkit does in it.

An audit hook watches for programs started, files written outside the working directory, sockets,
and pickles that look up globals.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from base import made
from campaign import Tally, bad_ending, fresh, in_process, remove, top, words_of

PWNED = "pwned"  # every payload tries to make a file of such a name
_PROGRAMS = ("KALDI_ROOT", "espeak", "lscpu", "uname", "fc-list")  # of libraries, and harmless
_OF_WORKERS = ("concurrent.futures.", "speechkit.", "numpy")  # results of our own processes
_PLACES = ("/dev/null", "/dev/shm/sem", "/proc/")
_CHANGES = (
    "os.rename", "os.symlink", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.truncate",
    "shutil.rmtree",
)  # fmt: skip


class World:
    """A copy of the base, and the endings of commands that are run in it.

    Args:
        tally: where they are counted.
    """

    def __init__(self, tally: Tally) -> None:
        self.tally, self.outside = tally, top() / "hostile"
        self.root = self.outside / "work"
        home = Path.home()
        caches = (home / ".cache", home / ".config/matplotlib")
        self._allowed = (str(self.root), *_PLACES, *map(str, caches))
        self._events: list[str] = []
        self._watching = False
        self.renew()
        sys.addaudithook(self._hook)

    def renew(self) -> None:
        """A fresh copy of the base."""
        fresh(self.outside)
        shutil.copytree(made(), self.root, symlinks=True)
        (self.outside / "cwd").mkdir()
        os.chdir(self.root)

    @property
    def wav(self) -> Path:
        """A recording of the test set."""
        return min((self.root / "data/test/wav").glob("*.wav"))

    def judge(
        self,
        what: str,
        line: str | Sequence[object],
        *,
        expected: Sequence[int] = (2,),
        seconds: int = 60,
        allowed: Sequence[str] = (),
    ) -> tuple[Any, str]:
        """Run a command in the world and count its ending: its code, and what it said.

        Args:
            what: the try.
            line: the command; ROOT, WAV and OUTSIDE stand for those paths.
            expected: codes.
            seconds: after which it hangs.
            allowed: parts of the names of events that this command may cause.
        """
        words = [self.filled(word) for word in words_of(line)]
        if "-C" not in words and not any(word.startswith("--dir=") for word in words):
            at = words.index("--") if "--" in words else len(words)
            words[at:at] = ["-C", str(self.root)]
        self._events, self._watching = [], True
        try:
            code, said = in_process(words, seconds)
        finally:
            self._watching = False
        events = sorted({e for e in self._events if not any(part in e for part in allowed)})
        problem = ""
        if made_files := self.pwned():
            problem = f"CODE RAN OR FILE WRITTEN {made_files}"
            for path in made_files:
                remove(path)
        elif events:
            problem = f"EVENT {events[:4]}"
        elif code in (0, 2) and code not in expected:
            problem = f"accepted ({code})"
        problem = problem or bad_ending(code, said)
        self.tally.add(problem, code, f"{what}: {line!s:.200}", said)
        self.tally.cases += 1
        return code, said

    def filled(self, word: str) -> str:
        """A word with the paths of this world in it."""
        paths = {"ROOT": self.root, "OUTSIDE": self.outside, "WAV": self.wav}
        for name, path in paths.items():
            word = word.replace(name, str(path)) if name in word else word
        return word

    def pwned(self) -> list[Path]:
        """Files that a payload has made; one whose name is a payload itself is harmless."""
        found = [p for place in (self.outside, Path.cwd()) for p in place.glob(f"*{PWNED}*")]
        found += self.root.rglob(f"*{PWNED}*")
        return [path for path in found if not any(mark in path.name for mark in "$|")]

    def _hook(self, event: str, args: Any) -> None:
        if not self._watching:
            return
        if event == "subprocess.Popen":
            words = args[1] if isinstance(args[1], list | tuple) else [args[1]]
            line = " ".join(map(str, words))
            if not any(name in line for name in _PROGRAMS):
                self._events.append(f"program: {line[:200]}")
        elif event in ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"):
            self._events.append(f"{event} {args!r:.200}")
        elif event == "open" and isinstance(args[0], str | bytes):
            mode, flags = args[1], args[2] or 0
            writes = isinstance(mode, str) and set(mode) & set("wax+")
            if writes or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._changed("write", args[0])
        elif event in ("os.remove", "os.rmdir") and args[1] != -1:
            pass  # within a folder that is open: shutil.rmtree, which is seen as a whole
        elif event in _CHANGES:
            for path in args[1:2] if event == "os.symlink" else args[:2]:
                if isinstance(path, str | bytes):
                    self._changed(event, path)
        elif event == "socket.connect":
            self._events.append(f"connect {args[1]!r}")
        elif event == "pickle.find_class" and not str(args[0]).startswith(_OF_WORKERS):
            self._events.append(f"pickle {args[0]}.{args[1]}")

    def _changed(self, event: str, name: str | bytes) -> None:
        path = os.path.realpath(os.fsdecode(name))
        temporary = path.startswith("/tmp/") and not str(self.outside).startswith("/tmp/")
        ours = path.startswith(self._allowed) or "__pycache__" in path
        if not ours and not temporary and not path.startswith("/tmp/tmp"):
            self._events.append(f"{event} {path}")
