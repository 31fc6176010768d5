"""What a Redis ledger looks like: its keys, its rows, and what the two scripts are asked.

A ledger is split into shards by tenant, the part of the account's name before the first colon. All keys of a
shard carry the same hash tag, so that a Cluster keeps them on one node and a script may touch them together:

    {credits.0}:account:<name>   hash: row, version `v` and time `at` of the account
    {credits.0}:entry:<name>     hash: version -> entry; of one in an archive only its account, version, hash
    {credits.0}:key:<name>       hash: key -> version of its entry, and the hold it is about after a space
    {credits.0}:open:<name>      hash: key -> open hold;  :hold:<name> those that are settled
    {credits.0}:deadline:<name>  sorted set: open holds that their timeout releases
    {credits.0}:member:<name>, :note:<name>, :notice:<name>   hashes
    {credits.0}:names, :due      sorted sets of accounts
    {credits.0}:holding          set: account and key, on two lines, of every open hold
    {credits.0}:pending          sorted set: notices that nobody has acknowledged
    {credits.0}:writer           the name of the writer who has the shard to himself, for a moment

Rows are those of `json_rows`. Times in sorted sets are whole numbers below
2^53, which a double holds exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from ledger_fortress.commands import NEVER
from ledger_fortress.entries import Entry
from ledger_fortress.errors import MissingEntries
from ledger_fortress.protocol import Changes, Loaded, Touch, is_due
from ledger_fortress.state import OPEN, Account, Due, Hold

from .archive import Archive
from .json_rows import account_of, entry_of, hold_of, member_of, row_of

MAX_ACCOUNTS: Final = 64
MAX_COMMANDS: Final = 256
MAX_BYTES: Final = 256 * 1024

_STUB: Final = b"@"  # begins what stays of an archived entry; rows are JSON, which does not begin so
_LOADED: Final = ("account", "entry", "key", "open", "hold", "member", "deadline")


class Layout:
    """The keys of the ledger `name`, kept in `shards` shards."""

    def __init__(self, name: str, shards: int) -> None:
        self.name = name
        self.shards = range(shards)

    def shard(self, account: str) -> int:
        """Which shard keeps the account."""
        tenant = account.partition(":")[0].encode()
        return int.from_bytes(blake2b(tenant, digest_size=4).digest(), "big") % len(self.shards)

    def shared(self, shard: int, kind: str) -> str:
        """A key of the whole shard."""
        return f"{{{self.name}.{shard}}}:{kind}"

    def of(self, account: str, kind: str) -> str:
        """A key of one account."""
        return f"{{{self.name}.{self.shard(account)}}}:{kind}:{account}"

    @property
    def meta(self) -> str:
        return f"{{{self.name}}}:meta"

    @property
    def checkpoints(self) -> str:
        return f"{{{self.name}}}:checkpoints"

    def one_shard(self, accounts: Iterable[str]) -> int:
        """The shard of all these accounts; ValueError when there are several."""
        found = {self.shard(account): account for account in accounts}
        if len(found) > 1:
            some = " and ".join(repr(account) for account in list(found.values())[:2])
            raise ValueError(
                f"{some} are in different shards of this Redis ledger, which cannot be changed together: "
                "give accounts that belong together names of one tenant ('tenant:account'), or use one shard"
            )
        return next(iter(found), 0)


class Script:
    """Keys and the argument of one call."""

    def __init__(self) -> None:
        self.keys: dict[str, int] = {}

    def key(self, name: str) -> int:
        """The number by which the script knows the key."""
        return self.keys.setdefault(name, len(self.keys) + 1)


def stub_of(entry: Entry) -> str:
    """What stays of an entry that is in an archive."""
    return _STUB.decode() + row_of((entry.account, entry.version, entry.hash))


def read_entries(rows: Iterable[bytes], archive: Archive | None) -> list[Entry]:
    """Rows as entries; those of which only stubs are here come from the archive, an account's together."""
    rows = list(rows)
    wanted: dict[str, list[int]] = {}
    for row in rows:
        if row.startswith(_STUB):
            account, version, _ = _mark(row)
            wanted.setdefault(account, []).append(version)
    if wanted and archive is None:
        raise MissingEntries(
            f"entries of account {next(iter(wanted))!r} were moved to an archive: open the ledger with it, "
            "redis://...?archive=/path/to/the/archive"
        )
    found = {
        (account, version): entry
        for account, versions in wanted.items()
        if archive is not None
        for version, entry in archive.find(account, versions).items()
    }

    def read(row: bytes) -> Entry:
        if archive is None or not row.startswith(_STUB):
            return entry_of(row)
        account, version, digest = _mark(row)
        return archive.check(found.get((account, version)), version, digest)

    return list(map(read, rows))


