"""Curves beside the log: TensorBoard's files, and Weights & Biases (extra ``tracking``)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from speechkit.base.errors import MissingDependency
from speechkit.base.log import logger

if TYPE_CHECKING:
    from torch import Tensor

Tell = Callable[[int, dict[str, float]], None]


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


class Wandb:
    """Sends rows of measures to a project; used as a context manager.

    A run of theirs begins with the first row, so that what is up to date makes none. Its id
    is made of ours: a killed run that is taken up continues the same curve. ``WANDB_MODE=offline``
    writes to files instead.

    Args:
        project: its name, or ENTITY/PROJECT.
        folder: the working directory, in which W&B keeps its files (``wandb/``).

    Raises:
        MissingDependency: wandb is not installed.
    """

    def __init__(self, project: str, folder: Path) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingDependency("wandb", "tracking") from error
        self._wandb: Any = wandb
        entity, _, self._project = project.rpartition("/")
        self._entity, self._folder = entity or None, folder
        self._running: Any = None

    def __enter__(self) -> Wandb:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._finish(1 if kind is not None else 0)

    def run(self, group: str, name: str, config: Mapping[str, Any]) -> Tell:
        """What is to be called with each step and its row.

        Args:
            group: the experiment.
            name: of the run in it.
            config: all parameters.
        """
        key = json.dumps([str(self._folder.resolve()), group, name, config], default=str)
        identity = hashlib.sha256(key.encode()).hexdigest()[:16]
        mine: list[Any] = []

        def tell(step: int, row: dict[str, float]) -> None:
            if not mine:
                self._finish(0)
                self._running = self._wandb.init(
                    project=self._project,
                    entity=self._entity,
                    group=group,
                    name=f"{group}/{name}",
                    config=dict(config),
                    id=identity,
                    resume="allow",
                    dir=str(self._folder),
                )
                mine.append(self._running)
            mine[0].log(row, step=step)

        return tell

    def _finish(self, code: int) -> None:
        if self._running is not None:
            self._running.finish(exit_code=code)
            self._running = None
