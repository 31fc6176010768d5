"""Reads a merged mapping into routes. What the routes mean together is judged in `checks`."""

from __future__ import annotations

import re
from typing import Any, Final

from rosetta_bridge.errors import did_you_mean
from rosetta_bridge.prices import read_price
from rosetta_bridge.urls import HEADER, NATIVE_ID, NATIVE_PATH

from .contract import Contract, Reporter, read_date, read_retired
from .expressions import Body, Expr, Numbered, Object, Ref, walk
from .fields import LISTS, Field, among
from .mapping import Accept, Condition, Evidence, Mapping, Refusal, Route, When
from .parsing import Parser
from .yaml12 import Doc, Path, merge

ROUTE_KEYS: Final = (
    "model", "path", "encoding", "headers", "wrap", "body", "when", "accepts", "refuses", "drops", "leaves",
    "tables", "price", "evidence", "native", "unproved", "retired",
)  # fmt: skip
FILE_KEYS: Final = (*(k for k in ROUTE_KEYS if k != "when"), "schema", "extends", "routes", "must_set")
LEVELS: Final = ("sdk", "openapi", "docs", "secondary")
_AUTH = re.compile(r"(?i)(authorization|proxy-authorization|cookie|.*api[-_]?key|x-key|.*token|.*secret)\Z")
_NUMERIC: Final = ("integer", "number")
_ACCEPT_KEYS: Final = {
    "min": _NUMERIC, "max": _NUMERIC, "step": _NUMERIC, "max_items": LISTS, "max_length": ("string",),
}  # fmt: skip


def read_mapping(provider: str, contract: Contract, doc: Doc, shared_tables: Doc) -> Mapping:
    """Parse a merged mapping. Raises `InvalidCatalog` with every problem."""
    report = Reporter(doc)
    report.keys(doc.data, FILE_KEYS)
    routes = doc.data.get("routes", {"default": {}})
    if not isinstance(routes, dict) or not routes:
        report(("routes",), "routes are a map of name to route")
    report.stop()
    base, result = merge(shared_tables, doc.without("routes", "schema", "extends")), []
    for name, own in routes.items():
        if not isinstance(own, dict) or not isinstance(name, str):
            report(("routes", name), "a route is a map with a name that is text")
            continue
        if not report.keys(own, ROUTE_KEYS, ("routes", name)):
            continue
        whole = Reporter(merge(base, doc.at("routes", name)) if own else base)
        reader = _RouteReader(name, contract, whole)
        result.append(reader.read())
        report.problems.extend(p for p in reader.report.problems if p not in report.problems)
    report.stop()
    return Mapping(provider, tuple(result))


