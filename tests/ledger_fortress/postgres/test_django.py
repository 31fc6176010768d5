"""`ledger.within` on Django's own connection and transactions, in a real PostgreSQL."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ledger_fortress import Ledger, LedgerError, Refused, StoreUnavailable
from tests.services import PostgresServer
from tools.packages import ROOT


@pytest.fixture(scope="session")
def configured(server: PostgresServer) -> Any:
    """Django, set up once per process on the server of the tests."""
    import django
    from django.conf import settings

    where = parse_qs(urlsplit(server.url).query)["host"][0]
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "postgres",
        "USER": "postgres",
        "HOST": where,
    }
    settings.configure(DATABASES={"default": database}, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
    django.setup()
    return order_model()


def order_model() -> Any:
    from django.db import models

    class Order(models.Model):
        user = models.IntegerField()
        price = models.DecimalField(max_digits=12, decimal_places=6)
        state = models.CharField(max_length=40, default="new")

        class Meta:
            app_label = "shop"

    return Order


@pytest.fixture
def order(configured: Any, url: str) -> Iterator[Any]:
    """The caller's model, its table beside the ledger's."""
    from django.db import connection

    options = parse_qs(urlsplit(url).query)["options"][0]
    connection.settings_dict["OPTIONS"] = {"options": options}
    connection.close()
    with connection.schema_editor() as editor:
        editor.create_model(configured)
    yield configured
    connection.close()
    connection.settings_dict["OPTIONS"] = {}


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with Ledger.open(url) as opened:
        opened.grant("user_1", 10, key="in", create=True)
        yield opened


@pytest.fixture
def page(order: Any, ledger: Ledger) -> dict[str, Any]:
    """The block of the documentation, run; `started` is the work that it started."""
    text = (ROOT / "docs" / "ledger" / "from-a-balance-column.md").read_text("utf-8")
    (block,) = [part.partition("```")[0] for part in text.split("```python\n") if "django.db" in part[:40]]
    started: list[int] = []
    space: dict[str, Any] = {
        "Order": order,
        "ledger": ledger,
        "start_work": started.append,
        "started": started,
    }
    exec(block, space)
    return space


def test_both_commit(page: dict[str, Any], order: Any, ledger: Ledger) -> None:
    placed = page["place_order"](1, 4)
    assert page["started"] == [placed.pk]
    assert order.objects.count() == 1
    assert str(ledger.balance("user_1")) == "6.000000 available, 4.000000 held"
    assert ledger.audit().ok


def test_or_neither(page: dict[str, Any], order: Any, ledger: Ledger) -> None:
    """A refusal that leaves the block rolls back the order, and the record of the refusal with it."""
    with pytest.raises(Refused, match="insufficient"):
        page["place_order"](1, 40)
    assert (order.objects.count(), page["started"]) == (0, [])
    assert [entry.kind for entry in ledger.entries("user_1")] == ["open", "grant"]


def test_a_refusal_that_is_caught_commits(page: dict[str, Any], order: Any, ledger: Ledger) -> None:
    assert page["refused_but_recorded"](1, 40).state == "insufficient"
    assert order.objects.get().state == "insufficient"
    assert [entry.kind for entry in ledger.entries("user_1")] == ["open", "grant", "refused"]


def test_nothing_has_happened_until_the_commit(order: Any, ledger: Ledger) -> None:
    from django.db import connection, transaction

    with suppress(KeyError), transaction.atomic():
        inside = ledger.within(connection)
        inside.reserve("user_1", 4, key="h")
        inside.charge("user_1", "h", 3)
        assert str(inside.balance("user_1")) == "7.000000 available, 0.000000 held"
        assert str(ledger.balance("user_1")) == "10.000000 available, 0.000000 held"
        order.objects.create(user=1, price=3)
        raise KeyError("the caller's own trouble")
    assert order.objects.count() == 0
    assert ledger.hold("user_1", "h") is None
    assert not ledger.reserve("user_1", 4, key="h").replayed


def test_the_callers_savepoints(order: Any, ledger: Ledger) -> None:
    """A nested block that is undone takes the ledger's steps with it; what was before and after it stays."""
    from django.db import connection, transaction

    with transaction.atomic():
        inside = ledger.within(connection)
        inside.reserve("user_1", 1, key="before")
        with suppress(KeyError), transaction.atomic():
            inside.reserve("user_1", 2, key="within")
            order.objects.create(user=1, price=2)
            raise KeyError
        mark = transaction.savepoint()
        inside.reserve("user_1", 2, key="marked")
        transaction.savepoint_rollback(mark)
        assert inside.hold("user_1", "within") is None
        inside.reserve("user_1", 3, key="after")
        order.objects.create(user=1, price=3)
    assert {hold.key for hold in ledger.open_holds("user_1")} == {"before", "after"}
    assert [float(one.price) for one in order.objects.all()] == [3.0]
    assert ledger.audit().ok


def test_outside_of_a_transaction_it_is_refused(order: Any, ledger: Ledger) -> None:
    from django.db import connection

    with pytest.raises(LedgerError, match=r"Django's atomic\(\)"):
        ledger.within(connection).reserve("user_1", 1, key="h")
    assert ledger.hold("user_1", "h") is None


@pytest.mark.parametrize("level", ["REPEATABLE_READ", "SERIALIZABLE"])
def test_outside_of_read_committed_it_is_refused(order: Any, ledger: Ledger, level: str) -> None:
    """As Django is told to: by the connection's option."""
    import psycopg
    from django.db import connection, transaction

    connection.close()
    connection.settings_dict["OPTIONS"]["isolation_level"] = getattr(psycopg.IsolationLevel, level)
    with transaction.atomic():
        with pytest.raises(LedgerError, match="READ COMMITTED transactions only"):
            ledger.within(connection).reserve("user_1", 1, key="h")
        order.objects.create(user=1, price=1)  # the transaction is still the caller's to use
    assert order.objects.count() == 1
    assert ledger.hold("user_1", "h") is None


def test_a_transaction_that_has_failed_says_so(order: Any, ledger: Ledger) -> None:
    from django.db import DatabaseError, connection, transaction

    with suppress(DatabaseError), transaction.atomic():
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT * FROM nothing_of_the_kind")
        with pytest.raises(LedgerError, match="failed already"):
            ledger.within(connection).reserve("user_1", 1, key="h")
        order.objects.count()
    assert ledger.hold("user_1", "h") is None


def test_a_step_that_fails_leaves_djangos_transaction_usable(
    server: PostgresServer, order: Any, ledger: Ledger, url: str
) -> None:
    from django.db import connection, transaction

    with server.connect(url) as stranger:
        stranger.execute("SELECT 1 FROM ledger_account FOR UPDATE")
        with transaction.atomic():
            order.objects.create(user=1, price=1)
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                ledger.within(connection).reserve("user_1", 1, key="h")
            order.objects.create(user=1, price=2)
    assert order.objects.count() == 2
    assert ledger.hold("user_1", "h") is None
