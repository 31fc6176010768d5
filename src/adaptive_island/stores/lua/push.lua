-- Counts each attempt once, and keeps what is said of breakers. All or nothing.
-- KEYS: island, changes, circuits, log, told, then whatever the message names by its place.
local told = cjson.decode(ARGV[1])
if redis.call('HSETNX', KEYS[1], 'life', told.life) == 1 then
  redis.call('HSETNX', KEYS[1], 'change', 0)
end
local change = redis.call('HINCRBY', KEYS[1], 'change', 1)
local touched = {}
for _, report in ipairs(told.reports) do
  if redis.call('SET', KEYS[report.seen], '1', 'NX', 'EX', told.seen_seconds) then
    redis.call('XADD', KEYS[4], 'MINID', '~', told.log_from, '*', 'a', report.row)
    for _, sum in ipairs(report.sums) do
      redis.call('HINCRBYFLOAT', KEYS[sum[1]], sum[2], sum[3])
      touched[sum[1]] = true
    end
  end
end
for place in pairs(touched) do
  redis.call('EXPIRE', KEYS[place], told.lives[tostring(place)])
  redis.call('ZADD', KEYS[2], change, KEYS[place])
end
for _, circuit in ipairs(told.circuits) do
  local kept = redis.call('HGET', KEYS[3], circuit[1])
  if not kept or (cjson.decode(circuit[2])[7] or 0) >= (cjson.decode(kept)[7] or 0) then
    redis.call('HSET', KEYS[3], circuit[1], circuit[2])
    redis.call('ZADD', KEYS[5], told.now, circuit[1])
    redis.call('HSET', KEYS[1], 'told', change)
  end
end
return change
