"""The application: the page, the same as JSON, and OpenAPI at ``/openapi.json``.

The models use all cores, so recordings take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, File, Form, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

import speechkit
from speechkit.base.errors import UserError
from speechkit.serve import answers
from speechkit.serve.config import TASKS, ServeConfig
from speechkit.serve.guard import Guard, Refusal, Refused, busy

Made = TypeVar("Made")
PAGE = Path(__file__).parent / "page"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": answers.Failure, "description": told}
    for status, told in {
        403: "From another site.",
        404: "No model of this task is served.",
        408: "The upload came too slowly.",
        413: "The upload is too large.",
        422: "The recording or the text cannot be used.",
        429: "Too many recordings of one client.",
        503: "Too many recordings wait.",
    }.items()
}
Audio = Annotated[UploadFile, File(description="WAV, FLAC, OGG, MP3 ...; any rate.")]
Text = Annotated[str, Form(description="What is read.")]
Ipa = Annotated[bool, Form(description="Phones in IPA, not in ARPAbet.")]


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


def command_for(task: str) -> str:
    """The commands that train a small model of a task from recordings, and serve it."""
    name = "fbank-cnn" if task == "emotion" else "default"
    return f"speechkit run {task} FOLDER && speechkit serve --{task} {name}"


def create(config: ServeConfig, models: Mapping[str, Any]) -> Guard:
    """The application.

    Args:
        models: task -> what :func:`speechkit.load` gives; tasks may lack.
    """
    app = FastAPI(
        title="speechkit",
        version=speechkit.__version__,
        summary="Scores pronunciation, separates speakers, recognises emotions.",
        docs_url=None,  # its page loads scripts of another site
        redoc_url=None,
    )
    queue = Queue(config.waiting)
    _answer_failures(app)
    _serve_page(app)
    _serve_tasks(app, config, models, queue)
    return Guard(app, config, lambda: queue.full)


def _serve_tasks(
    app: FastAPI, config: ServeConfig, models: Mapping[str, Any], queue: Queue
) -> None:
    async def run(task: str, answer: Callable[..., Any], audio: UploadFile, *more: Any) -> Response:
        if task not in models:
            raise HTTPException(404, f"No model of {task} is served; {command_for(task)} does it.")
        data = await audio.read()
        made = await queue.run(answer, models[task], data, *more, config.max_seconds)
        return JSONResponse(made)

    @app.get("/v1/models", response_model=answers.About)
    async def about() -> dict[str, Any]:
        """What is served, and its limits."""
        return {
            "version": speechkit.__version__,
            "models": {task: _state(config, models, task) for task in TASKS},
            "max_megabytes": config.max_megabytes,
            "max_seconds": config.max_seconds,
        }

    @app.post("/v1/pronunciation", response_model=answers.Pronunciation, responses=FAILURES)
    async def score(audio: Audio, text: Text, ipa: Ipa = False) -> Response:
        """Score a recording by its text: phones, words and the whole, with pitch and energy."""
        return await run("pronunciation", answers.pronunciation, audio, text, ipa)

    @app.post("/v1/separation", response_model=answers.Separation, responses=FAILURES)
    async def separate(audio: Audio) -> Response:
        """Separate the speakers of a mixture."""
        return await run("separation", answers.separation, audio)

    @app.post("/v1/emotion", response_model=answers.Emotion, responses=FAILURES)
    async def recognise(audio: Audio) -> Response:
        """Recognise the emotion of a recording, and its course over time."""
        return await run("emotion", answers.emotion, audio)


def _state(config: ServeConfig, models: Mapping[str, Any], task: str) -> dict[str, Any]:
    ready = task in models
    name = Path(getattr(config, task) or "default").name  # not where it lies
    return {"ready": ready, "model": name if ready else "", "command": command_for(task)}


def _serve_page(app: FastAPI) -> None:
    """Every file of the page, read once: a request never names a path of the disk."""

    def add(path: str, file: Path) -> None:
        content, kind = file.read_bytes(), KINDS[file.suffix]

        async def get() -> Response:
            return Response(content, media_type=kind)

        app.get(path, include_in_schema=False)(get)

    for file in sorted(PAGE.iterdir()):
        add("/" if file.name == "index.html" else f"/{file.name}", file)


def _answer_failures(app: FastAPI) -> None:
    """Failures as one sentence and a remedy."""

    @app.exception_handler(UserError)
    async def unusable(_request: Any, error: UserError) -> Response:
        return Refusal(422, error.problem, error.remedy).response()

    @app.exception_handler(Busy)
    async def full(_request: Any, _error: Busy) -> Response:
        return busy().response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Any, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        told = f"is not as expected: {first['msg']}"
        if first["type"] == "missing":
            told = "is missing or empty"
        problem = f"The field '{first['loc'][-1]}' {told}."
        return Refusal(422, problem, "See /openapi.json.").response()

    @app.exception_handler(HTTPException)
    async def refused(_request: Any, error: HTTPException) -> Response:
        if isinstance(error, Refused):
            return error.refusal.response()
        return Refusal(error.status_code, f"{str(error.detail).rstrip('.')}.").response()

    @app.exception_handler(Exception)  # the traceback goes to the log, and the server goes on
    async def bug(_request: Any, _error: Exception) -> Response:
        return Refusal(500, "This is a bug in speechkit.", "The server's log says more.").response()
