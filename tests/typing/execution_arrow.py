"""Never executed: what type checkers must make of the public API."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, assert_type

from execution_arrow import (
    Advanced,
    Arrow,
    AsyncArrow,
    Busy,
    Generation,
    GenerationFailed,
    InsufficientCredits,
    Outcome,
    Policy,
    RequestRejected,
    Status,
    WaitTimeout,
)
from execution_arrow.reports.accounting import Usage
from execution_arrow.reports.reconciling import Finding
from execution_arrow.tariff import CostPlus, Price, PriceTable
from execution_arrow.webhooks import WebhookReason, WebhookReply
from ledger_fortress import Ledger

REQUEST: dict[str, Any] = {"generation_prompt": "a lighthouse"}


def generate() -> Generation | None:
    with Arrow.open("./media-data", policy=Policy(unknown_patience=2.0)) as arrow:
        assert_type(arrow, Arrow)
        assert_type(arrow.ledger, Ledger)
        try:
            g = arrow.generate_and_wait(
                "bytedance/seedream-4.5", REQUEST, account="acct_1", idempotency_key="order-118", timeout=120
            )
        except InsufficientCredits as error:
            assert_type(error.needed, int)
            assert_type(error.available, int)
            return None
        except GenerationFailed as error:
            return error.generation
        except WaitTimeout as error:
            assert_type(error.generation_id, str)
            assert_type(error.retryable, bool)
            return None
        except RequestRejected as error:
            assert_type(error.http_status, int)
            return None
    return read(g)


def read(g: Generation) -> Generation:
    assert_type(g.status, Status)
    assert_type(g.provider_used, str | None)
    assert_type(g.charged, Decimal)
    for attempt in g.attempts:
        assert_type(attempt.provider, str)
        assert_type(attempt.outcome, Outcome)
    return g


async def advance(generation_id: str) -> None:
    async with AsyncArrow.open("memory:", worker=True) as arrow:
        assert_type(arrow, AsyncArrow)
        assert_type(await arrow.generate("m/n", REQUEST, account="acct_1"), Generation)
        assert_type(await arrow.get(generation_id), Generation)
        step = await arrow.advance(generation_id)
        if isinstance(step, Busy):
            assert_type(step.until, float)
        else:
            assert_type(step, Advanced)
            assert_type(step.next_at, float | None)
        await arrow.generate("m/n", REQUEST)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def operate(generation_id: str) -> None:
    tariff = PriceTable({"lab/m": [Price(5, per="second")]}, otherwise=CostPlus(margin=Decimal("1.1")))
    with Arrow.open("./media-data", tariff=tariff, public_url="https://media.example.com/hooks") as arrow:
        reply = arrow.handle_webhook("fal", "gen_1.token", {"content-type": "application/json"}, b"{}")
        assert_type(reply, WebhookReply)
        assert_type(reply.status, int)
        assert_type(reply.reason, WebhookReason)
        assert_type(arrow.usage(since=datetime.now(UTC)), Usage)
        assert_type(arrow.reconcile(grace=60, repair=True), tuple[Finding, ...])
        assert_type(arrow.delete(generation_id), bool)
        arrow.handle_webhook("fal", "t", {}, "{}")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
