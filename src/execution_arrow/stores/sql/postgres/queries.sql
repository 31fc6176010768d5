-- name: about
SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'arrow_meta' AND pg_table_is_visible(oid)),
       current_setting('server_version_num')::int,
       current_setting('server_encoding');

-- name: versions
SELECT (SELECT value FROM arrow_meta WHERE name = 'schema'),
       (SELECT value FROM arrow_meta WHERE name = 'compatible');

-- name: set_version
UPDATE arrow_meta SET value = %(value)s WHERE name = %(name)s;

-- name: migrate_alone
SELECT pg_advisory_xact_lock(5131976202517714);

-- name: begin
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

-- name: begin_reading
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: commit
COMMIT;

-- The statements are written so that one plan is right for tables of any size, and the planner is held to it: a
-- plan that was made while the tables were new must not become a scan of the whole history later. Where one
-- table drives another, LATERAL with OFFSET 0 or an array says which.

-- name: pin
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true),
       set_config('plan_cache_mode', 'force_generic_plan', true), set_config('jit', 'off', true);

-- name: guard
SELECT set_config('lock_timeout', %(patience)s::text, true),
       set_config('synchronous_commit', CASE
           WHEN NOT %(durable)s::boolean THEN 'off'
           WHEN current_setting('synchronous_commit') = 'off' THEN 'on'
           ELSE current_setting('synchronous_commit') END, true);

-- name: now
SELECT extract(epoch FROM now())::float8;

-- name: channel
SELECT 'execution_arrow_' || substr(md5(current_schema()), 1, 16);

-- name: notify
SELECT pg_notify('execution_arrow_' || substr(md5(current_schema()), 1, 16), %(payload)s::text);

-- name: lock
SELECT id FROM arrow_generation WHERE id = ANY (%(ids)s::text[]) ORDER BY id FOR NO KEY UPDATE;

-- name: create
INSERT INTO arrow_generation (id, account, model, status, key, fingerprint, spec, state, version, epoch, owner,
                              next_at, created_at, changed_at)
VALUES (%(id)s::text, %(account)s::text, %(model)s::text, %(status)s::text, %(key)s::text,
        %(fingerprint)s::text, %(spec)s::text, %(state)s::text, 1, (%(owner)s::text IS NOT NULL)::int,
        %(owner)s::text, %(next_at)s::float8, %(created_at)s::float8, %(created_at)s::float8)
ON CONFLICT (key, account) WHERE key IS NOT NULL DO NOTHING
RETURNING id;

-- `|| ''` keeps the planner from walking all of an account's generations.
-- name: by_key
SELECT id, fingerprint FROM arrow_generation WHERE key = %(key)s::text AND account || '' = %(account)s::text;

-- name: holders
SELECT id FROM arrow_generation WHERE strpos(state, %(text)s::text) > 0;

-- name: of_job
SELECT DISTINCT generation FROM arrow_job
WHERE provider = %(provider)s::text AND job = %(job)s::text AND generation IS NOT NULL;

-- Before `commit`, in a statement of its own, so that the next one sees who was quicker.
-- name: bind
INSERT INTO arrow_job (provider, credentials, job, attempt, generation)
SELECT n.provider, n.credentials, n.job, n.attempt, %(id)s::text
FROM unnest(%(providers)s::text[], %(credentials)s::text[], %(jobs)s::text[], %(attempts)s::text[])
     AS n (provider, credentials, job, attempt)
WHERE EXISTS (SELECT FROM arrow_generation g WHERE g.id = %(id)s::text AND g.owner = %(owner)s::text
              AND g.epoch = %(epoch)s::bigint AND g.version = %(version)s::bigint)
  AND NOT EXISTS (
      SELECT FROM unnest(%(providers)s::text[], %(credentials)s::text[], %(jobs)s::text[], %(attempts)s::text[])
                  AS m (provider, credentials, job, attempt)
      CROSS JOIN LATERAL (SELECT j.attempt FROM arrow_job j WHERE j.provider = m.provider
                          AND j.credentials = m.credentials AND j.job = m.job OFFSET 0) j
      WHERE j.attempt <> m.attempt)
ON CONFLICT DO NOTHING;

