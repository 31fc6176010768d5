-- Whose a job is, for callbacks that name nothing else. Jobs from before are not known by that, and are polled.
CREATE TABLE jobs_2 AS SELECT * FROM jobs;
DROP TABLE jobs;

-- A provider's job belongs to one attempt. `generation` NULL: it was bound before schema 3.
CREATE TABLE jobs (
    provider    TEXT NOT NULL,
    job         TEXT NOT NULL,
    credentials TEXT NOT NULL,
    attempt     TEXT NOT NULL,
    generation  TEXT,
    PRIMARY KEY (provider, job, credentials)
) STRICT, WITHOUT ROWID;
INSERT INTO jobs SELECT provider, job, credentials, attempt, NULL FROM jobs_2;
DROP TABLE jobs_2;

-- Code of schema 2 writes four columns.
UPDATE arrow_meta SET value = '3' WHERE name = 'compatible';
