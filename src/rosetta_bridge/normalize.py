"""From whatever a caller sent to a request of plain, checked values; or to every reason why not.

Nothing is repaired: no number is read out of a text, no value is clamped. Three notations mean one thing
and are accepted as JSON Schema accepts them: 5.0 is the integer 5, a key order does not matter, a default
may be left out. Work is bounded before it is done: size and depth first, then each field once.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, filterfalse
from typing import Any, Final

from .admit import CONTROL, kind_of, plain_text, shown, take, wanted
from .errors import InvalidRequest, Issue, did_you_mean, issue
from .language.contract import Contract
from .language.fields import ABSENT, ORDER_FIELD, ORDERS, Field

MAX_REQUEST_BYTES: Final = 100 * 1024
MAX_DEPTH: Final = 16
MAX_ISSUES: Final = 64
DEFAULT_ORDER: Final = "fastest"
SCALARS: Final = frozenset((int, float, bool, type(None)))
_NESTED: Final = (list, tuple, Mapping)
_FEW: Final = 256

Values = dict[str, Any]
Order = str | tuple[str, ...]


def normalize(
    contract: Contract, data: Any, providers: frozenset[str]
) -> tuple[Values, frozenset[str], Order]:
    """Values with defaults, the names given, and the order. Raises `InvalidRequest` with all issues.

    `providers` are the names that `generation_provider_order` may contain. The steps are functions of their
    own, because the compiled contract takes them where a request is not plainly good.
    """
    if not isinstance(data, Mapping):
        raise InvalidRequest(
            [Issue("", "type", f"a request is an object, not {kind_of(data)}", "send a JSON object")]
        )
    issues = bounded_work(data)
    order = names(contract, data, providers, issues)
    values: Values = {}
    for name, field in contract.fields.items():
        if name not in data:
            if field.required:
                issues.append(missing(field))
        elif (value := take(field, data[name], issues)) is not ABSENT:
            values[name] = value
    given = frozenset(name for name in contract.fields if name in data)
    across(contract, given, values, issues)
    if issues:
        raise refusal(issues)
    return {name: values[name] for name in contract.fields if name in values}, given, order


def bounded_work(data: Mapping[Any, Any]) -> list[Issue]:
    """No issue yet; raises `InvalidRequest` with one when the request is too large or too deep to look at."""
    if not _plainly_small(data) and (found := _size_issue(data)) is not None:
        raise InvalidRequest([found])
    return []


def names(
    contract: Contract, data: Mapping[Any, Any], providers: frozenset[str], issues: list[Issue]
) -> Order:
    """The provider order; an issue for each name that the contract does not have."""
    order: Order = DEFAULT_ORDER
    for key in filterfalse(contract.fields.__contains__, data):
        if key != ORDER_FIELD:
            issues.append(_unknown(key, contract))
        elif isinstance(found := _order(data[key], providers), Issue):
            issues.append(found)
        else:
            order = found
    return order


def missing(field: Field) -> Issue:
    return issue(field.name, "required", "is required", f"a {wanted(field)}")


def refusal(issues: list[Issue]) -> InvalidRequest:
    """A flood of issues is told in part; the last one counts the rest."""
    if len(issues) > MAX_ISSUES:
        rest = len(issues) - MAX_ISSUES
        issues = [*issues[:MAX_ISSUES], Issue("", "too_many", f"and {rest} more")]
    return InvalidRequest(issues)


def across(contract: Contract, given: frozenset[str], values: Values, issues: list[Issue]) -> None:
    """Fill in defaults, then check the rules over several fields."""
    for group in contract.exclusive:
        if len(rivals := [name for name in group if name in given]) > 1:
            issues.append(
                Issue(rivals[1], "exclusive", f"cannot be combined with {rivals[0]}", "send one of the two")
            )
    for name, field in contract.fields.items():
        # A default yields to a rival that was given.
        yields = bool(contract.exclusive) and any(
            name in group and any(r in given for r in group if r != name) for group in contract.exclusive
        )
        if field.has_default and name not in given and not yields:
            values[name] = field.default
    for group in contract.together:
        lacking = [name for name in group if name not in values and name not in given]
        if lacking and len(lacking) < len(group):
            others = ", ".join(name for name in group if name not in lacking)
            issues.extend(
                Issue(name, "together", f"is needed together with {others}", "send all of them or none")
                for name in lacking
            )


def _order(value: Any, providers: frozenset[str]) -> Order | Issue:
    """One of the four words, or the names in a comma list as a tuple."""
    text = plain_text(ORDER_FIELD, value, (_provider_meant, "", providers))
    if isinstance(text, Issue):
        return text
    words = [word.strip() for word in text.split(",")]
    if len(words) == 1 and words[0] in ORDERS:
        return words[0]
    for index, word in enumerate(words):
        if word not in providers:
            meant = (_provider_meant, word, providers)
            return issue(ORDER_FIELD, "order", f"{shown(word)} is not a provider", meant)
        if word in words[:index]:
            return issue(ORDER_FIELD, "order", f"{word} stands twice", "")
    return tuple(words)


def _provider_meant(word: str, providers: frozenset[str]) -> str:
    every = f"{', '.join(ORDERS)}, or a comma list of {', '.join(sorted(providers))}"
    return (did_you_mean(word, (*providers, *ORDERS)) if word else "") or every


def _unknown(key: Any, contract: Contract) -> Issue:
    if not isinstance(key, str):
        return Issue("", "unknown_field", f"a key that is {kind_of(key)}", "keys are text")
    name = key if len(key) <= 80 and key.isprintable() else CONTROL.sub("\ufffd", key[:80])
    problem = f"{contract.id} has no such field"
    return issue(name, "unknown_field", problem, (_field_meant, name, contract))


def _field_meant(name: str, contract: Contract) -> str:
    return did_you_mean(name, (*contract.fields, ORDER_FIELD))


def _plainly_small(data: Mapping[Any, Any]) -> bool:
    """Whether a flat request is small even if every character takes four bytes; quick to see."""
    if len(data) > _FEW:
        return False
    try:
        size = len("".join(data))
        for value in data.values():
            kind = type(value)
            if kind is str:
                size += len(value)
            elif kind is list and len(value) <= _FEW:
                size += len("".join(value)) + len(value)
            elif kind not in SCALARS:
                return False
    except TypeError:  # a key or an item that is no text
        return False
    return (size + len(data)) * 4 < MAX_REQUEST_BYTES


def _size_issue(data: Mapping[Any, Any]) -> Issue | None:
    """Bound the work by bytes of text (plus two per value) and by depth, so that cycles end too."""
    budget = MAX_REQUEST_BYTES
    stack: list[tuple[Any, int]] = [(data, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            return Issue("", "too_deep", f"nested deeper than {MAX_DEPTH} levels", "requests are flat")
        for part in chain(node.keys(), node.values()) if isinstance(node, Mapping) else node:
            budget -= 2
            if type(part) in SCALARS:
                continue
            if isinstance(part, str):
                budget -= len(part) if part.isascii() else len(part.encode("utf-8", "surrogatepass"))
            elif isinstance(part, _NESTED):
                stack.append((part, depth + 1))
            if budget < 0:
                return Issue("", "too_large", f"larger than {MAX_REQUEST_BYTES} bytes", "send files as URLs")
    return None
