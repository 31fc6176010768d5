"""Mistakes that somebody could make in the ledger, each with the tests that must notice.

A mutant replaces one piece of text, which stands exactly once in its file under `src/ledger_fortress`, by
another. Whoever changes such a line changes the mutant with it.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """A mistake: what it is, where, the text and what replaces it, and who must fail."""

    name: str
    file: str
    old: str
    new: str
    killers: tuple[str, ...]


SCENES = ("test_scenarios.py",)
SCOPE = ("proof/test_scope.py",)
STORES = ("test_stores.py",)
AGREE = ("proof/test_differential.py::test_stores_agree[sqlite]",)
MODEL = ("test_model.py::test_long_histories",)
AUDIT = ("test_audit.py",)
VERIFY = ("test_verify.py",)
COMMANDS = ("test_commands.py",)
CRASH = ("test_crash.py",)
SESSIONS = ("postgres/test_sessions.py",)

MUTANTS = (
    # What a hold may take, and from where.
    Mutant(
        "a hold may take one micro-credit too many",
        "rules/holds.py",
        "if account.available < amount:\n        return Denial(Reason.INSUFFICIENT",
        "if account.available + 1 < amount:\n        return Denial(Reason.INSUFFICIENT",
        (*SCOPE, *SCENES, "proof/test_linear.py"),
    ),
    Mutant(
        "the last credit cannot be held",
        "rules/holds.py",
        "if account.available < amount:\n        return Denial(Reason.INSUFFICIENT",
        "if account.available <= amount:\n        return Denial(Reason.INSUFFICIENT",
        SCOPE + SCENES,
    ),
    Mutant(
        "a frozen account takes holds",
        "rules/holds.py",
        "if account.status != OPEN:",
        "if account.status == CHARGED:",
        SCOPE + SCENES,
    ),
    Mutant(
        "a charge by any amount above the hold goes through",
        "rules/charging.py",
        "if amount <= hold.amount else _over(case, hold, amount)",
        "if amount <= 2 * hold.amount else _over(case, hold, amount)",
        SCOPE + SCENES,
    ),
    Mutant(
        "a member may exceed the limit by one hold",
        "rules/holds.py",
        "member.spent + member.held > member.cap",
        "member.spent > member.cap",
        SCENES,
    ),
    Mutant(
        "a new window keeps the old window's count",
        "rules/members.py",
        "number=version, spent=0, held=0)",
        "number=version)",
        SCENES,
    ),
    Mutant(
        "credits that wait for their day are spent",
        "rules/buckets.py",
        "if available == 0 or effective:",
        "if available == 0:",
        SCENES + MODEL,
    ),
    # What comes back.
    Mutant(
        "the tail of a partial charge is lost",
        "rules/buckets.py",
        "back = amount - used",
        "back = 0",
        SCOPE + SCENES,
    ),
    Mutant(
        "what comes back to an expired bucket can be spent",
        "rules/buckets.py",
        "alive = expires > now",
        "alive = True",
        SCOPE + SCENES,
    ),
    Mutant(
        "a refund gives back the first credits instead of the last",
        "rules/buckets.py",
        "low, high = spent - amount, spent",
        "low, high = 0, amount",
        SCENES + MODEL,
    ),
    Mutant(
        "a charge can be refunded twice",
        "rules/charging.py",
        "refunded = hold._replace(refunded=hold.refunded + amount)",
        "refunded = hold._replace(refunded=hold.refunded)",
        SCOPE + SCENES,
    ),
    Mutant(
        "debt is not paid from a grant",
        "rules/verbs.py",
        "paid = 0 if effective else repay(buckets, account.debt, legs)",
        "paid = 0",
        SCOPE + SCENES,
    ),
    Mutant(
        "debt is not paid from what a release gives back",
        "rules/holds.py",
        "paid = repay(buckets, account.debt, legs)",
        "paid = 0",
        SCENES + MODEL,
    ),
    Mutant(
        "a late charge forgets what is owed",
        "rules/buckets.py",
        "owed = amount - taken",
        "owed = 0",
        SCOPE + SCENES,
    ),
    # Time.
    Mutant(
        "a bucket can be spent at the instant of its end",
        "rules/mature.py",
        'if bucket.expires <= now:\n            events.append((bucket.expires, "expire"',
        'if bucket.expires < now:\n            events.append((bucket.expires, "expire"',
        SCENES + MODEL,
    ),
    Mutant(
        "what fell due happens in the order of kinds, not of time",
        "rules/mature.py",
        "    events.sort(key=_order)",
        "    events.sort(key=lambda event: event[1:3])",
        SCENES + MODEL,
    ),
    Mutant(
        "time goes backwards with the clock",
        "rules/__init__.py",
        "clock, now = now, max(now, account.at)",
        "clock = now",
        ("test_ledger.py",),
    ),
    Mutant(
        "a hold that only reports is released",
        "state.py",
        '(self.on_timeout == "report" or self.deadline > now)',
        "self.deadline > now",
        SCOPE + SCENES + ("test_recovery.py",),
    ),
    Mutant(
        "an extension shortens a hold",
        "rules/holds.py",
        "deadline = max(hold.deadline, case.now + command.timeout)",
        "deadline = case.now + command.timeout",
        SCENES + MODEL,
    ),
    # Keys.
    Mutant(
        "a key with another content is answered as a repeat",
        "rules/__init__.py",
        "if known.fingerprint != fingerprint:",
        "if known.fingerprint is None:",
        SCOPE + SCENES,
    ),
    Mutant(
        "the amount of a reserve is no part of its content",
        "commands/holding.py",
        "return f',{self.amount},{self.timeout},",
        "return f',{self.timeout},",
        COMMANDS + SCENES,
    ),
    Mutant(
        "a refusal is not final for its key",
        "rules/__init__.py",
        "if reason not in UNRECORDED:",
        "if reason not in UNRECORDED and reason is not Reason.INSUFFICIENT:",
        SCOPE + SCENES,
    ),
    Mutant(
        "a charge under the default key after a release is taken for the release",
        "rules/__init__.py",
        'known.kind == "release" and command.late_key',
        'known.kind == "never" and command.late_key',
        SCOPE + SCENES,
    ),
    Mutant(
        "a receipt is believed without its hash",
        "rules/__init__.py",
        "if here is not None and here.hex() == seen.hash:",
        "if here is not None:",
        ("test_ledger.py",),
    ),
    # Batches.
    Mutant(
        "a linked batch keeps what came before its refusal",
        "engine.py",
        "    trial = work.copy()",
        "    trial = work",
        STORES + SCENES,
    ),
    Mutant(
        "a copy of the work shares its holds",
        "engine.py",
        "other._holds = dict(self._holds)",
        "other._holds = self._holds",
        STORES + AGREE + ("test_writer.py",),
    ),
    # The chain and the auditor.
    Mutant(
        "the chain does not cover the balances",
        "rules/posting.py",
        '{d_debt},{available},{held},{debt}"',
        '{d_debt},{available},{held}"',
        SCENES + AUDIT,
    ),
    Mutant(
        "the auditor does not look at the chain",
        "audit/chain.py",
        "if e.prev_hash != before.hash:",
        "if False:",
        ("proof/test_spliced.py",),
    ),
    Mutant(
        "the auditor's loop does not look at the chain",
        "audit/chain.py",
        "and prev == head\n",
        "and True\n",
        ("proof/test_spliced.py",),
    ),
    Mutant(
        "the auditor's loop does not add up",
        "audit/chain.py",
        "available == old_available + d_available >= 0 <= held == old_held + d_held",
        "available >= 0 <= held",
        VERIFY,
    ),
    Mutant(
        "a believed entry is not looked at",
        "audit/chain.py",
        "if entry.hash != digest or digest_of(entry) != digest:",
        "if entry.hash != digest:",
        VERIFY,
    ),
    Mutant(
        "what was sealed since is not looked for",
        "audit/seals.py",
        "if account in (None, name):",
        "if account == name:",
        VERIFY,
    ),
    Mutant(
        "the auditor does not look for missing entries",
        "audit/chain.py",
        "if e.version != before.version + 1:",
        "if e.version <= before.version:",
        AUDIT,
    ),
    # Stores.
    Mutant(
        "row by row: a changed account is overwritten",
        "stores/row_by_row.py",
        "if (stored.version if stored else 0) != expected:",
        "if stored is not None and expected < 0:",
        STORES,
    ),
    Mutant(
        "memory: nothing is locked",
        "stores/memory.py",
        "        with self._lock:\n            changes = decide(self._load(touch))",
        "        if True:\n            changes = decide(self._load(touch))",
        ("test_stores.py::TestMemory", "proof/test_linear.py"),
    ),
    Mutant(
        "key-value: an account stays listed for what time has done already",
        "stores/keyvalue_rows.py",
        'rows.delete(place(b"d", account_of(stored).due, account.account))',
        "del stored",
        ("test_keyvalue.py",),
    ),
    Mutant(
        "Redis: a changed account is overwritten",
        "stores/redis_rows.py",
        "for name, version in versions.items():",
        "for name, version in ():",
        ("redis/test_server.py", "redis/test_lease.py"),
    ),
    Mutant(
        "Redis: a save does not ask who has the lease",
        "stores/lua/save.lua",
        "if holder and holder ~= lease[2] then return -1 end",
        "if false then return -1 end",
        ("redis/test_lease.py",),
    ),
    Mutant(
        "SQLite: a changed account is overwritten",
        "stores/sqlite_saving.py",
        '_SQL["update_account"], updates).rowcount != len(updates)',
        '_SQL["update_account"], updates).rowcount > len(updates)',
        (*STORES, "test_sqlite.py"),
    ),
    Mutant(
        "SQLite: a hold of another account is settled",
        "stores/sql/sqlite/queries.sql",
        "charged = ?, refunded = ? WHERE key = ? AND account = ?;",
        "charged = ?, refunded = ? WHERE key = ? AND ? <> '';",
        AGREE,
    ),
    Mutant(
        "SQLite: a refund is not kept",
        "stores/sql/sqlite/queries.sql",
        "charged = ?, refunded = ? WHERE",
        "charged = ?, refunded = 0 * ? WHERE",
        STORES + AGREE + MODEL,
    ),
    Mutant(
        "SQLite: each statement commits by itself",
        "stores/sqlite.py",
        'patiently(lambda: connection.execute("BEGIN IMMEDIATE"), self._path)\n            try:\n',
        "pass\n            try:\n",
        (*CRASH, "proof/test_kill.py"),
    ),
    Mutant(
        "SQLite: answered before it is committed",
        "stores/sqlite.py",
        'connection.execute("COMMIT")\n            except sqlite3.Error as error:',
        "pass\n            except sqlite3.Error as error:",
        STORES + CRASH,
    ),
    Mutant(
        "SQLite: an unanswered commit is called a failure",
        "stores/sqlite.py",
        'was not answered ({error})", maybe_applied=True',
        'was not answered ({error})", maybe_applied=False',
        CRASH,
    ),
    Mutant(
        "SQLite: a read while it is written begins in two states",
        "stores/sqlite.py",
        'connection.execute("BEGIN")\n                patiently',
        'connection.execute("SELECT 1")\n                patiently',
        ("proof/test_snapshots.py",),
    ),
    Mutant(
        "PostgreSQL: accounts are read without their lock",
        "stores/sql/postgres/queries.sql",
        "FOR NO KEY UPDATE",
        "",
        SESSIONS,
    ),
)
