"""Writes whole routes: which requests they are for, their limits, what they drop, and the payload."""

from __future__ import annotations

from collections.abc import Container

from rosetta_bridge.frozen import making
from rosetta_bridge.language.contract import Contract
from rosetta_bridge.language.expressions import Body, Ref
from rosetta_bridge.language.mapping import Accept, Condition, Mapping, Refusal, Route
from rosetta_bridge.render import fetched
from rosetta_bridge.values import Payload

from .bodies import Writer


class RouteWriter(Writer):
    """All routes of one provider in one function. Those that are `shut` make no payload.

    `judging`: it gives True instead of a payload, and computes no more than what can refuse.
    """

    def __init__(
        self,
        mapping: Mapping,
        contract: Contract,
        digest: str,
        shut: Container[tuple[str, str]],
        judging: bool = False,
    ) -> None:
        super().__init__(contract)
        self.judging = judging
        self.provider, self.digest = mapping.provider, digest
        self.scope["fetched"] = fetched
        for route in mapping.routes:
            self._add(route, (mapping.provider, route.name) in shut)

    def source(self) -> str:
        """The whole function, named `render`; its globals are `scope`."""
        names = "".join(f"v{number}, " for number in range(len(self.numbers)))
        head = ["def render(row):", "    if not row: return None", f"    {names}absent = row"]
        return "\n".join([*head, *self.guarded(), ""])

    def guarded(self) -> list[str]:
        """The routes' lines, where nothing that is missing in a table gets out."""
        return ["    try:", *self.lines, "        return None", "    except KeyError:", "        return None"]

    def _add(self, route: Route, shut: bool) -> None:
        """The route, for requests that no route before it took."""
        self.route, self.model = route, route.model
        if route.when:
            self.put(f"if {' and '.join(map(self._test, route.when))}:")
        self.depth += bool(route.when)
        if shut:
            self.put("return None")
        else:
            self._limits()
            self._drops()
            if self.judging:
                self._judge()
            else:
                self._payload()
        self.depth -= bool(route.when)

    def _test(self, condition: Condition) -> str:
        local = self.field(condition.field)
        if condition.second:
            local = f"({local}[1] if {local} is not ABSENT and len({local}) > 1 else ABSENT)"
        if condition.wanted == "value":
            return f"{local} in {self.constant(frozenset(condition.values))}"
        return f"{local} is {'not ' if condition.wanted == 'present' else ''}ABSENT"

    def _judge(self) -> None:
        """Those parts of the body that can refuse, each computed for nothing else."""
        for expr in (*(expr for _, expr in self.route.body.entries), self.route.wrap):
            before, self.may_refuse = len(self.lines), False
            self.value(expr, False)
            if not self.may_refuse:
                del self.lines[before:]
        self.put("return True")

    def _payload(self) -> None:
        route = self.route
        result = self.value(route.body, False)
        empty = f"{{}} if {result} is OMITTED else " if self.may_vanish(route.body) else ""
        self.put(f"arguments = {empty}{result}")
        body = "arguments" if isinstance(route.wrap, Body) else self.value(route.wrap, False)
        fetches = any(isinstance(e, Ref) and e.fetch for e in route.parts)
        constants = {
            "provider": self.provider, "route": route.name, "method": "POST", "path": route.path,
            "model": route.model, "encoding": route.encoding, "headers": route.headers,
            "catalog_digest": self.digest,
        }  # fmt: skip
        members = {name: repr(value) for name, value in constants.items()} | {
            "body": body, "arguments": "arguments", "fetches": "fetched(arguments)" if fetches else "()",
            "dropped": "dropped" if route.drops else "{}",
        }  # fmt: skip
        self.put(("\n" + "    " * self.depth).join(making(Payload, members, self.scope)))

    def _limits(self) -> None:
        """What `limit_reasons` says; sets and bounds are inlined, other rules called in their one home."""
        for name, accept in self.route.accepts.items():
            for test in self._beyond(accept, self.field(name)):
                self.refuse(f"{self.there(name)}{test}")
        for name, limit in self.route.item_limits.items():
            self.refuse(f"{self.there(name)}len({self.field(name)}) > {limit}")
        for rule in self.route.refuses:
            fires = " and ".join(map(self._test, rule.when)) if rule.when else self._sum(rule)
            self.refuse(fires)

    def _beyond(self, accept: Accept, local: str) -> list[str]:
        """Tests one of which holds for a value that is not accepted."""
        if accept.none:
            return ["True"]
        if accept.step is not None:
            return [f"{self.constant(accept.refusal)}({local}) is not None"]
        tests = []
        if accept.values is not None:
            tests.append(f"{local} not in {self.constant(frozenset(accept.values))}")
        for bound, test in (
            (accept.min, f"{local} <"), (accept.max, f"{local} >"),
            (accept.max_items, f"len({local}) >"), (accept.max_length, f"len({local}) >"),
        ):  # fmt: skip
            if bound is not None:
                tests.append(f"{test} {bound!r}")
        return tests

    def _sum(self, rule: Refusal) -> str:
        parts = []
        for name in rule.sum:
            local = self.field(name)
            number = f"len({local})" if self.contract.fields[name].is_list else local
            absent = self.contract.may_be_absent(name)
            parts.append(f"(0 if {local} is ABSENT else {number})" if absent else number)
        return f"{' + '.join(parts)} > {rule.max!r}"

    def _drops(self) -> None:
        if self.route.drops and not self.judging:
            self.put("dropped = {}")
        for name, because in self.route.drops.items():
            field, local = self.contract.fields[name], self.field(name)
            if field.strength != "hint":
                keep = f"{local} != {self.constant(field.default)}" if field.has_default else "True"
                self.refuse(f"{self.there(name)}{keep}")
            if self.judging:
                continue
            given = f"{self.there(name)}not absent & {1 << self.numbers[name]}"
            self.put(f"if {given}: dropped[{name!r}] = {because!r}")
