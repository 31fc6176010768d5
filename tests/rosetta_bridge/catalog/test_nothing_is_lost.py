"""What the caller says reaches the provider: in the payload, in `dropped`, or the provider is excluded.

Native schemas cannot see a forgotten file, or two values that come out the same. So the shipped mappings
are tried here, one field at a time, alone and beside input files: every text and URL is looked for in the
payload, and different values must make different payloads.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from rosetta_bridge import Catalog, InvalidRequest

CATALOG = Catalog.shipped(include="secondary")
FILES = "generation_input_file"


def texts(field: Any, count: int) -> list[str]:
    if field.is_url:
        return [f"https://example.com/{field.name}-{index}.png" for index in range(count)]
    return [f"{'tag' if field.is_list else 'text of ' + field.name}{index}" for index in range(count)]


def values(field: Any) -> list[Any]:
    """Values worth sending: all of a short list, the ends of a range, lists of 1, 2 and the most."""
    if field.is_list:
        most = field.max_items or 3
        return [texts(field, count) for count in sorted({1, min(2, most), most})]
    if field.type in ("url", "string"):
        return texts(field, 2)
    if (finite := field.finite()) is not None:
        return list(finite)
    return [end for end in (field.min, field.max) if end is not None]


def sent(model: Any, provider: str, data: dict[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    """The payload as text and what was dropped; None when the request is refused or the provider excluded."""
    try:
        request = model.normalize(data)
    except InvalidRequest:
        return None
    if provider not in model.eligible(request):
        return None
    payload = model.render(request, provider)
    return json.dumps([payload.path, payload.body], sort_keys=True), payload.dropped


def surroundings(model: Any) -> list[dict[str, Any]]:
    """The least request, and the same beside each number of input files."""
    fields = model.contract.fields
    least = {name: values(field)[0] for name, field in fields.items() if field.required}
    return [least, *({**least, FILES: some} for some in (values(fields[FILES]) if FILES in fields else ()))]


def check_field(model: Any, provider: str, field: Any, beside: dict[str, Any]) -> int:
    """Assert over all values of one field; how many were sent."""
    payloads: dict[str, Any] = {}
    for value in values(field):
        result = sent(model, provider, {**beside, field.name: value})
        if result is None or field.name in result[1]:
            continue
        told = value if isinstance(value, list) else [value]
        if field.is_list or field.type in ("url", "string"):
            for text in told:
                assert json.dumps(text) in result[0], f"{provider} loses {text!r}; beside {beside}"
        twin = payloads.setdefault(result[0], value)
        assert twin is value, f"{provider} is sent the same for {field.name} {twin!r} and {value!r}; {beside}"
    return len(payloads)


@pytest.mark.parametrize("name", CATALOG.models())
def test_every_value_is_sent_or_named(name: str) -> None:
    model = CATALOG[name]
    count = sum(
        check_field(model, provider, field, beside)
        for beside in surroundings(model)
        for field in model.contract.fields.values()
        for provider in model.providers
    )
    assert count > len(model.contract.fields)