def _mark(row: bytes) -> tuple[str, int, str]:
    """Account, version and hash of an entry's row or of its stub."""
    fields = json.loads(row.removeprefix(_STUB))
    return fields[0], fields[1], fields[-1]


class Lease(NamedTuple):
    """A writer's name, and the milliseconds for which he takes the shard for himself (0: he does not)."""

    name: str
    life: int = 0


class Question(Script):
    """What `load` is asked. ValueError where it is more than one script may look at."""

    def __init__(self, layout: Layout, touch: Touch, now: int | None, lease: Lease | None = None) -> None:
        super().__init__()
        pairs = (touch.keys, touch.holds, touch.members, touch.marks)
        names = dict.fromkeys((*touch.accounts, *(pair[0] for part in pairs for pair in part)))
        if len(names) > MAX_ACCOUNTS:
            raise ValueError(_too_many(len(names), MAX_ACCOUNTS, "accounts"))
        if len(touch.keys) > 2 * MAX_COMMANDS:  # a command looks at two keys at most
            raise ValueError(_too_many(len(touch.keys), 2 * MAX_COMMANDS, "keys"))
        shard = layout.one_shard(names)
        places = {name: place for place, name in enumerate(names, 1)}
        accounts = [{kind: self.key(layout.of(name, kind)) for kind in _LOADED} for name in names]
        found = [[(places[account], str(name)) for account, name in part] for part in pairs]
        self.argument = _text(
            {
                "now": "" if now is None else str(now),
                "accounts": accounts,
                **dict(zip(("keys", "holds", "members", "marks"), found, strict=True)),
                **({} if lease is None else {"lease": (self.key(layout.shared(shard, "writer")), *lease)}),
            }
        )

    def answer(self, touch: Touch, reply: list[Any], archive: Archive | None) -> Loaded:
        """The script's reply as values; entries that were moved to an archive come from there."""
        now, accounts, entries, holds, members, marked, nexts = reply
        loaded = Loaded(int(now))
        wanted = set(touch.accounts)
        rows = list(map(hold_of, holds))
        loaded.holds = {(hold.account, hold.key): hold for hold in rows}
        found = read_entries(entries, archive)
        loaded.entries = {(entry.account, entry.key): entry for entry in found if entry.key is not None}
        loaded.hashes = {
            (name, version): bytes.fromhex(digest) for name, version, digest in map(_mark, marked)
        }
        loaded.members = {member[:2]: member for member in map(member_of, members)}
        for account, after in zip(map(account_of, accounts), nexts, strict=True):
            if account.account not in wanted:
                continue
            loaded.accounts[account.account] = account
            if is_due(account, loaded.now):
                until = max(loaded.now, account.at)
                late = [hold for hold in rows if hold.account == account.account and _releases(hold, until)]
                late.sort(key=lambda hold: (hold.deadline, hold.version))
                loaded.due[account.account] = Due(tuple(late), int(after) if after else NEVER)
        return loaded


class Plan(Script):
    """What `save` is to check and to write. ValueError where it is more than one script may write."""

    def __init__(self) -> None:
        super().__init__()
        self.checks: list[tuple[int, str, str]] = []
        self.writes: list[tuple[str | int, ...]] = []
        self.lease: tuple[str | int, ...] | None = None

    def check(self, key: str, field: str, expected: str) -> None:
        """The field must have this text; '' for a field that must not exist."""
        self.checks.append((self.key(key), field, expected))

    def write(self, command: str, key: str, *arguments: str) -> None:
        self.writes.append((command, self.key(key), *arguments))

    def under(self, key: str, name: str) -> None:
        """Write as the one who may have this lease."""
        self.lease = self.key(key), name

    @property
    def argument(self) -> bytes:
        packed = _text((self.checks, self.writes, self.lease or {}))
        if len(packed) > MAX_BYTES:
            raise ValueError(_too_many(len(packed), MAX_BYTES, "bytes"))
        return packed


