-- The catalogue is read as a table: a look-up by name may be answered from what this session knew before it
-- waited for another that was making the tables.

-- name: about
SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'ledger_meta' AND pg_table_is_visible(oid)),
       current_setting('server_version_num')::int,
       current_setting('server_encoding');

-- name: schema_version
SELECT value FROM ledger_meta WHERE name = 'schema';

-- name: set_schema_version
UPDATE ledger_meta SET value = %s WHERE name = 'schema';

-- name: migrate_alone
SELECT pg_advisory_xact_lock(7810770412094845);

-- name: begin
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;

-- name: begin_reading
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: savepoint
SAVEPOINT ledger_fortress;

-- name: release
RELEASE SAVEPOINT ledger_fortress;

-- name: undo
ROLLBACK TO SAVEPOINT ledger_fortress;

-- name: pin
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true),
       set_config('jit', 'off', true);

-- name: guard
SELECT set_config('lock_timeout', %s, true),
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                  WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, true);

-- name: settings
SELECT current_setting('transaction_isolation'), current_setting('enable_seqscan'),
       current_setting('enable_hashjoin'), current_setting('enable_mergejoin'),
       current_setting('plan_cache_mode'), current_setting('jit');

-- name: unpin
SELECT set_config('enable_seqscan', %s, true), set_config('enable_hashjoin', %s, true),
       set_config('enable_mergejoin', %s, true), set_config('plan_cache_mode', %s, true),
       set_config('jit', %s, true);

-- name: now
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

-- name: make_accounts
INSERT INTO ledger_account (account)
SELECT name FROM unnest(%s::text[]) AS name ORDER BY name COLLATE "C"
ON CONFLICT DO NOTHING;

-- name: lock_accounts
SELECT account, version, head, at, status, available, held, debt, due, buckets, terms
FROM ledger_account WHERE account = ANY (%s::text[]) ORDER BY account FOR NO KEY UPDATE;

-- name: load_accounts
SELECT account, version, head, at, status, available, held, debt, due, buckets, terms
FROM ledger_account WHERE account = ANY (%s::text[]) AND version > 0 ORDER BY account;

-- name: load_keys
SELECT found.* FROM unnest(%s::text[], %s::text[]) AS wanted (account, key)
CROSS JOIN LATERAL (
SELECT account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
       body, fingerprint, link, note_hash, prev_hash, hash
FROM ledger_entry WHERE ledger_entry.key = wanted.key AND ledger_entry.account = wanted.account
) AS found;

-- name: load_holds
SELECT found.* FROM unnest(%s::text[], %s::text[]) AS wanted (account, key)
CROSS JOIN LATERAL (
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, "window",
       slices
FROM ledger_hold WHERE ledger_hold.key = wanted.key AND ledger_hold.account = wanted.account
) AS found;

-- name: load_hashes
SELECT found.* FROM unnest(%s::text[], %s::bigint[]) AS wanted (account, version)
CROSS JOIN LATERAL (
SELECT account, version, hash
FROM ledger_entry WHERE ledger_entry.account = wanted.account AND ledger_entry.version = wanted.version
) AS found;

-- name: load_due_holds
SELECT found.* FROM unnest(%s::text[], %s::bigint[]) AS wanted (account, until)
CROSS JOIN LATERAL (
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, "window",
       slices
FROM ledger_hold
WHERE ledger_hold.account = wanted.account AND state = 'open' AND on_timeout = 'release'
      AND deadline <= wanted.until
ORDER BY deadline, version
) AS found;

-- name: next_deadlines
SELECT wanted.account, (
SELECT min(deadline) FROM ledger_hold
WHERE ledger_hold.account = wanted.account AND state = 'open' AND on_timeout = 'release'
      AND deadline > wanted.until
)
FROM unnest(%s::text[], %s::bigint[]) AS wanted (account, until);

-- name: save_accounts
WITH saved AS (
UPDATE ledger_account
SET version = new.version, head = new.head, at = new.at, status = new.status, available = new.available,
    held = new.held, debt = new.debt, due = new.due, buckets = new.buckets,
    terms = new.terms
FROM unnest(%s::text[], %s::bigint[], %s::bytea[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[],
            %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[])
     AS new (account, version, head, at, status, available, held, debt, due, buckets, terms, expected)
WHERE ledger_account.account = new.account AND ledger_account.version = new.expected
RETURNING 1
)
SELECT ledger_saved(count(*), %s) FROM saved;

-- name: drop_unmade
DELETE FROM ledger_account WHERE account = ANY (%s::text[]) AND version = 0;

-- name: save_holds
INSERT INTO ledger_hold (account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, "window",
       slices)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[],
                     %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[])
