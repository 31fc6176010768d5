"""Writes the source of what stands in a body: every operator is one or two statements.

The public values are in `v0`, `v1`, ... in the contract's order; values that are computed live in numbered
local names. What a few listed values decide becomes one look-up in tables that hold every good answer;
absence, which most values cannot have, is tested only where it can be. A `KeyError` (a table without an
answer) means None: the interpreter has to say why.
"""

from __future__ import annotations

from keyword import iskeyword
from typing import Any, Final

from rosetta_bridge.language.contract import Contract
from rosetta_bridge.language.expressions import (
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
)
from rosetta_bridge.language.fields import ABSENT
from rosetta_bridge.render import OMITTED, as_text

from .answers import answers

_DISPLAY: Final = 4
_SHARED: Final = 30  # CPython's instances share this many keys at most


class Writer:
    """Writes expressions of a contract's mappings; `model` is the native id in the route at hand."""

    def __init__(self, contract: Contract) -> None:
        self.contract, self.model = contract, ""
        self.numbers = {name: number for number, name in enumerate(contract.fields)}
        self.lines: list[str] = []
        self.depth = 2
        self.count = 0
        self.scope: dict[str, Any] = {
            "ABSENT": ABSENT,
            "OMITTED": OMITTED,
            "as_text": as_text,
        }
        self.constants: dict[str, str] = {}
        self.each: dict[str, str] = {}
        self.may_refuse = False
        """Whether a line so far can end the function with None."""

    def refuse(self, test: str = "") -> None:
        self.may_refuse = True
        self.put(f"if {test}: return None" if test else "return None")

    def put(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def fresh(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def constant(self, value: Any) -> str:
        """The name of a constant; equal ones, down to how they read, are kept once."""
        name = self.constants.setdefault(repr(value), f"K{len(self.constants)}")
        self.scope[name] = value
        return name

    def blank(self, keys: tuple[str, ...]) -> str:
        """The name of a class whose instances are to have these attributes; its first one teaches it all."""
        name = self.constants.setdefault(f"blank with {keys}", f"K{len(self.constants)}")
        if name not in self.scope:
            self.scope[name] = type("Blank", (), {})
            first = self.scope[name]()
            for key in keys:
                setattr(first, key, None)
        return name

    def field(self, name: str) -> str:
        return f"v{self.numbers[name]}"

    def there(self, name: str) -> str:
        """The beginning of a test about a field's value: nothing where it is always there."""
        return f"{self.field(name)} is not ABSENT and " if self.contract.may_be_absent(name) else ""

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
                return repr(self.model)
            case Body():
                return "arguments"
            case Omit():
                return "OMITTED"
            case Unsupported():
                self.refuse()
                return "OMITTED"
            case Ref(field, "", "") if not self.contract.fields[field].is_list:
                return self.field(field)
        result = self.fresh()
        if self._look_up(expr, result, in_item):
            return result
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

    def _look_up(self, expr: Expr, result: str, in_item: bool) -> bool:
        """Write a look-up where a few listed values decide; a `KeyError` there is a refusal."""
        if (found := answers(expr, self.contract, self.model, in_item)) is None:
            return False
        self.may_refuse = self.may_refuse or found.refuses
        keys = "".join(f"[{self.field(name)}]" for name in found.names)
        self.put(f"{result} = {self.constant(found.cells)}{keys}{'.copy()' if found.copied else ''}")
        return True

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
            text = self.model if isinstance(part, ModelName) else as_text(part.value)
            return text.replace("{", "{{").replace("}", "}}")
        plain = isinstance(part, Ref) and self.contract.fields[part.field].type not in ("number", "boolean")
        return f"{{{name}}}" if plain else f"{{as_text({name})}}"

    def _switch(self, switch: Switch, result: str, in_item: bool) -> None:
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
        """The keys up to the first numbered one at once, the others one by one."""
        first = next((i for i, (key, _) in enumerate(entries) if isinstance(key, Numbered)), len(entries))
        whole = [(str(key), self.value(expr, in_item), expr) for key, expr in entries[:first]]
        keys = tuple(key for key, _, _ in whole)
        if _DISPLAY < len(keys) <= _SHARED and all(map(_is_attribute, keys)):
            absences = self._attributes(whole, result, in_item)
        else:
            absences = self._display(whole, result, in_item)
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

    def _display(self, whole: list[tuple[str, str, Expr]], result: str, in_item: bool) -> list[str]:
        """All keys, then those without a value are taken out; the names of what can be without."""
        self.put(f"{result} = {{{', '.join(f'{key!r}: {name}' for key, name, _ in whole)}}}")
        vanishing = [(key, name, test) for key, name, e in whole if (test := self._is(name, e, in_item))]
        for key, _, test in vanishing:
            self.put(f"if not ({test}): del {result}[{key!r}]")
        return [name for _, name, _ in vanishing]

    def _attributes(self, whole: list[tuple[str, str, Expr]], result: str, in_item: bool) -> list[str]:
        """The same as the `__dict__` of a blank object, whose class knows all keys: no key is looked up.

        A dict of a dozen keys takes two thirds of the time, and what is without a value is never put in.
        """
        self.put(f"{result} = {self.blank(tuple(key for key, _, _ in whole))}()")
        absences = []
        for key, name, expr in whole:
            test = self._is(name, expr, in_item)
            self.put(f"{f'if {test}: ' if test else ''}{result}.{key} = {name}")
            absences += [name] if test else []
        self.put(f"{result} = {result}.__dict__")
        return absences

    def _is(self, name: str, expr: Expr, in_item: bool) -> str:
        """A test for whether there is a value; nothing where there always is one."""
        if not self.may_vanish(expr, in_item):
            return ""
        only_absent = isinstance(expr, Ref) and expr.pick in ("", "first", "second", "rest")
        return f"{name} is not ABSENT" + ("" if only_absent else f" and {name} is not OMITTED")

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
            self.refuse(f"len({follower}) > len({driver})")
        index, item = self.fresh(), self.fresh()
        self.put(f"for {index}, {item} in enumerate({driver}):")
        self.depth += 1
        self.each[each[0]] = item
        for field, follower in zip(each[1:], followers, strict=True):
            self.each[field] = f"({follower}[{index}] if {index} < len({follower}) else OMITTED)"


def _is_attribute(key: str) -> bool:
    """Whether `x.key = ...` is Python and means this key, which `__class__` would not."""
    return key.isascii() and key.isidentifier() and not iskeyword(key) and not key.startswith("__")
