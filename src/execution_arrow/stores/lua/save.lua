-- Write all of a transaction, if its lock is still its own; else nothing. KEYS[1] is the lock, ARGV[1] the
-- token of who has it. A write is: number of arguments, command, number of its key, arguments. Nothing is
-- decided or computed here. Returns 1 when it was written.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local at = 2
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  redis.call(ARGV[at + 1], KEYS[tonumber(ARGV[at + 2])], unpack(ARGV, at + 3, at + 2 + count))
  at = at + 3 + count
end
redis.call('DEL', KEYS[1])
return 1
