"""What a compiled door calls when a request is not plainly good.

Each step is the normalizer's own. What is added here decides only when a step is needed at all.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from rosetta_bridge.admit import ADMIT, ASCII, CONTROL, DEFAULT_MAX_ITEMS, null
from rosetta_bridge.errors import InvalidRequest, Issue
from rosetta_bridge.language.contract import Contract
from rosetta_bridge.language.fields import ABSENT, ORDER_FIELD, ORDERS, Field
from rosetta_bridge.normalize import (
    MAX_REQUEST_BYTES,
    SCALARS,
    across,
    bounded_work,
    missing,
    names,
    normalize,
    refusal,
)
from rosetta_bridge.urls import MAX_URL, PLAIN, url_problem
from rosetta_bridge.values import Request, work_class

BYTES_PER_CHARACTER: Final = 4
_FEW: Final = 16
_SHOWN: Final = 80
_SHORT: Final = 500  # so few and so short fill half the byte limit at most


def request_of(contract: Contract, providers: frozenset[str], data: Any) -> Request:
    """The same by the interpreter: what the compiled function must equal."""
    values, given, order = normalize(contract, data, providers)
    asked = values.get("generation_output_number", 1)
    return Request(contract.id, contract.kind, values, given, order, asked, work_class(values))


def doubts(contract: Contract, providers: frozenset[str]) -> dict[str, Any]:
    """The names that every door's source uses; each field adds its own."""
    most, open_texts = most_bytes(contract)
    bounded = not open_texts and most <= MAX_REQUEST_BYTES // 2
    return {f"admit_{kind}": step for kind, step in ADMIT.items()} | {
        "ABSENT": ABSENT, "ASCII": ASCII, "ORDERS": frozenset(ORDERS), "unclean": CONTROL.search,
        "plain": PLAIN.match, "url_problem": url_problem, "bounded": bounded_work, "Issue": Issue,
        "null": null, "missing": missing, "other": partial(request_of, contract, providers),
        "names": partial(_names, contract, providers), "refuse": partial(_refuse, contract, bounded),
    }  # fmt: skip


def _names(
    contract: Contract, providers: frozenset[str], data: dict[Any, Any], issues: list[Issue] | None
) -> tuple[Any, list[Issue] | None]:
    """The order, and all issues so far, those of names first as the normalizer tells them."""
    if len(data) > len(contract.fields) + _FEW:
        bounded_work(data)
    found: list[Issue] = []
    order = names(contract, data, providers, found)
    if issues is not None:
        found += issues
    elif not found:
        bounded_work(data)
    return order, found or None


def _refuse(
    contract: Contract, bounded: bool, data: dict[Any, Any], issues: list[Issue] | None, found: Any
) -> InvalidRequest:
    """All issues: those of single fields, then those over several."""
    if issues is None:
        issues = []
    if not bounded or not _little(data, issues):
        bounded_work(data)
    if contract.together or contract.exclusive:
        named = zip(contract.fields, found, strict=True)
        values = {name: value for name, value in named if value is not ABSENT and type(value) is not Issue}
        across(contract, frozenset(name for name in contract.fields if name in data), values, issues)
    return refusal(issues)


def _little(data: dict[Any, Any], issues: list[Issue]) -> bool:
    """Whether all that is wrong takes up next to nothing of the byte limit; quick to see."""
    order = data.get(ORDER_FIELD)
    if len(issues) > _FEW or (isinstance(order, str) and len(order) > _SHORT):
        return False
    for issue in issues:
        name = issue.field
        if not 0 < len(name) < _SHOWN:
            return False  # perhaps the beginning of a name, or of none
        value = data.get(name, ABSENT)
        if type(value) is str:
            if len(value) > _SHORT:
                return False
        elif type(value) not in SCALARS and (value is not ABSENT or issue.code == "unknown_field"):
            return False
    return True


def most_bytes(contract: Contract) -> tuple[int, list[tuple[int, Field]]]:
    """Most bytes of a request of good fields, without its texts that may be very long; and these texts."""
    most, open_texts = 0, []
    for number, field in enumerate(contract.fields.values()):
        items = (field.max_items or DEFAULT_MAX_ITEMS) if field.is_list else 1
        if field.is_url:
            most += items * MAX_URL
        elif field.type in ("string", "string_list"):
            if field.max_length is None or items * field.max_length > 8000:
                open_texts.append((number, field))
            else:
                most += items * field.max_length * BYTES_PER_CHARACTER
        most += 2 * items + len(field.name) + 64
    return most, open_texts
