"""Stop signals: Ctrl-C (SIGINT), and SIGTERM, which SLURM, Docker and ``kill`` send.

Both stop a run in the same way and by the same means: one handler, which notes the signal and
gives it to the answer in force. That is KeyboardInterrupt, or, while a model trains, a flag that
is looked at behind every batch. Worker processes leave both to their parent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOPS = (signal.SIGINT, signal.SIGTERM)

_COPIES_S = 0.5  # torchrun and SLURM may both send SIGTERM to one process
_AGAIN_S = 0.05

_first: int = 0
_last_at: float = -1e9


def _interrupt() -> None:
    raise KeyboardInterrupt


_answer: Callable[[], None] = _interrupt


def _receive(number: int, frame: FrameType | None) -> None:
    global _first, _last_at
    now = time.monotonic()
    copy = number == signal.SIGTERM and now - _last_at < _COPIES_S
    _last_at = now
    if not copy:
        _first = _first or number
        _answer()


def listen() -> None:
    """From now on stop signals get the answer in force (those that are ignored stay so).

    In another thread than the main one it does nothing.
    """
    if threading.current_thread() is threading.main_thread():
        for number in STOPS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                signal.signal(number, _receive)


def listen_always() -> None:
    """:func:`listen`, for the program itself: a stop that Python drops comes again.

    What is raised in a destructor or in a weak reference's callback goes no further than
    ``sys.unraisablehook``, and would be dropped there too; so it is raised a moment later.
    """
    listen()
    signal.signal(signal.SIGALRM, lambda number, frame: _answer())
    sys.unraisablehook = _stop_again


def _stop_again(lost: Any) -> None:
    if issubclass(lost.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    else:
        sys.__unraisablehook__(lost)


def let_go() -> None:
    """The program has done its work: what comes while it shuts down ends it at once, quietly."""
    for number in STOPS:
        if signal.getsignal(number) is _receive:
            signal.signal(number, signal.SIG_DFL)


def forget() -> None:
    """Forget earlier signals (a new command in the same process)."""
    global _first, _last_at
    _first, _last_at = 0, -1e9


def exit_code() -> int:
    """Of a run that was stopped: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + (_first or signal.SIGINT)


@contextmanager
def answered(answer: Callable[[], None]) -> Iterator[None]:
    """Inside, a stop signal calls ``answer``, in the main thread, in place of KeyboardInterrupt.

    In somebody else's program (speechkit as a library) both signals have their own handlers back
    afterwards.
    """
    global _answer
    before, _answer = _answer, answer
    with _handlers_kept():
        listen()
        try:
            yield
        finally:
            _answer = before


@contextmanager
def kept_back() -> Iterator[None]:
    """Processes that are started inside are born deaf to stop signals.

    One that comes meanwhile is kept for this process until they have all they need.
    """
    came: list[int] = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    try:
        with _handlers_kept():  # other threads still take signals, for the main one to answer
            if threading.current_thread() is threading.main_thread():
                for number in STOPS:
                    signal.signal(number, lambda number, frame: came.append(number))
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if came:
            signal.raise_signal(came[0])


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Inside, variables of the environment have these values, also for processes started there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Both signals have the same handlers behind the block as before."""
    handlers = {number: signal.getsignal(number) for number in STOPS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                if handler is not None:  # which was not set from Python
                    signal.signal(number, handler)


def leave_to_parent() -> None:
    """In a new worker process that was born deaf: only its parent may stop it.

    A terminal, SLURM and Docker signal the whole group: the parent then saves, and ends its
    workers. So SIGTERM stays blocked, and a thread takes it and looks who has sent it.
    """
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def obey() -> None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
            pass
        os._exit(0)

    threading.Thread(target=obey, daemon=True).start()
