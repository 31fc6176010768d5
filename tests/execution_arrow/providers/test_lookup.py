"""Looking for a job whose submit answer was lost."""

from __future__ import annotations

from typing import Any

import pytest

from execution_arrow.facts import LookupFound, LookupNone, PollFailed
from execution_arrow.providers import shipped
from tests.execution_arrow.providers import samples as s

SENT = 1_795_172_400.0  # 2026-11-20T11:00:00Z


def _item(**changes: Any) -> dict[str, Any]:
    base = {
        "id": "p1",
        "model": "black-forest-labs/flux-schnell",
        "version": "hidden",
        "source": "api",
        "status": "processing",
        "created_at": "2026-11-20T11:00:01.000Z",
        "input": dict(s.REPLICATE.body["input"]),
    }
    return {**base, **changes}


def _look(*items: Any, bound: tuple[str, ...] = (), status: int = 200) -> Any:
    reply = s.reply({"results": list(items), "next": None}, status)
    return shipped()["replicate"].read_lookup(
        s.REPLICATE, reply, sent_at=SENT, bound=lambda job: job in bound
    )


def test_exactly_one_match_is_found() -> None:
    assert _look(_item(), _item(id="p2", input={"prompt": "another"})) == LookupFound(job="p1")


def test_two_that_could_be_it_are_none() -> None:
    assert _look(_item(), _item(id="p2")) == LookupNone(conclusive=False)


def test_one_of_two_belongs_to_somebody() -> None:
    assert _look(_item(), _item(id="p2"), bound=("p2",)) == LookupFound(job="p1")


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "black-forest-labs/flux-dev"},
        {"created_at": "2026-11-20T10:59:54Z"},
        {"created_at": "yesterday"},
        {"created_at": None},
        {"created_at": "2026-11-20T11:00:01"},
        {"input": {}},
        {"input": None},
        {"input": {"prompt": "a seal"}},
        {"source": "web"},
        {"id": "../x"},
    ],
    ids=str,
)
def test_no_match(changes: dict[str, Any]) -> None:
    """Without the same input nothing matches: model and time alone would also fit a stranger's picture."""
    assert _look(_item(**changes)) == LookupNone(conclusive=False)


def test_an_empty_input_identifies_nothing() -> None:
    payload = s.payload("replicate", "/v1/predictions", {"version": "m", "input": {}}, model="m")
    reply = s.reply({"results": [_item(model="m", input={})]})
    found = shipped()["replicate"].read_lookup(payload, reply, sent_at=SENT, bound=lambda job: False)
    assert found == LookupNone(conclusive=False)


def test_nothing_found_proves_nothing() -> None:
    assert _look() == LookupNone(conclusive=False)
    assert _look("junk", None, 3) == LookupNone(conclusive=False)


def test_versions_match_exactly() -> None:
    provider = shipped()["replicate"]
    body = {"version": "abc123", "input": {"prompt": "a"}}
    payload = s.payload("replicate", "/v1/predictions", body, model="owner/name:abc123")
    item = _item(model="owner/name", version="abc123", input={"prompt": "a"})
    reply = s.reply(
        {"results": [item, _item(id="p2", model="owner/name", version="def", input={"prompt": "a"})]}
    )
    assert provider.read_lookup(payload, reply, sent_at=SENT, bound=lambda job: False) == LookupFound(
        job="p1"
    )


def test_an_unreadable_list_is_a_failed_poll() -> None:
    assert isinstance(_look(status=500), PollFailed)


@pytest.mark.parametrize("payload", [s.FAL, s.CLIP, s.PICTURES, s.HOSTED], ids=lambda p: p.path)
def test_where_nothing_can_be_asked(payload: Any) -> None:
    provider = shipped()[payload.provider]
    assert provider.build_lookup(payload, s.context("http://h")) is None
    assert provider.semantics.lookup is None
