-- What islands share in one PostgreSQL schema. Everything here is learned again if it is lost.
-- `change` is the transaction that changed a row last: a reader asks for what is not older than the oldest
-- transaction that was under way when it last read, and so misses nothing that commits late.

CREATE TABLE island (
    one    integer PRIMARY KEY CHECK (one = 1),
    schema integer NOT NULL,
    life   text NOT NULL               -- another one means that everything before is forgotten
);

CREATE TABLE island_cells (
    memory   text NOT NULL,            -- its half-life in seconds
    epoch    bigint NOT NULL,
    region   text NOT NULL,
    model    text NOT NULL,            -- '' is the provider over all models
    provider text NOT NULL,
    work     text NOT NULL,
    tried    double precision NOT NULL,
    won      double precision NOT NULL,
    timed    double precision NOT NULL,
    log      double precision NOT NULL,
    square   double precision NOT NULL,
    wasted   double precision NOT NULL,
    cost     double precision NOT NULL,
    priced   double precision NOT NULL,
    change   xid8 NOT NULL DEFAULT pg_current_xact_id(),
    told     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (memory, epoch, region, model, provider, work)
) WITH (fillfactor = 70);
CREATE INDEX island_cells_by_change ON island_cells (change);

CREATE TABLE island_circuits (
    provider text NOT NULL,
    account  text NOT NULL,
    model    text NOT NULL,
    state    text NOT NULL,
    since    double precision NOT NULL,
    until    double precision NOT NULL,
    cause    text NOT NULL,
    opens    bigint NOT NULL,
    lease    double precision NOT NULL,
    word     double precision NOT NULL,  -- when a human isolated or restored it last; 0: never
    change   xid8 NOT NULL DEFAULT pg_current_xact_id(),
    told     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, account, model)
);
CREATE INDEX island_circuits_by_change ON island_circuits (change);

CREATE TABLE island_attempts (         -- the log: one row for each attempt that has ended, see attempt.v1
    id          text PRIMARY KEY,
    model       text NOT NULL,
    provider    text NOT NULL,
    region      text NOT NULL,
    account     text NOT NULL,
    work        text NOT NULL,
    outcome     text NOT NULL,
    fault       text NOT NULL,
    seconds     double precision NOT NULL,
    cost        bigint,
    retry_after double precision,
    at          double precision NOT NULL,
    told        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX island_attempts_by_time ON island_attempts (at, id);
CREATE INDEX island_attempts_by_age ON island_attempts (told);

CREATE TABLE island_rankings (
    key      text PRIMARY KEY,
    document text NOT NULL,
    expires  timestamptz NOT NULL
);

INSERT INTO island VALUES (1, 1, gen_random_uuid()::text);
