-- The job store on SQLite, schema 3. Times are unix seconds, documents are JSON text.
CREATE TABLE arrow_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- One row per generation. `next_at` NULL: nothing is left to do for it.
CREATE TABLE generations (
    id          TEXT PRIMARY KEY,
    account     TEXT NOT NULL,
    model       TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('pending', 'processing', 'succeeded', 'failed', 'canceled')),
    key         TEXT,
    fingerprint TEXT NOT NULL,
    spec        TEXT NOT NULL,
    state       TEXT NOT NULL,
    version     INTEGER NOT NULL CHECK (version > 0),
    epoch       INTEGER NOT NULL CHECK (epoch >= 0),
    owner       TEXT,
    next_at     REAL,
    created_at  REAL NOT NULL,
    changed_at  REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX generations_key ON generations (account, key) WHERE key IS NOT NULL;
CREATE INDEX generations_account ON generations (account, id);
CREATE INDEX generations_due ON generations (next_at) WHERE owner IS NULL AND next_at IS NOT NULL;
CREATE INDEX generations_owner ON generations (owner) WHERE owner IS NOT NULL;

-- What was heard, by anyone. `folded` 0: it waits for the owner.
CREATE TABLE facts (
    seq        INTEGER PRIMARY KEY,
    generation TEXT NOT NULL REFERENCES generations (id),
    attempt    TEXT NOT NULL,
    dedup      TEXT NOT NULL,
    body       TEXT NOT NULL,
    at         REAL NOT NULL,
    folded     INTEGER NOT NULL CHECK (folded IN (0, 1)),
    UNIQUE (generation, attempt, dedup)
) STRICT;
CREATE INDEX facts_waiting ON facts (generation) WHERE folded = 0;

-- Created with the change they tell of, numbered without gaps per generation.
CREATE TABLE events (
    generation TEXT NOT NULL REFERENCES generations (id),
    no         INTEGER NOT NULL CHECK (no > 0),
    type       TEXT NOT NULL,
    at         REAL NOT NULL,
    settled    INTEGER NOT NULL CHECK (settled IN (0, 1)),
    PRIMARY KEY (generation, no)
) STRICT, WITHOUT ROWID;

-- A provider's job belongs to one attempt. `generation` NULL: it was bound before schema 3.
CREATE TABLE jobs (
    provider    TEXT NOT NULL,
    job         TEXT NOT NULL,
    credentials TEXT NOT NULL,
    attempt     TEXT NOT NULL,
    generation  TEXT,
    PRIMARY KEY (provider, job, credentials)
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (id TEXT PRIMARY KEY, until REAL NOT NULL) STRICT, WITHOUT ROWID;

-- Where events are sent. `events` is a JSON array of types, `account` NULL stands for every account; what is in
-- `document` is the sender's affair.
CREATE TABLE endpoints (
    id            TEXT PRIMARY KEY,
    account       TEXT,
    events        TEXT NOT NULL,
    document      TEXT NOT NULL,
    disabled      INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    version       INTEGER NOT NULL CHECK (version > 0),
    failures      INTEGER NOT NULL DEFAULT 0,
    failing_since REAL
) STRICT, WITHOUT ROWID;
CREATE INDEX endpoints_account ON endpoints (account);

-- One event on its way to one endpoint, made with the change that the event tells of.
CREATE TABLE deliveries (
    endpoint TEXT NOT NULL,
    subject  TEXT NOT NULL,
    no       INTEGER NOT NULL CHECK (no > 0),
    account  TEXT NOT NULL,
    type     TEXT NOT NULL,
    at       REAL NOT NULL,
    settled  INTEGER NOT NULL CHECK (settled IN (0, 1)),
    body     TEXT,
    state    TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
    tries    INTEGER NOT NULL DEFAULT 0,
    replays  INTEGER NOT NULL DEFAULT 0,
    claim    INTEGER NOT NULL DEFAULT 0,
    next_at  REAL NOT NULL,
    ended_at REAL,
    answer   INTEGER NOT NULL DEFAULT 0,
    error    TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (endpoint, subject, no)
) STRICT;
CREATE INDEX deliveries_of ON deliveries (endpoint, next_at) WHERE state = 'waiting';
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX deliveries_at ON deliveries (at);

-- `compatible`: the oldest version of the package's schema whose code may still use these tables.
INSERT INTO arrow_meta (name, value) VALUES ('schema', '3'), ('compatible', '3');
