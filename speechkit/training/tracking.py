"""Curves in Weights & Biases (extra ``tracking``), one run of theirs for one of ours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from speechkit.errors import MissingDependency

Tell = Callable[[int, dict[str, float]], None]


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
