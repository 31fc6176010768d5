"""A whole Arrow over the provider sandbox, as in the tests of `arrow`."""

from tests.execution_arrow.arrow.conftest import box, listening, open_arrow

__all__ = ["box", "listening", "open_arrow"]
