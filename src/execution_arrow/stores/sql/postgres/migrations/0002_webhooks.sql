-- Outgoing webhooks: endpoints and deliveries. Code of schema 1 may go on: it makes no deliveries.

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
