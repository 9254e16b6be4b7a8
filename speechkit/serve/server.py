"""The server: models, a socket, and uvicorn, until it is stopped."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import numpy as np

from speechkit.base.errors import MissingDependency, UserError
from speechkit.base.log import format_seconds, logger
from speechkit.serve.config import TASKS, ServeConfig
from speechkit.sharing.load import load
from speechkit.workdir import WorkDir

EXTRA = "serve"
PACKAGES = {"fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}
_WARM_UP_RATE = 16_000
_SPARE = 32  # connections beside those whose recordings wait


def serve(config: ServeConfig, workdir: WorkDir, device: str = "auto") -> None:
    """Serve until Ctrl-C or SIGTERM; the address is printed when it can be opened.

    Args:
        workdir: where names of models are looked up.
        device: auto, cpu or cuda.

    Raises:
        UserError: a package, a model or the address cannot be had.
    """
    require_packages()
    config.check()
    with listen(config.host, config.port) as server:
        models = load_models(config, workdir, device)
        run(config, models, server)


def require_packages() -> None:
    """Raise MissingDependency for a package of the extra that is not installed."""
    for module, package in PACKAGES.items():
        if find_spec(module) is None:
            raise MissingDependency(package, EXTRA)


def load_models(config: ServeConfig, workdir: WorkDir, device: str) -> dict[str, Any]:
    """Task -> its model, for those that are given; pronunciation always.

    Raises:
        UserError: there is no such model.
    """
    begin, models = time.monotonic(), {}
    for task in TASKS:
        name = getattr(config, task)
        if name or task == "pronunciation":
            models[task] = load(task, name, workdir=workdir.root, device=device)
    warm_up(models)
    taken = format_seconds(time.monotonic() - begin)
    logger.info(f"Models of {', '.join(models)} loaded in {taken}.")
    return models


def warm_up(models: dict[str, Any]) -> None:
    """One second of noise through each model, so that nobody's first recording waits for what is
    loaded at the first use (dictionaries, kernels)."""
    noise = np.random.default_rng(0).normal(0, 0.01, _WARM_UP_RATE).astype(np.float32)
    calls = {
        "pronunciation": lambda scorer: scorer.score(noise, _WARM_UP_RATE, "one two three"),
        "separation": lambda separator: separator.separate(noise, _WARM_UP_RATE),
        "emotion": lambda recogniser: recogniser.emotions(noise, _WARM_UP_RATE),
    }
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # what is said of noise concerns nobody
    try:
        for task, model in models.items():
            with suppress(UserError):  # a model may refuse noise
                calls[task](model)
    finally:
        logger.setLevel(level)


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for connections.

    Raises:
        UserError: the address is not of this machine, or is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UserError(f"`host` {host}: {error.strerror}.", "Give an address.") from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(128)
    except OSError as error:
        made.close()
        raise UserError(
            f"{host}:{port} cannot be listened on ({error.strerror}).",
            "Give another `port` (0: a free one) or `host`.",
        ) from error
    return made


def address(server: socket.socket) -> str:
    """What a browser opens."""
    host, port = server.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def run(config: ServeConfig, models: dict[str, Any], server: socket.socket) -> None:
    """Answer requests until a stop signal comes."""
    import uvicorn

    from speechkit.serve import app

    settings = uvicorn.Config(
        app.create(config, models),
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        ws="none",
        limit_concurrency=config.waiting + _SPARE,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
    )
    print(address(server), flush=True)
    logger.info("Open this address; Ctrl-C stops the server.")
    try:
        uvicorn.Server(settings).run(sockets=[server])
    except KeyboardInterrupt:
        logger.info("Stopped.")
