"""Warnings that the MP3 decoder inside libsndfile prints to the C library's stderr."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _Stderr:
    """The C library's stderr, which mpg123 writes its warnings to, while it is turned away."""

    def __init__(self) -> None:
        self.lock, self.depth = threading.Lock(), 0
        try:
            self.library = ctypes.CDLL(None)
            self.variable = ctypes.c_void_p.in_dll(self.library, "stderr")
            for name, kinds, result in (
                ("fmemopen", (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p), ctypes.c_void_p),
                ("ftell", (ctypes.c_void_p,), ctypes.c_long),
                ("rewind", (ctypes.c_void_p,), None),
            ):
                function = getattr(self.library, name)
                function.argtypes, function.restype = kinds, result
            self.memory = self.library.fmemopen(None, 1 << 16, b"w")
        except (OSError, ValueError, AttributeError, TypeError):  # not glibc: warnings are printed
            self.memory = None

    def turn(self, away: bool) -> None:
        with self.lock:
            self.depth += 1 if away else -1
            if away and self.depth == 1:
                self.library.rewind(self.memory)
                self.real = self.variable.value
                self.variable.value = self.memory
            elif not away and self.depth == 0:
                self.variable.value = self.real


_stderr: _Stderr | None = None


@contextmanager
def quiet() -> Iterator[Callable[[], bool]]:
    """Keep what the decoder prints away from the terminal; yields "has it printed anything?"."""
    global _stderr
    _stderr = _stderr or _Stderr()
    if _stderr.memory is None:
        yield lambda: False
        return
    library, memory = _stderr.library, _stderr.memory
    _stderr.turn(away=True)
    before = library.ftell(memory)
    try:
        yield lambda: library.ftell(memory) > before
    finally:
        _stderr.turn(away=False)
