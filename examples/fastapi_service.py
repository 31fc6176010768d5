"""A FastAPI service: generations over HTTP, refusals with their status, a worker in the same process.

`uvicorn examples.fastapi_service:app` serves it with the keys in your environment, or with the sandbox whose
address is in SANDBOX. `X-Account` stands where your own authentication belongs.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse

from execution_arrow import AsyncArrow, Generation
from execution_arrow.errors import ArrowError, UnknownGeneration
from execution_arrow.sandbox import options

Key = Annotated[str | None, Header(alias="Idempotency-Key")]
Account = Annotated[str, Header(alias="X-Account")]


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    place = options(os.environ["SANDBOX"]) if "SANDBOX" in os.environ else {}
    async with AsyncArrow.open("media-data", worker=True, **place) as app.state.arrow:
        yield


app = FastAPI(lifespan=running)


@app.exception_handler(ArrowError)
async def refused(_: Request, no: ArrowError) -> JSONResponse:
    issues = list(map(str, getattr(no, "issues", ())))
    return JSONResponse({"code": no.code, "message": str(no), "issues": issues}, no.http_status)


@app.post("/generations/{model:path}", status_code=202)
async def generate(model: str, asked: dict[str, Any], account: Account, key: Key = None) -> dict[str, Any]:
    return shown(await app.state.arrow.generate(model, asked, account=account, idempotency_key=key))


@app.get("/generations/{generation_id}")
async def get(generation_id: str, account: Account) -> dict[str, Any]:
    if (found := await app.state.arrow.get(generation_id)).account != account:
        raise UnknownGeneration(generation_id)  # another customer's: not even that it exists
    return shown(found)


@app.post("/hooks/{provider}/{token}")  # tell providers of it with `public_url=` in `open`
async def hook(provider: str, token: str, request: Request) -> Response:
    reply = await app.state.arrow.handle_webhook(provider, token, request.headers, await request.body())
    return Response(status_code=reply.status)


def shown(generation: Generation) -> dict[str, Any]:
    files = [{"key": file.key, "type": file.media_type} for file in generation.files]
    return {"id": generation.id, "status": generation.status, "charged": generation.charged, "files": files}
