"""Never executed: what type checkers must make of the public API."""

from decimal import Decimal
from typing import assert_type

from ledger_fortress import (
    AsyncLedger,
    Balance,
    Credits,
    Ledger,
    LedgerError,
    Reason,
    Receipt,
    Refused,
    Statement,
    StoreUnavailable,
    Verification,
)


def spend() -> None:
    with Ledger.open("sqlite:///credits.db") as ledger:
        assert_type(ledger, Ledger)
        assert_type(ledger.grant("acct_1", "25.00", key="in_77", source="stripe", create=True), Receipt)
        hold = ledger.reserve("acct_1", Decimal("0.052"), key="gen_9", timeout=900)
        assert_type(hold.replayed, bool)
        assert_type(ledger.charge("acct_1", "gen_9", Credits("0.040")), Receipt)
        assert_type(ledger.release("acct_1", "gen_9"), Receipt)
        assert_type(ledger.refund("acct_1", "gen_9", key="refund-1"), Receipt)
        assert_type(ledger.balance("acct_1"), Balance)
        assert_type(ledger.balance("acct_1").available, Credits)
        assert_type(ledger.statement("acct_1"), Statement)
        assert_type(ledger.verify(since="00" * 32), Verification)
        assert_type(ledger.audit("a"), Verification)


def refuse(ledger: Ledger) -> LedgerError | None:
    try:
        ledger.reserve("acct_1", 7, key="gen_10")
    except Refused as no:
        assert_type(no.reason, Reason)
        if no.reason is Reason.INSUFFICIENT and no.balance is not None:
            assert_type(no.balance.available, Credits)
        return no
    except StoreUnavailable as down:
        assert_type(down.maybe_applied, bool)
        return down
    ledger.reserve("acct_1", 0.5, key="gen_11")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return None


async def spend_without_blocking() -> Receipt:
    async with AsyncLedger.open("memory:") as ledger:
        assert_type(ledger, AsyncLedger)
        await ledger.grant("acct_1", 25, key="in_77", create=True)
        receipt = await ledger.reserve("acct_1", "0.052", key="gen_9")
        assert_type(receipt, Receipt)
        assert_type(await ledger.balance("acct_1"), Balance)
        return await ledger.charge("acct_1", "gen_9")
