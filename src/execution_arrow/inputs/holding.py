"""Files of a request are held for as long as its call takes, and whatever happens when they are let go."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator

logger = logging.getLogger("execution_arrow")


@contextlib.asynccontextmanager
async def holding() -> AsyncIterator[contextlib.AsyncExitStack]:
    """A stack for what `Inputs.fetch` returns.

    The paid call may have been answered when it is left: an error then is logged, and takes no answer along.
    """
    held = contextlib.AsyncExitStack()
    try:
        yield held
    finally:
        try:
            await held.aclose()
        except Exception:
            logger.exception("inputs_not_released: the answer to the call stands; look after the Inputs port")