-- name: commit_row
WITH taken AS MATERIALIZED (
    SELECT j.attempt, n.job
    FROM unnest(%(providers)s::text[], %(credentials)s::text[], %(jobs)s::text[], %(attempts)s::text[])
         AS n (provider, credentials, job, attempt)
    CROSS JOIN LATERAL (SELECT j.attempt FROM arrow_job j WHERE j.provider = n.provider
                        AND j.credentials = n.credentials AND j.job = n.job OFFSET 0) j
    WHERE j.attempt <> n.attempt
    LIMIT 1
), changed AS (
    UPDATE arrow_generation
    SET state = %(state)s::text, status = %(status)s::text, next_at = %(next_at)s::float8,
        changed_at = %(at)s::float8, version = version + 1, spec = coalesce(%(erased)s::text, spec),
        key = CASE WHEN %(free_key)s::boolean THEN NULL ELSE key END,
        owner = CASE WHEN %(next_at)s::float8 IS NULL THEN NULL ELSE owner END
    WHERE id = %(id)s::text AND owner = %(owner)s::text AND epoch = %(epoch)s::bigint
      AND version = %(version)s::bigint AND NOT EXISTS (SELECT FROM taken)
    RETURNING id, account
), told AS (
    INSERT INTO arrow_event (generation, no, type, at, settled)
    SELECT c.id, e.no, e.type, e.at, e.settled
    FROM changed c, json_to_recordset(%(events)s::json) AS e (no bigint, type text, at float8, settled boolean)
), posted AS (
    INSERT INTO arrow_delivery (endpoint, subject, no, account, type, at, settled, state, next_at, ended_at)
    SELECT w.id, c.id, e.no, c.account, e.type, e.at, e.settled,
           CASE WHEN w.disabled THEN 'dead' ELSE 'waiting' END, e.at, CASE WHEN w.disabled THEN e.at END
    FROM changed c
    CROSS JOIN json_to_recordset(%(events)s::json) AS e (no bigint, type text, at float8, settled boolean)
    CROSS JOIN LATERAL (
        (SELECT id, disabled, events FROM arrow_endpoint WHERE account IS NULL OFFSET 0)
        UNION ALL
        (SELECT id, disabled, events FROM arrow_endpoint WHERE account = c.account OFFSET 0)) w
    WHERE w.events = '{}' OR e.type = ANY (w.events)
    ON CONFLICT DO NOTHING
    RETURNING state
), heard AS (
    INSERT INTO arrow_fact (generation, attempt, dedup, body, at, folded)
    SELECT c.id, h.attempt, h.dedup, h.body, h.at, true
    FROM changed c, json_to_recordset(%(heard)s::json) AS h (attempt text, dedup text, body text, at float8)
    ON CONFLICT (generation, attempt, dedup) DO NOTHING
), folded AS (
    UPDATE arrow_fact f SET folded = true
    WHERE f.generation = %(id)s::text AND NOT f.folded AND EXISTS (SELECT FROM changed)
      AND (f.seq = ANY (%(folded)s::bigint[])
           OR f.attempt || chr(31) || f.dedup = ANY (%(names)s::text[]))
)
SELECT EXISTS (SELECT FROM changed), (SELECT attempt FROM taken), (SELECT job FROM taken),
       (SELECT count(*) FROM posted WHERE state = 'waiting');

-- name: forget_facts
DELETE FROM arrow_fact f
WHERE f.generation = %(id)s::text AND f.folded AND EXISTS (
    SELECT FROM arrow_generation g
    WHERE g.id = %(id)s::text AND g.epoch = %(epoch)s::bigint AND g.version = %(version)s::bigint + 1);

-- name: append
INSERT INTO arrow_fact (generation, attempt, dedup, body, at, folded)
SELECT id, %(attempt)s::text, %(dedup)s::text, %(body)s::text, %(at)s::float8, false
FROM arrow_generation WHERE id = %(generation)s::text
ON CONFLICT (generation, attempt, dedup) DO NOTHING
RETURNING seq;

