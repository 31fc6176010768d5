-- The job store on PostgreSQL, schema 2. Times are unix seconds, documents are JSON text: what a provider said
-- may hold what PostgreSQL's own JSON types refuse. COLLATE "C" sorts as every other store does.

CREATE TABLE arrow_meta (
    name text COLLATE "C" NOT NULL PRIMARY KEY,
    value text COLLATE "C" NOT NULL
);

-- One row per generation. `next_at` NULL: nothing is left to do for it. Each row is updated several times in a
-- row, so half of each page is left free: the new version stays beside the old one.
CREATE TABLE arrow_generation (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    account text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL
        CHECK (status IN ('pending', 'processing', 'succeeded', 'failed', 'canceled')),
    key text COLLATE "C",
    fingerprint text COLLATE "C" NOT NULL,
    spec text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    epoch bigint NOT NULL CHECK (epoch >= 0),
    owner text COLLATE "C",
    next_at double precision,
    created_at double precision NOT NULL,
    changed_at double precision NOT NULL
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX arrow_generation_key ON arrow_generation (key, account) WHERE key IS NOT NULL;
CREATE INDEX arrow_generation_account ON arrow_generation (account, id);
CREATE INDEX arrow_generation_due ON arrow_generation (next_at) WHERE owner IS NULL AND next_at IS NOT NULL;
CREATE INDEX arrow_generation_owner ON arrow_generation (owner) WHERE owner IS NOT NULL;

-- What was heard, by anyone. Not `folded`: it waits for the owner.
CREATE TABLE arrow_fact (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation text COLLATE "C" NOT NULL REFERENCES arrow_generation (id),
    attempt text COLLATE "C" NOT NULL,
    dedup text COLLATE "C" NOT NULL,
    body text COLLATE "C" NOT NULL,
    at double precision NOT NULL,
    folded boolean NOT NULL,
    CONSTRAINT arrow_fact_once UNIQUE (generation, attempt, dedup)
);
CREATE INDEX arrow_fact_waiting ON arrow_fact (generation, seq) WHERE NOT folded;

-- Created with the change they tell of, numbered without gaps per generation.
CREATE TABLE arrow_event (
    generation text COLLATE "C" NOT NULL REFERENCES arrow_generation (id),
    no bigint NOT NULL CHECK (no > 0),
    type text COLLATE "C" NOT NULL,
    at double precision NOT NULL,
    settled boolean NOT NULL,
    PRIMARY KEY (generation, no)
);

-- A provider's job belongs to one attempt. `generation` NULL: it was bound by code before schema 3.
CREATE TABLE arrow_job (
    provider text COLLATE "C" NOT NULL,
    credentials text COLLATE "C" NOT NULL,
    job text COLLATE "C" NOT NULL,
    attempt text COLLATE "C" NOT NULL,
    generation text COLLATE "C",
    PRIMARY KEY (provider, job, credentials)
);

CREATE TABLE arrow_worker (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    ends_at double precision NOT NULL
) WITH (fillfactor = 50);

-- Where events are sent. `account` NULL stands for every account, no `events` for every type; what is in
-- `document` is the sender's affair.
CREATE TABLE arrow_endpoint (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    account text COLLATE "C",
    events text[] COLLATE "C" NOT NULL,
    document text COLLATE "C" NOT NULL,
    disabled boolean NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    failures bigint NOT NULL DEFAULT 0,
    failing_since double precision
);
CREATE INDEX arrow_endpoint_account ON arrow_endpoint (account);

-- One event on its way to one endpoint, made with the change that the event tells of.
CREATE TABLE arrow_delivery (
    endpoint text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    no bigint NOT NULL CHECK (no > 0),
    account text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    at double precision NOT NULL,
    settled boolean NOT NULL,
    body text COLLATE "C",
    state text COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
    tries bigint NOT NULL DEFAULT 0,
    replays bigint NOT NULL DEFAULT 0,
    claim bigint NOT NULL DEFAULT 0,
    next_at double precision NOT NULL,
    ended_at double precision,
    answer bigint NOT NULL DEFAULT 0,
    error text COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (endpoint, subject, no)
) WITH (fillfactor = 50);
CREATE INDEX arrow_delivery_of ON arrow_delivery (endpoint, next_at) WHERE state = 'waiting';
CREATE INDEX arrow_delivery_ended ON arrow_delivery (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX arrow_delivery_at ON arrow_delivery (at);

-- `compatible`: the oldest version of the package's schema whose code may still use these tables.
INSERT INTO arrow_meta (name, value) VALUES ('schema', '3'), ('compatible', '1');
