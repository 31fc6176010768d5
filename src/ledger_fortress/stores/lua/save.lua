-- Check first, write afterwards. ARGV[1] is JSON: a list of checks, a list of writes, and what the writer knows
-- of a lease: {} for none, or its key and the writer's name. Who has it may write, and gives it back with that;
-- while somebody else has it, nobody may.
-- A check is {key, field, text the field must have; '' for a field that must not exist}.
-- A write is {command, key, arguments...}. Keys are numbers of KEYS. All values are texts: nothing is computed.
-- Returns 0 when everything was written; when nothing was, the number of the check that failed, or -1 for the
-- lease.
local plan = cjson.decode(ARGV[1])
local lease, holder = plan[3], false
if lease[1] then
  holder = redis.call('GET', KEYS[lease[1]])
  if holder and holder ~= lease[2] then return -1 end
end
for number, check in ipairs(plan[1]) do
  if (redis.call('HGET', KEYS[check[1]], check[2]) or '') ~= check[3] then
    return number
  end
end
for _, write in ipairs(plan[2]) do
  redis.call(write[1], KEYS[write[2]], unpack(write, 3))
end
if holder then redis.call('DEL', KEYS[lease[1]]) end
return 0