-- A row is looked for through the index that finds it, and locked there and then, or left to whoever has it.
-- The conditions that are checked again once it is locked are about the row alone: a lease that ended in the
-- statement's picture, and was renewed since, belongs to a worker that knows it had lapsed.
-- name: claim
WITH RECURSIVE clock AS (
    SELECT coalesce(%(now)s::float8, extract(epoch FROM now())::float8) AS now
), owners (name) AS (
    (SELECT owner FROM arrow_generation WHERE owner IS NOT NULL ORDER BY owner LIMIT 1)
    UNION ALL
    SELECT (SELECT g.owner FROM arrow_generation g WHERE g.owner > owners.name ORDER BY g.owner LIMIT 1)
    FROM owners WHERE owners.name IS NOT NULL
), dead AS MATERIALIZED (
    SELECT o.name FROM owners o WHERE o.name IS NOT NULL
      AND NOT EXISTS (SELECT FROM arrow_worker w, clock WHERE w.id = o.name AND w.ends_at > clock.now)
), waiting AS MATERIALIZED (
    SELECT DISTINCT generation FROM arrow_fact WHERE NOT folded
), orphans AS MATERIALIZED (
    SELECT g.id FROM dead CROSS JOIN LATERAL (
        SELECT id FROM arrow_generation WHERE owner = dead.name AND next_at IS NOT NULL
        LIMIT %(limit)s::int FOR NO KEY UPDATE SKIP LOCKED) g
), spoken_to AS MATERIALIZED (
    SELECT g.id FROM waiting CROSS JOIN LATERAL (
        SELECT id FROM arrow_generation WHERE id = waiting.generation AND owner IS NULL
        LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) g
    LIMIT %(limit)s::int
), due AS MATERIALIZED (
    SELECT id FROM arrow_generation
    WHERE owner IS NULL AND next_at IS NOT NULL AND next_at <= (SELECT now FROM clock)
    ORDER BY next_at LIMIT %(limit)s::int FOR NO KEY UPDATE SKIP LOCKED
), chosen AS MATERIALIZED (
    SELECT id FROM orphans UNION SELECT id FROM spoken_to UNION SELECT id FROM due
);

-- name: claim_named
WITH clock AS (
    SELECT coalesce(%(now)s::float8, extract(epoch FROM now())::float8) AS now
), named AS MATERIALIZED (
    SELECT g.id, g.owner FROM unnest(%(ids)s::text[]) AS n (id) CROSS JOIN LATERAL (
        SELECT id, owner FROM arrow_generation WHERE id = n.id AND (next_at IS NOT NULL OR EXISTS (
            SELECT FROM arrow_fact f WHERE f.generation = n.id AND NOT f.folded)) OFFSET 0) g
    WHERE g.owner IS NULL OR NOT EXISTS (
        SELECT FROM arrow_worker w, clock WHERE w.id = g.owner AND w.ends_at > clock.now)
), chosen AS MATERIALIZED (
    SELECT g.id FROM named CROSS JOIN LATERAL (
        SELECT id FROM arrow_generation WHERE id = named.id AND owner IS NOT DISTINCT FROM named.owner
        LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) g
    LIMIT %(limit)s::int
);

-- The end of both claims.
-- name: take
, taken AS (
    UPDATE arrow_generation g SET owner = %(owner)s::text, epoch = g.epoch + 1
    WHERE g.id = ANY (ARRAY(SELECT id FROM chosen LIMIT %(limit)s::int))
    RETURNING g.*
), leased AS (
    INSERT INTO arrow_worker (id, ends_at)
    SELECT %(owner)s::text, clock.now + %(seconds)s::float8 FROM clock WHERE EXISTS (SELECT FROM taken)
    ON CONFLICT (id) DO UPDATE SET ends_at = excluded.ends_at
)
SELECT g.id, g.account, g.key, g.spec, g.state, g.version, g.epoch, g.owner,
       clock.now + %(seconds)s::float8, g.next_at, g.created_at, (
    SELECT json_agg(json_build_array(f.seq, f.generation, f.attempt, f.dedup, f.body, f.at) ORDER BY f.seq)
    FROM arrow_fact f WHERE f.generation = g.id AND NOT f.folded)
FROM taken g, clock;

-- name: later
SELECT min(at) FROM (
    (SELECT next_at AS at FROM arrow_generation WHERE owner IS NULL AND next_at IS NOT NULL
     ORDER BY next_at LIMIT 1)
    UNION ALL
    SELECT greatest(w.ends_at, coalesce(%(now)s::float8, extract(epoch FROM now())::float8))
    FROM arrow_worker w
    WHERE w.id <> %(owner)s::text AND EXISTS (
        SELECT FROM arrow_generation g WHERE g.owner = w.id AND g.next_at IS NOT NULL)
) AS times;

