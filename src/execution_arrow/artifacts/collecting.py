"""Making a result ours: from where the provider left it to the artifact store.

Most results lie behind an address that needs no key, and get none. Those that lie at the provider itself are
fetched with the headers of a poll, but only from the very host that polls go to: an answer that names another
host must not become a way to be handed a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from execution_arrow import effects as fx
from execution_arrow import facts as f
from execution_arrow.errors import ArtifactGone, ArtifactRetry
from execution_arrow.facts import Fact
from execution_arrow.machine.state import Attempt, Run
from execution_arrow.providers.base import Job
from execution_arrow.spool import read_spool

if TYPE_CHECKING:
    from execution_arrow.driver.perform import Performer


async def copy(performer: Performer, run: Run, effect: fx.Copy) -> list[Fact]:
    """Copy one announced result and say what became of it."""
    attempt = next(a for a in run.attempts if a.id == effect.attempt)
    output = next(o for o in attempt.outputs if o.index == effect.index)
    kind = run.spec.kind
    try:
        if output.url is None:
            # Ten large pictures inside one answer are some sixty megabytes to read: not on the loop.
            data = await asyncio.to_thread(_inside, performer, attempt, output.index)
            file = await performer.artifacts.put(data, index=output.index, kind=kind)
        elif output.keyed:
            headers = _headers(performer, run, attempt, output.url)
            file = await performer.artifacts.copy(output.url, index=output.index, kind=kind, headers=headers)
        else:
            file = await performer.artifacts.copy(output.url, index=output.index, kind=kind)
    except ArtifactGone as error:
        died = attempt.edition if error.link else None
        return [f.ArtifactLost(index=effect.index, message=str(error)[:300], edition=died)]
    except (ArtifactRetry, OSError) as error:
        ours = getattr(error, "ours", True)  # the disk's own error is ours, too
        died = attempt.edition if getattr(error, "link", False) else None
        return [f.ArtifactFailed(index=effect.index, message=str(error)[:300], ours=ours, edition=died)]
    return [f.ArtifactStored(file=file)]


def _inside(performer: Performer, attempt: Attempt, index: int) -> bytes:
    """The bytes of a result that came inside the answer to the submit."""
    reply = read_spool(performer.spool_path(attempt.id))
    if reply is None:
        raise ArtifactGone(f"the spooled reply of attempt {attempt.id} is gone")
    try:
        return performer.providers[attempt.provider].inline_output(reply, index)
    except ValueError as error:
        raise ArtifactGone(str(error)) from error


def _headers(performer: Performer, run: Run, attempt: Attempt, url: str) -> Mapping[str, str]:
    """The headers of a poll, for an address at the same host. Raises `ArtifactGone` for another one."""
    job = Job(id=attempt.job or "", urls=attempt.urls, payload=run.route(attempt).payload)
    poll = performer.providers[attempt.provider].build_poll(job, performer.context(run, attempt))
    if urlsplit(url)[:2] != urlsplit(poll.url)[:2]:
        raise ArtifactGone(f"the result lies at {urlsplit(url).hostname}, which does not get the key")
    return {name: value for name, value in poll.headers.items() if name != "accept"}
