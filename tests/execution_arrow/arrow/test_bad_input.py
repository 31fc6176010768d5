"""What callers may get wrong at every public verb: each refusal has a name, nothing is held or dispatched.

Nothing here may be passed over in silence either: a misspelt `idempotency_key` pays twice.
"""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import Arrow, AsyncArrow, RequestRejected
from execution_arrow.errors import ArrowError, CatalogBroken, UnknownGeneration
from rosetta_bridge import Catalog
from tests.execution_arrow.pains.kit import run

MODEL = "bfl/flux-schnell"
GOOD = {"generation_prompt": "a lighthouse"}


def deep(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


def circle() -> dict[str, Any]:
    found: dict[str, Any] = {"generation_prompt": "x"}
    found["generation_ratio"] = found
    return found


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


MODELS = [None, 1, "", "nope/nope", "\ud800", "x" * 100_000, b"x", ["a"], MODEL + "\0"]
REQUESTS = [
    None, 1, "x", [], [1], b"", {1: "a", "b": 2}, {"generation_prompt": math.nan}, circle(),
    {"generation_prompt": deep(50_000)}, {"generation_prompt": "x" * 5_000_000}, {**GOOD, "zzz": 1},
    {"generation_prompt": b"x"}, {"generation_prompt": object()}, {**GOOD, "generation_seed": math.inf},
    {**GOOD, "generation_output_number": 10**40}, {**GOOD, "generation_provider_order": ["fal", 1]},
    {**GOOD, "generation_provider_order": "\ud800"},
]  # fmt: skip
OPTIONS: list[dict[str, Any]] = [
    *({"account": bad} for bad in (None, "", 1, "x" * 300, "\ud800", "a\nb", b"acct")),
    *({"idempotency_key": bad} for bad in ("", 1, "x" * 300, "\ud800", "a\nb", b"k", math.nan)),
    *({"policy": bad} for bad in ("wait", 1, {"on_unknown": "wait"}, Unprintable())),
    *({"region": bad} for bad in ("", 1, "\ud800", "x" * 10_000, b"eu")),
    *({"sticky": bad} for bad in ("", 1, "\ud800", ["fal"])),
    {"idempotencykey": "order-1"},
    {"nonsense": 1},
]
IDS = [None, 1, "", "x", "\ud800", "a\0b", "x" * 1_000_000, b"x", ["a"], Unprintable()]
TIMEOUTS = [-1, math.nan, math.inf, "1", int, 10**400, True]
PAGES: list[dict[str, Any]] = [
    *({"account": bad} for bad in (1, "\ud800", b"x", "")),
    *({"status": bad} for bad in ("nope", 1, b"pending", "")),
    *({"before": bad} for bad in (1, "\ud800", b"x")),
    *({"limit": bad} for bad in (-1, 0, "5", 10**30, 2.5, None, True)),
]


def opened(tmp_path: Path) -> AsyncArrow:
    return AsyncArrow.open("memory:", artifacts=tmp_path)


@run
async def test_generate_refuses_by_name(tmp_path: Path):
    async with opened(tmp_path) as arrow:
        await arrow.ledger.grant("acct", "5", key="start", create=True)
        for model in MODELS:
            with pytest.raises(RequestRejected):
                await arrow.generate(model, GOOD, account="acct")  # type: ignore[arg-type]
            with pytest.raises(RequestRejected):
                await arrow.estimate(model, GOOD)  # type: ignore[arg-type]
        for request in REQUESTS:
            with pytest.raises(RequestRejected):
                await arrow.generate(MODEL, request, account="acct")  # type: ignore[arg-type]
            with pytest.raises(RequestRejected):
                await arrow.estimate(MODEL, request)  # type: ignore[arg-type]
        for options in OPTIONS:
            for verb in (arrow.generate, arrow.generate_and_wait):
                with pytest.raises(RequestRejected, match=next(iter(options))):
                    await verb(MODEL, GOOD, **{"account": "acct", **options})
        for timeout in TIMEOUTS:
            with pytest.raises(RequestRejected, match="timeout"):
                await arrow.generate_and_wait(MODEL, GOOD, account="acct", timeout=timeout)  # type: ignore[arg-type]
        assert await arrow.list() == []
        assert (await arrow.ledger.balance("acct")).held.micros == 0


@run
async def test_a_misspelt_key_is_told_what_was_meant(tmp_path: Path):
    async with opened(tmp_path) as arrow:
        with pytest.raises(RequestRejected, match="did you mean 'idempotency_key'"):
            await arrow.generate(MODEL, GOOD, account="acct", idempotency_keys="order-1")  # type: ignore[call-arg]


@run
async def test_verbs_with_an_id_do_not_know_it(tmp_path: Path):
    async with opened(tmp_path) as arrow:
        for verb in (arrow.get, arrow.wait, arrow.cancel, arrow.advance):
            for bad in IDS:
                with pytest.raises(UnknownGeneration, match="check the id"):
                    await verb(bad)  # type: ignore[operator]
        for timeout in TIMEOUTS:
            with pytest.raises(RequestRejected, match="timeout"):
                await arrow.wait("gen", timeout=timeout)  # type: ignore[arg-type]


@run
async def test_list_refuses_by_name(tmp_path: Path):
    async with opened(tmp_path) as arrow:
        for page in PAGES:
            with pytest.raises(RequestRejected, match=next(iter(page))):
                await arrow.list(**page)


def test_the_blocking_face_refuses_the_same(tmp_path: Path):
    with Arrow.open("memory:", artifacts=tmp_path) as arrow:
        calls = (
            lambda: arrow.generate(MODEL, GOOD, account=""),
            lambda: arrow.generate_and_wait(MODEL, GOOD, account="acct", timeout=-1),
            lambda: arrow.estimate(MODEL, {}),
            lambda: arrow.list(limit=0),
            lambda: arrow.get("\ud800"),
            lambda: arrow.wait("x", timeout=math.nan),
            lambda: arrow.cancel(""),
            lambda: arrow.advance("x"),
        )
        for call in calls:
            with pytest.raises(ArrowError):
                call()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"policy": "wait"}, "policy"),
        ({"region": 5}, "region"),
        ({"base_urls": "http://127.0.0.1"}, "base_urls"),
        ({"base_urls": {"fall": "http://127.0.0.1:1"}}, "did you mean 'fal'"),  # or real bills
        ({"base_urls": {"fal": "127.0.0.1:1"}}, "base_urls"),
        ({"public_url": "ftp://example.com"}, "public_url"),
        ({"public_url": "example.com"}, "public_url"),
    ],
)
def test_open_says_what_is_wrong(tmp_path: Path, options: dict[str, Any], named: str):
    with pytest.raises(ValueError, match=named):
        AsyncArrow.open("memory:", artifacts=tmp_path, **options)