-- name: release
UPDATE arrow_generation SET owner = NULL, next_at = (%(times)s::jsonb ->> id)::float8
WHERE id = ANY (%(ids)s::text[]) AND owner = %(owner)s::text;

-- name: disown
UPDATE arrow_generation
SET owner = NULL, next_at = CASE WHEN next_at IS NULL THEN NULL
                            ELSE coalesce(%(now)s::float8, extract(epoch FROM now())::float8) END
WHERE owner = %(owner)s::text AND NOT (id = ANY (%(keep)s::text[]));

-- name: extend
INSERT INTO arrow_worker (id, ends_at)
VALUES (%(owner)s::text,
        coalesce(%(now)s::float8, extract(epoch FROM now())::float8) + %(seconds)s::float8)
ON CONFLICT (id) DO UPDATE SET ends_at = excluded.ends_at;

-- Leases from before the clock was set back.
-- name: cut
UPDATE arrow_worker SET ends_at = coalesce(%(now)s::float8, extract(epoch FROM now())::float8) + %(seconds)s::float8
WHERE id = ANY (ARRAY(
    SELECT id FROM arrow_worker
    WHERE ends_at > coalesce(%(now)s::float8, extract(epoch FROM now())::float8) + %(longest)s::float8
    FOR UPDATE SKIP LOCKED));

-- A lease that ended an hour ago protects nothing; rows of such workers are claimable without it too.
-- name: prune
DELETE FROM arrow_worker WHERE id = ANY (ARRAY(
    SELECT id FROM arrow_worker
    WHERE ends_at < coalesce(%(now)s::float8, extract(epoch FROM now())::float8) - 3600
    LIMIT 100 FOR UPDATE SKIP LOCKED));

-- name: row
SELECT g.id, g.account, g.key, g.spec, g.state, g.version, g.epoch, g.owner, w.ends_at, g.next_at,
       g.created_at, (
    SELECT json_agg(json_build_array(f.seq, f.generation, f.attempt, f.dedup, f.body, f.at) ORDER BY f.seq)
    FROM arrow_fact f WHERE f.generation = g.id AND NOT f.folded)
FROM arrow_generation g
LEFT JOIN LATERAL (SELECT ends_at FROM arrow_worker WHERE id = g.owner OFFSET 0) w ON true

-- Around `row`: what still needs somebody, by its own two indexes; its order must not tempt to walk the history.
-- name: open_rows
WITH open AS MATERIALIZED (
    SELECT id FROM arrow_generation WHERE owner IS NULL AND next_at IS NOT NULL
    UNION ALL
    SELECT id FROM arrow_generation WHERE owner IS NOT NULL AND next_at IS NOT NULL
);

-- name: open_page
 WHERE g.id = ANY (ARRAY(SELECT id FROM open WHERE id > %(after)s::text ORDER BY id LIMIT %(limit)s::int))
ORDER BY g.id;

-- name: events
SELECT no, type, at, settled FROM arrow_event WHERE generation = %(id)s::text ORDER BY no;

-- name: inbox
SELECT f.seq, f.generation, f.attempt, f.dedup, f.body, f.at
FROM (SELECT * FROM arrow_fact WHERE NOT folded OFFSET 0) f
CROSS JOIN LATERAL (SELECT owner FROM arrow_generation WHERE id = f.generation OFFSET 0) g
WHERE g.owner = %(owner)s::text ORDER BY f.seq;

-- name: publish
WITH posted AS (
    INSERT INTO arrow_delivery (endpoint, subject, no, account, type, at, settled, body, state, next_at, ended_at)
    SELECT w.id, %(subject)s::text, 1, %(account)s::text, %(type)s::text, %(at)s::float8, true, %(body)s::text,
           CASE WHEN w.disabled THEN 'dead' ELSE 'waiting' END, %(at)s::float8,
           CASE WHEN w.disabled THEN %(at)s::float8 END
    FROM (
        (SELECT id, disabled FROM arrow_endpoint WHERE id = %(only)s::text OFFSET 0)
        UNION ALL
        (SELECT id, disabled FROM arrow_endpoint
         WHERE account IS NULL AND %(only)s::text IS NULL
           AND (events = '{}' OR %(type)s::text = ANY (events)) OFFSET 0)
        UNION ALL
        (SELECT id, disabled FROM arrow_endpoint
         WHERE account = %(account)s::text AND %(only)s::text IS NULL
           AND (events = '{}' OR %(type)s::text = ANY (events)) OFFSET 0)) w
    ON CONFLICT DO NOTHING
    RETURNING state
)
SELECT count(*) FROM posted WHERE state = 'waiting';

