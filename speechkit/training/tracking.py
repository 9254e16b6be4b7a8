"""TensorBoard's files, beside the log."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from speechkit.base.log import logger

if TYPE_CHECKING:
    from torch import Tensor


class EventFile:
    """A file of TensorBoard, written as events come, in this thread.

    The log is the truth, the file only shows it: one that cannot be written (a full disk) is
    given up with a warning, and training goes on. (TensorBoard's own writer prints a traceback
    from its thread then, or waits for that thread for ever.)

    Args:
        folder: of the event files; a run that is taken up adds one.
        first: epoch or step of the first event; what earlier files say from there on is void.
    """

    def __init__(self, folder: Path, first: int) -> None:
        from tensorboard.compat.proto import event_pb2

        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.0"
        self._path, self._file, self._event = folder / name, None, event_pb2.Event
        with self._given_up_on_errors():
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab")
        log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(first, file_version="brain.Event:2")
        self._write(first, session_log=log)

    _file: IO[bytes] | None

    def add_row(self, row: Mapping[str, float], step: int) -> None:
        """A point of each curve."""
        from torch.utils.tensorboard import summary

        for name, value in row.items():
            self._write(step, summary=summary.scalar(name, value))

    def add_audio(self, name: str, samples: Tensor, step: int, rate: int) -> None:
        """A clip ``[T]`` to listen to, from -1 to 1."""
        from torch.utils.tensorboard import summary

        self._write(step, summary=summary.audio(name, samples, sample_rate=rate))

    def close(self) -> None:
        """No event follows."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # all events are flushed
                self._file.close()
            self._file = None

    def _write(self, step: int, **content: Any) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        if self._file is not None:
            event = self._event(wall_time=time.time(), step=step, **content)
            with self._given_up_on_errors():
                RecordWriter(self._file).write(event.SerializeToString())
                self._file.flush()

    @contextlib.contextmanager
    def _given_up_on_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            logger.warning(
                f"{self._path} cannot be written ({error.strerror}): this run goes on without "
                "TensorBoard. The log has all values."
            )
            self.close()
