"""Credits that are held, charged, released and refunded at most once each.

    with Ledger.open("sqlite:///credits.db") as ledger:
        ledger.grant("acct_1", "25.00", key="in_77", create=True)
        ledger.reserve("acct_1", "0.052", key="gen_9", timeout=900)
        ledger.charge("acct_1", "gen_9", "0.040")

Commands for `Ledger.apply` are in `ledger_fortress.commands`, the auditor in `ledger_fortress.audit`, every
error in `ledger_fortress.errors`.
"""

from __future__ import annotations

from .answers import Reason, Receipt
from .credits import Credits
from .errors import LedgerError, Refused, StoreBusy, StoreUnavailable
from .ledger import Ledger
from .ledger.aio import AsyncLedger
from .views import Balance, Statement, Verification

__all__ = [
    "AsyncLedger",
    "Balance",
    "Credits",
    "Ledger",
    "LedgerError",
    "Reason",
    "Receipt",
    "Refused",
    "Statement",
    "StoreBusy",
    "StoreUnavailable",
    "Verification",
]
