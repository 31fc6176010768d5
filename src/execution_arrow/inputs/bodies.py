"""Putting the files of a request where its mapping wants their bytes.

A mapping writes `{"$fetch": url, "as": how}` where a provider takes no address. The marker is what the row
keeps; the bytes exist from right before the one call until it has been made, and are fetched anew for every
attempt. `base64` and `data_url` become text; `file` stays a file and becomes a part of a form;
`upload` becomes the place where the provider keeps the file (`inputs.uploading`).

Sources: RFC 7578 (multipart/form-data), RFC 2397 (data URLs), WHATWG HTML on the names of parts.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from execution_arrow.errors import PayloadUnsupported
from execution_arrow.media import sniff
from execution_arrow.ports import InputFile, Payload
from execution_arrow.values import replace

_PIECE = 3 << 16  # bytes; a multiple of three, so that pieces of base64 make a whole


def filled(
    payload: Payload, files: Mapping[str, InputFile], places: Mapping[str, str] | None = None
) -> Payload:
    """Return the payload with every marker replaced: by the file, or by the place that it was uploaded to.

    Raises `PayloadUnsupported` for a marker it does not know.
    """
    return replace(payload, body=_put(payload, payload.body, files, places or {}), fetches=())


def form(payload: Payload) -> tuple[str, bytes]:
    """Return content type and bytes of a multipart body: scalars, files, and lists of them as repeated parts.

    Raises `PayloadUnsupported` for anything else: what a form has no word for would be sent as its `repr`.
    """
    if not isinstance(payload.body, Mapping):
        raise PayloadUnsupported(payload.provider, "a form that is not an object")
    parts = list(_parts(payload, payload.body))
    # A boundary made of the content needs no chance, and nothing inside can hold it.
    digest = hashlib.sha256()
    for piece in chain.from_iterable(parts):
        digest.update(piece)
    boundary = f"part-{digest.hexdigest()[:40]}"
    line = f"--{boundary}\r\n".encode()
    pieces = chain.from_iterable((line, head, b"\r\n", data, b"\r\n") for head, data in parts)
    body = b"".join((*pieces, f"--{boundary}--\r\n".encode()))
    return f"multipart/form-data; boundary={boundary}", body


def data_url(file: InputFile) -> str:
    return _base64(file, f"data:{file.media_type};base64,")


def _base64(file: InputFile, before: str = "") -> str:
    """Bit by bit: one long call of the encoder would let no other thread run meanwhile."""
    data = file.data
    pieces = (base64.b64encode(data[start : start + _PIECE]) for start in range(0, len(data), _PIECE))
    return "".join((before, *(piece.decode() for piece in pieces)))


_AS: Mapping[str, Callable[[InputFile], Any]] = {
    "base64": _base64,
    "data_url": data_url,
    "file": lambda file: file,
}


def _put(payload: Payload, value: Any, files: Mapping[str, InputFile], places: Mapping[str, str]) -> Any:
    if isinstance(value, list | tuple):
        return [_put(payload, item, files, places) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "$fetch" not in value:
        return {name: _put(payload, item, files, places) for name, item in value.items()}
    url, how = value["$fetch"], str(value.get("as"))
    if how == "upload" and url in places:
        return places[url]
    if how not in _AS or url not in files:
        raise PayloadUnsupported(payload.provider, f"an input file as {how!r}")
    return _AS[how](files[url])


def _parts(payload: Payload, body: Mapping[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in body.items():
        for number, item in enumerate(value if isinstance(value, list | tuple) else [value], 1):
            quoted = _quoted(str(name))
            head = f'content-disposition: form-data; name="{quoted}"'
            if isinstance(item, InputFile):
                file = f"{quoted.rstrip('[]')}-{number}.{_extension(item)}"
                yield f'{head}; filename="{file}"\r\ncontent-type: {item.media_type}\r\n'.encode(), item.data
            else:
                yield f"{head}\r\n".encode(), _scalar(payload, name, item)


def _scalar(payload: Payload, name: object, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, bool | int | float):
        return json.dumps(value).encode()
    raise PayloadUnsupported(payload.provider, f"a form whose part {name!r} is {type(value).__name__}")


def _quoted(name: str) -> str:
    for mark, code in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        name = name.replace(mark, code)
    return name


def _extension(file: InputFile) -> str:
    found = sniff(file.data[:64])
    return found.extension if found is not None else "bin"
