-- What islands share in one file. Everything here is learned again if it is lost.
BEGIN IMMEDIATE;

CREATE TABLE island (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    life   TEXT NOT NULL,              -- another one means that everything before is forgotten
    change INTEGER NOT NULL            -- counts the pushes; rows carry the one that changed them last
) STRICT;

CREATE TABLE cells (
    memory   TEXT NOT NULL,            -- its half-life in seconds
    epoch    INTEGER NOT NULL,
    region   TEXT NOT NULL,
    model    TEXT NOT NULL,            -- '' is the provider over all models
    provider TEXT NOT NULL,
    work     TEXT NOT NULL,
    tried    REAL NOT NULL,
    won      REAL NOT NULL,
    timed    REAL NOT NULL,
    log      REAL NOT NULL,
    square   REAL NOT NULL,
    wasted   REAL NOT NULL,
    cost     REAL NOT NULL,
    priced   REAL NOT NULL,
    change   INTEGER NOT NULL,
    told     REAL NOT NULL,            -- unix seconds
    PRIMARY KEY (memory, epoch, region, model, provider, work)
) STRICT, WITHOUT ROWID;
CREATE INDEX cells_by_change ON cells (change);

CREATE TABLE circuits (
    provider TEXT NOT NULL,
    account  TEXT NOT NULL,
    model    TEXT NOT NULL,
    state    TEXT NOT NULL,
    since    REAL NOT NULL,
    until    REAL NOT NULL,
    cause    TEXT NOT NULL,
    opens    INTEGER NOT NULL,
    lease    REAL NOT NULL,
    word     REAL NOT NULL,            -- when a human isolated or restored it last; 0: never
    change   INTEGER NOT NULL,
    told     REAL NOT NULL,
    PRIMARY KEY (provider, account, model)
) STRICT, WITHOUT ROWID;
CREATE INDEX circuits_by_change ON circuits (change);

CREATE TABLE attempts (                -- the log: one row for each attempt that has ended, see attempt.v1
    id          TEXT PRIMARY KEY,
    model       TEXT NOT NULL,
    provider    TEXT NOT NULL,
    region      TEXT NOT NULL,
    account     TEXT NOT NULL,
    work        TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    fault       TEXT NOT NULL,
    seconds     REAL NOT NULL,
    cost        INTEGER,
    retry_after REAL,
    at          REAL NOT NULL,
    told        REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_time ON attempts (at, id);
CREATE INDEX attempts_by_age ON attempts (told);

CREATE TABLE rankings (
    key      TEXT PRIMARY KEY,
    document TEXT NOT NULL,
    expires  REAL NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO island VALUES (1, lower(hex(randomblob(16))), 0);
PRAGMA user_version = 1;
COMMIT;
