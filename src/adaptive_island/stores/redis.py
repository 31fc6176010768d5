"""What islands share in one Redis.

All keys but the published rankings, whose names are given, share one hash tag, so that a cluster keeps them
together. Sums are hashes that only ever grow (`HINCRBYFLOAT`) and expire with their epoch; one script counts
each attempt once. A Redis that loses keys, or all of them, costs what it had learned.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from adaptive_island.attempt import Attempt
from adaptive_island.cells import Bucket, Sum
from adaptive_island.errors import StoreTrouble
from adaptive_island.policy import Policy
from adaptive_island.window import WIDTH

from .base import CIRCUIT_SECONDS, LOG_SECONDS, PREFIX, Circuit, News, Report
from .rows import attempt_row, lifetimes, row_attempt

TAG = "{adaptive_island}:"
_ISLAND, _CHANGES, _CIRCUITS, _LOG, _TOLD = (
    TAG + name for name in ("island", "changes", "circuits", "log", "told")
)
_SEEN_SECONDS = 2 * 86_400  # a report that comes later is counted again
_TIMEOUT = 1.0
_CHUNK = 200  # reports told in one script
_PRUNE_EVERY = 600.0
_SCAN_EVERY = 60.0  # seconds between looks for rankings that are new; known ones are read each time
_RANKINGS_MOST = 10_000


class RedisStore:
    """`redis://host/0`, `rediss://…` or `redis+unix:///path`."""

    def __init__(self, url: str, policy: Policy) -> None:
        scheme, _, rest = url.partition("://")
        self.where = f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"
        self._url = url.removeprefix("redis+")
        self._lifetimes = lifetimes(policy)
        self._lock = threading.Lock()
        self._client: Any = None
        self._left: list[Any] = []  # a parent's client, in a child: kept, never closed
        self._rankings: list[str] = []
        self._scanned = self._pruned = float("-inf")
        self._script = files("adaptive_island.stores").joinpath("lua/push.lua").read_text("utf-8")

    def push(self, reports: Sequence[Report], circuits: Sequence[Circuit]) -> None:
        """See `Counters`. Many reports are told in parts, each of which is all or nothing."""
        parts = [reports[start : start + _CHUNK] for start in range(0, len(reports), _CHUNK)] or [()]
        for number, part in enumerate(parts):
            keys, told = self._message(part, circuits if number == 0 else ())
            self._ask(lambda client, keys=keys, told=told: client.eval(self._script, len(keys), *keys, told))
        if time.monotonic() - self._pruned >= _PRUNE_EVERY:
            self._pruned = time.monotonic()
            self._prune()

    def _prune(self) -> None:
        """Forget what nobody reads any more: the places of sums that have expired, breakers long closed."""
        places = self._ask(lambda client: client.zrange(_CHANGES, 0, -1))
        limits = [int(time.time() - seconds) for seconds in (CIRCUIT_SECONDS, LOG_SECONDS)]
        scopes = self._ask(lambda client: client.zrangebyscore(_TOLD, "-inf", limits[0]))
        for start in range(0, max(len(places), len(scopes)), _CHUNK):
            keys = [_CHANGES, _CIRCUITS, _TOLD, *places[start : start + _CHUNK]]
            words = [*limits, *scopes[start : start + _CHUNK]]
            self._ask(lambda client, keys=keys, words=words: client.eval(_FORGET, len(keys), *keys, *words))

    def _message(self, reports: Sequence[Report], circuits: Sequence[Circuit]) -> tuple[list[str], str]:
        keys = [_ISLAND, _CHANGES, _CIRCUITS, _LOG, _TOLD]
        places: dict[str, int] = {}

        def place(key: str) -> int:
            if key not in places:
                keys.append(key)
                places[key] = len(keys)
            return places[key]

        told = [
            {
                "seen": place(f"{TAG}seen:{report.attempt.id}"),
                "row": json.dumps(attempt_row(report.attempt)),
                "sums": [
                    [place(_cell_key(bucket)), json.dumps([*cell, position]), repr(float(value))]
                    for bucket, cell, sums in report.sums
                    for position, value in enumerate(sums)
                    if value
                ],
            }
            for report in reports
        ]
        lives = {str(at): self._life_of(key) for key, at in places.items()}
        return keys, json.dumps(
            {
                "life": secrets.token_hex(16),
                "reports": told,
                "circuits": [[json.dumps(c[:3]), json.dumps(c[3:])] for c in circuits],
                "lives": {at: seconds for at, seconds in lives.items() if seconds},
                "seen_seconds": _SEEN_SECONDS,
                "now": str(int(time.time())),
                "log_from": str(int((time.time() - LOG_SECONDS) * 1000)),
            }
        )

    def _life_of(self, key: str) -> int:
        """Seconds to keep a hash of sums; 0 for any other key."""
        prefix, _, rest = key.partition("cells:")
        return int(self._lifetimes.get(json.loads(rest)[0], 86_400.0)) if rest and prefix == TAG else 0

    def pull(self, life: str, cursor: str) -> News:
        """See `Counters`."""
        own, change, told = self._ask(lambda client: client.hmget(_ISLAND, "life", "change", "told"))
        if own is None:
            return News("", "")  # nobody has told anything yet, or everything is forgotten
        latest = int(change)
        known = own.decode() == life and cursor.isdecimal() and int(cursor) <= latest
        since = int(cursor) if known else 0
        keys = self._ask(lambda client: client.zrangebyscore(_CHANGES, f"({since}", "+inf"))
        sums = list(self._sums(keys))
        circuits = self._ask(lambda client: client.hgetall(_CIRCUITS)) if int(told or 0) > since else {}
        found = [Circuit(*json.loads(scope), *json.loads(rest)) for scope, rest in circuits.items()]
        return News(own.decode(), str(latest), sums, found)

    def _sums(self, keys: Sequence[bytes]) -> Iterator[Sum]:
        for start in range(0, len(keys), _CHUNK):
            part = keys[start : start + _CHUNK]
            hashes = self._ask(lambda client, part=part: _all_of(client, part))
            if gone := [key for key, found in zip(part, hashes, strict=True) if not found]:
                self._ask(lambda client, gone=gone: client.zrem(_CHANGES, *gone))
            for key, found in zip(part, hashes, strict=True):
                bucket = Bucket(*json.loads(key.partition(b"cells:")[2]))
                cells: dict[tuple[str, str], list[float]] = {}
                for field, value in found.items():
                    provider, work, position = json.loads(field)
                    cells.setdefault((provider, work), [0.0] * WIDTH)[position] = float(value)
                yield from ((bucket, cell, sums) for cell, sums in cells.items())

    def log(self, after: float = 0.0) -> Iterator[Attempt]:
        """See `Counters`."""
        place = str(int(after * 1000))  # nothing is told before it has ended
        while True:
            rows = self._ask(lambda client, place=place: client.xrange(_LOG, place, "+", count=1_000))
            if not rows:
                return
            found = (row_attempt(json.loads(entry[b"a"])) for _id, entry in rows)
            yield from (attempt for attempt in found if attempt.at > after)
            place = f"({rows[-1][0].decode()}"

    def read(self) -> Mapping[str, str | bytes]:
        """See `RankingCache`. New keys are looked for once a minute, because that walks over all keys."""
        if time.monotonic() - self._scanned >= _SCAN_EVERY:
            self._rankings = self._ask(_scan)
            self._scanned = time.monotonic()
        if not self._rankings:
            return {}
        documents = self._ask(lambda client: client.mget(self._rankings))
        return {key: text for key, text in zip(self._rankings, documents, strict=True) if text is not None}

    def write(self, key: str, document: str, seconds: float) -> None:
        """See `RankingCache`."""
        self._ask(lambda client: client.set(key, document, px=int(seconds * 1000)))
        self._scanned = float("-inf")

    def after_fork(self) -> None:
        """See `Counters`."""
        self._lock = threading.Lock()
        if self._client is not None:
            self._left.append(self._client)
            self._client = None

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ask(self, action: Any) -> Any:
        with self._lock:
            if self._client is None:
                limits = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
                self._client = redis.Redis.from_url(self._url, retry=Retry(NoBackoff(), 0), **limits)
            client = self._client
        try:
            return action(client)
        except (redis.RedisError, OSError) as error:
            raise StoreTrouble(f"{self.where}: {error}") from error


# KEYS: changes, circuits, told, then places; ARGV: before when a closed breaker is forgotten, and one that a
# human has ever touched, then breakers. In one step, or something would be forgotten that was just written.
_FORGET = """
for number = 4, #KEYS do
  if redis.call('EXISTS', KEYS[number]) == 0 then redis.call('ZREM', KEYS[1], KEYS[number]) end
end
for number = 3, #ARGV do
  local scope = ARGV[number]
  local at, state = redis.call('ZSCORE', KEYS[3], scope), redis.call('HGET', KEYS[2], scope)
  local kept = state and cjson.decode(state) or {'closed'}
  local before = tonumber(ARGV[(kept[7] or 0) == 0 and 1 or 2])
  if at and tonumber(at) <= before and kept[1] == 'closed' then
    redis.call('HDEL', KEYS[2], scope)
    redis.call('ZREM', KEYS[3], scope)
  end
end
"""


def _cell_key(bucket: Bucket) -> str:
    return f"{TAG}cells:{json.dumps(bucket)}"


def _all_of(client: Any, keys: Sequence[bytes]) -> list[dict[bytes, bytes]]:
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.hgetall(key)
    found: list[dict[bytes, bytes]] = pipe.execute()
    return found


def _scan(client: Any) -> list[str]:
    """The keys of published rankings, at most so many."""
    keys: list[str] = []
    for key in client.scan_iter(match=f"{PREFIX}*", count=1_000):
        keys.append(key.decode(errors="replace"))
        if len(keys) >= _RANKINGS_MOST:
            break
    return sorted(set(keys))
