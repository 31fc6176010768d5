"""Which versions of a schema this code can use.

Tables carry two numbers: the version they are at, and the oldest version whose code may still use them.
So tables are migrated first and the processes are replaced after that, one by one: the old code and the new
work side by side until the last is gone.
"""

from __future__ import annotations

from execution_arrow.errors import SchemaOutdated


def check(where: str, advice: str, ours: int, found: int | None, compatible: int | None = None) -> None:
    """Raise `SchemaOutdated` unless code of version `ours` may use tables at `found`."""
    if found is None:
        raise SchemaOutdated(f"{where} has no job tables yet; {advice}")
    if found < ours:
        raise SchemaOutdated(f"{where} has job store schema {found}, this version needs {ours}; {advice}")
    if ours < (found if compatible is None else compatible):
        raise SchemaOutdated(
            f"{where} has job store schema {found}, this version knows {ours}; update the package"
        )
