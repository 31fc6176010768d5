-- name: has_ledger
SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'ledger_meta';

-- name: schema_version
SELECT value FROM ledger_meta WHERE name = 'schema';

-- name: load_account
SELECT account, version, head, at, status, available, held, debt, due, buckets, terms
FROM ledger_account WHERE account = ?;

-- name: load_key
SELECT account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
       body, fingerprint, link, note_hash, prev_hash, hash
FROM ledger_entry WHERE account = ? AND key = ?;

-- name: load_hold
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, window, slices
FROM ledger_hold WHERE account = ? AND key = ?;

-- name: load_due_holds
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, window, slices
FROM ledger_hold WHERE account = ? AND state = 'open' AND on_timeout = 'release' AND deadline <= ?
ORDER BY deadline, version;

-- name: next_deadline
SELECT min(deadline) FROM ledger_hold
WHERE account = ? AND state = 'open' AND on_timeout = 'release' AND deadline > ?;

-- name: load_hash
SELECT account, version, hash
FROM ledger_entry WHERE account = ? AND version = ?;

-- name: insert_account
INSERT INTO ledger_account (version, head, at, status, available, held, debt, due, buckets, terms, account)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_account
UPDATE ledger_account
SET version = ?, head = ?, at = ?, status = ?, available = ?, held = ?, debt = ?, due = ?, buckets = ?,
    terms = ?
WHERE account = ? AND version = ?;

-- name: insert_entry
INSERT INTO ledger_entry (account, version, kind, key, hold, at, amount, d_available, d_held, d_debt,
                          available, held, debt, body, fingerprint, link, note_hash, prev_hash, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_usual_entry
INSERT INTO ledger_entry (account, version, kind, key, hold, at, amount, d_available, d_held, d_debt,
                          available, held, debt, body, fingerprint, link, note_hash, prev_hash, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?, ?);

-- name: insert_hold
INSERT INTO ledger_hold (account, key, state, deadline, on_timeout, version, at, amount, charged, refunded,
                         member, window, slices)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: update_hold
UPDATE ledger_hold SET state = ?, deadline = ?, charged = ?, refunded = ? WHERE key = ? AND account = ?;

-- name: update_slices
UPDATE ledger_hold SET slices = ? WHERE key = ? AND account = ?;

-- name: insert_note
INSERT INTO ledger_note (account, version, salt, text) VALUES (?, ?, ?, ?);

-- name: entries_after
SELECT account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
       body, fingerprint, link, note_hash, prev_hash, hash
FROM ledger_entry WHERE account = ? AND version > ? ORDER BY version LIMIT ?;

-- name: open_holds
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, window, slices
FROM ledger_hold WHERE state = 'open' ORDER BY deadline, account, key;

-- name: open_holds_of
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, window, slices
FROM ledger_hold WHERE state = 'open' AND account = ? ORDER BY deadline, account, key;

-- name: accounts_after
SELECT account FROM ledger_account WHERE account > ? ORDER BY account LIMIT ?;

-- name: due_accounts
SELECT account FROM ledger_account WHERE due <= ? AND due < 9007199254740991 ORDER BY due, account LIMIT ?;

-- name: scan_entries
SELECT account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
       body, fingerprint, link, note_hash, prev_hash, hash
FROM ledger_entry ORDER BY place;

-- name: scan_entries_sorted
SELECT account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
       body, fingerprint, link, note_hash, prev_hash, hash
FROM ledger_entry ORDER BY account, version;

-- name: scan_entries_of
SELECT account, version, kind, key, hold, at, amount, d_available, d_held, d_debt, available, held, debt,
       body, fingerprint, link, note_hash, prev_hash, hash
FROM ledger_entry WHERE account = ? ORDER BY version;

-- name: scan_accounts
SELECT account, version, head, at, status, available, held, debt, due, buckets, terms
FROM ledger_account ORDER BY account;

-- name: scan_accounts_of
SELECT account, version, head, at, status, available, held, debt, due, buckets, terms
FROM ledger_account WHERE account = ?;

-- name: scan_holds
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, window, slices
FROM ledger_hold;

-- name: scan_holds_sorted
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, window, slices
FROM ledger_hold ORDER BY account;

-- name: scan_holds_of
SELECT account, key, state, deadline, on_timeout, version, at, amount, charged, refunded, member, window, slices
FROM ledger_hold WHERE account = ?;

-- name: scan_notes
SELECT account, version, salt, text FROM ledger_note ORDER BY account;

-- name: scan_notes_of
SELECT account, version, salt, text FROM ledger_note WHERE account = ?;

-- name: load_member
SELECT account, member, cap, window, start, number, spent, held
FROM ledger_member WHERE account = ? AND member = ?;

-- name: save_member
INSERT INTO ledger_member (account, member, cap, window, start, number, spent, held)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account, member) DO UPDATE
SET cap = excluded.cap, window = excluded.window, start = excluded.start, number = excluded.number,
    spent = excluded.spent, held = excluded.held;

-- name: insert_notice
INSERT INTO ledger_notice (account, version, place, kind, at, body) VALUES (?, ?, ?, ?, ?, ?);

-- name: notices
SELECT account, version, place, kind, at, body FROM ledger_notice
WHERE (?1 IS NULL OR account = ?1)
  AND (?2 = '[]' OR kind IN (SELECT value FROM json_each(?2)))
  AND (?3 OR acked = 0)
ORDER BY at, account, version, place LIMIT ?4;

-- name: acknowledge
UPDATE ledger_notice SET acked = 1 WHERE account = ? AND version = ? AND place = ? AND acked = 0;

-- name: checkpoints_after
SELECT number, at, accounts, prev_hash, hash, heads
FROM ledger_checkpoint WHERE number > ? ORDER BY number LIMIT ?;

-- name: last_checkpoint
SELECT number, at, accounts, prev_hash, hash, heads
FROM ledger_checkpoint ORDER BY number DESC LIMIT 1;

-- name: add_checkpoint
INSERT INTO ledger_checkpoint (number, at, accounts, prev_hash, hash, heads) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (number) DO NOTHING;

-- name: scan_members
SELECT account, member, cap, window, start, number, spent, held FROM ledger_member ORDER BY account;

-- name: scan_members_of
SELECT account, member, cap, window, start, number, spent, held FROM ledger_member WHERE account = ?;

-- name: scan_notices
SELECT account, version, place, kind, at, body FROM ledger_notice ORDER BY account;

-- name: scan_notices_of
SELECT account, version, place, kind, at, body FROM ledger_notice WHERE account = ?;
