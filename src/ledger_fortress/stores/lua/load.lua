-- Look up what a transaction touches, as one picture. ARGV[1] is JSON with these fields:
--   now       microseconds as a text, '' for this server's own clock
--   accounts  one table per account, from a kind of key to its number in KEYS
--   keys, holds, members, marks   pairs {place of the account, name}
--   lease     where the asker means to write: the number of the shard's lease in KEYS, his name, and the
--             milliseconds for which he takes it if it is free, 0 to leave it
-- Returns nothing while somebody else has the lease; else the time, and the rows of accounts, entries, holds and members, of marked entries, and for each
-- account found: its name, the deadline after the due ones ('' if there is none).
local ask = cjson.decode(ARGV[1])
local places = ask.accounts
local accounts, entries, holds, members, marked, nexts = {}, {}, {}, {}, {}, {}
local seen_hold, seen_member = {}, {}

if ask.lease then
  local key, name, life = KEYS[ask.lease[1]], ask.lease[2], ask.lease[3]
  local holder = redis.call('GET', key)
  if holder and holder ~= name then return false end
  if life > 0 then redis.call('SET', key, name, 'PX', life) end
end

local now = ask.now
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.sub('000000' .. time[2], -6)
end

local function get(place, kind, field)
  return redis.call('HGET', KEYS[places[place][kind]], field)
end

local function take_member(place, name)
  local id = place .. ' ' .. name
  if seen_member[id] then return end
  seen_member[id] = true
  local row = get(place, 'member', name)
  if row then table.insert(members, row) end
end

local function take_hold(place, name)
  local id = place .. ' ' .. name
  if seen_hold[id] then return end
  seen_hold[id] = true
  local row = get(place, 'open', name) or get(place, 'hold', name)
  if row then
    table.insert(holds, row)
    local member = cjson.decode(row)[11]
    if type(member) == 'string' then take_member(place, member) end
  end
end

for place, keys in ipairs(places) do
  local row = redis.call('HMGET', KEYS[keys.account], 'row', 'at')
  if row[1] then
    table.insert(accounts, row[1])
    local till = now
    if tonumber(row[2]) > tonumber(now) then till = row[2] end
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[keys.deadline], '-inf', till)) do
      take_hold(place, name)
    end
    local after = redis.call(
      'ZRANGEBYSCORE', KEYS[keys.deadline], '(' .. till, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
    table.insert(nexts, after[2] or '')
  end
end
for _, pair in ipairs(ask.keys) do
  local found = get(pair[1], 'key', pair[2])
  if found then
    local space = string.find(found, ' ', 1, true)
    if space then
      take_hold(pair[1], string.sub(found, space + 1))
      found = string.sub(found, 1, space - 1)
    end
    table.insert(entries, get(pair[1], 'entry', found))
  end
end
for _, pair in ipairs(ask.holds) do take_hold(pair[1], pair[2]) end
for _, pair in ipairs(ask.members) do take_member(pair[1], pair[2]) end
for _, pair in ipairs(ask.marks) do
  local row = get(pair[1], 'entry', pair[2])
  if row then table.insert(marked, row) end
end
return {now, accounts, entries, holds, members, marked, nexts}
