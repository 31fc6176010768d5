"""What every provider has in common whose answer to a submit is the result: no job, no poll, no callback.

A team's own provider of this kind is `semantics`, `build_submit`, `read_submit` and perhaps `inline_output`;
`examples/custom_provider.py` is one. What is lost on the way stays lost, and the machine says `unknown`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from execution_arrow.facts import CancelFact, CancelRefused, LookupFact, LookupNone, StatusFact
from execution_arrow.ports import Payload
from execution_arrow.providers import _wire as wire
from execution_arrow.providers.base import Call, Context, Job, Reply


class Synchronous:
    """See `providers.base.Provider`."""

    callbacks: Any = None

    def is_sync(self, payload: Payload) -> bool:
        return True

    def inline_output(self, reply: Reply, index: int) -> bytes:
        """The body itself, where the answer is one picture or clip."""
        if index != 0:
            raise ValueError("an answer without an envelope is one picture or clip")
        return reply.body

    def build_poll(self, job: Job, context: Context) -> Call:
        raise ValueError("the answer to the submit is the result; there is nothing to poll")

    def read_poll(self, job: Job, reply: Reply, context: Context) -> StatusFact:
        return wire.poll_failed(reply, "there are no jobs here")

    def read_result(self, job: Job, reply: Reply) -> StatusFact:
        return wire.poll_failed(reply, "there are no jobs here")

    def build_cancel(self, job: Job, context: Context) -> Call | None:
        return None

    def read_cancel(self, job: Job, reply: Reply) -> CancelFact:
        return CancelRefused(message="there are no jobs here")

    def build_lookup(self, payload: Payload, context: Context) -> Call | None:
        return None

    def read_lookup(
        self, payload: Payload, reply: Reply, *, sent_at: float, bound: Callable[[str], bool]
    ) -> LookupFact:
        return LookupNone(conclusive=False)
