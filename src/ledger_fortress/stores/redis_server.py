"""The server under a Redis ledger: how it is reached, what it promises, and what its errors mean.

A Redis keeps what it has acknowledged only as well as it is configured to. What it is configured to is read
when the ledger is opened and stated as `Durability`; a server that may throw keys away when memory is short
is refused, because a ledger without some of its keys is a lie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.retry import Retry

from ledger_fortress.errors import LedgerError, StoreUnavailable

from .archive import Archive
from .lua import script
from .redis_rows import Script

OLDEST: Final = (6, 2)
_SECONDS: Final = 5.0
# Errors that come before a script's first write, so that nothing was written.
_UNWRITTEN: Final = ("OOM ", "READONLY", "MISCONF", "NOREPLICAS", "BUSY ", "CLUSTERDOWN", "LOADING", "NOPERM")

# From safe to lossy.
_FSYNC: Final = ("always", "everysec", "no", "off", "unknown")
_FAILED: Final = (RedisError, RedisClusterException)

# What a Cluster says before it runs anything.
_TURNED_AWAY: Final = (AskError, ClusterDownError, MasterDownError, TryAgainError)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Durability:
    """What the server said when the ledger was opened.

    `fsync` is "always", "everysec", "no", "off" (no append-only file) or "unknown" (the server does not
    tell). `replicas` are those connected then: each may take over and lack what was acknowledged last.
    """

    fsync: str
    replicas: int

    @property
    def survives_power_loss(self) -> bool:
        """Whether all that is acknowledged is on this server's disk, and no other can take its place."""
        return self.fsync == "always" and self.replicas == 0

    def __str__(self) -> str:
        if self.survives_power_loss:
            return "acknowledged entries survive power loss (appendfsync always, no replicas)"
        lost = {
            "always": "what a replica lacked when it took over",
            "everysec": "about the last 2 seconds when the machine fails",
            "no": "whatever the system had not yet written when the machine fails",
            "off": "everything since the last snapshot when the server stops",
        }.get(self.fsync, "an unknown amount, because the server hides its settings")
        return f"acknowledged entries can be lost: {lost}; receipts show it, and the account is then frozen"


class Server:
    """A client without retries of its own: what may have been written must not be sent again unseen.

    Of one server, or, with a URL of `redis+cluster://` or `rediss+cluster://`, of a Cluster that has a node
    there. A node that answers that a key has moved has written nothing, so the client follows it.
    `archive` is where the entries are that the server no longer has.
    """

    def __init__(self, url: str, archive: Archive | None = None) -> None:
        options = {"protocol": 2, "retry": Retry(NoBackoff(), 0), "decode_responses": False}
        limits = {"socket_timeout": _SECONDS, "socket_connect_timeout": _SECONDS}
        scheme, _, rest = url.partition("://")
        self.clustered = scheme.endswith("+cluster")
        self.where = f"Redis {'Cluster ' if self.clustered else ''}ledger {without_password(url)}"
        self.closed = False
        self.archive = archive
        plain = f"{scheme.removesuffix('+cluster').removeprefix('redis+')}://{rest}"
        kind: Any = redis.RedisCluster if self.clustered else redis.Redis
        try:
            self.client: Any = kind.from_url(plain, **options, **limits)
        except _FAILED as error:
            raise StoreUnavailable(f"{self.where} cannot be reached ({error})") from error

    def inspect(self) -> Durability:
        """Refuse a server that cannot keep a ledger; say how well it does, a Cluster by its worst node."""
        found = [self._inspect(node) for node in self.ask(lambda _: self._nodes())]
        worst = max((one.fsync for one in found), key=_FSYNC.index)
        return Durability(worst, sum(one.replicas for one in found))

    def time(self) -> int:
        """The server's clock in microseconds; of a Cluster, that of some node."""
        seconds, micros = self.ask(lambda _: self._nodes()[0].time())
        return int(seconds) * 1_000_000 + int(micros)

    def _nodes(self) -> list[Any]:
        """A client for each server that keeps a part of the ledger."""
        if not self.clustered:
            return [self.client]
        return [self.client.get_redis_connection(node) for node in self.client.get_primaries()]

    def _inspect(self, node: Any) -> Durability:
        info = self.ask(lambda _: node.info("everything"))
        version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
        if version < OLDEST:
            raise LedgerError(f"{self.where}: Redis {info['redis_version']} is too old, use 6.2 or later")
        if info["role"] != "master":
            raise LedgerError(f"{self.where} is a replica; connect to its primary")
        if info["maxmemory_policy"] != "noeviction":
            raise LedgerError(
                f"{self.where} may throw keys away when memory is short (maxmemory-policy "
                f"{info['maxmemory_policy']}), which would lose money: CONFIG SET maxmemory-policy noeviction"
            )
        return Durability(self._fsync(node, info), int(info["connected_slaves"]))

    def _fsync(self, node: Any, info: dict[str, Any]) -> str:
        if not info["aof_enabled"]:
            return "off"
        try:
            found = node.config_get("appendfsync")
        except ResponseError:
            return "unknown"
        value = found.get("appendfsync", found.get(b"appendfsync", "unknown"))
        return value.decode() if isinstance(value, bytes) else str(value)

    def ask(self, action: Callable[[Any], _T]) -> _T:
        """Run an action that writes nothing, once more where the connection was lost."""
        self._guard()
        try:
            try:
                return action(self.client)
            except redis.ConnectionError:
                return action(self.client)
        except _FAILED as error:
            raise StoreUnavailable(f"{self.where} failed ({error})") from error

    def fetch(self, command: str, *values: Any, **options: Any) -> Any:
        """The answer of one command that reads."""
        return self.ask(lambda client: getattr(client, command)(*values, **options))

    def change(self, action: Callable[[Any], _T]) -> _T:
        """Run an action that writes in one step."""
        self._guard()
        try:
            return action(self.client)
        except _FAILED as error:
            applied = not isinstance(error, _TURNED_AWAY) and not (
                isinstance(error, ResponseError) and any(code in str(error) for code in _UNWRITTEN)
            )
            raise StoreUnavailable(f"{self.where} failed ({error})", maybe_applied=applied) from error

    def close(self) -> None:
        self.closed = True
        self.client.close()

    def _guard(self) -> None:
        if self.closed:
            raise StoreUnavailable(f"the {self.where} is closed")


def call(client: Any, name: str, call_: Script, argument: bytes) -> Any:
    """Run a script by its hash; a server that has forgotten it (a restart, a flush) is given it again."""
    text, digest = script(name)
    try:
        return client.evalsha(digest, len(call_.keys), *call_.keys, argument)
    except NoScriptError:
        return client.eval(text, len(call_.keys), *call_.keys, argument)


def split_options(url: str, known: set[str]) -> tuple[str, dict[str, str]]:
    """The URL without the ledger's own options, and those."""
    place, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    rest = urlencode([pair for pair in pairs if pair[0] not in known])
    return f"{place}?{rest}" if rest else place, {name: text for name, text in pairs if name in known}


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
