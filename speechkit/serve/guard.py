"""What a request must be before anything is done for it, and the headers of every answer.

ASGI (https://asgi.readthedocs.io): an application is a function of a request's ``scope``, of
``receive``, which gives its body in pieces, and of ``send``, which takes the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from speechkit.serve.config import ServeConfig

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
UPLOAD_SECONDS = 60.0  # in which a body must have come
MOST_CLIENTS = 10_000  # whose rates are kept
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' "
    "blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Refusal(NamedTuple):
    """Why a request is not answered: status of HTTP, one sentence, and what to do."""

    status: int
    error: str
    remedy: str = ""
    retry_after: int = 0  # seconds

    def response(self) -> Response:
        """The answer of HTTP."""
        headers = {"retry-after": str(self.retry_after)} if self.retry_after else None
        return JSONResponse({"error": self.error, "remedy": self.remedy}, self.status, headers)


class Rates:
    """Recordings a minute of each client (a token bucket).

    A client may send ``per_minute`` at once; then one more each 60 / ``per_minute`` seconds.

    Args:
        per_minute: 0 for no limit.
        clock: gives seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = per_minute, clock
        self._left: dict[str, tuple[float, float]] = {}

    def wait(self, client: str) -> int:
        """Seconds after which a client may send again; 0: now, and this one counts."""
        if not self._most:
            return 0
        now, most = self._clock(), self._most
        left, seen = self._left.pop(client, (float(most), now))
        left = min(most, left + (now - seen) * most / 60)
        allowed = left >= 1
        self._left[client] = (left - allowed, now)  # at the end: the first is the oldest
        if len(self._left) > MOST_CLIENTS:
            del self._left[next(iter(self._left))]
        return 0 if allowed else 1 + int((1 - left) * 60 / most)


class Guard:
    """Answers what is refused, and hands on the rest.

    Args:
        full: whether too many recordings wait.
    """

    def __init__(self, app: Any, config: ServeConfig, full: Callable[[], bool]) -> None:
        self._app, self._config, self._full = app, config, full
        self._rates = Rates(config.per_minute)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._config)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] >= 400:
                    await body.drop()
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        if refusal := self._refusal(scope):
            await refusal.response()(scope, receive, answer)
        else:
            await self._app(scope, body.receive, answer)

    def _refusal(self, scope: Message) -> Refusal | None:
        given = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        host = given.get("host", "")
        name = urlsplit(f"//{host}").hostname  # ::1 of [::1]:8000
        if self._config.host in LOOPBACK and name not in LOOPBACK:
            return Refusal(403, "This server is for this machine alone.", f"Ask {LOOPBACK[0]}.")
        if scope["method"] != "POST":
            return None
        if (origin := given.get("origin")) and urlsplit(origin).netloc != host:
            return Refusal(403, "Pages of other sites may not send recordings here.")
        length = given.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._config.max_bytes:
            return too_large(self._config.max_megabytes)
        client = (scope.get("client") or ("",))[0]
        if seconds := self._rates.wait(client):
            told = f"Recordings a minute of one client: at most {self._config.per_minute}."
            return Refusal(429, told, f"Try again in {seconds} s.", seconds)
        return busy() if self._full() else None


class Refused(HTTPException):
    """A request is not answered; frameworks hand this on while they read its body."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status, refusal.error)
        self.refusal = refusal


class _Body:
    """The body of a request, up to its largest size and time."""

    def __init__(self, receive: Receive, config: ServeConfig) -> None:
        self._receive, self._config = receive, config
        self._size, self._more = 0, True
        self._until = time.monotonic() + UPLOAD_SECONDS

    async def receive(self) -> Message:
        """The next piece; after the last what comes, without limits."""
        if not self._more:
            return await self._receive()
        message = await self._next()
        if self._size > self._config.max_bytes:
            raise Refused(too_large(self._config.max_megabytes))
        return message

    async def drop(self) -> None:
        """Let a client that is refused send the rest, if it is not much, so that it reads why."""
        most = self._size + 4 * self._config.max_bytes
        with suppress(Refused):  # it is told what it is refused for already
            while self._more and self._size < most:
                await self._next()

    async def _next(self) -> Message:
        try:
            left = max(0.0, self._until - time.monotonic())
            message = await asyncio.wait_for(self._receive(), left)
        except TimeoutError:
            self._more = False
            raise Refused(Refusal(408, "The recording came too slowly.", "Try again.")) from None
        self._size += len(message.get("body", b""))
        self._more = message["type"] == "http.request" and message.get("more_body", False)
        return message


def too_large(megabytes: float) -> Refusal:
    """Of an upload that is larger than may be."""
    return Refusal(413, f"The upload is larger than {megabytes:g} MB.", "Send a shorter recording.")


def busy() -> Refusal:
    """Of a server that has enough to do."""
    return Refusal(503, "Too many recordings wait to be processed.", "Try again in a moment.", 2)
