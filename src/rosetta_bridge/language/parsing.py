"""From the text of a mapping to its expressions; everything that is wrong is reported with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from rosetta_bridge.errors import did_you_mean

from .contract import Contract, Reporter
from .expressions import (
    SIZE,
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
    children,
)
from .yaml12 import Path

PICKS: Final = ("first", "second", "rest", "each")
FETCHES: Final = ("file", "base64", "data_url", "upload")
_CONDITIONS: Final = ("$absent", "$present", "$else")
_NUMBERED = re.compile(r"(.+)_\{([0-9]+)\.\.([0-9]+)\}\Z")
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Parser:
    """Parses the values of one route; reports what is wrong and then returns a harmless `Omit` for it."""

    def __init__(self, contract: Contract, report: Reporter, encoding: str = "json") -> None:
        self.contract, self.report, self.encoding = contract, report, encoding
        tables = report.doc.data.get("tables") or {}
        if not isinstance(tables, dict):
            report(("tables",), "`tables` is a map of name to table")
            tables = {}
        self.tables: dict[str, Any] = tables
        self.open_tables: list[str] = []
        self.in_list = False
        self.wrapping = False
        self.parsed_tables: dict[str, Expr] = {}

    def parse(self, value: Any, path: Path) -> Expr:
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, list):
            return self._items(value, path)
        if isinstance(value, dict):
            operators = [key for key in value if isinstance(key, str) and key.startswith("$")]
            return self._switch(value, operators, path) if operators else self._object(value, path)
        return Literal(value)

    def _bad(self, path: Path, message: str, hint: str = "") -> Expr:
        self.report(path, message, hint)
        return Omit()

    def _text(self, text: str, path: Path) -> Expr:
        if text.startswith("$$"):
            return Literal(text[1:])
        if text.startswith("$"):
            return self._reference(text[1:], path)
        if "{" not in text and "}" not in text:
            return Literal(text)
        parts: list[Expr] = []
        position = 0
        for found in _PART.finditer(text):
            if found.start() > position:
                parts.append(Literal(text[position : found.start()]))
            position = found.end()
            if found[0] in ("{{", "}}"):
                parts.append(Literal(found[0][0]))
            elif found[1] is None:
                return self._bad(
                    path, f"a single {found[0]} in {text!r:.60}", "write {{ or }} for a literal brace"
                )
            else:
                parts.append(
                    ModelName() if found[1] == "model" else self._reference(found[1], path, in_text=True)
                )
        if position < len(text):
            parts.append(Literal(text[position:]))
        return Text(tuple(parts))

    def _reference(self, text: str, path: Path, in_text: bool = False) -> Expr:
        name, *suffixes = text.split(".")
        if name in ("omit", "unsupported") and not suffixes and not in_text:
            return Omit() if name == "omit" else Unsupported()
        if name == "body" and not suffixes and not in_text:
            return Body() if self.wrapping else self._bad(path, "$body stands in `wrap` only")
        if self.wrapping:
            return self._bad(path, f"`wrap` knows $body and {{model}} only, not {text!r}", "set it in `body`")
        if name in self.tables:
            return self._table(name, suffixes, path)
        if name not in self.contract.fields:
            options = [*self.contract.fields, *self.tables, *(() if in_text else ("omit", "unsupported"))]
            what = "{" + text + "}" if in_text else "$" + text
            return self._bad(path, f"unknown field or table {what!r}", did_you_mean(name, options))
        return self._field(name, suffixes, path, in_text)

    def _field(self, name: str, suffixes: list[str], path: Path, in_text: bool) -> Expr:
        spec, pick, fetch = self.contract.fields[name], "", ""
        for suffix in suffixes:
            if suffix in PICKS and not pick and not fetch:
                pick = suffix
            elif suffix in FETCHES and not fetch:
                fetch = suffix
            elif suffix in ("width", "height"):
                return self._bad(path, f".{suffix} is for tables whose cells are all WxH; {name} is a field")
            else:
                return self._bad(path, f"unknown suffix .{suffix}", did_you_mean(suffix, (*PICKS, *FETCHES)))
        if pick and not spec.is_list:
            return self._bad(path, f".{pick} needs a list; {name} is {spec.type}")
        if pick == "each" and not self.in_list:
            return self._bad(path, ".each must stand inside a list, whose item it repeats")
        if fetch and not spec.is_url:
            return self._bad(path, f".{fetch} needs a URL; {name} is {spec.type}")
        if fetch == "file" and self.encoding != "multipart":
            return self._bad(path, ".file is for `encoding: multipart`", "use .base64 in JSON")
        if in_text and (fetch or (spec.is_list and pick not in ("first", "second", "each"))):
            return self._bad(path, f"{name} cannot be part of a text", "take one item: .first")
        return Ref(name, pick, fetch)

    def _table(self, name: str, suffixes: list[str], path: Path) -> Expr:
        if name in self.open_tables:
            return self._bad(path, f"the table {name} refers to itself")
        if name not in self.parsed_tables:
            before, in_list = len(self.report.problems), self.in_list
            self.open_tables.append(name)
            self.in_list = False
            parsed = self.parse(self.tables[name], ("tables", name))
            self.open_tables.pop()
            self.in_list = in_list
            if not isinstance(parsed, Switch) and len(self.report.problems) == before:
                return self._bad(("tables", name), f"the table {name} is no table", "it needs `$by`")
            self.parsed_tables[name] = parsed
        table = self.parsed_tables[name]
        if not suffixes:
            return table
        if len(suffixes) > 1 or suffixes[0] not in ("width", "height"):
            return self._bad(
                path, f"unknown suffix .{'.'.join(suffixes)}", "a table of sizes has .width and .height"
            )
        try:
            return _side(table, 0 if suffixes[0] == "width" else 1)
        except ValueError as error:
            return self._bad(
                path, f".{suffixes[0]} needs a table whose cells are all WxH; {name} has {error}"
            )

    def _items(self, value: list[Any], path: Path) -> Expr:
        outer, self.in_list = self.in_list, True
        items = tuple(self.parse(item, (*path, index)) for index, item in enumerate(value))
        self.in_list = outer
        return Items(items, tuple(tuple(dict.fromkeys(_taken_one_by_one(item))) for item in items))

    def _object(self, value: dict[Any, Any], path: Path) -> Expr:
        entries: list[tuple[str | Numbered, Expr]] = []
        taken: dict[str, Any] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                self.report((*path, key), f"the key {key!r} is not text", "quote it")
                continue
            name: str | Numbered = key
            if found := _NUMBERED.match(key):
                name = Numbered(found[1], int(found[2]), int(found[3]))
                if not 0 <= name.start <= name.stop <= name.start + 99:
                    self.report((*path, key), "the range must rise and name at most 100 keys")
                    continue
                keys = [f"{name.name}_{i}" for i in range(name.start, name.stop + 1)]
            elif "{" in key:
                self.report(
                    (*path, key), f"unknown form of key {key!r}", "numbered keys look like name_{2..8}"
                )
                continue
            else:
                keys = [key]
            for one in keys:
                if one in taken:
                    self.report((*path, key), f"the key {one} is also set by {taken[one]!r}")
                taken[one] = key
            parsed = self.parse(item, (*path, key))
            if isinstance(name, Numbered) and not self._makes_list(parsed):
                self.report((*path, key), "numbered keys need a list", "as in $generation_input_file.rest")
            entries.append((name, parsed))
        return Object(tuple(entries))

    def _makes_list(self, expr: Expr) -> bool:
        if isinstance(expr, Ref):
            return self.contract.fields[expr.field].is_list and expr.pick in ("", "rest")
        return isinstance(expr, Items | Omit)

    def _switch(self, value: dict[Any, Any], operators: list[str], path: Path) -> Expr:
        unknown = [key for key in operators if key != "$by" and key not in _CONDITIONS]
        if unknown:
            return self._bad(
                (*path, unknown[0]),
                f"unknown operator {unknown[0]!r}",
                did_you_mean(unknown[0], ("$by", *_CONDITIONS)),
            )
        if "$by" not in value:
            return self._bad(
                path, f"{operators[0]} is a row of a table", "say with `$by` which field the table is over"
            )
        by = value["$by"]
        names = by if isinstance(by, list) else [by]
        if not 1 <= len(names) <= 2 or not all(isinstance(name, str) for name in names):
            return self._bad((*path, "$by"), "`$by` names one field, or a list of two")
        if len(names) == 2 and names[0] == names[1]:
            return self._bad((*path, "$by"), "`$by` names the same field twice")
        for name in names:
            if name not in self.contract.fields:
                return self._bad(
                    (*path, "$by"), f"unknown field {name!r}", did_you_mean(name, self.contract.fields)
                )
        return self._rows(names, {k: v for k, v in value.items() if k != "$by"}, path)

    def _rows(self, names: list[str], rows: dict[Any, Any], path: Path) -> Expr:
        special: dict[str, Expr] = {}
        plain: list[tuple[Any, Expr]] = []
        for key, cell in rows.items():
            at = (*path, key)
            # A row of a table over two fields may be one cell: a scalar, a list, or a table of its own.
            columns = len(names) == 2 and isinstance(cell, dict) and "$by" not in cell
            parsed = self._rows(names[1:], cell, at) if columns else self.parse(cell, at)
            if isinstance(key, str) and key.startswith("$"):
                if key not in _CONDITIONS:
                    self.report(at, f"unknown row {key!r}", did_you_mean(key, _CONDITIONS))
                special[key] = parsed
            else:
                plain.append((key, parsed))
        return Switch(
            names[0],
            tuple(plain),
            special.get("$absent"),
            special.get("$present"),
            special.get("$else"),
            path,
        )


def _side(expr: Expr, side: int) -> Expr:
    """The table with one side of each `WxH` cell; `$omit` and `$unsupported` stay. Else ValueError."""
    match expr:
        case Omit() | Unsupported():
            return expr
        case Literal(value) if isinstance(value, str) and (size := SIZE.match(value)):
            return Literal(int(size[side + 1]))
        case Switch():

            def cut(cell: Expr | None) -> Expr | None:
                return None if cell is None else _side(cell, side)

            rows = tuple((key, _side(cell, side)) for key, cell in expr.rows)
            return replace(
                expr, rows=rows, absent=cut(expr.absent), present=cut(expr.present), other=cut(expr.other)
            )
        case Literal(value):
            raise ValueError(f"the cell {value!r:.40}")
        case _:
            raise ValueError("a cell that is not a plain WxH")


def _taken_one_by_one(item: Expr) -> Iterator[str]:
    """The fields with `.each` in a list item, without those of lists inside it."""
    if isinstance(item, Ref) and item.pick == "each":
        yield item.field
    elif not isinstance(item, Items):
        for child in children(item):
            yield from _taken_one_by_one(child)
