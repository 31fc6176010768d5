"""Writes the source of one route: every operator is one or two statements.

Values that it computes live in numbered local names. Tables of constants become one look-up of a dict that
holds every good answer; absence, which most values cannot have, is tested only where it can be. A `KeyError`
(a table without an answer, a field that ought to be there) means None: the interpreter has to say why.
"""

from __future__ import annotations

from typing import Any

from .answers import answers
from .contract import Contract
from .expressions import (
    Body,
    Expr,
    Items,
    Literal,
    ModelName,
    Numbered,
    Object,
    Omit,
    Ref,
    Switch,
    Text,
    Unsupported,
    walk,
)
from .fields import ABSENT
from .frozen import making
from .mapping import Refusal, Route
from .render import OMITTED, as_text, fetched
from .values import Payload


class Writer:
    def __init__(self, route: Route, contract: Contract, provider: str, digest: str) -> None:
        self.route, self.contract = route, contract
        self.provider, self.digest = provider, digest
        self.lines: list[str] = []
        self.depth = 2
        self.count = 0
        self.scope: dict[str, Any] = {
            "ABSENT": ABSENT,
            "OMITTED": OMITTED,
            "as_text": as_text,
            "fetched": fetched,
        }
        self.locals: dict[str, str] = {}
        self.each: dict[str, str] = {}

    def source(self) -> str:
        """The whole function, named `render`; its globals are `scope`."""
        self._limits()
        self._drops()
        self._payload()
        perhaps = self.contract.may_be_absent
        reads = [
            f"        {local} = values" + (f".get({name!r}, ABSENT)" if perhaps(name) else f"[{name!r}]")
            for name, local in self.locals.items()
        ]
        around = ["def render(values, given):", "    try:", *reads, *self.lines]
        return "\n".join([*around, "    except KeyError:", "        return None", ""])

    def _payload(self) -> None:
        route = self.route
        result = self.value(route.body, False)
        empty = f"{{}} if {result} is OMITTED else " if self.may_vanish(route.body) else ""
        self.put(f"arguments = {empty}{result}")
        body = "arguments" if isinstance(route.wrap, Body) else self.value(route.wrap, False)
        fetches = any(isinstance(e, Ref) and e.fetch for e in walk(route.body))
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

    def put(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def fresh(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def constant(self, value: Any) -> str:
        name = f"K{len(self.scope)}"
        self.scope[name] = value
        return name

    def field(self, name: str) -> str:
        return self.locals.setdefault(name, f"f{len(self.locals)}")

    def _limits(self) -> None:
        """What `limit_reasons` says; sets are inlined, other rules called in their one home."""
        for name, accept in self.route.accepts.items():
            local = self.field(name)
            if accept.values is not None and len(accept.values) <= 64:
                allowed = self.constant(frozenset(accept.values))
                self.put(f"if {local} is not ABSENT and {local} not in {allowed}: return None")
            elif accept.none:
                self.put(f"if {local} is not ABSENT: return None")
            else:
                check = self.constant(accept.refusal)
                self.put(f"if {local} is not ABSENT and {check}({local}) is not None: return None")
        for name, limit in self.route.item_limits.items():
            local = self.field(name)
            self.put(f"if {local} is not ABSENT and len({local}) > {limit}: return None")
        for rule in self.route.refuses:
            self.put(
                f"if {f'{self.constant(rule.fires)}(values)' if rule.when else self._sum(rule)}: return None"
            )

    def _sum(self, rule: Refusal) -> str:
        parts = []
        for name in rule.sum:
            local = self.field(name)
            number = f"len({local})" if self.contract.fields[name].is_list else local
            absent = self.contract.may_be_absent(name)
            parts.append(f"(0 if {local} is ABSENT else {number})" if absent else number)
        return f"{' + '.join(parts)} > {rule.max!r}"

    def _drops(self) -> None:
        if self.route.drops:
            self.put("dropped = {}")
        for name, because in self.route.drops.items():
            field, local = self.contract.fields[name], self.field(name)
            self.put(f"if {local} is not ABSENT:")
            if field.strength != "hint":
                keep = f"{local} != {self.constant(field.default)}" if field.has_default else "True"
                self.put(f"    if {keep}: return None")
            self.put(f"    if {name!r} in given: dropped[{name!r}] = {because!r}")

    def may_vanish(self, expr: Expr, in_item: bool = False) -> bool:
        """Whether the value can be ABSENT or OMITTED; in a list item absence takes the object along."""
        match expr:
            case Literal() | ModelName() | Body():
                return False
            case Ref(field, pick):
                return pick in ("second", "rest", "each") or self.contract.may_be_absent(field)
            case Text(parts):
                return any(map(self.may_vanish, parts))
            case Object(entries):
                vanishing = [isinstance(k, Numbered) or self.may_vanish(v, in_item) for k, v in entries]
                return any(vanishing) if in_item else bool(entries) and all(vanishing)
            case Items():
                return bool(expr.items)
            case Switch():
                absent = self.contract.may_be_absent(expr.field) and expr.absent is None
                return absent or any(self.may_vanish(cell, in_item) for _, cell in expr.cells())
        return True

    def value(self, expr: Expr, in_item: bool) -> str:
        """Write statements that compute the expression; the name (or literal) that holds it."""
        match expr:
            case Literal(value):
                return repr(value)
            case ModelName():
                return repr(self.route.model)
            case Body():
                return "arguments"
            case Omit():
                return "OMITTED"
            case Unsupported():
                self.put("return None")
                return "OMITTED"
            case Ref(field, "", "") if not self.contract.fields[field].is_list:
                return self.field(field)
        result = self.fresh()
        match expr:
            case Ref():
                self._ref(expr, result)
            case Text(parts):
                self._text(parts, result)
            case Switch():
                self._switch(expr, result, in_item)
            case Object(entries):
                self._object(entries, result, in_item)
            case Items():
                self._items(expr, result)
        return result

    def _ref(self, ref: Ref, result: str) -> None:
        local = self.field(ref.field)
        picked = {
            "": f"[*{local}]" if self.contract.fields[ref.field].is_list else local,
            "first": f"{local}[0]",
            "second": f"({local}[1] if len({local}) > 1 else ABSENT)",
            "rest": f"({local}[1:] or ABSENT)",
            "each": self.each.get(ref.field, "OMITTED"),
        }[ref.pick]
        guarded = ref.pick != "each" and self.contract.may_be_absent(ref.field)
        self.put(f"{result} = " + (f"ABSENT if {local} is ABSENT else {picked}" if guarded else picked))
        if ref.fetch:
            many = self.contract.fields[ref.field].is_list and ref.pick in ("", "rest")
            made = f"[{{'$fetch': u, 'as': {ref.fetch!r}}} for u in {result}]" if many else ""
            made = made or f"{{'$fetch': {result}, 'as': {ref.fetch!r}}}"
            self.put(f"if {result} is not ABSENT and {result} is not OMITTED: {result} = {made}")

    def _text(self, parts: tuple[Expr, ...], result: str) -> None:
        names = [(self.value(part, False), part) for part in parts]
        word = "if"
        for name in [name for name, part in names if self.may_vanish(part)]:
            self.put(f"{word} {name} is ABSENT or {name} is OMITTED: {result} = {name}")
            word = "elif"
        # Texts and whole numbers read in an f-string as they do in `as_text`.
        template = "".join(self._piece(name, part) for name, part in names)
        self.put(("else: " if word == "elif" else "") + f"{result} = f{template!r}")

    def _piece(self, name: str, part: Expr) -> str:
        if isinstance(part, Literal | ModelName):
            text = self.route.model if isinstance(part, ModelName) else as_text(part.value)
            return text.replace("{", "{{").replace("}", "}}")
        plain = isinstance(part, Ref) and self.contract.fields[part.field].type not in ("number", "boolean")
        return f"{{{name}}}" if plain else f"{{as_text({name})}}"

    def _switch(self, switch: Switch, result: str, in_item: bool) -> None:
        if (table := answers(switch, self.contract)) is not None:
            names, cells = table
            key = ", ".join(self.field(name) for name in names)
            self.put(f"{result} = {self.constant(cells)}[{key}]")
            return
        local = self.field(switch.field)
        word = "if"
        absent = (
            [] if not self.contract.may_be_absent(switch.field) else [(f"{local} is ABSENT", switch.absent)]
        )
        rows = [(f"{local} == {key!r}", cell) for key, cell in switch.rows]
        for test, cell in [*absent, *rows, ("True", switch.present or switch.other or Unsupported())]:
            self.put(f"{word} {test}:")
            self.depth += 1
            self.put(f"{result} = ABSENT" if cell is None else f"{result} = {self.value(cell, in_item)}")
            self.depth -= 1
            word = "elif"

    def _object(self, entries: tuple[tuple[str | Numbered, Expr], ...], result: str, in_item: bool) -> None:
        """All keys in one literal, then those without a value are taken out: quicker than one by one."""
        first = next((i for i, (key, _) in enumerate(entries) if isinstance(key, Numbered)), len(entries))
        absences: list[str] = []
        whole = [(repr(key), self.value(expr, in_item), expr) for key, expr in entries[:first]]
        self.put(f"{result} = {{{', '.join(f'{key}: {name}' for key, name, _ in whole)}}}")
        for quoted, name, expr in whole:
            absences += self._unless(name, expr, in_item, f"del {result}[{quoted}]")
        for key, expr in entries[first:]:
            name = self.value(expr, in_item)
            there = f"{name} is not ABSENT and {name} is not OMITTED"
            if isinstance(key, Numbered):
                prefix = repr(f"{key.name}_")
                self.put(f"if {there}:")
                self.put(f"    for i, v in enumerate({name}, {key.start}): {result}[{prefix} + str(i)] = v")
            else:
                self.put(f"if {there}: {result}[{key!r}] = {name}")
                absences += [name] if self.may_vanish(expr, in_item) else []
        if entries and all(isinstance(k, Numbered) or self.may_vanish(e, in_item) for k, e in entries):
            self.put(f"if not {result}: {result} = OMITTED")
        if in_item and absences:  # in a list item, absence takes the object along
            self.put(f"if {' or '.join(f'{name} is ABSENT' for name in absences)}: {result} = ABSENT")

    def _unless(self, name: str, expr: Expr, in_item: bool, statement: str) -> list[str]:
        """Write the statement for when the value vanished; the name, if it can."""
        if not self.may_vanish(expr, in_item):
            return []
        only_absent = isinstance(expr, Ref) and expr.pick in ("", "first", "second", "rest")
        self.put(f"if {name} is ABSENT{'' if only_absent else f' or {name} is OMITTED'}: {statement}")
        return [name]

    def _items(self, items: Items, result: str) -> None:
        self.put(f"{result} = []")
        for item, each in zip(items.items, items.each, strict=True):
            outer = dict(self.each)
            if each:
                self._loop(each)
            name = self.value(item, True)
            sure = not self.may_vanish(item, True)
            condition = "" if sure else f"if {name} is not ABSENT and {name} is not OMITTED: "
            self.put(f"{condition}{result}.append({name})")
            self.depth -= bool(each)
            self.each = outer
        if items.items:
            self.put(f"if not {result}: {result} = OMITTED")

    def _loop(self, each: tuple[str, ...]) -> None:
        names = []
        for field in each:
            names.append(self.fresh())
            local = self.field(field)
            self.put(f"{names[-1]} = () if {local} is ABSENT else {local}")
        driver, *followers = names
        for follower in followers:
            self.put(f"if len({follower}) > len({driver}): return None")
        index, item = self.fresh(), self.fresh()
        self.put(f"for {index}, {item} in enumerate({driver}):")
        self.depth += 1
        self.each[each[0]] = item
        for field, follower in zip(each[1:], followers, strict=True):
            self.each[field] = f"({follower}[{index}] if {index} < len({follower}) else OMITTED)"
