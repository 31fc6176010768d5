"""What holds for every test: repeatable examples, no real credentials, no way out of this machine.

`make test` draws the same hypothesis examples each time, so that a green suite stays green until the code
changes. `make prove` draws new ones. Sizes are taken up by the environment variable `N`, which tests read
for themselves.
"""

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

# Helpers that users import too: without this, a failing assertion in them would not show its values.
pytest.register_assert_rewrite(
    "adaptive_island.testing", "execution_arrow.testing", "ledger_fortress.testing", "rosetta_bridge.testing"
)

settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("searching", settings.get_profile("repeatable"), derandomize=False)
settings.load_profile("searching" if os.environ.get("N") else "repeatable")

# A developer's own keys must never pay for a test, and a proxy must never see one.
_SECRET = ("_API_KEY", "_API_TOKEN", "_API_SECRET", "_KEY_SECRET", "_AUTH_TOKEN")
_NAMES = {"FAL_KEY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}


def pytest_configure() -> None:
    """Drop credentials and proxies from the environment, for this process and all that it starts."""
    for name in list(os.environ):
        if name.upper() in _NAMES or name.upper().endswith(_SECRET):
            del os.environ[name]


@pytest.fixture(autouse=True, scope="session")
def _stay_on_this_machine() -> Iterator[None]:
    """Refuse every connection to an address that is not loopback, by name and number."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address):
            raise PermissionError(f"a test tried to reach {address!r}; start a server on 127.0.0.1 instead")
        real(self, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        yield


def _is_local(address: object) -> bool:
    host = str(address[0]) if isinstance(address, tuple) else ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Print a line at the end of the run, such as the size a test ran at or a time that nobody is held to."""
    return lambda text: record_property("figure", text)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests begin first, so that none of them is left alone at the end."""
    items.sort(key=lambda item: "simulation" not in item.path.parts)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of all workers."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    lines = [value for report in reports for name, value in report.user_properties if name == "figure"]
    if lines:
        terminalreporter.section("figures")
        for line in sorted(lines):
            terminalreporter.line(line)
