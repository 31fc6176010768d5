"""The second total, and the proof: every eligible request of a route renders to a natively valid body.

A route is `proved` with a schema converted by machine from the provider's own source, `partly` with one
made by hand, `unproved` without one, `failed` when a body does not validate, a native property is neither
set nor in `leaves`, or a table cell is never reached. Both weaknesses are said, never hidden.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosetta_bridge.language.checks import native_keys
from rosetta_bridge.language.contract import Contract
from rosetta_bridge.language.expressions import Expr, Switch, Unsupported
from rosetta_bridge.language.fields import ABSENT
from rosetta_bridge.language.mapping import Mapping, Route
from rosetta_bridge.loading import Catalog
from rosetta_bridge.model import Model
from rosetta_bridge.render import Trace, render_route

from .findings import Proof, RouteProof
from .meaning import cut_lists, turned_tables, wrong_sides
from .natives import native_schema, properties, without_markers
from .products import WHOLE, items_of, requests

MAX_FAILURES = 5
Cell = tuple[tuple[str | int, ...], Any]


def prove(
    catalog: Catalog,
    natives: Path,
    models: Iterable[str] = (),
    seed: int = 0,
    whole: int = WHOLE,
    progress: Callable[[str], None] = lambda _: None,
) -> Proof:
    """Prove the routes of these models (default: all); `whole` is the largest product enumerated whole."""
    proof = Proof([], [])
    for name in models or catalog.models():
        progress(name)
        prove_model(catalog[name], natives, proof, seed, whole)
    return proof


def prove_model(model: Model, natives: Path, proof: Proof, seed: int = 0, whole: int = WHOLE) -> None:
    """Add the proof of one model's routes to `proof`, without those that the catalogue leaves out."""
    reached: set[Cell] = set()
    cells: dict[Cell, str] = {}
    for mapping in model.mappings.values():
        provers = {r.name: _RouteProver(model.contract, mapping, r, natives) for r in mapping.routes}
        unmatched = 0
        for values in requests(model.contract, mapping, seed, whole):
            route = mapping.route(values)
            if route is None:
                unmatched += 1
            else:
                provers[route.name].look_at(values)
        for prover in provers.values():
            verdict = prover.verdict()
            reached |= prover.reached
            cells.update(prover.cells)
            if model.in_use(mapping.provider, prover.route.name):
                proof.routes.append(verdict)
    for cell in cells.keys() - reached:
        proof.problems.append(f"{cells[cell]}: the table cell is never reached")
    proof.problems.sort()


class _RouteProver:
    def __init__(self, contract: Contract, mapping: Mapping, route: Route, natives: Path) -> None:
        self.contract, self.mapping, self.route = contract, mapping, route
        native = route.native or route.model
        self.proof = RouteProof(
            contract.id, mapping.provider, route.name, native, route.evidence.level, contract.lab
        )
        self.schema = native_schema(natives, mapping.provider, native)
        self.validator = _validator(self.schema) if self.schema is not None else None
        self.reached: set[Cell] = set()
        self.cells = _cells(route)
        self.seen: set[str] = set()
        self.smallest: dict[str, Any] | None = None
        self.must_set = self._must_set()

    def _must_set(self) -> set[str]:
        native = set(properties(self.schema)) if self.schema is not None else set()
        return native & set(self.route.must_set)

    def look_at(self, values: dict[str, Any]) -> None:
        self.proof.requests += 1
        trace: Trace = []
        rendered = render_route(self.route, self.contract, values, frozenset(values), trace)
        if rendered.reasons:
            self.reached |= {_cell(switch, cell) for switch, cell in trace if isinstance(cell, Unsupported)}
            return
        self.reached |= {_cell(switch, cell) for switch, cell in trace}
        self.proof.eligible += 1
        if self.smallest is None or len(values) < len(self.smallest):
            self.smallest = values
        body = without_markers(rendered.arguments)
        key = json.dumps(body, sort_keys=True, default=repr)
        if key in self.seen:
            return
        self.seen.add(key)
        self.proof.bodies += 1
        if self.validator is not None and len(self.proof.failures) < MAX_FAILURES:
            self._validate(body, values)

    def _validate(self, body: Any, values: dict[str, Any]) -> None:
        for error in self.validator.iter_errors(body):  # type: ignore[union-attr]
            at = ".".join(map(str, error.absolute_path)) or "the body"
            self._fail(f"{at}: {error.message[:200]}; from {json.dumps(values)[:300]}")
        for name in self.must_set - set(body):
            self._fail(f"{name} must be set and is left out; from {json.dumps(values)[:300]}")
        for message in wrong_sides(body, values):
            self._fail(f"{message}; from {json.dumps(values)[:300]}")

    def _fail(self, message: str) -> None:
        if len(self.proof.failures) < MAX_FAILURES:
            self.proof.failures.append(message)

    def _stretch(self) -> None:
        """Around the smallest eligible request: each text at its longest, each list at every length.

        In the product texts are short and lists have few lengths; a forgotten limit may lie in between.
        """
        if (base := self.smallest) is None:
            return
        for name, spec in self.contract.fields.items():
            accept = self.route.accepts.get(name)
            if spec.type == "string":
                lengths = {spec.max_length, accept.max_length if accept else None} - {None}
                variants: list[Any] = ["x" * int(length or 0) for length in sorted(lengths, key=str)]
            else:
                variants = (
                    [items_of(spec, n) for n in range(1, (spec.max_items or 4) + 1)] if spec.is_list else []
                )
            for variant in variants:
                values = {**base, name: variant}
                public = {**dict.fromkeys(self.contract.fields, ABSENT), **values}
                if self.contract.possible(public) and self.mapping.route(values) is self.route:
                    self.look_at(values)

    def verdict(self) -> RouteProof:
        proof, route = self.proof, self.route
        self._stretch()
        if not proof.eligible:
            self._fail("no request is eligible")
        if self.schema is None:
            proof.reason = route.unproved or "no native schema"
        else:
            if route.unproved:
                self._fail("`unproved` is said, but there is a native schema: remove the line")
            told = _undecided(route, self.mapping, self.schema)
            for message in (*told, *cut_lists(route, self.contract, self.schema), *turned_tables(route)):
                self._fail(message)
            by_hand = self.schema.get("x-origin") == "hand-made"
            proof.status, proof.reason = ("partly", _by_hand(self.schema)) if by_hand else ("proved", "")
        if proof.failures:
            proof.status, proof.reason = "failed", proof.failures[0]
        return proof