def test_no_name_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A variable that is not set must not put a second set of books wherever the service was started."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="name a folder"):
        AsyncArrow.open("")
    assert list(tmp_path.iterdir()) == []


def test_nothing_hangs_when_the_verbs_are_called_too_early_or_too_late(tmp_path: Path):
    arrow = opened(tmp_path)

    async def use() -> None:
        with pytest.raises(ArrowError, match="open it first"):
            await arrow.get("x")
        async with arrow:
            pass
        with pytest.raises(ArrowError):
            await arrow.generate(MODEL, GOOD, account="acct")
        with pytest.raises(ArrowError):
            await arrow.list()

    asyncio.run(asyncio.wait_for(use(), 20))


def test_a_broken_mapping_file_is_named(tmp_path: Path) -> None:
    """It is read when its model is first asked for, so a customer's request may be the first to meet it."""
    file = tmp_path / "own" / "bfl" / "flux-schnell" / "fal.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("extends: shipped\nbody: {prompt: $generation_pompt}\n")
    with Arrow.open(tmp_path / "data", catalog=Catalog.open(tmp_path / "own")) as arrow:
        arrow.ledger.grant("acct", 1, key="in", create=True)
        with pytest.raises(CatalogBroken, match=r"fal\.yaml:2"):
            arrow.generate(MODEL, GOOD, account="acct")
        assert (arrow.list(), str(arrow.ledger.balance("acct"))) == ([], "1.000000 available, 0.000000 held")
