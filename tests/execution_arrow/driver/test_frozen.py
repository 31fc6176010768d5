"""What was agreed when a generation began is what it ends with, whatever is changed meanwhile."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from execution_arrow import AsyncArrow, Policy, Status
from execution_arrow import facts as f
from execution_arrow.errors import ArtifactGone, LedgerRefused
from execution_arrow.machine.codec import load_spec
from execution_arrow.stores.memory import MemoryStore
from execution_arrow.testing import FakeArtifacts, FakeLedger, FakeProvider, fake_parts
from execution_arrow.testing.fakes import FakeNormalizer
from tests.execution_arrow.driver.test_driver import QUICK, REQUEST, arrow_of, run

THREE = f.Succeeded(outputs=tuple(f.Output(index=i, url=f"https://fake.example/{i}.png") for i in range(3)))


@run
async def test_quote_chain_policy_and_digest_are_those_of_the_beginning(tmp_path: Path):
    """Begun by one version of everything, ended by another: catalogue, prices, order and policy changed."""
    store, ledger = MemoryStore(), FakeLedger()

    def arrow(*names: str, price: int, policy: Policy, digest: str, **more: Any) -> AsyncArrow:
        providers = {name: FakeProvider(name) for name in names}
        normalizer = FakeNormalizer(names, price=price)
        prepare = normalizer.prepare
        normalizer.prepare = lambda m, r: _with_digest(prepare(m, r), digest)  # type: ignore[method-assign]
        parts = fake_parts(providers, tmp_path, store=store, holds=ledger, normalizer=normalizer)
        return AsyncArrow(parts, policy=policy, limits=QUICK, **more)

    async with arrow("one", "two", price=40_000, policy=Policy(retries_here=7), digest="old") as first:
        begun = await first.generate("m", REQUEST, account="acct")
    later = Policy(charge_on_cancel=True, retries_here=0)
    async with arrow("two", "one", price=99_000, policy=later, digest="new", worker=True) as second:
        done = await second.wait(begun.id, timeout=20)
        assert (done.provider_used, done.chain) == ("one", ("one", "two"))
        assert done.charged == done.hold == Decimal("0.040000")
    row = store.load(begun.id)
    assert row is not None
    spec = load_spec(row.spec)
    assert (spec.catalog_digest, spec.policy, spec.hold) == ("old", Policy(retries_here=7), 40_000)
    assert ledger.settled == {begun.id: ("charge", 40_000)}


def _with_digest(prepared: Any, digest: str) -> Any:
    object.__setattr__(prepared, "catalog_digest", digest)
    return prepared


@pytest.mark.parametrize(("lost", "charged"), [(0, "0.100000"), (1, "0.066666"), (2, "0.033333")])
@run
async def test_part_of_the_results_is_part_of_the_price(tmp_path: Path, lost: int, charged: str):
    artifacts = FakeArtifacts(lambda url: ArtifactGone("410") if int(url[-5]) < lost else None)
    ledger = FakeLedger()
    provider = FakeProvider(polls=[THREE])
    normalizer = FakeNormalizer(("fake",), price=100_000, asked=3)
    async with arrow_of(
        tmp_path, provider, artifacts=artifacts, holds=ledger, normalizer=normalizer
    ) as arrow:
        done = await arrow.generate_and_wait("m", REQUEST, account="acct", timeout=20)
    assert (done.status, len(done.files), done.charged) == (Status.SUCCEEDED, 3 - lost, Decimal(charged))
    assert done.hold == Decimal("0.100000")


@run
async def test_more_results_than_asked_for_cost_no_more(tmp_path: Path):
    normalizer = FakeNormalizer(("fake",), price=100_000, asked=2)
    async with arrow_of(tmp_path, FakeProvider(polls=[THREE]), normalizer=normalizer) as arrow:
        done = await arrow.generate_and_wait("m", REQUEST, account="acct", timeout=20)
    assert (len(done.files), done.charged) == (3, Decimal("0.100000"))


@run
async def test_a_hold_that_was_settled_before_dispatches_nothing(tmp_path: Path):
    """The arrow's store came back from a backup: its newest generations are the ledger's past."""
    ledger, provider = FakeLedger(), FakeProvider()

    class Rewound(FakeLedger):
        async def hold(self, *call: Any) -> Any:
            await ledger.hold(*call)
            ledger.settled.setdefault(call[1], ("charge", call[2]))
            return await ledger.hold(*call)

        async def settle(self, *call: Any) -> Any:
            return f.SettleRefused(reason="key_conflict")

    async with arrow_of(tmp_path, provider, holds=Rewound()) as arrow:
        with pytest.raises(LedgerRefused, match="hold_closed"):
            await arrow.generate("m", REQUEST, account="acct", idempotency_key="order-1")
        (found,) = await arrow.list()
        assert (found.status, found.stuck, found.attempts) == (Status.FAILED, "hold_closed", ())
        assert found.idempotency_key == "order-1"  # a retry must not pay a second time
        again = await arrow.generate("m", REQUEST, account="acct", idempotency_key="order-1")
        assert again.id == found.id