def _by_hand(schema: dict[str, Any]) -> str:
    """Why a hand-made schema proves less: its reader may have misread what is named here."""
    source = schema.get("x-source")
    told = (
        [str(source[key]) for key in ("source", "date") if key in source] if isinstance(source, dict) else []
    )
    return " of ".join(["a person wrote the schema", ", ".join(told) or "unnamed origin"])


def _undecided(route: Route, mapping: Mapping, schema: dict[str, Any]) -> list[str]:
    """Native properties that are neither set nor left on purpose, and names in `leaves` that do not exist.

    Routes of one native model share the duty: a text route need not speak of the image another route sends.
    """
    native, left = set(properties(schema)), set(route.leaves)
    shared = [r for r in mapping.routes if (r.native or r.model) == (route.native or route.model)]
    set_here = {key for r in shared for key in native_keys(r.body)}
    opened = {key.rsplit(".", 1)[0] for key in set_here if "." in key}  # objects that the body builds itself
    told = []
    for name in sorted(native - set_here):
        parents = [".".join(name.split(".")[:i]) for i in range(1, name.count(".") + 1)]
        outer = name.rsplit(".", 1)[0] if "." in name else ""
        if name in left or any(parent in left for parent in parents):
            continue
        if not outer or outer in opened:
            told.append(f"the native property {name} is neither set nor in `leaves`")
    for index, name in enumerate(route.leaves):
        folders = route.source.mark(("leaves", index))[0].split("/")
        shared_file = "_providers" in folders or "_families" in folders  # speaks for other schemas as well
        if name not in native and not shared_file:
            told.append(f"`leaves` names {name}, which the native schema does not have")
    return told


def _validator(schema: dict[str, Any]) -> Any:
    from jsonschema import Draft202012Validator

    _well_formed(json.dumps(schema))
    return Draft202012Validator(schema)


@lru_cache(maxsize=1024)
def _well_formed(schema: str) -> None:
    """Raise for what is no JSON Schema. By its whole text: routes share schemas, and this takes longest."""
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(json.loads(schema))


def _cells(route: Route) -> dict[Cell, str]:
    """Every cell of the tables in the body, with where it stands."""
    found: dict[Cell, str] = {}
    for switch in (e for e in route.parts if isinstance(e, Switch)):
        for key, cell in switch.cells():
            problem = route.source.problem((*switch.path, key), "")
            found[_cell(switch, cell)] = f"{problem.file}:{problem.line}: {problem.path}"
    return found


def _cell(switch: Switch, cell: Expr) -> Cell:
    key = next(key for key, candidate in switch.cells() if candidate is cell)
    return switch.path, (type(key).__name__, key)
