"""The server under a Redis job store: how it is reached, what it promises, what its errors mean.

A Redis keeps what it has acknowledged only as well as it is configured to. A job store that forgets an
attempt asks a provider twice, so what the server promises is read when the store is opened, and one that
promises less than every acknowledged write is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.retry import Retry

from execution_arrow.errors import ArrowError, StoreNotDurable, StoreUnavailable
from execution_arrow.stores.lua import script

OLDEST: Final = (6, 2)
SCHEMES: Final = ("redis://", "rediss://", "redis+unix://")
_SECONDS: Final = 5.0
# Errors that come before a script's first write, so that nothing was written.
_UNWRITTEN: Final = ("OOM ", "READONLY", "MISCONF", "NOREPLICAS", "BUSY ", "CLUSTERDOWN", "LOADING", "NOPERM")

_T = TypeVar("_T")


class Server:
    """A client without retries of its own: what may have been written must not be sent again unseen."""

    def __init__(self, url: str) -> None:
        self.where = f"Redis job store {without_password(url)}"
        self._closed = False
        limits = {"socket_timeout": _SECONDS, "socket_connect_timeout": _SECONDS}
        self.client: Any = redis.Redis.from_url(
            url.removeprefix("redis+"), protocol=2, retry=Retry(NoBackoff(), 0), **limits
        )

    def refuse_unless_durable(self, accept_duplicate_submits: bool) -> None:
        """Raises `StoreNotDurable`, `ArrowError` for a server that is none for us, `StoreUnavailable`."""
        info = self.ask(lambda client: client.info("everything"))
        version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
        if version < OLDEST:
            raise ArrowError(f"{self.where}: Redis {info['redis_version']} is too old, use 6.2 or later")
        if info["role"] != "master":
            raise ArrowError(f"{self.where} is a replica; connect to its primary")
        if info["maxmemory_policy"] != "noeviction":
            raise StoreNotDurable(
                self.where,
                f"it may throw keys away when memory is short (maxmemory-policy {info['maxmemory_policy']})",
                "CONFIG SET maxmemory-policy noeviction",
                acceptable=False,
            )
        if not accept_duplicate_submits:
            for lacks, remedy in self._weaknesses(info):
                raise StoreNotDurable(self.where, lacks, remedy)

    def _weaknesses(self, info: dict[str, Any]) -> list[tuple[str, str]]:
        """What the server may forget of what it has acknowledged, each with what to do about it."""
        found = []
        if not info["aof_enabled"]:
            found.append(("it keeps no append-only file", "CONFIG SET appendonly yes"))
        for setting, wanted, lacks in (
            ("appendfsync", "always", "what it acknowledged last is not on its disk"),
            ("no-appendfsync-on-rewrite", "no", "it does not sync while it rewrites its file"),
        ):
            value = self._setting(setting)
            if value != wanted:
                found.append((f"{lacks} ({setting} {value})", f"CONFIG SET {setting} {wanted}"))
        if info["connected_slaves"]:
            lacks = f"{info['connected_slaves']} replicas: one that takes over may lack the last writes"
            found.append((lacks, "use a server without replicas for jobs"))
        return found

    def _setting(self, name: str) -> str:
        try:
            found = self.client.config_get(name)
        except ResponseError:
            return "hidden"
        except RedisError as error:
            raise StoreUnavailable(f"{self.where}: {error}", maybe_applied=False) from error
        value = found.get(name, found.get(name.encode(), b"unknown"))
        return value.decode() if isinstance(value, bytes) else str(value)

    def ask(self, action: Callable[[Any], _T]) -> _T:
        """Run an action that writes nothing, once more where the connection was lost."""
        self._guard()
        try:
            try:
                return action(self.client)
            except redis.ConnectionError:
                return action(self.client)
        except RedisError as error:
            raise StoreUnavailable(f"{self.where}: {error}", maybe_applied=False) from error

    def run(self, name: str, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """Run a script that writes, in one step. A server that has forgotten it is given it again."""
        self._guard()
        text, digest = script(name)
        try:
            try:
                return self.client.evalsha(digest, len(keys), *keys, *arguments)
            except NoScriptError:
                return self.client.eval(text, len(keys), *keys, *arguments)
        except RedisError as error:
            unwritten = isinstance(error, ResponseError) and any(code in str(error) for code in _UNWRITTEN)
            raise StoreUnavailable(f"{self.where}: {error}", maybe_applied=not unwritten) from error

    def close(self) -> None:
        self._closed = True
        self.client.close()

    def _guard(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"the {self.where} is closed", maybe_applied=False)


def split_options(url: str, known: set[str]) -> tuple[str, dict[str, str]]:
    """The URL without our own options, and those."""
    place, _, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    rest = urlencode([pair for pair in pairs if pair[0] not in known])
    return f"{place}?{rest}" if rest else place, {name: text for name, text in pairs if name in known}


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
