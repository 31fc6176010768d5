"""The public product of a model: every request that a proof needs to look at.

Finite fields bring all their values, lists the lengths 1, 2, limit and limit + 1, free text and numbers a
few samples. The whole product is taken when it has at most 20,000 requests. Above that, random sampling
alone would prove little: then every pair of values of two fields occurs at least once, every value is
varied alone around an eligible request of each route, and a seeded sample fills up.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import combinations, islice, product
from math import prod
from random import Random
from typing import Any, Final

from rosetta_bridge.language.accounting import named_values
from rosetta_bridge.language.contract import Contract
from rosetta_bridge.language.fields import ABSENT, SAMPLE_URL, Field
from rosetta_bridge.language.mapping import Mapping
from rosetta_bridge.render import render_route

WHOLE: Final = 20_000
SAMPLE: Final = 4_000
Values = dict[str, Any]


def values_of(
    field: Field, contract: Contract, mapping: Mapping, named: dict[str, list[Any]]
) -> tuple[Any, ...]:
    """The values of one field that a proof tries, ABSENT first where the public may leave it out."""
    values: tuple[Any, ...]
    if field.is_list:
        values = tuple(items_of(field, n) for n in sorted(_lengths(field, mapping)))
    else:
        values = field.samples(named.get(field.name, ()))
        if field.type == "number" and field.min is not None and field.max is not None:
            values = (*values, (field.min + field.max) / 2)
    return (ABSENT, *values) if contract.may_be_absent(field.name) else values


def items_of(field: Field, count: int) -> list[str]:
    """A list of `count` different sample items."""
    return [SAMPLE_URL.format(i) if field.is_url else f"item-{i}" for i in range(count)]


def _lengths(field: Field, mapping: Mapping) -> set[int]:
    most = field.max_items or 4
    limits = {most}
    for route in mapping.routes:
        accept = route.accepts.get(field.name)
        limits |= {n for n in (accept.max_items if accept else None, route.item_limits.get(field.name)) if n}
    return {n for limit in limits for n in (1, 2, limit, limit + 1) if 1 <= n <= most}


def requests(contract: Contract, mapping: Mapping, seed: int = 0, whole: int = WHOLE) -> Iterator[Values]:
    """Normalized values of the requests to look at; deterministic for a seed."""
    names = list(contract.fields)
    named = named_values(mapping.routes)
    domains = [values_of(field, contract, mapping, named) for field in contract.fields.values()]
    if prod(map(len, domains)) <= whole:
        chosen: Iterator[tuple[Any, ...]] = product(*domains)
    else:
        chosen = _sample(names, domains, contract, mapping, Random(seed), min(SAMPLE, whole))
    seen = set()
    for row in chosen:
        values = dict(zip(names, row, strict=True))
        key = repr(row)
        if key not in seen and contract.possible(values) and not _needless_absence(values, contract):
            seen.add(key)
            yield {name: value for name, value in values.items() if value is not ABSENT}


def _needless_absence(values: Values, contract: Contract) -> bool:
    """A field with a default is absent only where a rival was given."""
    for name, field in contract.fields.items():
        if field.has_default and values[name] is ABSENT:
            rivals = {n for group in contract.exclusive if name in group for n in group if n != name}
            if all(values[n] is ABSENT for n in rivals):
                return True
    return False


def _sample(
    names: list[str],
    domains: list[tuple[Any, ...]],
    contract: Contract,
    mapping: Mapping,
    random: Random,
    size: int,
) -> Iterator[tuple[Any, ...]]:
    pairs = list(pairwise(domains, random))
    filling = [tuple(random.choice(domain) for domain in domains) for _ in range(size)]
    yield from pairs
    yield from filling
    bases = _bases(names, [*pairs, *filling], contract, mapping)
    plain = [_plain(contract.fields[name], domain) for name, domain in zip(names, domains, strict=True)]
    for _ in range(SAMPLE // 100):  # a narrow route may need a longer look, closer to what most requests are
        if len(bases) == len(mapping.routes):
            break
        more = [tuple(random.choice(domain) for domain in plain) for _ in range(100)]
        bases = _bases(names, more, contract, mapping) | bases
    for base in bases.values():
        yield from _around(base, domains, 2 if size >= SAMPLE else 1)


def _plain(field: Field, domain: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values of a field with its default, or its absence, as often as all others together."""
    usual = field.default if field.has_default else ABSENT if domain[0] is ABSENT else domain[0]
    return (*domain, *([usual] * len(domain)))


def _around(base: tuple[Any, ...], domains: list[tuple[Any, ...]], fields: int) -> Iterator[tuple[Any, ...]]:
    """An eligible request with all values of `fields` fields at a time."""
    for chosen in combinations(range(len(base)), fields):
        for values in product(*(domains[i] for i in chosen)):
            row = list(base)
            for i, value in zip(chosen, values, strict=True):
                row[i] = value
            yield tuple(row)


def _bases(
    names: list[str], rows: list[tuple[Any, ...]], contract: Contract, mapping: Mapping
) -> dict[str, tuple[Any, ...]]:
    """By route, the eligible request with the fewest fields."""
    best: dict[str, tuple[int, tuple[Any, ...]]] = {}
    for row in rows:
        if not contract.possible(dict(zip(names, row, strict=True))):
            continue
        values = {n: v for n, v in zip(names, row, strict=True) if v is not ABSENT}
        route = mapping.route(values)
        if route is None or (route.name in best and best[route.name][0] <= len(values)):
            continue
        if not render_route(route, contract, values, frozenset()).reasons:
            best[route.name] = (len(values), row)
    return {name: row for name, (_, row) in best.items()}


def pairwise(domains: list[tuple[Any, ...]], random: Random) -> Iterator[tuple[Any, ...]]:
    """Rows in which every pair of values of two different domains occurs at least once; greedy."""
    fields = range(len(domains))
    open_pairs = dict.fromkeys(
        (i, a, j, b)
        for i, j in combinations(fields, 2)
        for a in range(len(domains[i]))
        for b in range(len(domains[j]))
    )
    if len(domains) < 2:
        yield from product(*domains)
    while open_pairs:
        i, a, j, b = random.choice(list(islice(open_pairs, 64)))
        row = {i: a, j: b}
        for k in fields:
            if k not in row:
                row[k] = max(range(len(domains[k])), key=lambda v, k=k: _gain(k, v, row, open_pairs))  # type: ignore[misc]
        for p, q in combinations(fields, 2):
            open_pairs.pop((p, row[p], q, row[q]), None)
        yield tuple(domains[k][row[k]] for k in fields)


def _gain(k: int, v: int, row: dict[int, int], open_pairs: Container[tuple[int, int, int, int]]) -> int:
    return sum(((k, v, o, w) if k < o else (o, w, k, v)) in open_pairs for o, w in row.items())
