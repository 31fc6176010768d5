"""Every store keeps every promise of the shipped contract."""

from collections.abc import Iterator

import pytest

from adaptive_island.stores import Store, open_store
from adaptive_island.testing import StoreContract


def opened(url: str) -> Iterator[Store]:
    store = open_store(url, migrate=True)
    yield store
    store.close()


class TestStores(StoreContract):
    @pytest.fixture
    def store(self, url: str) -> Iterator[Store]:
        yield from opened(url)

    @pytest.fixture
    def other(self, url: str) -> Iterator[Store]:
        yield from opened(url)