-- name: keep_new
INSERT INTO arrow_endpoint (id, account, events, document, disabled, version)
VALUES (%(id)s::text, %(account)s::text, %(events)s::text[], %(document)s::text, %(disabled)s::boolean, 1)
ON CONFLICT DO NOTHING RETURNING id;

-- name: keep_changed
WITH kept AS (
    UPDATE arrow_endpoint
    SET account = %(account)s::text, events = %(events)s::text[], document = %(document)s::text,
        disabled = %(disabled)s::boolean, version = version + 1, failures = 0, failing_since = NULL
    WHERE id = %(id)s::text AND version = %(version)s::bigint
    RETURNING id, disabled
), ended AS (
    UPDATE arrow_delivery SET state = 'dead', ended_at = %(at)s::float8
    WHERE endpoint = %(id)s::text AND state = 'waiting' AND EXISTS (SELECT FROM kept WHERE disabled)
)
SELECT id FROM kept;

-- name: remove_endpoint
WITH gone AS (
    DELETE FROM arrow_endpoint WHERE id = %(id)s::text AND version = %(version)s::bigint RETURNING id
), ended AS (
    DELETE FROM arrow_delivery WHERE endpoint = %(id)s::text AND EXISTS (SELECT FROM gone)
)
SELECT id FROM gone;

-- name: forget_deliveries
DELETE FROM arrow_delivery WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM arrow_delivery
    WHERE ended_at < coalesce(%(now)s::float8, extract(epoch FROM now())::float8) - %(keep)s::float8
    ORDER BY ended_at LIMIT %(most)s::int FOR UPDATE SKIP LOCKED));

-- From one endpoint with something waiting to the next, whatever waits in between; in turn from `after` on. Rows
-- are locked where they are found, or left to whoever has them. What waits behind a taken one is due when it is.
-- `|| ''` keeps the planner from walking all that waits for an endpoint.
-- name: take_deliveries
WITH RECURSIVE clock AS (
    SELECT coalesce(%(now)s::float8, extract(epoch FROM now())::float8) AS now
), names (name) AS (
    (SELECT endpoint FROM arrow_delivery WHERE state = 'waiting' ORDER BY endpoint LIMIT 1)
    UNION ALL
    SELECT (SELECT d.endpoint FROM arrow_delivery d WHERE d.state = 'waiting' AND d.endpoint > names.name
            ORDER BY d.endpoint LIMIT 1)
    FROM names WHERE names.name IS NOT NULL
), turns AS MATERIALIZED (
    SELECT name, %(each)s::int - coalesce((%(busy)s::jsonb ->> name)::int, 0) AS room FROM names
    WHERE name IS NOT NULL
    ORDER BY name <= %(after)s::text, name
), chosen AS MATERIALIZED (
    SELECT h.place, h.endpoint, h.subject, h.no FROM turns CROSS JOIN LATERAL (
        SELECT d.ctid AS place, d.endpoint, d.subject, d.no FROM arrow_delivery d
        WHERE d.endpoint = turns.name AND d.state = 'waiting' AND d.next_at <= (SELECT now FROM clock)
          AND NOT EXISTS (
              SELECT FROM arrow_delivery p
              WHERE p.endpoint = d.endpoint AND p.subject = d.subject AND p.no < d.no
                AND p.state || '' = 'waiting' OFFSET 0)
        ORDER BY d.next_at LIMIT greatest(turns.room, 0) FOR NO KEY UPDATE OF d SKIP LOCKED) h
    LIMIT %(limit)s::int
), behind AS MATERIALIZED (
    SELECT b.place FROM chosen CROSS JOIN LATERAL (
        SELECT ctid AS place FROM arrow_delivery
        WHERE endpoint = chosen.endpoint AND subject = chosen.subject AND no > chosen.no
          AND state || '' = 'waiting' FOR NO KEY UPDATE SKIP LOCKED) b
), lined_up AS (
    UPDATE arrow_delivery SET next_at = (SELECT now FROM clock) + %(seconds)s::float8
    WHERE ctid = ANY (ARRAY(SELECT place FROM behind))
)
UPDATE arrow_delivery
SET claim = claim + 1, next_at = (SELECT now FROM clock) + %(seconds)s::float8
WHERE ctid = ANY (ARRAY(SELECT place FROM chosen))
RETURNING endpoint, subject, no, account, type, at, settled, body, state, tries, replays, claim, next_at, ended_at,
          answer, error;

