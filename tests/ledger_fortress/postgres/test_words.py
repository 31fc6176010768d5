"""What a ledger in PostgreSQL says of itself shows no password, however odd."""

import pytest

from ledger_fortress.stores.postgres_pool import without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me@host/db"),
        ("postgresql://me:se?cr#et@host/db", "postgresql://me@host/db"),
        ("postgresql://host/db?user=me&password=secret", "postgresql://host/db?user=me"),
        ("postgresql:///db?host=/tmp/socket", "postgresql:///db?host=/tmp/socket"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
