"""From whatever a caller sent to a request of plain, checked values; or to every reason why not.

Nothing is repaired: no number is read out of a text, no value is clamped. Three notations mean one thing
and are accepted as JSON Schema accepts them: 5.0 is the integer 5, a key order does not matter, a default
may be left out. Work is bounded before it is done: size and depth first, then each field once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .admit import CONTROL, Bad, admit, kind_of, plain_text, shown, wanted
from .contract import Contract
from .errors import InvalidRequest, Issue, did_you_mean
from .fields import ORDER_FIELD, ORDERS

MAX_REQUEST_BYTES: Final = 100 * 1024
MAX_DEPTH: Final = 16
MAX_ISSUES: Final = 64
DEFAULT_ORDER: Final = "fastest"

Values = dict[str, Any]
Order = str | tuple[str, ...]


def normalize(
    contract: Contract, data: Any, providers: frozenset[str]
) -> tuple[Values, frozenset[str], Order]:
    """Values with defaults, the names given, and the order. Raises `InvalidRequest` with all issues.

    `providers` are the names that `generation_provider_order` may contain.
    """
    if not isinstance(data, Mapping):
        raise InvalidRequest(
            [Issue("", "type", f"a request is an object, not {kind_of(data)}", "send a JSON object")]
        )
    if (issue := _size_issue(data)) is not None:
        raise InvalidRequest([issue])
    issues: list[Issue] = []
    values: Values = {}
    order: Order = DEFAULT_ORDER
    for key in data:
        if key == ORDER_FIELD:
            try:
                order = _order(data[key], providers)
            except Bad as bad:
                issues.append(bad.issue(ORDER_FIELD))
        elif key not in contract.fields:
            issues.append(_unknown(key, contract, hint=len(issues) < MAX_ISSUES))
    for name, field in contract.fields.items():
        if name in data:
            try:
                values[name] = admit(field, data[name])
            except Bad as bad:
                issues.append(bad.issue(name))
        elif field.required:
            issues.append(Issue(name, "required", "is required", f"a {wanted(field)}"))
    given = frozenset(name for name in contract.fields if name in data)
    issues += _across(contract, given, values)
    if issues:
        raise InvalidRequest(_bounded(issues))
    return {name: values[name] for name in contract.fields if name in values}, given, order


def _bounded(issues: list[Issue]) -> list[Issue]:
    """A flood of issues is told in part; the last one counts the rest."""
    if len(issues) <= MAX_ISSUES:
        return issues
    return [*issues[:MAX_ISSUES], Issue("", "too_many", f"and {len(issues) - MAX_ISSUES} more")]


def _across(contract: Contract, given: frozenset[str], values: Values) -> list[Issue]:
    """Fill in defaults, then check the rules over several fields."""
    issues = []
    for group in contract.exclusive:
        if len(rivals := [name for name in group if name in given]) > 1:
            issues.append(
                Issue(rivals[1], "exclusive", f"cannot be combined with {rivals[0]}", "send one of the two")
            )
    for name, field in contract.fields.items():
        # A default yields to a rival that was given.
        yields = any(
            name in group and any(r in given for r in group if r != name) for group in contract.exclusive
        )
        if field.has_default and name not in given and not yields:
            values[name] = field.default
    for group in contract.together:
        missing = [name for name in group if name not in values and name not in given]
        if missing and len(missing) < len(group):
            others = ", ".join(name for name in group if name not in missing)
            issues.extend(
                Issue(name, "together", f"is needed together with {others}", "send all of them or none")
                for name in missing
            )
    return issues


def _order(value: Any, providers: frozenset[str]) -> Order:
    """One of the four words, or the names in a comma list as a tuple."""
    hint = f"{', '.join(ORDERS)}, or a comma list of {', '.join(sorted(providers))}"
    if not isinstance(value, str):
        raise Bad("type", f"must be text, not {kind_of(value)}", hint)
    words = [word.strip() for word in plain_text(value).split(",")]
    if len(words) == 1 and words[0] in ORDERS:
        return words[0]
    for index, word in enumerate(words):
        if word not in providers:
            raise Bad(
                "order", f"{shown(word)} is not a provider", did_you_mean(word, (*providers, *ORDERS)) or hint
            )
        if word in words[:index]:
            raise Bad("order", f"{word} stands twice")
    return tuple(words)


def _unknown(key: Any, contract: Contract, hint: bool) -> Issue:
    if not isinstance(key, str):
        return Issue("", "unknown_field", f"a key that is {kind_of(key)}", "keys are text")
    name = CONTROL.sub("\ufffd", key[:80])
    # Looking for what was meant takes time, and beyond the bound nobody is told.
    meant = did_you_mean(name, (*contract.fields, ORDER_FIELD)) if hint else ""
    return Issue(name, "unknown_field", f"{contract.id} has no such field", meant)


def _size_issue(data: Mapping[Any, Any]) -> Issue | None:
    """Bound the work by bytes of text (plus two per value) and by depth, so that cycles end too."""
    budget = MAX_REQUEST_BYTES
    stack: list[tuple[Any, int]] = [(data, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            return Issue("", "too_deep", f"nested deeper than {MAX_DEPTH} levels", "requests are flat")
        for part in (*node.keys(), *node.values()) if isinstance(node, Mapping) else node:
            budget -= 2
            if isinstance(part, str):
                budget -= len(part) if part.isascii() else len(part.encode("utf-8", "surrogatepass"))
            elif isinstance(part, list | tuple | Mapping):
                stack.append((part, depth + 1))
            if budget < 0:
                return Issue("", "too_large", f"larger than {MAX_REQUEST_BYTES} bytes", "send files as URLs")
    return None
