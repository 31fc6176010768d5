"""A call written down is the same bytes, however long it is; and what is long is not written by the loop."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution_arrow.providers.base import Call
from execution_arrow.transport import written as module
from execution_arrow.transport.written import write, written

leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=5) | st.integers() | st.none() | st.booleans(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60)
@given(values.filter(lambda value: value is not None))
def test_in_pieces_or_whole_it_is_what_json_says(value: Any) -> None:
    """With pieces of three characters, so that all of it is cut everywhere."""
    whole = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", 3)
        pieces = write(Call(method="POST", url="http://h/", json=value)).pieces
    assert b"".join(pieces or ()) == whole


class Watched(dict[str, Any]):
    """Remembers who reads it."""

    seen: set[int]

    def items(self) -> Any:
        self.seen = {threading.get_ident()}
        return super().items()


@pytest.mark.parametrize(("length", "elsewhere"), [(1000, False), (1 << 20, True)])
def test_what_is_long_is_written_by_another_thread(length: int, elsewhere: bool) -> None:
    body = Watched(image="x" * length, nested=Watched(a=1))
    request = asyncio.run(written(Call(method="POST", url="http://h/", json=body)))
    threads = {*getattr(body, "seen", ()), *getattr(body["nested"], "seen", ())} - {threading.get_ident()}
    assert request.length == len(json.dumps(body, separators=(",", ":")))
    assert bool(threads) is elsewhere
    assert all(len(piece) < 2 * module.PIECE + 100 for piece in request.pieces or ())
    assert "xxx" not in repr(request)


def test_the_length_is_nobody_elses_to_say() -> None:
    """A length that is not the body's would make the rest of it the next request."""
    headers = {"Content-Length": "3", "Transfer-Encoding": "chunked"}
    request = write(Call(method="POST", url="http://h/", headers=headers, json={"a": 1}))
    assert request.headers["content-length"] == "7"
    assert not {"Content-Length", "Transfer-Encoding"} & set(request.headers)
