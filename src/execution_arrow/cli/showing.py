"""What commands print: generations, errors, and what goes on meanwhile. Needs nothing but a stream."""

from __future__ import annotations

import json
import sys
import time
from typing import TextIO

from execution_arrow.errors import ArrowError
from execution_arrow.record import AttemptRecord, Generation


def print_generation(generation: Generation, as_json: bool, *, attempts: bool = False) -> None:
    """One line, a line for each file and, if wanted, for each attempt; or one `generation.v1`."""
    if as_json:
        from execution_arrow.documents import GenerationV1

        print(GenerationV1.of(generation).model_dump_json(), flush=True)
        return
    tried = " ".join(f"{a.provider}:{a.outcome}" for a in generation.attempts) or "no attempt yet"
    print(
        f"{generation.id}  {generation.status:<10}  {generation.model}  charged {generation.charged}  {tried}"
    )
    for file in generation.files:
        size = f"{file.width}x{file.height}" if file.width else ""
        print(f"    {file.path or file.key}  {file.media_type} {size} {file.size} bytes")
    if generation.error:
        print(f"    {generation.error_code} {generation.error}")
    for attempt in generation.attempts if attempts else ():
        print(f"    {_told(attempt)}")
    if attempts and generation.stuck:
        print(f"    stuck: the ledger refused the settlement: {generation.stuck}")


def _told(attempt: AttemptRecord) -> str:
    lasted = (attempt.ended_at or time.time()) - attempt.started_at
    cost = f"cost {attempt.cost}" if attempt.cost is not None else "cost not known yet"
    if attempt.possible_waste:
        cost = f"may be billed {attempt.cost or ''}".rstrip()
    why = ": ".join(word for word in (attempt.code, attempt.message) if word)
    return (
        f"{attempt.provider}  {attempt.state}  {attempt.outcome}  job {attempt.job or '-'}  "
        f"{lasted:.1f} s  {cost}  {why}".rstrip()
    )


def print_error(error: Exception, as_json: bool) -> None:
    """On standard error; as JSON with what a program needs to decide what to do next."""
    if not as_json:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return
    told: dict[str, object] = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, ArrowError):
        told |= {"code": error.code, "http_status": error.http_status, "retryable": error.retryable}
    if issues := getattr(error, "issues", None):
        told["issues"] = list(map(str, issues))
    if known := getattr(error, "generation_id", None):
        told["generation"] = known
    print(json.dumps(told, ensure_ascii=False), file=sys.stderr)


class Progress:
    """What becomes of a generation, on standard error.

    On a terminal one line that is rewritten and counts the seconds; elsewhere a line for each change.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._redrawn = self._stream.isatty()
        self._began = time.monotonic()
        self._last = ""

    def tell(self, generation: Generation) -> None:
        tried = "  ".join(f"{a.provider} {a.state}" for a in generation.attempts)
        line = f"{generation.id}  {generation.status:<10}  {tried}".rstrip()
        if self._redrawn:
            self._write(f"\r\033[K{line}  {time.monotonic() - self._began:.0f} s")
        elif line != self._last:
            self._write(f"{line}\n")
        self._last = line

    def end(self) -> None:
        """Make room for the result."""
        if self._redrawn and self._last:
            self._write("\r\033[K")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
