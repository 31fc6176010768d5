-- Outgoing webhooks: endpoints and deliveries. Code of schema 1 may go on: it makes no deliveries.

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

-- Schema 1 of the first release did not say who may use it.
INSERT INTO arrow_meta (name, value) VALUES ('compatible', '1') ON CONFLICT DO NOTHING;
