"""From a checked route to one straight-line Python function; the interpreter stays the specification.

A compiled function knows the good case only. Whatever is unusual (a value that the provider cannot take)
makes it return None, and the caller asks the interpreter, which collects every reason. So errors cannot
differ, and the good case is held to the interpreter by a differential test. Names and literals enter the
source through `repr` alone, so no text of a mapping file can become code. The source is registered with
`linecache`: tracebacks and debuggers show it.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from typing import Any

from .codegen import Writer
from .contract import Contract
from .fields import ABSENT
from .mapping import Condition, Mapping, Route

Made = tuple[Any, Any, dict[str, str], tuple[dict[str, str], ...]]  # arguments, body, dropped, fetches
Compiled = Callable[[dict[str, Any], frozenset[str]], Made | None]
_PREFIX = "<rosetta_bridge "


def compile_route(route: Route, contract: Contract, provider: str) -> Compiled:
    """The route as a function of (values, given); it gives None where the interpreter has to say why not."""
    writer = Writer(route, contract)
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


def compile_choice(mapping: Mapping, model: str) -> Callable[[dict[str, Any]], Route | None]:
    """`mapping.route` as one chain of tests: the first route whose conditions hold."""
    scope: dict[str, Any] = {"ABSENT": ABSENT}
    lines = ["def choose(values):"]
    for number, route in enumerate(mapping.routes):
        scope[f"R{number}"] = route
        tests = " and ".join(_test(condition, scope) for condition in route.when) or "True"
        lines.append(f"    if {tests}: return R{number}")
    source = "\n".join([*lines, "    return None", ""])
    choice: Callable[[dict[str, Any]], Route | None] = define(
        "choose", source, scope, f"{model} {mapping.provider}"
    )
    return choice


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
