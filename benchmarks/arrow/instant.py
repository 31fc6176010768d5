"""A provider, a catalogue and an artifact store that take no time: only the orchestrator is measured."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from execution_arrow import facts as f
from execution_arrow.ports import Payload, Prepared, Quote, Secret
from execution_arrow.providers.base import Call, Context, Job, Reply, Semantics

PRICE = 40_000
DONE = f.Succeeded(outputs=(f.Output(index=0, url="https://instant.example/0.png"),))


class InstantProvider:
    """Accepts at once; the first poll says succeeded."""

    semantics = Semantics(
        name="instant", base_url="https://instant.example", key_variable="INSTANT_KEY", poll_every=0.01,
        webhook=None, cancel="any",
    )  # fmt: skip

    def is_sync(self, payload: Payload) -> bool:
        return False

    def build_submit(self, payload: Payload, context: Context) -> Call:
        return Call(method="POST", url=context.base_url, json={"attempt": context.attempt})

    def read_submit(self, payload: Payload, reply: Reply) -> f.SubmitFact:
        return f.Accepted(job=json.loads(reply.body)["id"])

    def inline_output(self, reply: Reply, index: int) -> bytes:
        raise ValueError("nothing is inline here")

    def build_poll(self, job: Job, context: Context) -> Call:
        return Call(method="GET", url=f"{context.base_url}/{job.id}")

    def read_poll(self, job: Job, reply: Reply, context: Context) -> f.StatusFact:
        return DONE

    def read_result(self, job: Job, reply: Reply) -> f.StatusFact:
        return DONE

    def build_cancel(self, job: Job, context: Context) -> Call | None:
        return None

    def read_cancel(self, job: Job, reply: Reply) -> f.CancelFact:
        return f.CancelRefused(final=True)

    def build_lookup(self, payload: Payload, context: Context) -> Call | None:
        return None

    def read_lookup(self, payload: Payload, reply: Reply, **_: Any) -> f.LookupFact:
        return f.LookupNone(conclusive=False)


class InstantTransport:
    """Answers in the same turn of the loop."""

    async def send(self, call: Call, *, spool: Path | None = None) -> Reply:
        body = {"id": call.json["attempt"]} if call.json else {}
        return Reply(status=200, body=json.dumps(body).encode())

    async def aclose(self) -> None:
        pass


class InstantArtifacts:
    """Says that a file is stored."""

    async def copy(self, url: str, *, index: int, kind: str) -> f.Stored:
        return f.Stored(index=index, key="sha256/00/00.png", sha256="0" * 64, size=1, media_type="image/png")

    async def put(self, data: bytes, *, index: int, kind: str) -> f.Stored:
        return await self.copy("", index=index, kind=kind)

    def path(self, key: str) -> Path | None:
        return None

    async def read(self, key: str) -> AsyncIterator[bytes]:
        yield b""


class InstantNormalizer:
    """One model, one provider, one price."""

    def prepare(self, model: str, request: Mapping[str, Any]) -> Prepared:
        payload = Payload(
            provider="instant",
            route="main",
            method="POST",
            path="/",
            model="m",
            encoding="json",
            body=dict(request),
        )
        return Prepared(
            model=model, kind="image", values=request, order="fastest", work="", asked=1,
            quotes=(Quote(payload=payload, cost=PRICE, price=PRICE),), catalog_digest="instant",
        )  # fmt: skip


class InstantCredentials:
    def reference(self, provider: str, account: str) -> str:
        return "instant"

    def get(self, provider: str, reference: str) -> Secret:
        return Secret("x")

    def settings(self, provider: str, reference: str) -> Mapping[str, str]:
        return {}
