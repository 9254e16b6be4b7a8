"""One recording after the other: the models use all cores, so requests take turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Made = TypeVar("Made")


class Busy(Exception):
    """As many recordings wait as may."""


class Queue:
    """Runs functions in one thread, while the event loop answers others.

    Args:
        waiting: how many may wait beside the one that runs.
    """

    def __init__(self, waiting: int) -> None:
        self._most, self._inside = waiting + 1, 0
        self._thread = ThreadPoolExecutor(1, "speechkit-model")

    @property
    def full(self) -> bool:
        """Whether another one would be turned away."""
        return self._inside >= self._most

    async def run(self, function: Callable[..., Made], *arguments: Any) -> Made:
        """What the function gives, once its turn has come; called in the event loop.

        Raises:
            Busy: too many wait.
        """
        if self.full:
            raise Busy
        self._inside += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, function, *arguments)
        finally:
            self._inside -= 1
