-- An empty ledger. Amounts are micro-credits, times are microseconds since 1970.
-- The CHECKs repeat the ledger's laws so that no program can write past them.
-- COLLATE "C" sorts by code point, as every other store does, whatever the database's own order is.

CREATE TABLE ledger_meta (
    name text COLLATE "C" NOT NULL PRIMARY KEY,
    value text COLLATE "C" NOT NULL
);

-- One row per account, with its grant buckets, alerts and rollovers packed into it as canonical JSON. Version 0 is
-- an account that somebody is about to open: it exists inside that transaction only. Half of each page is left free, so that
-- an update finds room beside the row it replaces and need not touch the indexes.
CREATE TABLE ledger_account (
    account text COLLATE "C" NOT NULL PRIMARY KEY,
    version bigint NOT NULL DEFAULT 0 CHECK (version >= 0),
    head bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(head) = 32),
    at bigint NOT NULL DEFAULT 0,
    status text COLLATE "C" NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'frozen', 'closed', 'rewound')),
    available bigint NOT NULL DEFAULT 0 CHECK (available BETWEEN 0 AND 9007199254740991),
    held bigint NOT NULL DEFAULT 0 CHECK (held BETWEEN 0 AND 9007199254740991),
    debt bigint NOT NULL DEFAULT 0 CHECK (debt BETWEEN 0 AND 9007199254740991),
    due bigint NOT NULL DEFAULT 9007199254740991,
    buckets text COLLATE "C" NOT NULL DEFAULT '[]',
    terms text COLLATE "C" NOT NULL DEFAULT '',
    CONSTRAINT ledger_account_debt_or_credit CHECK (debt = 0 OR available = 0)
) WITH (fillfactor = 50);

CREATE INDEX ledger_account_due ON ledger_account (due, account) WHERE due < 9007199254740991;

-- Append-only. The row of a key is the entry that the key's command left.
CREATE TABLE ledger_entry (
    account text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C",
    hold text COLLATE "C",
    at bigint NOT NULL,
    amount bigint NOT NULL CHECK (amount BETWEEN 0 AND 9007199254740991),
    d_available bigint NOT NULL,
    d_held bigint NOT NULL,
    d_debt bigint NOT NULL,
    available bigint NOT NULL CHECK (available BETWEEN 0 AND 9007199254740991),
    held bigint NOT NULL CHECK (held BETWEEN 0 AND 9007199254740991),
    debt bigint NOT NULL CHECK (debt BETWEEN 0 AND 9007199254740991),
    body text COLLATE "C" NOT NULL,
    fingerprint bytea CHECK (octet_length(fingerprint) = 16),
    link text COLLATE "C",
    note_hash bytea CHECK (octet_length(note_hash) = 32),
    prev_hash bytea NOT NULL CHECK (octet_length(prev_hash) = 32),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (account, version),
    CONSTRAINT ledger_entry_debt_or_credit CHECK (debt = 0 OR available = 0),
    CONSTRAINT ledger_entry_key_has_fingerprint CHECK ((key IS NULL) = (fingerprint IS NULL))
);

-- The key first: keys that grow with time (UUIDv7) then land on the same few pages.
CREATE UNIQUE INDEX ledger_entry_key ON ledger_entry (key, account) WHERE key IS NOT NULL;

CREATE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER ledger_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();

-- Ends the transaction when fewer accounts were saved than were meant to be: one of them has another version
-- than it was loaded with.
CREATE FUNCTION ledger_saved(saved bigint, wanted bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF saved <> wanted THEN
        RAISE EXCEPTION 'an account was changed by somebody else (% of % saved)', saved, wanted
        USING ERRCODE = 'triggered_data_change_violation';
    END IF;
END
$$;

-- Free text, beside the chain: it may be erased, the entry keeps its salted hash.
CREATE TABLE ledger_note (
    account text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    salt bytea NOT NULL CHECK (octet_length(salt) = 16),
    text text COLLATE "C" NOT NULL,
    PRIMARY KEY (account, version)
);

CREATE TABLE ledger_hold (
    account text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (
        state IN ('open', 'charged', 'released', 'timed_out', 'disputed', 'won', 'lost')
    ),
    deadline bigint NOT NULL,
    on_timeout text COLLATE "C" NOT NULL CHECK (on_timeout IN ('release', 'report')),
    version bigint NOT NULL,
    at bigint NOT NULL,
    amount bigint NOT NULL CHECK (amount BETWEEN 0 AND 9007199254740991),
    charged bigint NOT NULL CHECK (charged BETWEEN 0 AND 9007199254740991),
    refunded bigint NOT NULL,
    member text COLLATE "C",
    "window" bigint NOT NULL CHECK ("window" >= 0),
    slices text COLLATE "C" NOT NULL,
    PRIMARY KEY (key, account),
    CONSTRAINT ledger_hold_refunded_check CHECK (refunded BETWEEN 0 AND charged)
);

CREATE INDEX ledger_hold_open ON ledger_hold (account, on_timeout, deadline) WHERE state = 'open';

-- What each member of a pool may spend per window, and has spent and held in the current one.
CREATE TABLE ledger_member (
    account text COLLATE "C" NOT NULL,
    member text COLLATE "C" NOT NULL,
    cap bigint CHECK (cap BETWEEN 0 AND 9007199254740991),
    "window" bigint NOT NULL CHECK ("window" >= 0),
    start bigint NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    spent bigint NOT NULL CHECK (spent BETWEEN 0 AND 9007199254740991),
    held bigint NOT NULL CHECK (held BETWEEN 0 AND 9007199254740991),
    PRIMARY KEY (account, member)
) WITH (fillfactor = 50);

-- The outbox: written with the entry that caused it; only whether it was delivered may change.
CREATE TABLE ledger_notice (
    account text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    place bigint NOT NULL CHECK (place >= 0),
    kind text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    body text COLLATE "C" NOT NULL,
    acked boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account, version, place)
);

CREATE INDEX ledger_notice_pending ON ledger_notice (at, account, version, place) WHERE NOT acked;

CREATE INDEX ledger_notice_kind ON ledger_notice (kind, at);

CREATE TRIGGER ledger_notice_append_only
BEFORE UPDATE OF account, version, place, kind, at, body OR DELETE OR TRUNCATE ON ledger_notice
FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();

-- Sealed heads: a hash over every account's (version, head), chained to the seal before it.
CREATE TABLE ledger_checkpoint (
    number bigint NOT NULL PRIMARY KEY,
    at bigint NOT NULL,
    accounts bigint NOT NULL,
    prev_hash bytea NOT NULL CHECK (octet_length(prev_hash) = 32),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    heads text COLLATE "C" NOT NULL
);

CREATE TRIGGER ledger_checkpoint_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_checkpoint
FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only();

INSERT INTO ledger_meta (name, value) VALUES ('schema', '1');