class _RouteReader:
    def __init__(self, name: str, contract: Contract, report: Reporter) -> None:
        self.name, self.contract, self.report = name, contract, report
        self.data = report.doc.data

    def read(self) -> Route:
        report, data = self.report, self.data
        encoding = data.get("encoding", "json")
        if encoding not in ("json", "multipart"):
            report(("encoding",), f"encoding is json or multipart, found {encoding!r}")
        parser = Parser(self.contract, report, encoding)
        body = parser.parse(data.get("body", {}), ("body",))
        if not isinstance(body, Object):
            report(("body",), "the body must be a map of native parameters")
            body = Object(())
        evidence = self._evidence()
        price = read_price(data["price"], parser, evidence.date) if "price" in data else None
        return Route(
            name=self.name, when=self._when(data.get("when", {}), ("when",)), model=self._model(),
            path=self._path(), encoding=encoding, headers=self._headers(), wrap=self._wrap(parser), body=body,
            accepts=self._accepts(), refuses=self._refuses(), drops=self._drops(),
            leaves=self._names("leaves"), price=price, evidence=evidence, native=str(data.get("native", "")),
            unproved=str(data.get("unproved", "")),
            retired=read_retired(data.get("retired"), ("retired",), report), must_set=self._names("must_set"),
            item_limits=item_limits(body, self.contract), source=report.doc,
        )  # fmt: skip

    def _field(self, name: Any, path: Path) -> bool:
        if name in self.contract.fields:
            return True
        self.report(path, f"unknown field {name!r}", did_you_mean(str(name), self.contract.fields))
        return False

    def _model(self) -> str:
        model = self.data.get("model")
        if not isinstance(model, str) or not model:
            self.report(("model",), f"the route {self.name} has no `model`", "the provider's own model id")
            return ""
        if not NATIVE_ID.match(model):
            self.report(("model",), f"{model!r:.80} is not a model id", "letters, digits and . _ : / @ -")
        return model

    def _path(self) -> str:
        path = self.data.get("path", "")
        if not isinstance(path, str) or not path.startswith("/"):
            hint = "set it here or in the provider's base file"
            self.report(("path",), f"a path begins with /, found {path!r}", hint)
            return ""
        for name in set(re.findall(r"\{([^}]*)\}", path)) - {"model"}:
            self.report(("path",), f"a path knows {{model}} only, not {{{name}}}")
        whole = path.replace("{model}", str(self.data.get("model", "")))
        if not NATIVE_PATH.match(whole):
            hint = "names between slashes: no //, no .., no query, nothing to escape"
            self.report(("path",), f"{whole!r:.80} may lead elsewhere", hint)
        return whole

    def _headers(self) -> dict[str, str]:
        headers = self.data.get("headers", {})
        if not isinstance(headers, dict) or not all(isinstance(v, str) for v in headers.values()):
            self.report(("headers",), "headers are a map of name to text", "quote numbers and dates")
            return {}
        for name, value in headers.items():
            if _AUTH.match(str(name)):
                self.report(("headers", name), f"{name} carries a credential", "credentials are the sender's")
            if "$" in value or "{" in value:
                self.report(("headers", name), "headers are constant")
            if not HEADER.match(f"{name}:{value}"):
                self.report(("headers", name), "a header is a name, and a value of printable ASCII")
        return {str(k): v for k, v in headers.items()}

    def _wrap(self, parser: Parser) -> Expr:
        if "wrap" not in self.data:
            return Body()
        parser.wrapping = True
        wrap = parser.parse(self.data["wrap"], ("wrap",))
        parser.wrapping = False
        if sum(isinstance(e, Body) for e in walk(wrap)) != 1:
            self.report(("wrap",), "`wrap` needs $body exactly once")
        return wrap

    def _when(self, data: Any, path: Path) -> When:
        if not isinstance(data, dict):
            self.report(path, "`when` is a map of field to what must hold")
            return ()
        result = []
        for key, wanted in data.items():
            name, _, suffix = str(key).partition(".")
            at = (*path, key)
            if not self._field(name, at):
                continue
            field = self.contract.fields[name]
            if suffix not in ("", "second") or (suffix and not field.is_list):
                self.report(at, f"{key}: only `.second` of a list can be asked for")
            elif isinstance(wanted, str) and wanted in ("present", "absent"):
                result.append(Condition(name, bool(suffix), wanted))
            else:
                values = tuple(wanted) if isinstance(wanted, list) else (wanted,)
                self._known_values(name, values, at)
                result.append(Condition(name, bool(suffix), "value", values))
        return tuple(result)

    def _known_values(self, name: str, values: tuple[Any, ...], path: Path) -> None:
        field = self.contract.fields[name]
        finite = field.finite()
        for value in values:
            if finite is not None and not among(value, finite):
                self.report(
                    path, f"{value!r} is not a value of {name}", did_you_mean(str(value), map(str, finite))
                )
            elif finite is None and not _comparable(value, field):
                self.report(
                    path, f"{value!r} is not a value that {name} can be compared with", "present or absent"
                )

    def _accepts(self) -> dict[str, Accept]:
        result: dict[str, Accept] = {}
        for name, spec in self._map("accepts").items():
            at: Path = ("accepts", name)
            if not self._field(name, at):
                continue
            if isinstance(spec, str) and spec == "none":
                if self.contract.fields[name].required:
                    self.report(at, f"{name} is required, so it cannot be refused")
                result[name] = Accept(none=True)
            elif isinstance(spec, dict):
                if self._accepts_bounds(spec, self.contract.fields[name].type, at):
                    result[name] = Accept(**spec)
            else:
                values = tuple(spec) if isinstance(spec, list) else (spec,)
                self._known_values(name, values, at)
                result[name] = Accept(values=values)
        return result

    def _accepts_bounds(self, spec: dict[Any, Any], kind: str, at: Path) -> bool:
        """Whether every bound is a number that means something for this type of field."""
        before = len(self.report.problems)
        self.report.keys(spec, _ACCEPT_KEYS, at)
        for key, value in spec.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if key in _ACCEPT_KEYS and (kind not in _ACCEPT_KEYS[key] or not number):
                self.report(at, f"{key}: {value!r} means nothing for {kind}")
            elif key == "step" and value <= 0:
                self.report(at, f"step must be more than 0, found {value!r}")
        return len(self.report.problems) == before

    def _refuses(self) -> tuple[Refusal, ...]:
        data = self.data.get("refuses", [])
        if not isinstance(data, list):
            self.report(("refuses",), "`refuses` is a list of rules")
            return ()
        return tuple(
            rule for i, spec in enumerate(data) if (rule := self._refusal(spec, ("refuses", i))) is not None
        )

    def _refusal(self, spec: Any, at: Path) -> Refusal | None:
        if not self.report.keys(spec, ("when", "sum", "max", "because"), at):
            return None
        because = spec.get("because")
        if not isinstance(because, str) or not because:
            self.report(at, "a rule needs `because`: what the caller is told")
        if ("when" in spec) == ("sum" in spec):
            self.report(at, "a rule has either `when` or `sum`")
            return None
        if "when" in spec:
            when = self._when(spec["when"], (*at, "when"))
            return Refusal(str(because), when=when) if when else None
        names, most = spec["sum"], spec.get("max")
        if not isinstance(names, list) or not isinstance(most, int) or isinstance(most, bool):
            self.report(at, "`sum` is a list of fields and `max` an integer")
            return None
        for name in names:
            if self._field(name, (*at, "sum")):
                field = self.contract.fields[name]
                if not field.is_list and field.type not in ("integer", "number"):
                    self.report((*at, "sum"), f"{name} can be neither added nor counted")
        return Refusal(str(because), sum=tuple(map(str, names)), max=most)

    def _drops(self) -> dict[str, str]:
        result = {}
        for name, reason in self._map("drops").items():
            if not isinstance(reason, str) or not reason:
                self.report(("drops", name), "a dropped field needs a reason")
            if self._field(name, ("drops", name)):
                result[name] = str(reason)
        return result

    def _map(self, key: str) -> dict[Any, Any]:
        data = self.data.get(key, {})
        if not isinstance(data, dict):
            self.report((key,), f"`{key}` is a map of field to what is said of it")
            return {}
        return data

    def _names(self, key: str) -> tuple[str, ...]:
        data = self.data.get(key, [])
        if not isinstance(data, list) or not all(isinstance(item, str) for item in data):
            self.report(
                (key,), f"`{key}` is a list of native parameters", 'quote names such as "n" if need be'
            )
            return ()
        return tuple(data)

    def _evidence(self) -> Evidence:
        data = self.data.get("evidence")
        if data is None:
            self.report((), f"the route {self.name} has no `evidence`", "evidence: {level, source, date}")
            return Evidence("secondary", "", "9999-12-31")
        self.report.keys(data, ("level", "source", "date"), ("evidence",))
        if not isinstance(data, dict):
            return Evidence("secondary", "", "9999-12-31")
        if data.get("level") not in LEVELS:
            self.report(
                ("evidence", "level"),
                f"unknown level {data.get('level')!r}",
                did_you_mean(str(data.get("level")), LEVELS),
            )
        if not isinstance(data.get("source"), str):
            self.report(("evidence",), "evidence needs a source")
        day = read_date(data.get("date"), ("evidence", "date"), self.report)
        return Evidence(str(data.get("level")), str(data.get("source", "")), day)


def _comparable(value: Any, field: Field) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and field.type in ("integer", "number") and field.within(value)


def item_limits(body: Object, contract: Contract) -> dict[str, int]:
    """How many items of each list the body can hold: what is picked one by one limits the list.

    Lists that are used as a whole are limited by the contract alone, or by the range of numbered keys.
    """
    picks: dict[str, set[str]] = {}
    room: dict[str, int] = {}
    for expr in walk(body):
        if isinstance(expr, Ref):
            picks.setdefault(expr.field, set()).add(expr.pick)
        elif isinstance(expr, Object):
            for key, value in expr.entries:
                if isinstance(key, Numbered) and isinstance(value, Ref):
                    slots = key.stop - key.start + 1 + (value.pick == "rest")
                    room[value.field] = min(slots, room.get(value.field, slots))
    highest = {"first": 1, "second": 2}
    lists = {name: found for name, found in picks.items() if contract.fields[name].is_list}
    limits = {name: max(map(highest.__getitem__, p)) for name, p in lists.items() if p <= set(highest)}
    return limits | {name: min(slots, limits.get(name, slots)) for name, slots in room.items()}
