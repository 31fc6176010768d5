"""From a checked route to one straight-line Python function; the interpreter stays the specification.

A compiled function knows the good case only. Whatever is unusual (a value that the provider cannot take)
makes it return None, and the caller asks the interpreter, which collects every reason. So errors cannot
differ, and the good case is held to the interpreter by a differential test. Names and literals enter the
source through `repr` alone, so no text of a mapping file can become code. The source is registered with
`linecache`: tracebacks and debuggers show it.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Container, Iterator
from typing import Any

from .codegen import Writer
from .contract import Contract
from .fields import ABSENT
from .mapping import Condition, Mapping, Route
from .values import Payload

Compiled = Callable[[dict[str, Any], frozenset[str]], Payload | None]
_PREFIX = "<rosetta_bridge "


def compile_route(route: Route, contract: Contract, provider: str, digest: str) -> Compiled:
    """The route as a function of (values, given); it gives None where the interpreter has to say why not."""
    writer = Writer(route, contract, provider, digest)
    source = writer.source()
    compiled: Compiled = define("render", source, writer.scope, f"{contract.id} {provider}/{route.name}")
    return compiled


def define(function: str, source: str, scope: dict[str, Any], about: str) -> Any:
    """The function that `source` defines, registered so that tracebacks show its lines."""
    name = f"{_PREFIX}{about}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    exec(compile(source, name, "exec"), scope)  # names and literals entered by repr alone
    return scope[function]


def sources() -> Iterator[tuple[str, str]]:
    """(name, source) of everything compiled so far, for reading and for tests."""
    for name, entry in list(linecache.cache.items()):
        if name.startswith(_PREFIX) and len(entry) == 4:
            yield name, "".join(entry[2])


def compile_mapping(
    mapping: Mapping, contract: Contract, digest: str, shut: Container[tuple[str, str]]
) -> Compiled:
    """All routes of a provider; the first whose conditions hold renders. None where it is `shut`, or none."""
    scope: dict[str, Any] = {"ABSENT": ABSENT}
    lines = ["def render(values, given):"]
    for number, route in enumerate(mapping.routes):
        tests = " and ".join(_test(condition, scope) for condition in route.when) or "True"
        answer = "None"
        if (mapping.provider, route.name) not in shut:
            scope[f"R{number}"] = compile_route(route, contract, mapping.provider, digest)
            answer = f"R{number}(values, given)"
        lines.append(f"    if {tests}: return {answer}")
    if len(mapping.routes) == 1 and not mapping.routes[0].when and "R0" in scope:
        return scope["R0"]  # type: ignore[no-any-return]
    source = "\n".join([*lines, "    return None", ""])
    return define("render", source, scope, f"{contract.id} {mapping.provider}")  # type: ignore[no-any-return]


def _test(condition: Condition, scope: dict[str, Any]) -> str:
    if condition.second:  # rare: the condition itself is asked
        name = f"C{len(scope)}"
        scope[name] = condition.holds
        return f"{name}(values)"
    if condition.wanted == "value":
        name = f"C{len(scope)}"
        scope[name] = frozenset(condition.values)
        return f"values.get({condition.field!r}, ABSENT) in {name}"
    return f"{condition.field!r} {'in' if condition.wanted == 'present' else 'not in'} values"