-- name: later_delivery
WITH RECURSIVE names (name) AS (
    (SELECT endpoint FROM arrow_delivery WHERE state = 'waiting' ORDER BY endpoint LIMIT 1)
    UNION ALL
    SELECT (SELECT d.endpoint FROM arrow_delivery d WHERE d.state = 'waiting' AND d.endpoint > names.name
            ORDER BY d.endpoint LIMIT 1)
    FROM names WHERE names.name IS NOT NULL
)
SELECT min((SELECT d.next_at FROM arrow_delivery d WHERE d.endpoint = names.name AND d.state = 'waiting'
            ORDER BY d.next_at LIMIT 1)) FROM names;

-- What waits behind it is due when it is.
-- name: report
WITH changed AS (
    UPDATE arrow_delivery
    SET state = CASE WHEN %(state)s::text = 'waiting' THEN state ELSE %(state)s::text END,
        ended_at = CASE WHEN %(state)s::text = 'waiting' THEN ended_at ELSE %(at)s::float8 END,
        next_at = %(next_at)s::float8, tries = tries + 1, answer = %(answer)s::bigint, error = %(error)s::text
    WHERE endpoint = %(endpoint)s::text AND subject = %(subject)s::text AND no = %(no)s::bigint
      AND claim = %(claim)s::bigint
    RETURNING endpoint
), behind AS (
    UPDATE arrow_delivery SET next_at = %(next_at)s::float8
    WHERE endpoint = %(endpoint)s::text AND subject = %(subject)s::text AND no > %(no)s::bigint
      AND state || '' = 'waiting' AND EXISTS (SELECT FROM changed)
)
SELECT endpoint FROM changed;

-- name: count_failure
UPDATE arrow_endpoint
SET failures = CASE WHEN %(failed)s::boolean THEN failures + 1 ELSE 0 END,
    failing_since = CASE WHEN %(failed)s::boolean THEN coalesce(failing_since, %(at)s::float8) END
WHERE id = %(endpoint)s::text AND (%(failed)s::boolean OR (failures > 0 AND NOT %(failed)s::boolean)) AND EXISTS (
    SELECT FROM arrow_delivery d WHERE d.endpoint = %(endpoint)s::text AND d.subject = %(subject)s::text
    AND d.no = %(no)s::bigint AND d.claim = %(claim)s::bigint);

-- name: endpoints
SELECT id, account, events, document, disabled, version, failures, failing_since FROM arrow_endpoint ORDER BY id;

-- name: endpoint
SELECT id, account, events, document, disabled, version, failures, failing_since FROM arrow_endpoint
WHERE id = %(endpoint)s::text;

-- name: replay
UPDATE arrow_delivery
SET state = 'waiting', tries = 0, replays = replays + 1, next_at = %(at)s::float8, ended_at = NULL
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM arrow_delivery
    WHERE endpoint = %(endpoint)s::text AND subject = coalesce(%(subject)s::text, subject)
      AND no = coalesce(%(no)s::bigint, no)
      AND (state = 'dead' OR (%(no)s::bigint IS NOT NULL AND state = 'delivered'))
      AND EXISTS (SELECT FROM arrow_endpoint e WHERE e.id = %(endpoint)s::text AND NOT e.disabled)
    ORDER BY ended_at LIMIT %(most)s::int FOR NO KEY UPDATE));

-- name: deliveries
SELECT endpoint, subject, no, account, type, at, settled, body, state, tries, replays, claim, next_at, ended_at,
       answer, error
FROM arrow_delivery
WHERE endpoint = coalesce(%(endpoint)s::text, endpoint) AND state = coalesce(%(state)s::text, state)
  AND subject = coalesce(%(subject)s::text, subject)
ORDER BY at DESC, endpoint, subject, no LIMIT %(limit)s::int;
