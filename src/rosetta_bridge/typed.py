"""A Python module with one `TypedDict` for each model's request, for editors and type checkers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from .language.contract import Contract
from .language.fields import ORDER_FIELD, Field

_HEAD = '''"""Requests of the models of a catalogue. Generated: {command}"""

from typing import Any, Literal, NotRequired, TypedDict
'''


def typed_module(contracts: Iterable[Contract], command: str) -> str:
    """The text of the module. Raises `ValueError` where two models would have the same class name."""
    parts, names = [_HEAD.format(command=command)], dict[str, str]()
    for contract in contracts:
        name = class_name(contract.id)
        if name in names:
            raise ValueError(f"{contract.id} and {names[name]} would both be the class {name}: name them")
        names[name] = contract.id
        parts.append(_class(name, contract))
    table = "".join(f"    {json.dumps(model)}: {name},\n" for name, model in names.items())
    parts.append(f"REQUESTS: dict[str, type[Any]] = {{\n{table}}}\n")
    return "\n\n".join(parts)


def class_name(model: str) -> str:
    """`bytedance/seedream-4.5` as `BytedanceSeedream45Request`."""
    words = re.split(r"[^a-z0-9]+", model)
    return "".join(word.capitalize() for word in words) + "Request"


def _class(name: str, contract: Contract) -> str:
    lines = [f"class {name}(TypedDict):", f'    """A request for {contract.id}."""', ""]
    for field in contract.fields.values():
        kind = _type(field)
        lines.append(f"    {field.name}: {kind if field.required else f'NotRequired[{kind}]'}")
        if told := _told(field):
            lines.append(f'    """{told}"""')
    lines.append(f"    {ORDER_FIELD}: NotRequired[str]")
    return "\n".join(lines) + "\n"


def _type(field: Field) -> str:
    if field.values is not None:
        return f"Literal[{', '.join(json.dumps(value, ensure_ascii=False) for value in field.values)}]"
    return {
        "integer": "int",
        "number": "float",
        "boolean": "bool",
        "url_list": "list[str]",
        "string_list": "list[str]",
    }.get(field.type, "str")


def _told(field: Field) -> str:
    """What the type does not say, on one line."""
    limits = [
        f"{name.replace('_', ' ')} {value}"
        for name in ("min", "max", "step", "min_length", "max_length", "max_items")
        if (value := getattr(field, name)) is not None
    ]
    if field.has_default:
        limits.append(f"default {json.dumps(field.default, ensure_ascii=False)}")
    text = "; ".join(part for part in (field.description.rstrip("."), ", ".join(limits)) if part)
    return text.replace("\\", "\\\\").replace('"', '\\"')
