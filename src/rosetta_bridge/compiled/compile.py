"""From a checked route to one straight-line Python function; the interpreter stays the specification.

A compiled function knows the good case only. Whatever is unusual (a value that the provider cannot take)
makes it return None, and the caller asks the interpreter, which collects every reason. So errors cannot
differ, and the good case is held to the interpreter by a differential test. Names and literals enter the
source through `repr` alone, or as an attribute's name when they are nothing but that, so no text of a mapping
file can become code. The source is registered with `linecache`: tracebacks and debuggers show it.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Container, Iterator
from typing import Any

from rosetta_bridge.language.contract import Contract
from rosetta_bridge.language.mapping import Mapping
from rosetta_bridge.values import Payload

from .routes import RouteWriter

Compiled = Callable[[tuple[Any, ...]], Payload | None]
Judge = Callable[[tuple[Any, ...]], bool | None]
_PREFIX = "<rosetta_bridge "


def define(function: str, source: str, scope: dict[str, Any], about: str) -> Any:
    """The function that `source` defines, registered so that tracebacks show its lines."""
    name = f"{_PREFIX}{about}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    exec(compile(source, name, "exec"), scope)  # see above for what enters it
    return scope[function]


def sources() -> Iterator[tuple[str, str]]:
    """(name, source) of everything compiled so far, for reading and for tests."""
    for name, entry in list(linecache.cache.items()):
        if name.startswith(_PREFIX) and len(entry) == 4:
            yield name, "".join(entry[2])


def compile_mapping(
    mapping: Mapping, contract: Contract, digest: str, shut: Container[tuple[str, str]] = ()
) -> Compiled:
    """All routes of a provider; the first whose conditions hold renders. None where it is `shut`, or none.

    The function takes a request's row and gives None where the interpreter has to say why not.
    """
    writer = RouteWriter(mapping, contract, digest, shut)
    compiled: Compiled = define("render", writer.source(), writer.scope, f"{contract.id} {mapping.provider}")
    return compiled


def compile_judge(mapping: Mapping, contract: Contract, shut: Container[tuple[str, str]] = ()) -> Judge:
    """Whether `compile_mapping` would give a payload, in a fraction of the time."""
    writer = RouteWriter(mapping, contract, "", shut, judging=True)
    about = f"{contract.id} {mapping.provider} eligible"
    judge: Judge = define("render", writer.source(), writer.scope, about)
    return judge
