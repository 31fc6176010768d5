"""From a caller's dict to one provider's payload in one function: what a team would write by hand for it."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from rosetta_bridge.language.contract import Contract
from rosetta_bridge.language.mapping import Mapping
from rosetta_bridge.values import Payload

from .compile import define
from .request import checking
from .routes import RouteWriter

OneCall = Callable[[Any], Payload | None]


def compile_payload(
    mapping: Mapping,
    contract: Contract,
    providers: frozenset[str],
    digest: str,
    shut: Container[tuple[str, str]] = (),
) -> OneCall:
    """`normalize` and then `render`, without the request in between.

    It raises `InvalidRequest` as `normalize` does, and gives None for what only the long way can tell: a
    request that is no plain dict or has a list of providers, and what the provider cannot honour.
    """
    lines, scope = checking(contract, providers, copied=False)
    lines.append("if type(order) is not str: return None")
    writer = RouteWriter(mapping, contract, digest, shut)
    source = "\n".join(["def payload(data):", *(f"    {line}" for line in lines), *writer.guarded(), ""])
    scope |= writer.scope | {"other": lambda _: None}
    compiled: OneCall = define("payload", source, scope, f"{contract.id} {mapping.provider} in one call")
    return compiled
