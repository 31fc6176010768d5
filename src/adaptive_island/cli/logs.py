"""Where attempts are read from: a file of `attempt.v1` documents, standard input, or the log of a store."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adaptive_island.attempt import Attempt
from adaptive_island.errors import BadDocument, IslandError
from adaptive_island.events import Hook
from adaptive_island.island import Island
from adaptive_island.policy import Policy
from adaptive_island.stores import Store, open_store

STEP = 10_000


class UnreadableLog(IslandError):
    """The log cannot be read, or a line of it is no attempt."""

    code = "unreadable_log"


def is_store(source: str) -> bool:
    """Whether the source is a store's URL."""
    return "://" in source


@contextmanager
def opened(url: str, *, migrate: bool = False) -> Iterator[Store]:
    """The store at a URL; a SQLite file that is not there is a typing mistake, unless it is to be made."""
    path = url.partition("///")[2]
    if url.startswith("sqlite:") and not migrate and not Path(path).is_file():
        raise UnreadableLog(f"{path} does not exist; check the path in {url!r}")
    store = open_store(url, migrate=migrate)
    try:
        yield store
    finally:
        store.close()


def lines(log: str) -> Iterator[tuple[int, str]]:
    """The numbered lines of a file, or of standard input for `-`; empty ones are left out."""
    try:
        text = sys.stdin.read() if log == "-" else Path(log).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableLog(f"{log}: {error}; give a UTF-8 file of attempt.v1 lines, - or a URL") from None
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def attempts(source: str) -> list[Attempt]:
    """Every attempt of the source, by the moment it ended. Raises `UnreadableLog` naming file and line."""
    if is_store(source):
        with opened(source) as store:
            found = list(counted(store.log(), "read"))
    else:
        found = list(counted(_of_file(source), "read"))
    return sorted(found, key=lambda attempt: attempt.at)


def _of_file(log: str) -> Iterator[Attempt]:
    from adaptive_island.documents import parse_attempt

    for number, line in lines(log):
        try:
            yield parse_attempt(line)
        except BadDocument as error:
            raise UnreadableLog(f"{log}:{number}: {error}") from None


def counted(rows: Iterable[Attempt], what: str) -> Iterator[Attempt]:
    """The rows, counted on a terminal's error output while they go by."""
    watched = sys.stderr.isatty()
    for number, row in enumerate(rows, 1):
        yield row
        if watched and number % STEP == 0:
            print(f"\r{what}: {number:,} attempts", end="", file=sys.stderr, flush=True)
    if watched:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


class Past:
    """An island that lives through a log, each report at its own time; its clock stands at the last one."""

    def __init__(self, policy: Policy | None = None, hook: Hook = lambda _event: None) -> None:
        self.now = 0.0
        self.island = Island.open("memory:", policy=policy, clock=lambda: self.now, hook=hook, seed=0)

    def live(self, history: Iterable[Attempt]) -> Island:
        """Record everything, in the order given."""
        for attempt in history:
            self.now = max(self.now, attempt.at)
            self.island.record(attempt)
        return self.island
