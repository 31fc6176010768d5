"""Carries answers to callers: as a raw ASGI app on sockets, or as a transport without any.

Both wait when an answer says so and stop waiting when the caller has gone; what a caller who went away had
ordered is still made and still billed, as it is at a provider.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from execution_arrow.errors import MaybeSentError, NotSentError
from execution_arrow.sandbox.clock import Clock
from execution_arrow.sandbox.wire import Answer, HangUp, Reply, Request, Wait

if TYPE_CHECKING:
    from execution_arrow.providers import base

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: a request to the number of its call in the book (None: not a provider's) and the answer
Respond = Callable[[Request], tuple[int | None, Answer]]
#: a function under this key of `scope["extensions"]` drops the caller's connection
HANG_UP = "execution_arrow.hang_up"


class App:
    """An ASGI application over a function from requests to answers.

    `respond` is called with each request; `later` runs the continuation of a `Wait`; `answered` hears the
    status with which each call in the book was answered, and nothing of those that were not.
    """

    def __init__(
        self,
        respond: Respond,
        clock: Clock,
        *,
        later: Callable[[Wait], Answer],
        answered: Callable[[int, int], None],
    ) -> None:
        self._respond, self._clock, self._later, self._answered = respond, clock, later, answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("the sandbox answers http only")
        request = await _read(scope, receive)
        if request is None:
            return
        outcome = await self._unless_gone(self.outcome(request), receive)
        if isinstance(outcome, Reply):
            await _send(outcome, request, send)
        else:
            scope.get("extensions", {}).get(HANG_UP, _nothing)(reset=not outcome.received)
            while (await receive())["type"] != "http.disconnect":
                pass

    async def outcome(self, request: Request) -> Reply | HangUp:
        """Ask, wait as told, and come back with what is sent or with a hang-up."""
        call, answer = self._respond(request)
        while isinstance(answer, Wait):
            await self._clock.sleep(answer.seconds)
            answer = self._later(answer)
        if isinstance(answer, Reply) and callable(answer.body):
            body = await asyncio.to_thread(answer.body)
            answer = Reply(status=answer.status, headers=answer.headers, body=body)
        if call is not None and isinstance(answer, Reply):
            self._answered(call, answer.status)
        return answer

    async def _unless_gone(self, work: Awaitable[Reply | HangUp], receive: Receive) -> Reply | HangUp:
        working = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else HangUp()
        finally:
            working.cancel()
            gone.cancel()
            await asyncio.gather(working, gone, return_exceptions=True)


class InProcess:
    """A `ports.Transport` that hands calls to the sandbox without a socket.

    An address that is not the sandbox's is `NotSentError`, as is a provider that is down. A hang-up after
    reading, and an answer later than the call's timeout, is `MaybeSentError`.
    """

    def __init__(self, find: Callable[[str], App | None], close: Callable[[], None]) -> None:
        self._find, self._close = find, close

    async def send(self, call: base.Call, *, spool: Path | None = None) -> base.Reply:
        from execution_arrow.providers.base import Reply as Answered
        from execution_arrow.spool import write_spool

        content = call.content or b""
        headers = {name.lower(): value for name, value in call.headers.items()}
        if call.json is not None:
            content = json.dumps(call.json).encode()
            headers.setdefault("content-type", "application/json")
        parts = urlsplit(call.url)
        origin = f"{parts.scheme}://{parts.netloc}"
        app = self._find(origin)
        if app is None:
            raise NotSentError(f"the sandbox does not listen at {origin}; take addresses from `base_url`")
        request = Request(
            method=call.method,
            path=unquote(parts.path),
            query=parts.query,
            headers=headers,
            body=content,
            base=origin,
        )
        try:
            outcome = await asyncio.wait_for(app.outcome(request), call.timeout)
        except TimeoutError:
            raise MaybeSentError(f"no answer within {call.timeout:g} s") from None
        if isinstance(outcome, HangUp):
            raise (
                MaybeSentError("the connection closed without an answer")
                if outcome.received
                else NotSentError("down")
            )
        body = outcome.body if isinstance(outcome.body, bytes) else outcome.body()
        answered = Answered(status=outcome.status, headers=outcome.headers, body=body)
        if spool is not None:
            try:
                await asyncio.to_thread(write_spool, spool, answered)
            except OSError as error:
                raise MaybeSentError(f"the answer could not be kept in {spool}: {error}") from error
        return answered

    async def aclose(self) -> None:
        """Stop delivering webhooks on this loop; no connection is open."""
        self._close()


async def _read(scope: Scope, receive: Receive) -> Request | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=bytes(body),
        base=f"{scope['scheme']}://{headers.get('host', '')}{scope.get('root_path', '')}",
    )


async def _send(answer: Reply, request: Request, send: Send) -> None:
    body = answer.body if isinstance(answer.body, bytes) else answer.body()
    headers = {**answer.headers, "content-length": str(len(body))}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _nothing(*, reset: bool) -> None:
    """A server that cannot drop a connection: the caller waits until it gives up."""