def plan(layout: Layout, loaded: Loaded, touch: Touch, changes: Changes, writer: str) -> Plan:
    """Save the changes as `writer`, on condition that no account that was looked at has moved on."""
    if len(changes.answers) > MAX_COMMANDS:
        raise ValueError(_too_many(len(changes.answers), MAX_COMMANDS, "commands"))
    rows = (changes.entries, changes.holds, changes.notes, changes.members, changes.notices)
    names = {row.account for part in rows for row in part} | {state.account for state, _ in changes.accounts}
    shard = layout.one_shard(sorted({*names, *touch.accounts}))
    todo = Plan()
    todo.under(layout.shared(shard, "writer"), writer)
    versions = {
        name: loaded.accounts[name].version if name in loaded.accounts else 0 for name in touch.accounts
    }
    versions.update((account.account, expected) for account, expected in changes.accounts)
    for name, version in versions.items():
        todo.check(layout.of(name, "account"), "v", str(version) if version else "")
    for entry in changes.entries:
        if entry.key is not None:
            todo.check(layout.of(entry.account, "key"), entry.key, "")
        todo.check(layout.of(entry.account, "entry"), str(entry.version), "")
    for account, _ in changes.accounts:
        _write_account(todo, layout, account, shard)
    for entry in changes.entries:
        _write_entry(todo, layout, entry)
    _write_holds(todo, layout, changes.holds)
    for note in changes.notes:
        todo.write("HSET", layout.of(note.account, "note"), str(note.version), row_of(note))
    for member in changes.members:
        todo.write("HSET", layout.of(member.account, "member"), member.member, row_of(member))
    for notice in changes.notices:
        row, field = row_of(notice), f"{notice.version} {notice.place}"
        todo.write("HSET", layout.of(notice.account, "notice"), field, row)
        todo.write("ZADD", layout.shared(layout.shard(notice.account), "pending"), str(notice.at), row)
    return todo


def _write_account(todo: Plan, layout: Layout, account: Account, shard: int) -> None:
    name = account.account
    key = layout.of(name, "account")
    todo.write("HSET", key, "row", row_of(account), "v", str(account.version), "at", str(account.at))
    todo.write("ZADD", layout.shared(shard, "due"), str(account.due), name)
    todo.write("ZADD", layout.shared(shard, "names"), "0", name)


def _write_entry(todo: Plan, layout: Layout, entry: Entry) -> None:
    todo.write("HSET", layout.of(entry.account, "entry"), str(entry.version), row_of(entry))
    if entry.key is not None:
        place = str(entry.version) if entry.hold is None else f"{entry.version} {entry.hold}"
        todo.write("HSET", layout.of(entry.account, "key"), entry.key, place)


def _write_holds(todo: Plan, layout: Layout, holds: Iterable[Hold]) -> None:
    for hold in holds:
        name, key = hold.account, hold.key
        here, gone = ("open", "hold") if hold.state == OPEN else ("hold", "open")
        todo.write("HSET", layout.of(name, here), key, row_of(hold))
        todo.write("HDEL", layout.of(name, gone), key)
        holding = layout.shared(layout.shard(name), "holding")
        todo.write("SADD" if hold.state == OPEN else "SREM", holding, f"{name}\n{key}")
        if hold.state == OPEN and hold.on_timeout == "release":
            todo.write("ZADD", layout.of(name, "deadline"), str(hold.deadline), key)
        else:
            todo.write("ZREM", layout.of(name, "deadline"), key)


def _releases(hold: Hold, until: int) -> bool:
    return hold.state == OPEN and hold.on_timeout == "release" and hold.deadline <= until


def _text(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _too_many(count: int, most: int, what: str) -> str:
    return (
        f"a Redis ledger commits at most {most} {what} at once, and this needs {count}: apply them in parts"
    )
