-- An empty ledger. Amounts are micro-credits, times are microseconds since 1970.
-- The CHECKs repeat the ledger's laws so that no program can write past them. OR chains, not IN lists: SQLite
-- builds a table for an IN list of three or more, for every row that it checks.

CREATE TABLE ledger_meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per account, with its grant buckets, alerts and rollovers packed into it as canonical JSON.
CREATE TABLE ledger_account (
    account TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL CHECK (version > 0),
    head BLOB NOT NULL CHECK (length(head) = 32),
    at INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (
        status = 'open' OR status = 'frozen' OR status = 'closed' OR status = 'rewound'
    ),
    available INTEGER NOT NULL CHECK (available BETWEEN 0 AND 9007199254740991),
    held INTEGER NOT NULL CHECK (held BETWEEN 0 AND 9007199254740991),
    debt INTEGER NOT NULL CHECK (debt BETWEEN 0 AND 9007199254740991),
    due INTEGER NOT NULL,
    buckets TEXT NOT NULL,
    terms TEXT NOT NULL,
    CHECK (debt = 0 OR available = 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_account_due ON ledger_account (due) WHERE due < 9007199254740991;

-- Append-only. The row of a key is the entry that the key's command left.
CREATE TABLE ledger_entry (
    place INTEGER NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    kind TEXT NOT NULL,
    key TEXT,
    hold TEXT,
    at INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount BETWEEN 0 AND 9007199254740991),
    d_available INTEGER NOT NULL,
    d_held INTEGER NOT NULL,
    d_debt INTEGER NOT NULL,
    available INTEGER NOT NULL CHECK (available BETWEEN 0 AND 9007199254740991),
    held INTEGER NOT NULL CHECK (held BETWEEN 0 AND 9007199254740991),
    debt INTEGER NOT NULL CHECK (debt BETWEEN 0 AND 9007199254740991),
    body TEXT NOT NULL,
    fingerprint BLOB CHECK (fingerprint IS NULL OR length(fingerprint) = 16),
    link TEXT,
    note_hash BLOB CHECK (note_hash IS NULL OR length(note_hash) = 32),
    prev_hash BLOB NOT NULL CHECK (length(prev_hash) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    CHECK (debt = 0 OR available = 0),
    CHECK ((key IS NULL) = (fingerprint IS NULL))
) STRICT;

CREATE UNIQUE INDEX ledger_entry_version ON ledger_entry (account, version);

-- The key first: keys that grow with time (UUIDv7) then land on the same few pages.
CREATE UNIQUE INDEX ledger_entry_key ON ledger_entry (key, account) WHERE key IS NOT NULL;

CREATE TRIGGER ledger_entry_no_update BEFORE UPDATE ON ledger_entry
BEGIN
    SELECT RAISE(ABORT, 'ledger entries are append-only');
END;

CREATE TRIGGER ledger_entry_no_delete BEFORE DELETE ON ledger_entry
BEGIN
    SELECT RAISE(ABORT, 'ledger entries are append-only');
END;

-- Free text, beside the chain: it may be erased, the entry keeps its salted hash.
CREATE TABLE ledger_note (
    account TEXT NOT NULL,
    version INTEGER NOT NULL,
    salt BLOB NOT NULL CHECK (length(salt) = 16),
    text TEXT NOT NULL,
    PRIMARY KEY (account, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_hold (
    account TEXT NOT NULL,
    key TEXT NOT NULL,
    state TEXT NOT NULL CHECK (
        state = 'open' OR state = 'charged' OR state = 'released' OR state = 'timed_out'
        OR state = 'disputed' OR state = 'won' OR state = 'lost'
    ),
    deadline INTEGER NOT NULL,
    on_timeout TEXT NOT NULL CHECK (on_timeout IN ('release', 'report')),
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount BETWEEN 0 AND 9007199254740991),
    charged INTEGER NOT NULL CHECK (charged BETWEEN 0 AND 9007199254740991),
    refunded INTEGER NOT NULL CHECK (refunded BETWEEN 0 AND charged),
    member TEXT,
    window INTEGER NOT NULL CHECK (window >= 0),
    slices TEXT NOT NULL,
    PRIMARY KEY (key, account)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_hold_open ON ledger_hold (account, deadline) WHERE state = 'open';

-- What each member of a pool may spend per window, and has spent and held in the current one.
CREATE TABLE ledger_member (
    account TEXT NOT NULL,
    member TEXT NOT NULL,
    cap INTEGER CHECK (cap BETWEEN 0 AND 9007199254740991),
    window INTEGER NOT NULL CHECK (window >= 0),
    start INTEGER NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    spent INTEGER NOT NULL CHECK (spent BETWEEN 0 AND 9007199254740991),
    held INTEGER NOT NULL CHECK (held BETWEEN 0 AND 9007199254740991),
    PRIMARY KEY (account, member)
) STRICT, WITHOUT ROWID;

-- The outbox: written with the entry that caused it; only whether it was delivered may change.
CREATE TABLE ledger_notice (
    account TEXT NOT NULL,
    version INTEGER NOT NULL,
    place INTEGER NOT NULL CHECK (place >= 0),
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    acked INTEGER NOT NULL DEFAULT 0 CHECK (acked IN (0, 1)),
    PRIMARY KEY (account, version, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_notice_pending ON ledger_notice (at, account, version, place) WHERE acked = 0;

CREATE INDEX ledger_notice_kind ON ledger_notice (kind, at);

CREATE TRIGGER ledger_notice_no_delete BEFORE DELETE ON ledger_notice
BEGIN
    SELECT RAISE(ABORT, 'ledger notices are append-only');
END;

-- Sealed heads: a hash over every account's (version, head), chained to the seal before it.
CREATE TABLE ledger_checkpoint (
    number INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    accounts INTEGER NOT NULL,
    prev_hash BLOB NOT NULL CHECK (length(prev_hash) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    heads TEXT NOT NULL
) STRICT;

CREATE TRIGGER ledger_checkpoint_no_update BEFORE UPDATE ON ledger_checkpoint
BEGIN
    SELECT RAISE(ABORT, 'ledger checkpoints are append-only');
END;

CREATE TRIGGER ledger_checkpoint_no_delete BEFORE DELETE ON ledger_checkpoint
BEGIN
    SELECT RAISE(ABORT, 'ledger checkpoints are append-only');
END;

INSERT INTO ledger_meta (name, value) VALUES ('schema', '2');