ON CONFLICT (key, account) DO UPDATE
SET state = excluded.state, deadline = excluded.deadline, charged = excluded.charged,
    refunded = excluded.refunded, slices = excluded.slices;

-- name: insert_entries
INSERT INTO ledger_entry (account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
       body, fingerprint, link, note_hash, prev_hash, hash)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
                     %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                     %s::text[], %s::bytea[], %s::text[], %s::bytea[], %s::bytea[], %s::bytea[]);

-- name: insert_notes
INSERT INTO ledger_note (account, version, salt, text)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bytea[], %s::text[]);

-- name: entries_after
SELECT account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
       body, fingerprint, link, note_hash, prev_hash, hash
FROM ledger_entry WHERE account = %s AND version > %s ORDER BY version LIMIT %s;

-- name: open_holds
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, "window",
       slices
FROM ledger_hold WHERE state = 'open' ORDER BY deadline, account, key;

-- name: open_holds_of
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, "window",
       slices
FROM ledger_hold WHERE state = 'open' AND account = %s ORDER BY deadline, account, key;

-- name: accounts_after
SELECT account FROM ledger_account WHERE account > %s AND version > 0 ORDER BY account LIMIT %s;

-- name: due_accounts
SELECT account FROM ledger_account
WHERE due <= %s AND due < 9007199254740991
ORDER BY due, account LIMIT %s;

-- name: scan_entries
SELECT account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
       body, fingerprint, link, note_hash, prev_hash, hash
FROM ledger_entry ORDER BY account, version;

-- name: scan_entries_of
SELECT account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
       body, fingerprint, link, note_hash, prev_hash, hash
FROM ledger_entry WHERE account = %s ORDER BY version;

-- name: scan_accounts
SELECT account, version, head, at, status, available, held, debt, due, buckets, terms FROM ledger_account
WHERE version > 0 ORDER BY account;

-- name: scan_accounts_of
SELECT account, version, head, at, status, available, held, debt, due, buckets, terms FROM ledger_account
WHERE account = %s AND version > 0;

-- name: scan_holds
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, "window",
       slices FROM ledger_hold;

-- name: scan_holds_sorted
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, "window",
       slices FROM ledger_hold ORDER BY account;

-- name: scan_holds_of
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, "window",
       slices FROM ledger_hold
WHERE account = %s;

-- name: scan_notes
SELECT account, version, salt, text FROM ledger_note ORDER BY account;

-- name: scan_notes_of
SELECT account, version, salt, text FROM ledger_note WHERE account = %s;

-- name: scan_members
SELECT account, member, cap, "window", start, number, spent, held FROM ledger_member ORDER BY account;

-- name: scan_members_of
SELECT account, member, cap, "window", start, number, spent, held FROM ledger_member WHERE account = %s;

-- name: scan_notices
SELECT account, version, place, kind, at, body FROM ledger_notice ORDER BY account;

-- name: scan_notices_of
SELECT account, version, place, kind, at, body FROM ledger_notice WHERE account = %s;

-- name: load_members
SELECT found.* FROM unnest(%s::text[], %s::text[]) AS wanted (account, member)
CROSS JOIN LATERAL (
SELECT account, member, cap, "window", start, number, spent, held
FROM ledger_member
WHERE ledger_member.account = wanted.account AND ledger_member.member = wanted.member
) AS found;

-- name: save_members
INSERT INTO ledger_member (account, member, cap, "window", start, number, spent, held)
SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                     %s::bigint[], %s::bigint[])
ON CONFLICT (account, member) DO UPDATE
SET cap = excluded.cap, "window" = excluded."window", start = excluded.start, number = excluded.number,
    spent = excluded.spent, held = excluded.held;

-- name: insert_notices
INSERT INTO ledger_notice (account, version, place, kind, at, body)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[]);

-- name: notices
SELECT account, version, place, kind, at, body FROM ledger_notice WHERE true;

-- name: acknowledge
WITH wanted AS (
SELECT DISTINCT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) AS mark (account, version, place)
ORDER BY account, version, place
)
UPDATE ledger_notice SET acked = true FROM wanted
WHERE ledger_notice.account = wanted.account AND ledger_notice.version = wanted.version
      AND ledger_notice.place = wanted.place AND NOT acked
RETURNING 1;

-- name: checkpoints_after
SELECT number, at, accounts, prev_hash, hash, heads
FROM ledger_checkpoint WHERE number > %s ORDER BY number LIMIT %s;

-- name: last_checkpoint
SELECT number, at, accounts, prev_hash, hash, heads
FROM ledger_checkpoint ORDER BY number DESC LIMIT 1;

-- name: add_checkpoint
INSERT INTO ledger_checkpoint (number, at, accounts, prev_hash, hash, heads) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (number) DO NOTHING RETURNING 1;
