-- Check first, write afterwards. ARGV[1] is JSON: a list of checks and a list of writes.
-- A check is {key, field, text the field must have; '' for a field that must not exist}.
-- A write is {command, key, arguments...}. Keys are numbers of KEYS. All values are texts: nothing is computed.
-- Returns 0 when everything was written, or the number of the check that failed when nothing was.
local plan = cjson.decode(ARGV[1])
for number, check in ipairs(plan[1]) do
  if (redis.call('HGET', KEYS[check[1]], check[2]) or '') ~= check[3] then
    return number
  end
end
for _, write in ipairs(plan[2]) do
  redis.call(write[1], KEYS[write[2]], unpack(write, 3))
end
return 0
