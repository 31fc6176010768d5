"""`model.yaml`: the public contract of a model, read and checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date as Day  # noqa: N812 - `date` is a key of the files
from typing import Any

from rosetta_bridge.admit import admit
from rosetta_bridge.errors import InvalidCatalog, Issue, Problem, did_you_mean

from .fields import ABSENT, MAX_INTEGER, ORDER_FIELD, TYPES, Field, among
from .yaml12 import Doc, Path

MAX_PROBLEMS = 100
MODEL_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}/[a-z0-9][a-z0-9._-]{0,99}\Z")  # short enough for any disk
FIELD_NAME = re.compile(r"generation_[a-z0-9_]+\Z")
_KEYS = ("schema", "kind", "lab", "providers", "fields", "tables", "together", "exclusive", "aliases",
         "retired", "description")  # fmt: skip
_FIELD_KEYS = ("type", "strength", "required", "default", "values", "min", "max", "step", "min_length",
               "max_length", "max_items", "description")  # fmt: skip
_RESERVED_VALUES = ("present", "absent", "none")
_NUMBERS = ("min", "max", "step")
_COUNTS = {"min_length": 10**6, "max_length": 10**6, "max_items": 1000}  # a request has 100 KB
_KEYS_OF_TYPE = {
    "string": {"min_length", "max_length"},
    "enum": {"values"},
    "integer": {"values", "min", "max", "step"},
    "number": {"min", "max", "step"},
    "boolean": set(),
    "url": set(),
    "url_list": {"max_items"},
    "string_list": {"max_items", "min_length", "max_length"},
}


@dataclass(frozen=True, slots=True)
class Retired:
    date: str
    successor: str
    source: str

    def by(self, on: Day) -> bool:
        return Day.fromisoformat(self.date) <= on


@dataclass(frozen=True, slots=True)
class Contract:
    """What the public may ask of a model. `providers` is the default order."""

    id: str
    kind: str
    lab: str
    providers: tuple[str, ...]
    fields: dict[str, Field]
    together: tuple[tuple[str, ...], ...] = ()
    exclusive: tuple[tuple[str, ...], ...] = ()
    aliases: tuple[str, ...] = ()
    retired: Retired | None = None
    description: str = ""

    def may_be_absent(self, name: str) -> bool:
        field = self.fields[name]
        yields = any(name in group and len(group) > 1 for group in self.exclusive)
        return not field.required and (not field.has_default or yields)

    def possible(self, values: dict[str, Any]) -> bool:
        """Whether the public rules allow these values (ABSENT for none); only the named fields are judged."""
        if not self.together and not self.exclusive:
            return True
        for group in self.together:
            present = {values[n] is not ABSENT for n in group if n in values}
            if len(present) > 1:
                return False
        return all(
            sum(values.get(name, ABSENT) is not ABSENT for name in group) <= 1 for group in self.exclusive
        )


class Reporter:
    """Collects problems of one document, so that an author sees all of them at once; with many, the first."""

    def __init__(self, doc: Doc) -> None:
        self.doc = doc
        self.problems: list[Problem] = []

    def __call__(self, path: Path, message: str, hint: str = "") -> None:
        problem = self.doc.problem(path, message, hint)
        if problem not in self.problems:
            self.problems.append(problem)
        if len(self.problems) >= MAX_PROBLEMS:
            self.stop()

    def keys(self, data: Any, allowed: Iterable[str], path: Path = ()) -> bool:
        """Report that `data` is no map, or its unknown keys; true when it is a map."""
        if not isinstance(data, dict):
            self(path, f"expected a map, found {data!r:.60}")
            return False
        for key in data:
            if key not in allowed:
                self((*path, key), f"unknown key {key!r}", did_you_mean(str(key), allowed))
        return True

    def stop(self) -> None:
        """Raise what was collected, if anything was."""
        if self.problems:
            raise InvalidCatalog(self.problems)


def read_contract(model_id: str, doc: Doc) -> Contract:
    """Check `model.yaml`, except its tables, and return it. Raises `InvalidCatalog` with every problem."""
    report, data = Reporter(doc), doc.data
    report.keys(data, _KEYS)
    if data.get("schema") != "model.v1":
        report(("schema",), f"expected `schema: model.v1`, found {data.get('schema')!r}")
    if data.get("kind") not in ("image", "video"):
        report(("kind",), f"kind is image or video, found {data.get('kind')!r}")
    providers = _names(data.get("providers"), ("providers",), report)
    if not providers:
        report(("providers",), "no provider", "list them in the default order")
    raw = data.get("fields")
    fields: dict[str, Field] = {}
    if isinstance(raw, dict) and raw:
        for name, spec in raw.items():
            if (field := _field(name, spec, report)) is not None:
                fields[name] = field
    else:
        report(("fields",), "a model needs fields")
    contract = Contract(
        id=model_id, kind=str(data.get("kind")), lab=str(data.get("lab", model_id.split("/")[0])),
        providers=providers, fields=fields, together=_groups(data, "together", fields, report),
        exclusive=_groups(data, "exclusive", fields, report), aliases=_aliases(data.get("aliases"), report),
        retired=read_retired(data.get("retired"), ("retired",), report),
        description=str(data.get("description", "")),
    )  # fmt: skip
    report.stop()
    return contract


def read_retired(data: Any, path: Path, report: Reporter) -> Retired | None:
    if data is None:
        return None
    if not report.keys(data, ("date", "successor", "source"), path):
        return None
    day = read_date(data.get("date"), (*path, "date"), report)
    return Retired(day, str(data.get("successor", "")), str(data.get("source", "")))


def read_date(text: Any, path: Path, report: Reporter) -> str:
    try:
        return Day.fromisoformat(text).isoformat()
    except (TypeError, ValueError):
        report(path, f"expected a date as 2026-11-20, found {text!r:.40}")
        return "9999-12-31"


def _names(data: Any, path: Path, report: Reporter) -> tuple[str, ...]:
    if not isinstance(data, list) or not all(isinstance(item, str) for item in data):
        report(path, "expected a list of names")
        return ()
    if len(set(data)) != len(data):
        report(path, "a name stands twice")
    return tuple(data)


def _aliases(data: Any, report: Reporter) -> tuple[str, ...]:
    names = _names(data, ("aliases",), report) if data is not None else ()
    for index, name in enumerate(names):
        if not MODEL_ID.match(name):
            report(("aliases", index), f"{name!r} is not a model id", "ids look like lab/model")
    return names


def _groups(
    data: dict[Any, Any], key: str, fields: dict[str, Field], report: Reporter
) -> tuple[tuple[str, ...], ...]:
    groups = data.get(key, [])
    if not isinstance(groups, list):
        report((key,), "expected a list of lists of fields")
        return ()
    result = []
    for index, group in enumerate(groups):
        names = _names(group, (key, index), report)
        if len(names) < 2:
            report((key, index), "a group needs two fields or more")
        for name in names:
            if name not in fields:
                report((key, index), f"unknown field {name!r}", did_you_mean(name, fields))
            elif fields[name].required:
                report((key, index), f"{name} is required, so the rule says nothing about it")
        result.append(names)
    return tuple(result)


def _field(name: Any, spec: Any, report: Reporter) -> Field | None:
    path: Path = ("fields", name)
    if not isinstance(name, str) or not FIELD_NAME.match(name) or name == ORDER_FIELD:
        report(
            path,
            f"{name!r} is not a field name",
            "public fields begin with `generation_`; the provider order is reserved",
        )
        return None
    if not report.keys(spec, _FIELD_KEYS, path):
        return None
    kind = spec.get("type")
    if kind not in TYPES:
        report((*path, "type"), f"unknown type {kind!r}", did_you_mean(str(kind), TYPES))
        return None
    before = len(report.problems)
    _check_keys(kind, spec, path, report)
    if len(report.problems) == before:
        _check_bounds(spec, path, report)
    if len(report.problems) > before:
        return None
    keys = ("strength", "required", "default", *_NUMBERS, *_COUNTS)
    optional = {key: spec[key] for key in keys if key in spec}
    if "values" in spec:
        optional["values"] = tuple(spec["values"])
    description = str(spec.get("description", ""))
    field = Field(name, kind, has_default="default" in spec, description=description, **optional)
    _check_default(field, path, report)
    return field


def _check_keys(kind: str, spec: dict[str, Any], path: Path, report: Reporter) -> None:
    if spec.get("strength", "binding") not in ("binding", "hint"):
        report((*path, "strength"), f"strength is binding or hint, found {spec['strength']!r}")
    if not isinstance(spec.get("required", False), bool):
        report((*path, "required"), "required is true or false")
    if spec.get("required") is True and "default" in spec:
        report((*path, "default"), "a required field cannot have a default", "remove one of the two")
    for key in (*_NUMBERS, *_COUNTS, "values"):
        if key in spec and key not in _KEYS_OF_TYPE[kind]:
            report((*path, key), f"{key} means nothing for type {kind}")
    for key in _NUMBERS:
        if key in spec and (isinstance(spec[key], bool) or not isinstance(spec[key], int | float)):
            report((*path, key), f"{key} must be a number, found {spec[key]!r}")
        elif (
            key in spec
            and kind == "integer"
            and (not isinstance(spec[key], int) or abs(spec[key]) > MAX_INTEGER)
        ):
            report((*path, key), f"{key} of an integer must be an integer within 2^53")
    for key, most in _COUNTS.items():
        if key in spec and not (type(spec[key]) is int and 0 <= spec[key] <= most):
            report((*path, key), f"{key} must be a count up to {most}, found {spec[key]!r}")
    _check_values(kind, spec, path, report)


def _check_bounds(spec: dict[str, Any], path: Path, report: Reporter) -> None:
    """Bounds that leave no value, and steps that lead nowhere."""
    for low, high in (("min", "max"), ("min_length", "max_length")):
        if low in spec and high in spec and spec[low] > spec[high]:
            report((*path, high), f"{high} {spec[high]} is below {low} {spec[low]}: no value is left")
    for key in ("step", "max_items"):
        if spec.get(key, 1) <= 0:
            report((*path, key), f"{key} must be more than 0, found {spec[key]!r}")


def _check_values(kind: str, spec: dict[str, Any], path: Path, report: Reporter) -> None:
    if "values" not in spec:
        if kind == "enum":
            report((*path, "values"), "an enum needs values")
        return
    values = spec["values"]
    if not isinstance(values, list) or not values:
        report((*path, "values"), "values must be a list with something in it")
        return
    for index, value in enumerate(values):
        at: Path = (*path, "values", index)
        wanted = str if kind == "enum" else int
        if not isinstance(value, wanted) or isinstance(value, bool):
            report(
                at,
                f"the value {value!r} is no {'text' if kind == 'enum' else 'integer'}",
                "quote it if it is text",
            )
        elif value in _RESERVED_VALUES:
            report(at, f"{value!r} is a word of the language and cannot be a public value")
        elif among(value, values[:index]):
            report(at, f"the value {value!r} stands twice")


def _check_default(field: Field, path: Path, report: Reporter) -> None:
    if not field.has_default:
        return
    at = (*path, "default")
    if field.is_list or field.is_url:
        report(at, f"a {field.type} cannot have a default")
        return
    taken = admit(field, field.default)
    what = f"the default {field.default!r} is not a value of the field"
    if isinstance(taken, Issue):
        report(at, f"{what}: {taken.message}", taken.hint)
    elif type(taken) is not type(field.default):
        report(at, what, "write a whole number as 5")
