"""A SQLite connection that breaks at a chosen statement."""

import sqlite3
from collections.abc import Callable
from typing import Any, ClassVar


class Breaking(sqlite3.Connection):
    """Counts statements while armed, and acts before or after the chosen one."""

    armed: ClassVar[bool] = False
    count: ClassVar[int] = 0
    stop_at: ClassVar[int] = 0
    after: ClassVar[bool] = False
    act: ClassVar[Callable[[], None] | None] = None
    seen: ClassVar[list[str]] = []

    @classmethod
    def arm(cls, stop_at: int = 0, after: bool = False, act: Callable[[], None] | None = None) -> None:
        cls.armed, cls.count, cls.seen = True, 0, []
        cls.stop_at, cls.after, cls.act = stop_at, after, act

    @classmethod
    def disarm(cls) -> None:
        cls.armed = False

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        return self._around(sql, lambda: super(Breaking, self).execute(sql, *args))

    def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:
        return self._around(sql, lambda: super(Breaking, self).executemany(sql, *args))

    def _around(self, sql: str, statement: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        cls = Breaking
        if not cls.armed:
            return statement()
        cls.count += 1
        cls.seen.append(sql.split(None, 3)[0] if sql.split() else sql)
        here = cls.count == cls.stop_at
        if here and not cls.after and cls.act:
            cls.act()
        cursor = statement()
        if here and cls.after and cls.act:
            cls.act()
        return cursor
