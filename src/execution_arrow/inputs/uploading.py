"""Files that go to the provider before the call: `{"$fetch": url, "as": "upload"}`.

What calls that takes is the provider's to say (`providers.base.Uploading`), in a generator that is told each
answer. None of them costs anything, so they are not guarded as the paid call is; a trouble on the way means
that nothing was sent, and a refusal is read by the tables of the provider like that of a submit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from execution_arrow.errors import ArrowError, PayloadUnsupported
from execution_arrow.facts import NotSent, Refused
from execution_arrow.ports import InputFile, Payload
from execution_arrow.providers.base import Call, Context, Provider, Reply, Uploaded, Uploading


class NotUploaded(ArrowError):
    """Nothing paid was sent, as `fact` says."""

    def __init__(self, fact: NotSent | Refused) -> None:
        self.fact = fact
        super().__init__(fact.message)


async def uploaded(
    provider: Provider,
    payload: Payload,
    context: Context,
    files: Mapping[str, InputFile],
    send: Callable[[Call], Awaitable[Reply]],
) -> Uploaded:
    """Upload the files that are marked so, each once. Raises `NotUploaded`, or what `send` raises.

    `PayloadUnsupported` for a provider that has no place for files.
    """
    wanted = {url: files[url] for url in _marked(payload.body)}
    if not wanted:
        return Uploaded()
    if not isinstance(provider, Uploading):
        raise PayloadUnsupported(payload.provider, "an input file as 'upload'")
    steps = provider.upload(payload, context, wanted)
    try:
        call = next(steps)
        while True:
            call = steps.send(await send(call))
    except StopIteration as end:
        found = end.value
    if isinstance(found, Uploaded):
        return found
    raise NotUploaded(found if isinstance(found, Refused) else NotSent(message=found.message))


def _marked(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _marked(item)
    elif isinstance(value, Mapping) and "$fetch" in value:
        if value.get("as") == "upload":
            yield value["$fetch"]
    elif isinstance(value, Mapping):
        yield from _marked(list(value.values()))
