"""What other people's parts are checked and tried with: the job store's contract, a fake for every port."""

from __future__ import annotations

from execution_arrow.testing.contract import JobStoreContract
from execution_arrow.testing.fakes import (
    FakeArtifacts,
    FakeCredentials,
    FakeLedger,
    FakeNormalizer,
    FakeProvider,
    FakeRouter,
    FakeTransport,
    fake_parts,
)
from execution_arrow.testing.hurry import hurried

__all__ = [
    "FakeArtifacts",
    "FakeCredentials",
    "FakeLedger",
    "FakeNormalizer",
    "FakeProvider",
    "FakeRouter",
    "FakeTransport",
    "JobStoreContract",
    "fake_parts",
    "hurried",
]
